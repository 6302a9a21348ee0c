"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from .blocks import Outputs, Sources, Tasks, affine, embedded, heads, hidden_layers, side_by_side
from .inputs import Packed
from .regularization import Regularization


def mlp(
    packed: Packed,
    outputs: Outputs,
    task: Tasks,
    *,
    hidden_units: Sequence[int] = (128, 64),
    activation: str = "relu",
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
    batch_normalization: bool = False,
    embedding_size: int = 0,
) -> keras.Model:
    """Dense layers on numbers, one-hots and embeddings side by side.

    Numbers and narrow one-hots, float32 `[batch, width]`, go in as they are. One-hots that are kept as ids,
    int64 `[batch, columns]`, are looked up in the first layer's weights, which is the same as expanding
    them. Ids, int64 `[batch, columns]`, are embedded, each column by a table of its own; of the vectors of a
    sequence, int64 `[batch, length]`, the mean is taken, padding left out.

    The network is fed `{"dense": float32 [batch, dense], "ids": int64 [batch, ids]}`, or the float32 matrix
    alone where no feature is ids, and gives float32 `[batch, outputs]`: values, or probabilities.

    Args:
        packed: the features, with their places in the two tensors.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        hidden_units: the width of each hidden layer; none makes the model linear.
        activation: of the hidden layers, by its Keras name.
        dropout: the rate after each hidden layer, or that of the features where there are none, from 0 to
            below 1.
        l1, l2: the weight penalties of the hidden layers, of the last one where there are none; at least 0.
        max_norm: the greatest length of the weights of a unit there, 0 for no bound; see `Regularization`.
        batch_normalization: whether each hidden layer is normalized before its activation.
        embedding_size: the dimensions of embeddings that state none; 0 for the rule of
            `headrace.components.transforms.crosses.embedding_size`.

    Returns:
        The network, not compiled; for several labels it gives a dict of outputs by key, which share all
        layers but the last.
    """
    sources = Sources(packed)
    dense = sources.take([f for f in packed.features if f.dtype == "float32"], "values")
    vectors = embedded(sources, packed.of("ids", "sequence", dtype="int64"), embedding_size)
    values = side_by_side([dense, *vectors], "deep")
    one_hots = packed.of("one_hot", dtype="int64")
    weights = Regularization(l1, l2, max_norm)

    def first(units: int) -> Any:
        return affine(values, sources, one_hots, units, "hidden_1", regularization=weights)

    hidden = hidden_layers(
        values,
        hidden_units,
        activation=activation,
        dropout=dropout,
        regularization=weights,
        batch_normalization=batch_normalization,
        first=first,
    )

    def logits(units: int, name: str) -> Any:
        if hidden_units:
            return affine(hidden, sources, (), units, name)
        return affine(values, sources, one_hots, units, name, regularization=weights, dropout=dropout)

    return keras.Model(sources.keras, heads(logits, outputs, task), name="mlp")
