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
import tensorflow as tf

from ...pipelines.artifact import Examples
from ..dataset import dataset, shard_errors

IN_MEMORY_BYTES = 256 << 20
"""Of float32 features; a constant, since it decides the order of the examples, and so the weights."""

Shape = Callable[[Any, Any], tuple[Any, Any]]


class Epochs:
    """Batches of `(features [batch, width], label)` of a split, for one epoch at a time.

    Args:
        examples: transformed examples.
        split: which of them.
        width: of the feature matrix.
        batch_size: examples in a batch; the last may have fewer.
        shape: maps features and labels of a batch to what Keras gets.
        seed: of the order; None to keep that of the shards.
    """

    def __init__(
        self,
        examples: Examples,
        split: str,
        width: int,
        batch_size: int,
        shape: Shape,
        seed: int | None = None,
    ) -> None:
        self._examples = examples
        self._split = split
        self._batch_size = batch_size
        self._shape = shape
        self._seed = seed
        self._rows = examples.rows(split)
        self._kept = self._keep() if self._rows * width * 4 <= IN_MEMORY_BYTES else None

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch, counted from 0; made anew in order, not in memory."""
        if self._kept is None:
            return self._streamed(epoch)
        if self._seed is not None:
            self._order.assign(np.random.default_rng([self._seed, epoch]).permutation(self._rows))
        return self._kept

    def _keep(self) -> tf.data.Dataset:
        with shard_errors(self._examples, self._split):
            batches = list(dataset(self._examples, self._split, batch_size=65536, matrix=True))
        x, y = (tf.concat(parts, axis=0) for parts in zip(*batches, strict=True))
        self._order = tf.Variable(np.arange(self._rows), dtype=tf.int64, trainable=False)
        size = self._batch_size

        def batch(number: Any) -> tuple[Any, Any]:
            chosen = self._order[number * size : (number + 1) * size]
            return self._shape(tf.gather(x, chosen), tf.gather(y, chosen))

        return tf.data.Dataset.range(math.ceil(self._rows / size)).map(batch).prefetch(4)

    def _streamed(self, epoch: int) -> tf.data.Dataset:
        order: dict[str, Any] = (
            {} if self._seed is None else {"shuffle": True, "seed": self._seed, "epoch": epoch}
        )
        made = dataset(self._examples, self._split, batch_size=self._batch_size, matrix=True, **order)
        # Keras wants to know how many batches there are, lest it take the end for a mishap.
        steps = math.ceil(self._rows / self._batch_size)
        return made.map(self._shape).apply(tf.data.experimental.assert_cardinality(steps))
