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

import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError
from ..input.batching import batched, finished
from ..input.checks import check_shards, shard_errors
from ..input.order import Only, Order
from ..input.places import Places, Share
from ..input.position import BEGIN, Position
from ..input.rows import IN_ORDER, About, Rows
from ..input.sampling import Sampling, copies_of
from ..tfrecords.layout import Layout
from ..tfrecords.reading import cut_fields
from .augmenting import Place, TrainAugmentation, best_place
from .feed import Feed

IN_MEMORY_BYTES = 256 << 20
"""Of features that are kept in memory where nothing else is asked for."""
AHEAD_BYTES = 128 << 20
"""Of batches that are made ahead, each with its images as floats."""
PACKED_ROWS, PACKED_BYTES = 8192, 16 << 20
"""Rows, and bytes of these, that are gathered at once, at most, so that small batches are slices of many."""

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
        sampling: `balanced` for every class equally often in each epoch of `batches`; an epoch has as many
            examples as with `natural`.
        share: the part of each batch to learn from that this host reads; None for all of it.

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
        sampling: Sampling = "natural",
        share: Share | None = None,
    ) -> None:
        self._split = split
        self._feed = feed
        self._batch_size = batch_size
        self._shape = shape
        self._augmentation = augmentation
        self._share = share
        self.in_step = augmentation is not None and (place or best_place()) == "step"
        layout = Layout.from_json(examples.properties)
        shards = [part["rows"] for part in examples.splits[split]["parts"]]
        copies = copies_of(examples, split, only, sampling, seed or 0)
        self._order = Order(shards, layout.block_rows, seed, copies)
        self._in_shard_order = Order(shards, layout.block_rows, None, copies_of(examples, split, only))
        self.rows = self._order.rows
        if cache == "auto":
            cache = "memory" if examples.rows(split) * feed.row_bytes <= IN_MEMORY_BYTES else "none"
        self._layout = layout if feed.images else layout.without_images()
        with shard_errors(examples, split):
            check_shards(examples, split)
            self._rows = Rows(
                examples, split, layout, images=bool(feed.images), keep=self._packed, cache=cache
            )
        self._finish = tf.function(self.finish)  # traced once, and not for each source

    def batches(self, position: Position = BEGIN) -> tf.data.Dataset:
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
        places = Places(self._order, position, self._batch_size, self._share)
        return self._finished(batched(self._chunks(places), places, None, "carry"))

    def once(self) -> tf.data.Dataset:
        """All examples once in the order of the shards; the last batch may have fewer."""
        return self._once

    @cached_property
    def _once(self) -> tf.data.Dataset:
        places = Places(self._in_shard_order, batch_size=self._batch_size)
        return self._finished(batched(self._chunks(places), places, 1, "keep"))

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

    def _packed(self, fields: dict[str, Any]) -> tuple[Any, ...]:
        """Fields of records as they are kept: tensors, labels, and weights if there are any."""
        features, *rest = cut_fields(self._layout, fields)
        return self._feed.pack(tf, features), *rest

    def _chunks(self, places: Places) -> Callable[[Any], tf.data.Dataset]:
        """Rows of windows, some whole batches at once."""
        some = max(min(PACKED_ROWS, PACKED_BYTES // self._feed.row_bytes) // self._batch_size, 1)
        return lambda windows: self._rows.of(windows, places, some * self._batch_size)

    def _finished(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """What Keras gets, of batches of rows."""

        def batch(about: About, rows: Any) -> Any:
            told = () if self._augmentation is None else (about.epochs, about.numbers)
            return (rows, *told) if self.in_step else self._finish(rows, *told)

        floats = sum(math.prod(shape) for _, shape in self._feed.shapes.values())
        ahead = max(1, min(4, AHEAD_BYTES // (4 * floats * self._batch_size)))
        return finished(batches.map(batch, **IN_ORDER), ahead)
