"""The linear model: linear, logistic or softmax regression, by the task."""

from __future__ import annotations

from typing import Any

import keras

from ...pipelines.errors import DataError
from .blocks import Outputs, Sources, Tasks, affine, heads
from .inputs import Packed
from .regularization import Regularization


def linear(
    packed: Packed,
    outputs: Outputs,
    task: Tasks,
    *,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
) -> keras.Model:
    """One dense layer on numbers and one-hots, `[batch, outputs]`; wide one-hots are looked up by their ids.

    Args:
        packed: the features; ids that aren't one-hots are refused.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        dropout: the share of the features that is left out in training, from 0 to below 1.
        l1, l2: weight penalties, at least 0.
        max_norm: the greatest length of an output's weights, 0 for no bound; see `Regularization`.

    Raises:
        DataError: a feature is ids.
    """
    ids = ", ".join(f.name for f in packed.of("ids", "sequence", dtype="int64"))
    if ids:
        raise DataError(
            f"{ids}: ids are names and not amounts, so the linear model can't take them",
            argument="model",
            remedy="put one_hot behind, as in [vocabulary, one_hot], or use mlp or wide_deep",
        )
    sources = Sources(packed)
    values = sources.take([f for f in packed.features if f.dtype == "float32"], "values")
    weights = Regularization(l1, l2, max_norm)

    def logits(units: int, name: str) -> Any:
        one_hots = packed.of("one_hot", dtype="int64")
        return affine(values, sources, one_hots, units, name, regularization=weights, dropout=dropout)

    return keras.Model(sources.keras, heads(logits, outputs, task), name="linear")
