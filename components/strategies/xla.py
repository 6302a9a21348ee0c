"""Steps that XLA compiles."""

from __future__ import annotations

import keras

from ...pipelines.errors import InvalidRequestError


def compile_by_xla(network: keras.Model) -> None:
    """Has XLA compile the steps of a compiled network.

    Keras declines where operations are to be deterministic, with a warning, since XLA doesn't promise it for
    all of them. Tried on a CPU, a repeated training and one that went on from a checkpoint gave the same bits
    (dense, convolution, batch normalization and dropout, float32 and float16). They are not those of steps
    that aren't compiled: sums are rounded otherwise, and XLA draws other random numbers from a seed.

    Raises:
        InvalidRequestError: a layer says that XLA can't compile it.
    """
    refused = [layer.name for layer in network._flatten_layers() if not layer.supports_jit]
    if refused:
        raise InvalidRequestError(
            f"XLA can't compile the layer {refused[0]!r}", argument="xla", remedy="leave xla out"
        )
    network._jit_compile = True
