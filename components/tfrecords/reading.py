"""Serialized records to tensors: the functions that `dataset()` maps, each over a batch.

TensorFlow is handed in, so that whoever imports `dataset()` doesn't import it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from .layout import FILES, Layout, OutputFeature

NUMBERS = "\0numbers"
"""The key under which the rows' numbers travel beside the fields of records."""

Fields = dict[str, Any]


def parser(tf: Any, layout: Layout) -> Callable[[Any], Fields]:
    """Serialized records [n] → the record's fields by key: [n, width]; images [n, height, width, channels],
    but as string [n] where they are encoded files, see `decoder`."""
    dtypes = {"float32": tf.float32, "int64": tf.int64, "bytes": tf.string}
    spec = {
        f.key: tf.io.FixedLenFeature([] if f.dtype == "bytes" else [f.width], dtypes[f.dtype])
        for f in layout.fields
    }
    plain = {layout.image_key(image): image for image in layout.images if image.stored not in FILES}

    def parse(records: Any) -> Fields:
        fields: Fields = tf.io.parse_example(records, spec)
        return {**fields, **{key: _pixels(tf, image, fields[key]) for key, image in plain.items()}}

    return parse


def _pixels(tf: Any, feature: OutputFeature, stored: Any) -> Any:
    """Raw pixels, string [n], as uint8, or floats [n, width], to [n, height, width, channels]."""
    count = -1 if stored.shape[0] is None else stored.shape[0]
    values = tf.io.decode_raw(stored, tf.uint8) if feature.stored == "pixels" else stored
    return tf.reshape(values, [count, *feature.shape])


def decoder(tf: Any, layout: Layout) -> Callable[[Fields], Fields] | None:
    """The fields of one record → the same with its encoded files as uint8 [height, width, channels]; None if
    the layout has none. One image at a time, as the ops take it: who maps it does so in parallel."""
    files = {layout.image_key(image): image for image in layout.images if image.stored in FILES}

    def decode(fields: Fields) -> Fields:
        found = dict(fields)
        for key, image in files.items():
            # One kernel reads both, and it is the export's.
            made = tf.io.decode_jpeg(fields[key], channels=image.shape[-1], dct_method="INTEGER_ACCURATE")
            found[key] = tf.ensure_shape(made, image.shape)
        return found

    return decode if files else None


def selector(
    tf: Any, rows: Sequence[int], places: Sequence[int], only: Any, numbers: bool
) -> Callable[[Any, Fields], Fields]:
    """The number of a batch's first row, as they are read, and its fields → the fields of the rows wanted.

    Args:
        tf: TensorFlow.
        rows: of each shard.
        places: the numbers of the shards, in the order in which they are read.
        only: which rows are wanted, in the order of the shards; None for all.
        numbers: whether the rows' numbers, in the order of the shards, are added.
    """
    starts = [0, *accumulate(rows)]
    ends = tf.constant(list(accumulate(rows[place] for place in places)), tf.int64)
    # What is added to the place of a row among those read to have its place in the order of the shards.
    begun = accumulate((rows[place] for place in places), initial=0)
    moved = tf.constant([starts[place] - read for place, read in zip(places, begun, strict=False)], tf.int64)
    wanted = None if only is None else tf.constant(only)

    def select(first: Any, fields: Fields) -> Fields:
        count = tf.shape(next(iter(fields.values())), out_type=tf.int64)[0]
        read = tf.range(first, first + count)
        told = read + tf.gather(moved, tf.searchsorted(ends, read, side="right"))
        found = {**fields, NUMBERS: told} if numbers else fields
        if wanted is None:
            return found
        mask = tf.gather(wanted, told)
        return {name: tf.boolean_mask(values, mask) for name, values in found.items()}

    return select


def permuter(tf: Any, key: bytes) -> Callable[[Any, Fields], Fields]:
    """The number of a window and its fields → the fields in an order that depends on key and number."""
    first, second = (int.from_bytes(key[i : i + 4], "little") for i in (0, 4))

    def permute(number: Any, fields: Fields) -> Fields:
        seed = tf.stack([tf.constant(first, tf.int64), tf.constant(second, tf.int64) ^ number])
        count = tf.shape(next(iter(fields.values())))[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(count), seed=seed)
        return {name: tf.gather(values, order) for name, values in fields.items()}

    return permute


def cut_fields(layout: Layout, fields: Fields) -> tuple[Any, ...]:
    """Fields of records → features as they are stored, the label or labels, then what there is of the weight
    and the rows' numbers."""
    images = {layout.image_key(feature) for feature in layout.images}
    parts = [
        fields[key] if key in images else fields[key][:, start : start + width]
        for _, key, start, width in layout.columns()
    ]
    names = [f.name for f in layout.features]
    labels, weight = parts[len(names) :][: len(layout.labels)], parts[len(names) + len(layout.labels) :]
    by_column = {
        label.column: values if label.kind == "multi" else values[:, 0]
        for label, values in zip(layout.labels, labels, strict=True)
    }
    told = by_column if len(by_column) > 1 else next(iter(by_column.values()))
    last = [fields[NUMBERS]] if NUMBERS in fields else []
    return dict(zip(names, parts, strict=False)), told, *(one[:, 0] for one in weight), *last
