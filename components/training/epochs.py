"""A split as Keras wants it, epoch after epoch: the order a function of (seed, epoch), nothing built twice.

Building a `tf.data` pipeline takes a tenth of a second, which is longer than an epoch over a small table. So
a split that fits into `IN_MEMORY_BYTES` is read once and permuted in memory, the same pipeline reading
another permutation in each epoch; a larger one is streamed from its shards by `dataset()`.

Images travel as they are stored, which is uint8 mostly, and become floats in what `shape` does with a batch,
after augmentation if there is any. For them a pipeline is built for each epoch: one that is used again has to
read its order from a variable, and where operations are to be deterministic, tf.data takes all threads from a
pipeline with a variable in it, down to the prefetch.
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
from .augmenting import Place, TrainAugmentation, best_place
from .feed import Feed, Tensors

IN_MEMORY_BYTES = 256 << 20
"""Of features; a constant, since it decides the order of the examples, and so the weights."""
AHEAD_BYTES = 128 << 20
"""Of batches that are made ahead, each with its images as floats."""

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
        augmentation: what is done to images before `shape`; None for nothing.
        place: where it is done; by default where this machine does it best.

    Attributes:
        in_step: whether batches come unfinished, so that the training step has to `finish` them.
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
        augmentation: TrainAugmentation | None = None,
        place: Place | None = None,
    ) -> None:
        self._examples = examples
        self._split = split
        self._feed = feed
        self._batch_size = batch_size
        self._shape = shape
        self._seed = seed
        self._only = only
        self._augmentation = augmentation
        self.in_step = augmentation is not None and (place or best_place()) == "step"
        self._rows = examples.rows(split) if only is None else int(only.sum())
        self._kept: Any = None
        self._whole = self._read() if self._rows * feed.row_bytes <= IN_MEMORY_BYTES else None
        if self._whole is not None and not feed.images:
            self._kept = self._keep()
        self._finish = tf.function(self.finish)  # traced once, and not for each epoch

    def __call__(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch, counted from 0; made anew in order, not in memory."""
        if self._whole is None:
            return self._streamed(epoch)
        order = np.arange(self._rows)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, epoch]).permutation(self._rows)
        if self._kept is None:
            return self._gathered(epoch, order)
        self._order.assign(order)
        return self._kept

    def finish(self, batch: Any, *about: Any) -> Any:
        """What Keras gets, of a batch.

        Args:
            batch: `Tensors`, labels, and weights if there are any.
            about: epoch and numbers of the examples, if they are augmented.
        """
        tensors, *rest = batch
        if self._augmentation is not None:
            tensors = self._augmentation(tensors, *about)
        return self._shape(tensors, *rest)

    def _read(self) -> Any:
        """All rows, as `packed_batches` gives them."""
        with shard_errors(self._examples, self._split):
            size = max(1, min(65536, AHEAD_BYTES // self._feed.row_bytes))
            parts = list(packed_batches(self._examples, self._split, self._feed, size, only=self._only))
        return tf.nest.map_structure(lambda *one: tf.concat(one, axis=0), *parts)

    def _rows_of(self, chosen: Any) -> Any:
        return tf.nest.map_structure(lambda values: tf.gather(values, chosen), self._whole)

    def _keep(self) -> tf.data.Dataset:
        """A pipeline for every epoch, whose order stands in a variable."""
        self._order = tf.Variable(np.arange(self._rows), dtype=tf.int64, trainable=False)
        size = self._batch_size

        def batch(number: Any) -> tuple[Any, ...]:
            finished: tuple[Any, ...] = self.finish(
                self._rows_of(self._order[number * size : (number + 1) * size])
            )
            return finished

        return tf.data.Dataset.range(math.ceil(self._rows / size)).map(batch).prefetch(4)

    def _gathered(self, epoch: int, order: Any) -> tf.data.Dataset:
        """A pipeline for one epoch."""
        places = tf.constant(np.arange(self._rows) if self._only is None else np.flatnonzero(self._only))

        def batch(chosen: Any) -> tuple[Any, ...]:
            about = () if self._augmentation is None else (tf.gather(places, chosen),)
            return *self._rows_of(chosen), *about

        chosen = tf.data.Dataset.from_tensor_slices(order).batch(self._batch_size)
        return self._finished(chosen.map(batch, num_parallel_calls=2, deterministic=True), epoch)

    def _streamed(self, epoch: int) -> tf.data.Dataset:
        order: dict[str, Any] = {"only": self._only}
        if self._seed is not None:
            order |= {"shuffle": True, "seed": self._seed, "epoch": epoch}
        if self._augmentation is not None:
            order |= {"numbers": True}
        made = packed_batches(self._examples, self._split, self._feed, self._batch_size, **order)
        # Keras wants to know how many batches there are, lest it take the end for a mishap.
        steps = math.ceil(self._rows / self._batch_size)
        return self._finished(made, epoch).apply(tf.data.experimental.assert_cardinality(steps))

    def _finished(self, batches: tf.data.Dataset, epoch: int) -> tf.data.Dataset:
        """What Keras gets, of batches with the numbers behind them if they are augmented."""

        def told(*parts: Any) -> tuple[Any, ...]:
            if self._augmentation is None:
                return (parts,)
            return parts[:-1], tf.constant(epoch, tf.int64), parts[-1]

        if self.in_step:
            return batches.map(told).prefetch(tf.data.AUTOTUNE)
        made = batches.map(
            lambda *parts: self._finish(*told(*parts)), num_parallel_calls=2, deterministic=True
        )
        floats = sum(math.prod(shape) for _, shape in self._feed.shapes.values())
        return made.prefetch(max(1, min(4, AHEAD_BYTES // (4 * floats * self._batch_size))))


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
