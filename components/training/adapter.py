"""Until `stream` is there: a split that fits into memory as a `Stream` gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ..input.position import Position
from .augmenting import best_place
from .epochs import Only, packed_batches

__all__ = ["Only", "Stream"]


class Stream:
    """Batches of a split, from any position on."""

    def __init__(
        self, examples: Any, split: str, feed: Any, batch_size: int, shape: Any, seed: int | None = None,
        only: Only = None, augmentation: Any = None, place: Any = None, cache: str = "auto",
    ) -> None:  # fmt: skip
        self.rows = examples.rows(split) if only is None else int(only.sum())
        self.in_step = augmentation is not None and (place or best_place()) == "step"
        self._batch_size, self._seed, self._augmentation, self._shape = batch_size, seed, augmentation, shape
        parts = list(packed_batches(examples, split, feed, 4096, only=only))
        self._whole = tf.nest.map_structure(lambda *one: tf.concat(one, axis=0), *parts)
        self._places = tf.constant(np.arange(self.rows) if only is None else np.flatnonzero(only))

    def batches(self, position: Position = Position()) -> tf.data.Dataset:  # noqa: B008
        """Endless batches."""

        def epoch(number: Any) -> Any:
            order = tf.range(self.rows, dtype=tf.int64)
            if self._seed is not None:
                order = tf.random.experimental.stateless_shuffle(order, tf.stack([self._seed, number]))
            order = tf.data.Dataset.from_tensor_slices(
                order[position.examples * tf.cast(number == position.epoch, tf.int32) :]
            )
            return order.map(lambda place: (number, place))

        numbers = tf.data.Dataset.range(position.epoch, 2**62).flat_map(epoch)
        return self._batched(numbers.batch(self._batch_size, drop_remainder=True))

    def once(self) -> tf.data.Dataset:
        """One pass."""
        numbers = tf.data.Dataset.range(self.rows).map(lambda place: (tf.constant(0, tf.int64), place))
        return self._batched(numbers.batch(self._batch_size))

    def _batched(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        def batch(epochs: Any, chosen: Any) -> Any:
            rows = tf.nest.map_structure(lambda values: tf.gather(values, chosen), self._whole)
            about = () if self._augmentation is None else (epochs, tf.gather(self._places, chosen))
            return (rows, *about) if self.in_step else self.finish(rows, *about)

        return numbers.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)

    def finish(self, batch: Any, *about: Any) -> Any:
        """What Keras gets."""
        tensors, *rest = batch
        if self._augmentation is not None:
            tensors = self._augmentation(tensors, *about)
        return self._shape(tensors, *rest)
