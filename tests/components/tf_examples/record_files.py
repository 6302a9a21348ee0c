"""TFRecord files of tf.Examples, written by plain means."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.components.tfrecords.example_message import example_class
from headrace.components.tfrecords.tfrecord import masked_crc


def example(features: Mapping[str, Any]) -> bytes:
    """A serialized tf.Example of values, lists of them, or None; in the order of protobuf's own hashing."""
    message = example_class()()
    for name, value in features.items():
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        feature = message.features.feature[name]
        if all(isinstance(one, int) for one in values):
            feature.int64_list.value.extend(values)
        elif all(isinstance(one, float) for one in values):
            feature.float_list.value.extend(values)
        else:
            feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
    record: bytes = message.SerializeToString()
    return record


def framed(record: bytes) -> bytes:
    """A record with its framing."""
    length = struct.pack("<Q", len(record))
    checks = struct.pack("<I", masked_crc(length)), struct.pack("<I", masked_crc(record))
    return length + checks[0] + record + checks[1]


def write_records(path: Path, records: Iterable[bytes]) -> Path:
    """A TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(framed, records)))
    return path


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]] | pa.Table) -> Path:
    """A TFRecord file of a tf.Example a row."""
    rows = rows.to_pylist() if isinstance(rows, pa.Table) else rows
    return write_records(path, map(example, rows))
