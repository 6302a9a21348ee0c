"""A split as Keras wants it, epoch after epoch: the order a function of (seed, epoch), nothing built twice.

Building a `tf.data` pipeline takes a tenth of a second, which is longer than an epoch over a small table. So
a split that fits into `IN_MEMORY_BYTES` is read once and permuted in memory, the same pipeline reading
another permutation in each epoch; a larger one is streamed from its shards by `dataset()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...pipelines.artifact import Examples
from ..dataset import dataset, shard_errors
from .feed import Feed, Tensors

IN_MEMORY_BYTES = 256 << 20
"""Of features; a constant, since it decides the order of the examples, and so the weights."""

Only = npt.NDArray[np.bool_] | None
"""Which rows of a split are wanted, a bool for each in the order of the shards; None for all."""
Shape = Callable[..., tuple[Any, ...]]
"""From tensors, labels and, where there are any, row weights of a batch to what Keras gets."""


class Epochs:
    """Batches of a split, for one epoch at a time.

    Args:
        examples: transformed examples.
        split: which of them.
        feed: how features are packed.
        batch_size: examples in a batch; the last may have fewer.
        shape: what becomes of a batch: of `Tensors`, labels, and weights if there are any.
        seed: of the order; None to keep that of the shards.
        only: which of the split's rows, see `dataset()`; all by default.
    """

    def __init__(
        self,
        examples: Examples,
        split: str,
        feed: Feed,
        batch_size: int,
        shape: Shape,
        seed: int | None = None,
        only: Only = None,
    ) -> None:
        self._examples = examples
        self._split = split
        self._feed = feed
        self._batch_size = batch_size
        self._shape = shape
        self._seed = seed
        self._only = only
        self._rows = examples.rows(split) if only is None else int(only.sum())
        self._kept = self._keep() if self._rows * feed.row_bytes <= IN_MEMORY_BYTES else None

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch, counted from 0; made anew in order, not in memory."""
        if self._kept is None:
            return self._streamed(epoch)
        if self._seed is not None:
            self._order.assign(np.random.default_rng([self._seed, epoch]).permutation(self._rows))
        return self._kept

    def _keep(self) -> tf.data.Dataset:
        with shard_errors(self._examples, self._split):
            parts = list(packed_batches(self._examples, self._split, self._feed, 65536, only=self._only))
        whole = tf.nest.map_structure(lambda *one: tf.concat(one, axis=0), *parts)
        self._order = tf.Variable(np.arange(self._rows), dtype=tf.int64, trainable=False)
        size = self._batch_size

        def batch(number: Any) -> tuple[Any, ...]:
            chosen = self._order[number * size : (number + 1) * size]
            return self._shape(*tf.nest.map_structure(lambda values: tf.gather(values, chosen), whole))

        return tf.data.Dataset.range(math.ceil(self._rows / size)).map(batch).prefetch(4)

    def _streamed(self, epoch: int) -> tf.data.Dataset:
        order: dict[str, Any] = {"only": self._only}
        if self._seed is not None:
            order |= {"shuffle": True, "seed": self._seed, "epoch": epoch}
        made = packed_batches(self._examples, self._split, self._feed, self._batch_size, **order)
        # Keras wants to know how many batches there are, lest it take the end for a mishap.
        steps = math.ceil(self._rows / self._batch_size)
        return made.map(self._shape).apply(tf.data.experimental.assert_cardinality(steps))


def packed_batches(
    examples: Examples, split: str, feed: Feed, batch_size: int, **order: Any
) -> tf.data.Dataset:
    """`dataset()` with the features as `Tensors`: (tensors, label), or (tensors, label, weight).

    Args:
        examples: transformed examples.
        split: which of them.
        feed: how features are packed.
        batch_size: rows a batch.
        order: `shuffle`, `seed`, `epoch` and `only` of `dataset()`.
    """
    if feed.kind == "matrix":
        made = dataset(examples, split, batch_size=batch_size, matrix=True, **order)
        return made.map(lambda matrix, *rest: ({"dense": matrix}, *rest))
    made = dataset(examples, split, batch_size=batch_size, expand=False, **order)

    def pack(features: Tensors, *rest: Any) -> tuple[Any, ...]:
        return feed.pack(tf, features), *rest

    return made.map(pack, num_parallel_calls=2, deterministic=True).prefetch(tf.data.AUTOTUNE)
