"""What layers compute in: float32, or 16 bits with weights and outputs in float32.

Keras wraps the optimizer of a float16 network in one that scales the loss (`LossScaleOptimizer`); the scale
and its counter are among the optimizer's variables, and so in checkpoints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from ...pipelines.errors import InvalidRequestError

POLICIES = {"float32": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
"""Keras' dtype policies."""


@contextlib.contextmanager
def precise(precision: str) -> Iterator[None]:
    """Has layers that are made within compute in a precision.

    Args:
        precision: "float32", "float16" or "bfloat16".
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def require_float32(network: keras.Model, model: str) -> None:
    """Refuses a network whose outputs have 16 bits: losses, metrics and probabilities need more.

    Args:
        network: built; one that isn't made of layers gives its outputs in `call`, and isn't looked at.
        model: its name, for errors.

    Raises:
        InvalidRequestError: an output is no float32.
    """
    outputs = keras.tree.flatten(getattr(network, "outputs", None) or [])
    wrong = {tensor.dtype for tensor in outputs} - {"float32"}
    if wrong:
        raise InvalidRequestError(
            f"the outputs of {model} are {wrong.pop()}, and have to be float32 in every precision",
            argument="precision",
            remedy='give its last layer dtype="float32"',
        )
