"""The encoder and the framing, against TensorFlow's own parsers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.components.tfrecords.layout import Field
from headrace.components.tfrecords.shard_blocks import block_file
from headrace.components.tfrecords.tf_example import RecordTemplate, varint_width
from headrace.components.tfrecords.tfrecord import FOOTER, HEADER, frame

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)


@st.composite
def batches(draw: Any) -> tuple[list[Field], dict[str, np.ndarray]]:
    """Fields with odd keys, and values for them."""
    keys = draw(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(1, 5))
    fields, values = [], {}
    for key in keys:
        width = draw(st.integers(1, 40))
        if draw(st.booleans()):
            fields.append(Field(key, "float32", (0,) * width))
            cells = draw(st.lists(FLOAT32, min_size=rows * width, max_size=rows * width))
            values[key] = np.array(cells, np.float32).reshape(rows, width)
        else:
            sizes = draw(
                st.lists(st.sampled_from([0, 1, 2, 128, 129, 2**31]), min_size=width, max_size=width)
            )
            columns = [
                draw(st.lists(st.integers(0, size - 1) if size else INT64, min_size=rows, max_size=rows))
                for size in sizes
            ]
            fields.append(Field(key, "int64", tuple(sizes)))
            values[key] = np.array(columns, np.int64).T
    return fields, values


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(batches())
def test_records_are_what_protobuf_and_tensorflow_read(drawn: Any) -> None:
    import tensorflow as tf

    fields, values = drawn
    template = RecordTemplate(fields)
    records = [row.tobytes() for row in template.encode(values)]
    assert {len(record) for record in records} == {template.length}
    spec = {f.key: tf.io.FixedLenFeature([f.width], f.dtype) for f in fields}
    parsed = tf.io.parse_example(records, spec)
    for field in fields:
        np.testing.assert_array_equal(parsed[field.key].numpy(), values[field.key])
    for i, record in enumerate(records):
        features = tf.train.Example.FromString(record).features.feature
        assert set(features) == {f.key for f in fields}
        for field in fields:
            name = "float_list" if field.dtype == "float32" else "int64_list"
            read = getattr(features[field.key], name).value
            np.testing.assert_array_equal(np.array(read, field.dtype), values[field.key][i])


def test_an_id_outside_of_its_range_is_refused() -> None:
    template = RecordTemplate([Field("ids", "int64", (100,))])
    with pytest.raises(ValueError, match="more than 1 bytes"):
        template.encode({"ids": np.array([[128]])})


@pytest.mark.parametrize(("size", "width"), [(0, 10), (1, 1), (128, 1), (129, 2), (2**14, 2), (2**14 + 1, 3)])
def test_varint_widths(size: int, width: int) -> None:
    assert varint_width(size) == width


@pytest.mark.parametrize("compression", ["", "gzip"])
def test_tensorflow_reads_the_files(tmp_path: Path, compression: str) -> None:
    import tensorflow as tf

    records = np.random.default_rng(0).integers(0, 256, (500, 77)).astype(np.uint8)
    framed = frame(records)
    assert framed.shape == (500, HEADER + 77 + FOOTER)
    for name in ("a", "b"):
        with block_file(tmp_path / name, compression, 60, hashlib.sha256()) as file:
            file.write(framed)
            file.end()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read = list(tf.data.TFRecordDataset(str(tmp_path / "a"), compression.upper()).as_numpy_iterator())
    assert read == [row.tobytes() for row in records]


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    import tensorflow as tf

    framed = frame(np.zeros((3, 50), np.uint8))
    framed[1, 30] ^= 1
    (tmp_path / "bad").write_bytes(framed.tobytes())
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(tmp_path / "bad")))
