"""What is done with one unit of records: read, decode, convert, place, write. Runs on Beam's workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data_plane.result import Result
from ..ingestion.column_options import ColumnOptions
from ..ingestion.kinds import ARROW, ELEMENTS
from ..ingestion.rejects import to_json
from ..ingestion.sifting import Rows, Sifted, sift
from ..ingestion.values import Bad, Values, read_values, shown
from ..ingestion.writing import Placing, write_rows
from ..tfrecords.decoding import Decoded, decode
from ..tfrecords.framing import Cut, read_records
from .features import Seen, from_json, look, merge, problems_of, types_of
from .features import to_json as seen_to_json


@dataclass(frozen=True)
class RecordFile:
    """A file whose records can be read by offset.

    Attributes:
        name: the file as the user knows it.
        path: where the plain bytes are.
        split: the file's, where `path` names files by split.
    """

    name: str
    path: str
    split: str = ""


@dataclass(frozen=True)
class Unit:
    """A range of records of one file; `number` is its place among all units, from 0."""

    number: int
    file: RecordFile
    cut: Cut


@dataclass(frozen=True)
class Table:
    """How all units are read.

    Attributes:
        options: what is asked for.
        hints: what is known of the features' types as JSON. It saves work and never changes a result.
        types: the columns and their types once they are settled.
    """

    options: ColumnOptions
    hints: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] | None = None

    def types_for(self, seen: Seen) -> dict[str, str]:
        """The columns of a unit and their types, as far as its own records and the hints tell."""
        if self.types is not None:
            return dict(self.types)
        known = merge(from_json(self.hints), seen)
        return types_of(known, self.options.chosen(sorted(known)), self.options.types or {})


def decode_unit(unit: Unit) -> Decoded:
    """The features of a unit's records.

    Raises:
        DataError: a checksum is wrong, or the file has changed.
    """
    return decode(read_records(Path(unit.file.path), unit.cut, unit.file.name))


def convert(unit: Unit, decoded: Decoded, types: Mapping[str, str], max_rejects: int) -> Sifted:
    """The unit's good rows as values of the stated types.

    Raises:
        DataError: more records are bad than are tolerated.
    """
    kinds: dict[str, dict[str, Any]] = {name: {} for name in types}
    for (name, kind), lists in decoded.columns.items():
        if name in kinds:
            kinds[name][kind] = lists
    count = unit.cut.records
    columns = {name: values_of(kinds[name], stated, count) for name, stated in types.items()}
    source = Rows(
        unit.file.name, unit.cut.first, count, tuple(types),
        lambda name, row: shown_of(kinds[name], row), "record", decoded.bad,
    )  # fmt: skip
    return sift(columns, source, max_rejects)


def values_of(kinds: Mapping[str, Any], stated: str, count: int) -> Values:
    """A feature's values from the lists of each of its kinds."""
    bare = stated.partition(":")[0]
    made = [
        read_values(lists, bare) if bare in ELEMENTS else _scalars(lists, stated) for lists in kinds.values()
    ]
    if not made:
        return Values(pa.nulls(count, ARROW[bare]), [])
    arrays = [values.array for values in made]
    array = arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)  # a record has one kind at most
    return Values(array, [bad for values in made for bad in values.bad])


def _scalars(lists: pa.Array, stated: str) -> Values:
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    if (counts == 1).all():
        return read_values(pc.list_flatten(lists), stated)
    ends = np.cumsum(counts)
    places = pa.array(ends - counts, pa.int64(), mask=counts != 1)
    values = read_values(pc.list_flatten(lists).take(places), stated)
    several = counts > 1
    return Values(
        values.array, [*values.bad, *([Bad(several, "has several values")] if several.any() else [])]
    )


def shown_of(kinds: Mapping[str, Any], row: int) -> str:
    """A feature as a message shows it: a value, or its list if it isn't one."""
    for lists in kinds.values():
        inside = lists.slice(row, 1)
        if inside[0].is_valid:
            values = pc.list_flatten(inside)
            return shown(values, 0) if len(values) == 1 else shown(inside, 0)
    return ""


@dataclass(frozen=True)
class IngestUnit:
    """Work on a unit: reads it, and writes its rows in parts with the types that it knows of.

    Where these can't be its columns' types, or not those that its splits need, nothing is written.
    """

    table: Table
    placing: Placing

    def __call__(self, unit: Unit) -> Result:
        """Gives JSON: rows in, what was seen of features, the types, rejects, and the files written."""
        decoded = decode_unit(unit)
        seen = look(decoded.columns, unit.number, unit.cut.first)
        types = self.table.types_for(seen)
        told: dict[str, Any] = {"rows_in": unit.cut.records, "seen": seen_to_json(seen), "types": None}
        if self._fits(types, seen):
            found = convert(unit, decoded, types, self.table.options.max_rejects)
            told |= {"types": list(types.items()), "rejects": to_json(found.rejects)}
            told |= write_rows(found.rows, found.numbers, self.placing, unit.number, unit.file)
        return Result(json.dumps(told).encode(), unit.cut.records)

    def _fits(self, types: Mapping[str, str], seen: Seen) -> bool:
        by = self.placing.rule.column
        if not types or not all(types.values()) or (by and by not in types):
            return False
        wrong = problems_of(seen, types, lambda _: "") or self.table.options.split_problem(types)
        return not wrong
