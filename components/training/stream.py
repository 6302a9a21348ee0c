"""A split as a network wants it: batches from any position on, epoch after epoch, out of one pipeline.

The examples of all epochs are one stream, which is cut into batches of one size: what fills no batch at the
end of an epoch opens the first batch of the next. So every batch is full. The pipeline holds no variable:
where operations are to be deterministic, tf.data takes all threads from a pipeline with one in it.

Images travel as they are stored, which is uint8 mostly, and become floats in what `shape` does with a batch,
after augmentation if there is any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError
from ..dataset import shard_errors
from ..input.order import Order
from ..input.position import Position
from ..tfrecords.layout import Layout
from .augmenting import Place, TrainAugmentation, best_place
from .epochs import packed_batches
from .feed import Feed

IN_MEMORY_BYTES = 256 << 20
"""Of features that are kept in memory where nothing else is asked for."""
AHEAD_BYTES = 128 << 20
"""Of batches that are made ahead, each with its images as floats."""
_ENDLESS = np.iinfo(np.int64).max
_IN_ORDER = {"num_parallel_calls": 2, "deterministic": True}

Only = npt.NDArray[np.bool_] | None
"""Which rows of a split are wanted, a bool for each in the order of the shards; None for all."""
Shape = Callable[..., tuple[Any, ...]]
"""From tensors, labels and, where there are any, row weights of a batch to what Keras gets."""
Cache = Literal["auto", "memory", "disk", "none"]


class Stream:
    """Batches of a split, from any position on, epoch after epoch.

    Args:
        examples: transformed examples.
        split: which of them.
        feed: how features are packed.
        batch_size: examples in a batch.
        shape: what becomes of a batch: of `Tensors`, labels, and weights if there are any.
        seed: of the order; None to keep that of the shards.
        only: which of the split's rows, see `dataset()`; all by default.
        augmentation: what is done to images before `shape`; None for nothing.
        place: where it is done; by default where this machine does it best.
        cache: where rows are kept once they are read: `memory`, a file on `disk`, or `none` to read the
            shards in each epoch; `auto` for memory where they have at most `IN_MEMORY_BYTES`, else none. The
            order doesn't depend on it.

    Attributes:
        rows: examples in an epoch.
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
        cache: Cache = "auto",
    ) -> None:
        self._examples = examples
        self._split = split
        self._feed = feed
        self._batch_size = batch_size
        self._shape = shape
        self._augmentation = augmentation
        self.in_step = augmentation is not None and (place or best_place()) == "step"
        shards = [part["rows"] for part in examples.splits[split]["parts"]]
        block = Layout.from_json(examples.properties).block_rows
        copies = None if only is None else only.astype(np.int8)
        wanted = None if copies is None else lambda epoch: copies
        self._order = Order(shards, block, seed, wanted)
        self._in_shard_order = Order(shards, block, None, wanted)
        self.rows = self._order.rows
        self._finish = tf.function(self.finish)  # traced once, and not for each source

    def batches(self, position: Position = Position()) -> tf.data.Dataset:  # noqa: B008 - a frozen value
        """Endless batches, every one full.

        Args:
            position: the first example is the one there.

        Returns:
            What `shape` gives of each batch; where the training step is to finish them, tuples
            (batch, epochs, numbers), the arguments of `finish`.

        Raises:
            DataError: a batch has more examples than an epoch.
        """
        if self._batch_size > self.rows:
            raise DataError(
                f"batch_size is {self._batch_size:,}, and the split {self._split!r} has {self.rows:,} "
                "examples",
                argument="batch_size",
                remedy=f"take {self.rows:,} at most, or leave batch_size out",
            )
        number, skip = self._order.find(position)
        first = position.epoch * self._order.windows + number
        chosen = self._chosen(self._order, first, _ENDLESS, skip)
        return self._batched(chosen.rebatch(self._batch_size, drop_remainder=True))

    def once(self) -> tf.data.Dataset:
        """All examples once in the order of the shards; the last batch may have fewer."""
        return self._once

    @cached_property
    def _once(self) -> tf.data.Dataset:
        batches = self._chosen(self._in_shard_order, 0, self._in_shard_order.windows, 0)
        count = math.ceil(self.rows / self._batch_size)
        made = self._batched(batches.rebatch(self._batch_size))
        return made.apply(tf.data.experimental.assert_cardinality(count))

    def finish(self, batch: Any, *about: Any) -> Any:
        """What Keras gets, of a batch.

        Args:
            batch: `Tensors`, labels, and weights if there are any.
            about: int64 [batch] each, the epochs and the numbers of the examples, if they are augmented.
        """
        tensors, *rest = batch
        if self._augmentation is not None:
            tensors = self._augmentation(tensors, *about)
        return self._shape(tensors, *rest)

    @cached_property
    def _whole(self) -> Any:
        """All rows in the order of the shards, as `packed_batches` gives them."""
        with shard_errors(self._examples, self._split):
            size = max(1, min(65536, AHEAD_BYTES // self._feed.row_bytes))
            parts = list(packed_batches(self._examples, self._split, self._feed, size))
        return tf.nest.map_structure(lambda *one: tf.concat(one, axis=0), *parts)

    def _chosen(self, order: Order, first: int, end: int, skip: int) -> tf.data.Dataset:
        """Epochs and numbers of examples, int64 [n] each, by windows, without the first `skip`."""

        def window(index: Any) -> tuple[Any, Any]:
            epoch, number = divmod(int(index), order.windows)
            numbers = order.window(epoch, number).numbers[skip if index == first else 0 :]
            return np.full(len(numbers), epoch), numbers

        def told(index: Any) -> tuple[Any, Any]:
            found = tf.numpy_function(window, [index], [tf.int64, tf.int64], stateful=False)
            return tuple(tf.ensure_shape(one, [None]) for one in found)

        return tf.data.Dataset.range(first, end).map(told, **_IN_ORDER)

    def _batched(self, chosen: tf.data.Dataset) -> tf.data.Dataset:
        """What Keras gets, of batches of epochs and numbers."""
        whole = self._whole  # is read here, and not where the function is traced

        def batch(epochs: Any, numbers: Any) -> Any:
            rows = tf.nest.map_structure(lambda values: tf.gather(values, numbers), whole)
            about = () if self._augmentation is None else (epochs, numbers)
            return (rows, *about) if self.in_step else self._finish(rows, *about)

        floats = sum(math.prod(shape) for _, shape in self._feed.shapes.values())
        ahead = max(1, min(4, AHEAD_BYTES // (4 * floats * self._batch_size)))
        return chosen.map(batch, **_IN_ORDER).prefetch(ahead)
