"""The wide and deep model: a linear part that remembers, and layers that generalize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from .blocks import Outputs, Sources, Tasks, affine, embedded, heads, hidden_layers, side_by_side
from .inputs import FeatureInput, Packed


def wide_deep(
    packed: Packed,
    outputs: Outputs,
    task: Tasks,
    *,
    hidden_units: Sequence[int] = (128, 64),
    activation: str = "relu",
    dropout: float = 0.0,
    l2: float = 0.0,
    batch_normalization: bool = False,
    embedding_size: int = 0,
    wide_l1: float = 0.0,
    wide_l2: float = 0.0,
) -> keras.Model:
    """The sum of a linear model on categories and a multi-layer perceptron on numbers and embeddings.

    Wide, with a weight for each category: one-hots, and ids (vocabularies, hashes, crosses) without an
    embedding. Deep: numbers and multi-hots, ids with an embedding, and sequences. Their logits are added,
    and both are trained together. From Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016;
    there each part has an optimizer of its own, here both have the one of `train`.

    Args:
        packed: the features.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        hidden_units: the width of each hidden layer of the deep part.
        activation: of the hidden layers, by its Keras name.
        dropout: the rate after each hidden layer, from 0 to below 1.
        l2: the weight penalty of the hidden layers, at least 0.
        batch_normalization: whether each hidden layer is normalized before its activation.
        embedding_size: the dimensions of embeddings that state none; 0 for the rule of
            `headrace.components.transforms.crosses.embedding_size`.
        wide_l1, wide_l2: weight penalties of the wide part, at least 0.
    """
    sources = Sources(packed)
    numbers = sources.take(packed.of("numbers", dtype="float32"), "numbers")
    deep = [f for f in packed.of("ids", "sequence", dtype="int64") if not _is_wide(f)]
    values = side_by_side([numbers, *embedded(sources, deep, embedding_size)], "deep")
    hidden = None
    if values is not None:
        hidden = hidden_layers(
            values,
            hidden_units,
            activation=activation,
            dropout=dropout,
            l2=l2,
            batch_normalization=batch_normalization,
        )
    penalty = keras.regularizers.L1L2(wide_l1, wide_l2) if wide_l1 or wide_l2 else None
    hots = sources.take(packed.of("one_hot", dtype="float32"), "hots")
    ids = [f for f in packed.of("one_hot", "ids", dtype="int64") if _is_wide(f)]

    def logits(units: int, name: str) -> Any:
        parts = [] if hidden is None else [affine(hidden, sources, (), units, name)]
        if hots is not None or ids:
            wide = affine(
                hots,
                sources,
                ids,
                units,
                f"{name}_wide",
                bias=not parts,
                initializer="zeros",
                penalty=penalty,
            )
            parts.append(wide)
        return parts[0] if len(parts) == 1 else keras.layers.Add(name=f"{name}_total")(parts)

    return keras.Model(sources.keras, heads(logits, outputs, task), name="wide_deep")


def _is_wide(feature: FeatureInput) -> bool:
    return feature.kind == "one_hot" or (feature.kind == "ids" and not feature.embedding)
