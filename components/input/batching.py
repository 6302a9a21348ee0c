"""From rows to batches: what becomes of the examples that fill no batch at the end of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from .places import Places

Remainder = Literal["keep", "drop", "pad", "carry"]
"""What becomes of the examples at the end of an epoch that fill no batch: a smaller batch, nothing, a batch
filled up with rows that weigh nothing, or the beginning of the next epoch's first batch."""
ENDLESS = int(np.iinfo(np.int64).max)
Chunks = Callable[[Any], tf.data.Dataset]
"""From a dataset of numbers of windows to one of finished rows, any number at once."""


def batched(chunks: Chunks, places: Places, epochs: int | None, remainder: Remainder) -> tf.data.Dataset:
    """Batches of all epochs from a position on.

    Args:
        chunks: gives the rows of windows.
        places: where it begins, how many examples a global batch has, and what share of it is wanted.
        epochs: how many, the one that it begins in among them; None without end.
        remainder: what becomes of examples that fill no batch.
    """
    order, start = places.order, places.start
    size = places.batch_size // (places.share.hosts if places.share else 1)
    end = None if epochs is None else start.epoch + epochs
    if remainder == "carry":
        windows = tf.data.Dataset.range(places.first, ENDLESS if end is None else end * order.windows)
        made = chunks(windows).rebatch(size, drop_remainder=True)
        if epochs is None:
            return made
        # A host may hold its whole share of a batch for which others have nothing left.
        return _counted(made.take(_count(places, epochs, remainder)), _count(places, epochs, remainder))

    def one(epoch: Any) -> tf.data.Dataset:
        first = tf.maximum(epoch * order.windows, tf.constant(places.first, tf.int64))
        rows = chunks(tf.data.Dataset.range(first, (epoch + 1) * order.windows))
        if remainder != "drop":
            return rows.rebatch(size, drop_remainder=remainder == "pad")
        left = order.rows - tf.where(epoch == start.epoch, tf.constant(start.examples, tf.int64), 0)
        return rows.rebatch(size, drop_remainder=True).take(left // places.batch_size)

    if epochs == 1:
        return _counted(one(tf.constant(start.epoch, tf.int64)), _count(places, 1, remainder))
    made = tf.data.Dataset.range(start.epoch, ENDLESS if end is None else end).flat_map(one)
    return made if epochs is None else _counted(made, _count(places, epochs, remainder))


def _counted(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """The same, with their number known; another one is an error when they end."""
    return batches.apply(tf.data.experimental.assert_cardinality(count))


def _count(places: Places, epochs: int, remainder: Remainder) -> int:
    """How many batches there are."""
    rows, size = places.order.rows, places.batch_size
    first = rows - places.start.examples
    if remainder == "carry":
        return (first + (epochs - 1) * rows) // size
    each = [first // size, rows // size] if remainder == "drop" else [-(-first // size), -(-rows // size)]
    return each[0] + (epochs - 1) * each[1]


def finished(batches: tf.data.Dataset, ahead: int, device: str | None = None) -> tf.data.Dataset:
    """Batches that are made ahead, in a pipeline that does nothing by itself that wasn't asked for.

    Args:
        batches: the batches.
        ahead: how many are ready, at most; -1 to have tf.data find that out.
        device: to which these are sent, as `/gpu:0`; None to leave that to who uses them.
    """
    options = tf.data.Options()
    options.deterministic = True
    # A strategy would cut the pipeline by files or, worse, let each replica drop what it doesn't want.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = batches.with_options(options)
    if device is None:
        return batches.prefetch(ahead)
    return batches.apply(tf.data.experimental.prefetch_to_device(device, None if ahead < 0 else ahead))
