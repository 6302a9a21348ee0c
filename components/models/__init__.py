"""Keras models: three built-in ones, or a user's function.

A model function is called with `outputs` (1 for regression and binary, the number of classes for multi-class
and multi-label), `task` ("regression", "binary", "multiclass" or "multilabel"), the step's `model_args`, and
what it wants to know of the features, which also says how its network is fed:

    inputs: int                            float32 `[batch, inputs]`, all features side by side, one-hots
                                           expanded; not for features that are ids
    features: tuple[FeatureInput, ...]     a dict, for each feature a tensor `[batch, width]` by its `key`;
                                           see `headrace.components.models.inputs`
    packed: Packed                         the same in two tensors, `dense` and `ids`, quicker for many

It returns a `keras.Model` to float32 `[batch, outputs]`: a value of the transformed label, the probability
of the second class, or the probabilities of all classes. Where there are several labels, `outputs` and `task`
are dicts by the labels' keys (their columns' names, as far as Keras takes them), and so is what the network
gives. A model that comes compiled keeps its optimizer and loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_DEEP = ("hidden_units", "activation", "dropout", "l2", "batch_normalization", "embedding_size")
BUILT_IN: dict[str, tuple[str, ...]] = {
    "linear": ("l1", "l2"),
    "mlp": _DEEP,
    "wide_deep": (*_DEEP, "wide_l1", "wide_l2"),
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
    if name == "wide_deep":
        from .wide_deep import wide_deep

        return wide_deep
    from ...pipelines.import_path import load_function

    return load_function(name)
