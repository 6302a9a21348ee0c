"""The wide and deep model: a linear part that remembers, and layers that generalize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from .blocks import Outputs, Sources, Tasks, affine, embedded, heads, hidden_layers, side_by_side
from .inputs import FeatureInput, Packed
from .regularization import Regularization


def wide_deep(
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
    wide_l1: float = 0.0,
    wide_l2: float = 0.0,
) -> keras.Model:
    """The sum of a linear model on categories and a multi-layer perceptron on numbers and embeddings.

    What a feature is decides its part:

        one_hot, dense      float32 `[batch, slots]`     wide: a weight for each slot
        one_hot, as ids     int64 `[batch, columns]`     wide: a weight for each id, looked up
        ids                 int64 `[batch, columns]`     wide likewise: vocabularies, hashes, crosses
        ids with embedding  int64 `[batch, columns]`     deep: a vector for each id
        sequence            int64 `[batch, length]`      deep: the mean of the ids' vectors, padding left out
        numbers             float32 `[batch, width]`     deep; multi-hots and bags are numbers too

    The network is fed `{"dense": float32 [batch, dense], "ids": int64 [batch, ids]}`, or the float32 matrix
    alone where no feature is ids, and gives float32 `[batch, outputs]`: values, or probabilities. The logits
    of the parts are added and both are trained together; a part without a feature is left out. From Cheng et
    al., "Wide & Deep Learning for Recommender Systems", 2016; there each part has an optimizer of its own,
    here both have the one of `train`.

    Args:
        packed: the features, with their places in the two tensors.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        hidden_units: the width of each hidden layer of the deep part; none makes it linear.
        activation: of the hidden layers, by its Keras name.
        dropout: the rate after each hidden layer, or in front of the deep part's last one where there are
            none, from 0 to below 1.
        l1, l2: the weight penalties of the hidden layers, or of the deep part's last one where there are
            none; at least 0.
        max_norm: the greatest length of the weights of a unit there, 0 for no bound; see `Regularization`.
        batch_normalization: whether each hidden layer is normalized before its activation.
        embedding_size: the dimensions of sequences' vectors; 0 for the rule of
            `headrace.components.transforms.crosses.embedding_size`. Ids with an embedding state theirs.
        wide_l1, wide_l2: weight penalties of the wide part, at least 0; its weights start at 0, so that an id
            that never occurs adds nothing.

    Returns:
        The network, not compiled; for several labels it gives a dict of outputs by key. They share the hidden
        layers, and have a wide part and a last layer each.
    """
    sources = Sources(packed)
    numbers = sources.take(packed.of("numbers", dtype="float32"), "numbers")
    deep = [f for f in packed.of("ids", "sequence", dtype="int64") if not _is_wide(f)]
    values = side_by_side([numbers, *embedded(sources, deep, embedding_size)], "deep")
    weights, hidden = Regularization(l1, l2, max_norm), None
    if values is not None:
        hidden = hidden_layers(
            values,
            hidden_units,
            activation=activation,
            dropout=dropout,
            regularization=weights,
            batch_normalization=batch_normalization,
        )
    only: dict[str, Any] = {} if hidden_units else {"regularization": weights, "dropout": dropout}
    hots = sources.take(packed.of("one_hot", dtype="float32"), "hots")
    ids = [f for f in packed.of("one_hot", "ids", dtype="int64") if _is_wide(f)]

    def logits(units: int, name: str) -> Any:
        parts = [] if hidden is None else [affine(hidden, sources, (), units, name, **only)]
        if hots is not None or ids:
            wide = affine(
                hots,
                sources,
                ids,
                units,
                f"{name}_wide",
                bias=not parts,
                initializer="zeros",
                regularization=Regularization(wide_l1, wide_l2),
            )
            parts.append(wide)
        return parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_total")(parts)

    return keras.Model(sources.keras, heads(logits, outputs, task), name="wide_deep")


def _is_wide(feature: FeatureInput) -> bool:
    return feature.kind == "one_hot" or (feature.kind == "ids" and not feature.embedding)
