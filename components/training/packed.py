"""Rows of a split as tensors, once, for whoever asks a network or looks at the data."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...pipelines.artifact import Examples
from ..dataset import dataset
from .feed import Feed, Tensors


def packed_batches(
    examples: Examples, split: str, feed: Feed, batch_size: int, **order: Any
) -> tf.data.Dataset:
    """`dataset()` with the features as `Tensors`: (tensors, label), or (tensors, label, weight), and numbers.

    Args:
        examples: transformed examples.
        split: which of them.
        feed: how features are packed.
        batch_size: rows a batch.
        order: `shuffle`, `seed`, `epoch`, `only` and `numbers` of `dataset()`.
    """
    if feed.kind == "matrix":
        made = dataset(examples, split, batch_size=batch_size, matrix=True, **order)
        return made.map(lambda matrix, *rest: ({"dense": matrix}, *rest))
    made = dataset(examples, split, batch_size=batch_size, expand=False, **order)

    def pack(features: Tensors, *rest: Any) -> tuple[Any, ...]:
        return feed.pack(tf, features), *rest

    return made.map(pack, num_parallel_calls=2, deterministic=True).prefetch(tf.data.AUTOTUNE)
