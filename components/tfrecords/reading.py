"""Serialized records to tensors: the functions that `dataset()` maps, each over a batch.

TensorFlow is handed in, so that whoever imports `dataset()` doesn't import it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .layout import FILES, Layout, OutputFeature

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


def cut_fields(layout: Layout, fields: Fields) -> tuple[Any, ...]:
    """Fields of records → features as they are stored, label or labels, and what there is of the weight."""
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
    return dict(zip(names, parts, strict=False)), told, *(one[:, 0] for one in weight)
