"""A split as features and labels: what `dataset()` and `iterate()` are thin over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError
from ..tfrecords.layout import as_matrix, check_matrix
from ..tfrecords.reading import cut_fields
from ..transforms.namespace_tf import TensorFlowNamespace
from .batching import ENDLESS, Remainder, batched, finished
from .checks import check_shards, layout_of
from .order import Order
from .places import Places, Share
from .position import Position
from .rows import IN_ORDER, About, Cache, Rows
from .sampling import Sampling, copies_of

EXPANDED_ROWS, EXPANDED_BYTES = 8192, 32 << 20
"""Rows that become features at once, at most, and bytes that these may have where one-hots are expanded."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a split; each attribute is an argument of `dataset()`."""

    batch_size: int = 64
    shuffle: bool = False
    seed: int = 0
    remainder: Remainder = "keep"
    matrix: bool = False
    expand: bool = True
    only: npt.NDArray[np.bool_] | None = None
    numbers: bool = False
    images: bool = True
    shard: tuple[int, int] | None = None
    cache: Cache = "none"
    sampling: Sampling = "natural"
    device: str | None = None

    def __post_init__(self) -> None:
        for name, choices in (("remainder", Remainder), ("cache", Cache), ("sampling", Sampling)):
            given, available = getattr(self, name), get_args(choices)
            if given not in available:
                what = f"{name} can't be {given!r}"
                raise DataError(what, argument=name, given=str(given), available=available)


class Source:
    """A split as batches of features and labels, from any position on.

    Args:
        examples: transformed examples.
        split: which of them.
        wanted: how they are wanted.

    Attributes:
        rows: examples in an epoch.

    Raises:
        DataError, StoreError: see `dataset()`.
    """

    def __init__(self, examples: Examples, split: str, wanted: Wanted) -> None:
        layout = layout_of(examples, split, wanted.batch_size)
        self._layout = layout if wanted.images else layout.without_images()
        self._wanted = wanted
        self._share = share_of(wanted)
        if wanted.matrix:
            check_matrix(self._layout.features)
        check_shards(examples, split)
        shards = [int(part["rows"]) for part in examples.splits[split]["parts"]]
        copies = copies_of(examples, split, wanted.only, wanted.sampling, wanted.seed)
        self._order = Order(shards, layout.block_rows, wanted.seed if wanted.shuffle else None, copies)
        self.rows = self._order.rows
        self._rows = Rows(
            examples, split, layout, images=wanted.images, keep=lambda fields: fields, cache=wanted.cache
        )

    def batches(self, start: Position, epochs: int | None) -> tf.data.Dataset:
        """Batches from a position on, of so many epochs, or without end."""
        wanted = self._wanted
        places = Places(
            self._order, start, wanted.batch_size, self._share, wanted.remainder == "pad",
            wanted.remainder == "carry",
        )  # fmt: skip
        size = wanted.batch_size // (self._share.hosts if self._share else 1)
        made = batched(lambda windows: self._chunks(windows, places, size), places, epochs, wanted.remainder)
        return finished(made, tf.data.AUTOTUNE, wanted.device)

    def stream(self, start: Position, size: int) -> tf.data.Dataset:
        """Rows from a position on, epoch after epoch without end, `size` at once."""
        places = Places(self._order, start)
        windows = tf.data.Dataset.range(places.first, ENDLESS)
        return self._chunks(windows, places, size).rebatch(size, drop_remainder=True)

    def _chunks(self, windows: Any, places: Places, size: int) -> tf.data.Dataset:
        """The finished rows of windows, a multiple of `size` at once."""
        wide = sum(f.width * (4 if f.dtype == "float32" else 8) for f in self._layout.features) + 8
        # Whole batches at once, so that the last step is slices of them.
        some = max(min(EXPANDED_ROWS, EXPANDED_BYTES // wide) // size, 1) * size
        return self._rows.of(windows, places, some).map(self._finish, **IN_ORDER)

    def _finish(self, about: About, fields: dict[str, Any]) -> tuple[Any, ...]:
        wanted, layout = self._wanted, self._layout
        features, label, *weight = cut_fields(layout, fields)
        xp = TensorFlowNamespace()
        if wanted.expand or wanted.matrix:
            features = {f.name: f.expand(xp, features[f.name]) for f in layout.features}
        if wanted.matrix:
            features = as_matrix(xp, layout.features, features)
        numbers = about.numbers
        if wanted.remainder == "pad":
            counts = tf.cast(~about.padding, tf.float32)
            weight = [weight[0] * counts if weight else counts]
            numbers = tf.where(about.padding, tf.constant(-1, tf.int64), numbers)
        return features, label, *weight, *([numbers] if wanted.numbers else [])


def share_of(wanted: Wanted) -> Share | None:
    """The share of a host in each batch, if there are several.

    Raises:
        DataError: the hosts can't share a batch evenly.
    """
    if wanted.shard is None:
        return None
    index, count = wanted.shard
    if not 0 <= index < count:
        raise DataError(f"shard is (index, count), and {index} is not below {count}", argument="shard")
    if wanted.batch_size % count:
        raise DataError(
            f"batch_size is {wanted.batch_size}, of all hosts together, and {count} can't share it evenly",
            argument="batch_size",
            remedy=f"take a multiple of {count}: {-(-wanted.batch_size // count) * count}",
        )
    if wanted.remainder == "keep":
        raise DataError(
            "a smaller batch at the end of an epoch can't be shared evenly by hosts",
            argument="remainder",
            remedy="take remainder='pad' to evaluate, 'carry' to train, or 'drop'",
        )
    return Share(index, count)
