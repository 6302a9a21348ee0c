"""What is done with one unit of a dataset's records: read, decode, convert, write. Runs on Beam's workers."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data_plane.result import Result
from ..ingestion.image_values import read_images
from ..ingestion.rejects import to_json
from ..ingestion.sifting import Rows, Sifted, sift
from ..ingestion.values import Bad, Values, read_values
from ..ingestion.writing import Placing, write_rows
from ..tf_examples.work import shown_of, values_of
from ..tfrecords.decoding import Decoded, decode
from ..tfrecords.framing import Cut, Records, read_records
from .array_records import read_array_record
from .columns import Column

MOST_BYTES = 256 << 20
"""Of a tensor that is compressed: a thousand times as many bytes may come out of what a record holds."""


@dataclass(frozen=True)
class Shard:
    """A shard's file.

    Attributes:
        path: where it is.
        name: as messages call it.
        split: the split, of ours, that its rows go to.
        format: `tfrecord` or `array_record`.
    """

    path: str
    name: str
    split: str
    format: str


@dataclass(frozen=True)
class Unit:
    """A range of records of a shard; `number` is its place among all units, from 0.

    Of an array_record only the numbers in `cut` count.
    """

    number: int
    file: Shard
    cut: Cut


def read(unit: Unit) -> Records:
    """The records of a unit.

    Raises:
        DataError: the file is damaged or has changed.
    """
    if unit.file.format == "tfrecord":
        return read_records(Path(unit.file.path), unit.cut, unit.file.name)
    return read_array_record(Path(unit.file.path), unit.cut)


def convert(unit: Unit, decoded: Decoded, columns: Mapping[str, Column], max_rejects: int) -> Sifted:
    """The unit's good rows as values of the columns' types.

    Raises:
        DataError: more rows are bad than are tolerated.
    """
    kinds: dict[str, dict[str, Any]] = {}
    for (key, kind), lists in decoded.columns.items():
        kinds.setdefault(key, {})[kind] = lists
    count = unit.cut.records
    values = {name: _column(column, kinds, count) for name, column in columns.items()}

    def cell(name: str, row: int) -> str:
        if columns[name].kind == "image":
            return "an image"
        return shown_of(kinds.get(name, {}), row)

    source = Rows(unit.file.name, unit.cut.first, count, tuple(columns), cell, "record", decoded.bad)
    return sift(values, source, max_rejects)


def _column(column: Column, kinds: Mapping[str, Mapping[str, Any]], count: int) -> Values:
    """A column's values from the lists of its tf.Example feature."""
    own = kinds.get(column.key or column.name, {})
    if column.kind == "image":
        return read_images(first_of(own.get("string"), count))
    if column.kind == "class":
        return _names(column, own.get("int"), count)
    if column.kind == "packed":
        return _packed(column, first_of(own.get("string"), count))
    return values_of(own, column.type, count)


def first_of(lists: pa.Array | None, count: int) -> pa.Array:
    """The one value of each list, large_binary [count], null where there is none."""
    if lists is None:
        return pa.nulls(count, pa.large_binary())
    return pc.list_element(pc.if_else(pc.greater(pc.list_value_length(lists), 0), lists, None), 0)


def _names(column: Column, lists: pa.Array | None, count: int) -> Values:
    """Class numbers as names; -1 is missing."""
    if lists is None:
        return values_of({}, column.type, count)
    flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False)
    wrong = (flat < -1) | (flat >= len(column.names))
    places = pa.array(np.where(wrong | (flat < 0), 0, flat), pa.int64(), mask=wrong | (flat < 0))
    names = pa.array(column.names, pa.string()).take(places)
    offsets = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())])
    made = values_of({"string": pa.LargeListArray.from_arrays(pa.array(offsets), names)}, column.type, count)
    if not wrong.any():
        return made
    rows = np.bincount(np.repeat(np.arange(count), np.diff(offsets))[wrong], minlength=count) > 0
    return Values(made.array, [*made.bad, Bad(rows, f"is none of the {len(column.names)} classes")])


def _packed(column: Column, content: pa.Array) -> Values:
    """Tensors that were written as bytes."""
    dtype = np.dtype(column.dtype)
    element, cast = (pa.float64(), np.float64) if dtype.kind == "f" else (pa.int64(), np.int64)
    rows: list[Any] = []
    bad = np.zeros(len(content), bool)
    for place, item in enumerate(content.to_pylist()):
        try:
            data = _unpacked(item) if item and column.zipped else item
            rows.append(None if data is None else np.frombuffer(data, dtype).astype(cast))
        except (ValueError, zlib.error):
            rows.append(None)
            bad[place] = True
    lists = pa.array(rows, pa.list_(element))
    if not column.type.endswith("s"):
        lists = pc.list_element(pc.if_else(pc.equal(pc.list_value_length(lists), 1), lists, None), 0)
    made = read_values(lists, column.type)
    what = f"is no tensor of {column.dtype}"
    return Values(made.array, [*made.bad, *([Bad(bad, what)] if bad.any() else [])])


def _unpacked(item: bytes) -> bytes:
    """What zlib packed; raises zlib.error where it is damaged, or no end of it is in sight."""
    stream = zlib.decompressobj()
    data = stream.decompress(item, MOST_BYTES)
    if not stream.eof:
        raise zlib.error("it is cut off, or too large")
    return data


@dataclass(frozen=True)
class IngestUnit:
    """Work on a unit: reads it, and writes its rows in a part."""

    columns: Mapping[str, Column]
    placing: Placing
    max_rejects: int

    def __call__(self, unit: Unit) -> Result:
        """Gives JSON: rows in, rejects, and the files written."""
        found = convert(unit, decode(read(unit)), self.columns, self.max_rejects)
        told = {"rows_in": unit.cut.records, "rejects": to_json(found.rejects)}
        told |= write_rows(found.rows, found.numbers, self.placing, unit.number, unit.file)
        return Result(json.dumps(told).encode(), unit.cut.records)
