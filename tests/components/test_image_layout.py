"""Where images lie in a record, whatever features are called."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from headrace.components.tfrecords.image_encoding import record_of
from headrace.components.tfrecords.layout import Field, Layout, OutputFeature, StoredLabel
from headrace.components.tfrecords.reading import cut_fields, parser
from headrace.components.tfrecords.tf_example import RecordTemplate


def image(name: str, stored: Any = "pixels") -> OutputFeature:
    return OutputFeature(name, "float32", 24, stored, shape=(2, 4, 3), shift=(1.0, 2.0, 3.0), divisor=(4.0,))


FEATURES = (
    image("floats"),
    OutputFeature("n", "float32", 2),
    image("ints", "dense"),
    image("floats_image"),
    OutputFeature("größe", "int64", 1, "ids", (300,)),
    image("weight"),
)
LABELS = (StoredLabel("label", "class", 5), StoredLabel("price", "value"))


@pytest.mark.parametrize("layout", ["packed", "columns"])
def test_records_are_read_again(layout: Any) -> None:
    made = Layout(FEATURES, LABELS, layout, weight="weight")
    keys = [field.key for field in made.fields]
    assert len(set(keys)) == len(keys)
    assert [key for key in keys if made.weight_key == key] == (
        [made.weight_key] if layout == "columns" else []
    )
    draw = np.random.default_rng(0)
    rows = 4
    told: dict[str, Any] = {}
    for field in made.fields:
        if field.dtype == "bytes":
            told[field.key] = draw.integers(0, 256, (rows, 2, 4, 3), np.uint8)
        elif field.dtype == "float32":
            told[field.key] = draw.normal(size=(rows, field.width)).astype(np.float32)
        else:
            told[field.key] = draw.integers(0, 5, (rows, field.width))
    template = RecordTemplate([field for field in made.fields if not field.image])
    others = template.encode({key: told[key] for key in (field.key for field in template.fields)})
    records = [
        record_of(
            others[row, template.head :].tobytes(), [(f, told[f.key][row]) for f in made.fields if f.image]
        )
        for row in range(rows)
    ]
    import tensorflow as tf

    for record in records:
        assert set(tf.train.Example.FromString(record).features.feature) == set(keys)
    features, labels, weight = cut_fields(made, parser(tf, made)(tf.constant(records)))
    assert list(features) == [f.name for f in FEATURES] and list(labels) == ["label", "price"]
    assert weight.shape == (rows,)
    for feature in made.images:
        stored = told[made.image_key(feature)].reshape(rows, 2, 4, 3)
        np.testing.assert_array_equal(features[feature.name], stored)
    numbers = told["floats" if layout == "packed" else "n"]
    np.testing.assert_array_equal(features["n"], numbers[:, :2])


def test_the_layout_stands_in_the_properties() -> None:
    for images in (FEATURES, (image("photo", "jpeg"),)):
        made = Layout(images, LABELS, jpeg_quality=80)
        again = Layout.from_json(json.loads(json.dumps(made.to_json())))
        assert again.features == made.features and again.fields == made.fields
        assert again.jpeg_quality == (80 if len(images) == 1 else 95), "told where it decides something"


def test_sizes_of_what_is_stored() -> None:
    sizes = {stored: image("x", stored).decoded_bytes for stored in ("pixels", "png", "jpeg", "dense")}
    assert sizes == {"pixels": 24, "png": 24, "jpeg": 24, "dense": 96}
    layout = Layout((image("x", "dense"),), LABELS)
    assert layout.fields[-1] == Field("x", "float32", (), 24)
