"""Keras models for a matrix of features: two built-in ones, or a user's function.

A model function is called with `inputs` (the width of the feature matrix), `outputs` (1 for regression and
binary, the number of classes for multi-class), `task` ("regression", "binary" or "multiclass"), and the
step's `model_args`. It returns a `keras.Model` from float32 `[batch, inputs]` to float32
`[batch, outputs]`: a value of the transformed label, the probability of the second class, or the
probabilities of all classes. A model that comes compiled keeps its optimizer and loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BUILT_IN: dict[str, tuple[str, ...]] = {
    "linear": ("l1", "l2"),
    "mlp": ("hidden_units", "activation", "dropout", "l2", "batch_normalization"),
}
"""The built-in models, each with the names of its `model_args`."""


def model_function(name: str) -> Callable[..., Any]:
    """The function of a built-in name or of an import path, `module:name` or `file.py:name`.

    Raises:
        InvalidRequestError: there is no such built-in model, module, file or function.
    """
    if name == "linear":
        from .linear import linear

        return linear
    if name == "mlp":
        from .mlp import mlp

        return mlp
    from .user import load_function

    return load_function(name)
