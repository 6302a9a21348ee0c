"""A mixture of artifacts as batches of features and labels."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from ...pipelines.errors import DataError
from ..data_plane.row_hash import mix as mixed
from .batching import ENDLESS, finished
from .calls import numpy_call
from .mixture import ROUND, Mixture
from .position import Position
from .rows import IN_ORDER
from .source import Source, Wanted, share_of


class MixedSource:
    """A mixture as batches of features and labels, from any position on; as `Source` is of one artifact.

    Args:
        mixture: of which artifacts, and in which shares.
        split: which of their splits.
        wanted: how examples are wanted.

    Attributes:
        rows: examples in an epoch.

    Raises:
        DataError, StoreError: see `dataset()`.
    """

    def __init__(self, mixture: Mixture, split: str, wanted: Wanted) -> None:
        if wanted.remainder == "pad" or wanted.only is not None:
            raise DataError(
                "a mixture is one stream, in which no epoch is padded and no rows are picked",
                argument="remainder" if wanted.only is None else "only",
                remedy="take remainder='carry', and no `only`",
            )
        self._share = share_of(wanted)
        alone = replace(wanted, shard=None, remainder="carry", device=None)
        self._sources = [Source(one, split, alone) for one in mixture.examples]
        self._mixture, self._wanted = mixture, wanted
        self.rows = mixture.rows(split)

    def batches(self, start: Position, epochs: int | None) -> tf.data.Dataset:
        """Batches from a position on, of so many epochs, or without end."""
        if not self._mixture.repeat and (epochs != 1 or start.epoch):
            raise DataError(
                f"without repeat, the mixture ends after {self.rows:,} examples, and has no other epoch",
                argument="epochs",
                remedy="take one epoch, the first, or mix with repeat",
            )
        wanted, first = self._wanted, start.epoch * self.rows + start.examples
        end = ENDLESS if epochs is None else (start.epoch + epochs) * self.rows
        rounds = range(first // ROUND, -(-end // ROUND))
        each = [
            source.stream(Position().after(rounds.start * count, source.rows), count)
            for source, count in zip(self._sources, self._mixture.counts, strict=True)
        ]
        numbers = tf.data.Dataset.range(rounds.start, rounds.stop)
        chosen = numbers.map(lambda number: self._chosen(number, first, end), **IN_ORDER)
        rows = tf.data.Dataset.zip((chosen, *each)).map(_joined, **IN_ORDER)
        size = wanted.batch_size // (self._share.hosts if self._share else 1)
        made = rows.rebatch(size, drop_remainder=wanted.remainder != "keep")
        if epochs is not None:
            left = end - first
            count = -(-left // size) if wanted.remainder == "keep" else left // wanted.batch_size
            made = made.take(count).apply(tf.data.experimental.assert_cardinality(count))
        return finished(made, tf.data.AUTOTUNE, wanted.device)

    def _chosen(self, number: Any, first: int, end: int) -> Any:
        """Of a round the rows that come, in their order, as places among those of all sources."""

        def chosen(number: Any) -> Any:
            digest = hashlib.sha256(f"mix\0{self._wanted.seed}\0{number}".encode()).digest()
            keys = mixed(np.arange(ROUND, dtype=np.uint64) ^ np.uint64(int.from_bytes(digest[:8], "little")))
            places = int(number) * ROUND + np.arange(ROUND)
            own = (places >= first) & (places < end)
            if self._share is not None:
                each = self._wanted.batch_size // self._share.hosts
                own &= (places - first) % self._wanted.batch_size // each == self._share.host
            return np.argsort(keys, kind="stable")[own]

        return tf.ensure_shape(numpy_call(chosen, [number], tf.int64), [None])


def _joined(chosen: Any, *parts: Any) -> Any:
    """The chosen rows out of those of all sources."""
    return tf.nest.map_structure(lambda *each: tf.gather(tf.concat(each, axis=0), chosen), *parts)
