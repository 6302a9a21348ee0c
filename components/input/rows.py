"""Rows of a split as `tf.data`: read from the shards, or kept in memory or in files once they were read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from ...pipelines.artifact import Examples
from ..tfrecords.layout import Layout
from ..tfrecords.reading import decoder, parser
from .calls import numpy_call
from .order import Order
from .places import Places
from .shard_rows import ShardRows

Cache = Literal["none", "memory", "disk"]
"""Where rows are kept once they are read."""
IN_ORDER: Mapping[str, Any] = {"num_parallel_calls": 2, "deterministic": True}
PARSE_ROWS, PARSE_BYTES = 8192, 64 << 20
"""Records that are parsed at once, at most, and bytes of these."""
Keep = Callable[[dict[str, Any]], Any]
"""From fields of records, as `reading.parser` gives them, to the nest of tensors that is kept of them."""


class About(NamedTuple):
    """What is known of rows beside what stands in their records, [n] each.

    Attributes:
        epochs: int64, counted from 0.
        numbers: int64, their places in the split in the order of the shards.
        padding: bool, whether they stand there only to make a batch full, and count for nothing.
    """

    epochs: Any
    numbers: Any
    padding: Any


class Rows:
    """The rows of a split.

    Args:
        examples: transformed examples.
        split: which of them.
        layout: of the records.
        images: whether the fields of images are wanted.
        keep: what is kept of the fields.
        cache: where.
    """

    def __init__(
        self, examples: Examples, split: str, layout: Layout, *, images: bool, keep: Keep, cache: Cache
    ) -> None:
        self._wanted = layout if images else layout.without_images()
        self._keys = [field.key for field in self._wanted.fields]
        self._reader = ShardRows(examples, split, layout, self._keys)
        self._keep = keep
        shards = [int(part["rows"]) for part in examples.splits[split]["parts"]]
        self._whole = Places(Order(shards, layout.block_rows))
        self._kept = None if cache == "none" else self._fill(_Memory() if cache == "memory" else _Files())

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def of(self, windows: Any, places: Places, size: int) -> tf.data.Dataset:
        """The rows of windows, `size` at once: tuples of `About` and what is kept of them.

        Args:
            windows: a dataset of int64, numbers of windows.
            places: which of their rows.
            size: rows at once; the last may be fewer.
        """
        if self._kept is None:
            return self._read(windows, places, size)
        take, look = self._kept.take, _looker(places, lambda chosen: [], [])
        chosen = windows.map(lambda index: look(index)[0], **IN_ORDER).rebatch(size)
        return chosen.map(lambda about: (about, take(about.numbers)), **IN_ORDER)

    def _read(self, windows: Any, places: Places, size: int) -> tf.data.Dataset:
        def read(chosen: Any) -> list[Any]:
            return self._reader.read(chosen.blocks, chosen.numbers)

        if self._reader.whole_records:
            return self._parsed(windows.map(_looker(places, read, [((), tf.string)]), **IN_ORDER), size)
        look = _looker(places, read, [_spec(self._wanted, key) for key in self._keys])
        rows = windows.map(look, **IN_ORDER).rebatch(size)
        keep, keys = self._keep, self._keys
        return rows.map(lambda about, found: (about, keep(dict(zip(keys, found, strict=True)))), **IN_ORDER)

    def _parsed(self, rows: Any, size: int) -> tf.data.Dataset:
        """Whole records through TensorFlow's parser, and files of images through its decoder."""
        parse, decode = parser(tf, self._wanted), decoder(tf, self._wanted)
        stored = sum(feature.decoded_bytes for feature in self._wanted.features) + 8
        most = max(1, min(PARSE_ROWS, PARSE_BYTES // stored))
        rows = rows.rebatch(min(size, most) if decode else size)
        rows = rows.map(lambda about, records: (about, parse(records[0])), **IN_ORDER)
        if decode is not None:
            rows = rows.unbatch().map(lambda about, fields: (about, decode(fields)), **IN_ORDER).batch(size)
        return rows.map(lambda about, fields: (about, self._keep(fields)), **IN_ORDER)

    def _fill(self, kept: _Memory | _Files) -> _Memory | _Files:
        windows = tf.data.Dataset.range(self._whole.order.windows)
        stored = sum(feature.decoded_bytes for feature in self._wanted.features) + 8
        size = max(1, min(PARSE_ROWS, PARSE_BYTES // stored))
        for _, rows in self._read(windows, self._whole, size):
            kept.add(rows, self._whole.order.rows)
        return kept


class _Memory:
    """Keeps rows as tensors."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._tensors: Any = None

    def add(self, rows: Any, total: int) -> None:
        """Takes the next rows, of `total` in all."""
        self._parts.append(rows)
        if sum(len(tf.nest.flatten(part)[0]) for part in self._parts) == total:
            self._tensors = tf.nest.map_structure(lambda *one: tf.concat(one, axis=0), *self._parts)
            self._parts.clear()

    def take(self, numbers: Any) -> Any:
        """Rows by their numbers."""
        return tf.nest.map_structure(lambda values: tf.gather(values, numbers), self._tensors)


class _Files:
    """Keeps rows in files without a name, which go with this object or the process, also if it is killed."""

    def __init__(self) -> None:
        self._arrays: list[Any] = []
        self._filled = 0
        self._like: Any = None

    def add(self, rows: Any, total: int) -> None:
        """Takes the next rows, of `total` in all."""
        flat = [values.numpy() for values in tf.nest.flatten(rows)]
        if self._like is None:
            self._like = rows
            for one in flat:
                with tempfile.TemporaryFile(prefix="headrace-cache-") as file:
                    self._arrays.append(np.memmap(file, one.dtype, "w+", shape=(total, *one.shape[1:])))
        for array, one in zip(self._arrays, flat, strict=True):
            array[self._filled : self._filled + len(one)] = one
        self._filled += len(flat[0])

    def take(self, numbers: Any) -> Any:
        """Rows by their numbers."""
        arrays = self._arrays
        dtypes = [tf.as_dtype(array.dtype) for array in arrays]
        found = numpy_call(self._read, [numbers], dtypes)
        shaped = [
            tf.ensure_shape(one, [None, *array.shape[1:]]) for one, array in zip(found, arrays, strict=True)
        ]
        return tf.nest.pack_sequence_as(self._like, shaped)

    def _read(self, numbers: Any) -> list[Any]:
        return [np.asarray(array[numbers]) for array in self._arrays]


def _looker(
    places: Places, read: Callable[[Any], list[Any]], specs: list[Any]
) -> Callable[[Any], tuple[About, tuple[Any, ...]]]:
    """The number of a window → what is known of its rows, and what `read` gives of them; `specs` tells the
    shape of a row and the dtype of each."""

    def look(index: Any) -> list[Any]:
        chosen = places.at(index)
        return [np.full(len(chosen.numbers), chosen.epoch), chosen.numbers, chosen.padding, *read(chosen)]

    dtypes = [tf.int64, tf.int64, tf.bool, *(dtype for _, dtype in specs)]

    def told(index: Any) -> tuple[About, tuple[Any, ...]]:
        found = numpy_call(look, [index], dtypes)
        about = About(*(tf.ensure_shape(one, [None]) for one in found[:3]))
        rows = zip(found[3:], specs, strict=True)
        return about, tuple(tf.ensure_shape(one, [None, *shape]) for one, (shape, _) in rows)

    return told


def _spec(layout: Layout, key: str) -> tuple[tuple[int, ...], Any]:
    """Shape of a row and dtype of a field, as `RecordCutter.cut` gives it."""
    field = next(field for field in layout.fields if field.key == key)
    for image in layout.images:
        if layout.image_key(image) == key:
            return image.shape, tf.float32 if image.stored == "dense" else tf.uint8
    return (field.width,), tf.float32 if field.dtype == "float32" else tf.int64
