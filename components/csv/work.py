"""What is done with one unit of rows: parse, convert, place in splits, write. Runs on Beam's workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data_plane.result import Result
from ..ingestion.kinds import ARROW
from ..ingestion.rejects import Reject, bad_value, to_json
from ..ingestion.writing import Placing, write_rows
from .conversion import convert
from .inference import Profile, Stray, profile
from .options import kind_of
from .reading import Cells, Unit, read_cells
from .sources import Dialect


@dataclass(frozen=True)
class Table:
    """How a table is read, the same for all its units.

    Attributes:
        columns: the names of the columns.
        dialect: how cells are written.
        encoding: as the user gave it, for messages.
        types: columns whose type is settled; a cell that doesn't fit is a bad row.
        hints: types that the other columns will probably get. They save work and never change a result.
        max_rejects: how many bad rows are tolerated.
    """

    columns: tuple[str, ...]
    dialect: Dialect
    encoding: str = "utf-8"
    types: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    max_rejects: int = 0


@dataclass(frozen=True)
class Typed:
    """The rows of a unit as values.

    Attributes:
        rows: the good rows.
        kinds: the type that each column has got.
        profiles: what was seen of each column whose type isn't settled.
        rows_in: rows that the unit holds, good or bad.
        rejects: the bad ones, in their order.
        empty: rows of delimiters alone, which don't count among `rows_in`.
        lines: the line of each of `rows` in the file, int64 [rows].
    """

    rows: pa.Table
    kinds: dict[str, str]
    profiles: dict[str, Profile]
    rows_in: int
    rejects: list[Reject]
    empty: int = 0
    lines: Any = None


def read_unit(unit: Unit, table: Table) -> Typed:
    """Reads a unit.

    Raises:
        DataError: more rows are bad than are tolerated.
    """
    cells = read_cells(unit, table.columns, table.dialect, table.encoding, table.max_rejects)
    arrays: list[pa.Array] = []
    kinds: dict[str, str] = {}
    profiles: dict[str, Profile] = {}
    bad: dict[int, tuple[str, str]] = {}
    for name, column in zip(table.columns, cells.table.columns, strict=True):
        text = column.chunk(0) if column.num_chunks else pa.array([], pa.string())
        if name in table.types:
            kinds[name] = kind_of(table.types[name])
            array, mask = convert(text, table.types[name], table.dialect.missing)
            _note_bad(bad, name, text, mask, kinds[name], table.max_rejects)
        else:
            profiles[name], array, kinds[name] = _inferred(unit, cells, name, text, table)
        arrays.append(array)
    rows = pa.table(arrays, names=list(table.columns))
    rejects = cells.rejects
    lines = cells.lines()
    if bad:
        keep = np.ones(rows.num_rows, bool)
        keep[list(bad)] = False
        rows, lines = rows.filter(pa.array(keep)), lines[keep]
        rejects = rejects + [cells.reject(index, *reason) for index, reason in bad.items()]
        rejects.sort(key=lambda reject: reject.line)
    if len(rejects) > table.max_rejects:
        raise rejects[table.max_rejects].error(table.max_rejects)
    if rows.num_rows + len(rejects) != cells.rows_in:
        raise RuntimeError(f"{cells.rows_in} rows in, {rows.num_rows} out and {len(rejects)} rejected")
    return Typed(rows, kinds, profiles, cells.rows_in, rejects, cells.places.empty, lines)


def _note_bad(
    bad: dict[int, tuple[str, str]], name: str, text: pa.Array, mask: Any, kind: str, max_rejects: int
) -> None:
    """Adds the first bad cells of a column to `bad`, no more than would be refused anyway."""
    if mask is None:
        return
    found = np.flatnonzero(mask)
    if len(found) > max_rejects:
        found = found[: max_rejects + 1]
    for index in found.tolist():
        value = text[index].as_py()
        infinite = kind == "float" and _is_number(value)
        bad.setdefault(index, bad_value(name, value, "infinity" if infinite else kind))


def _is_number(text: str) -> bool:
    try:
        return bool(float(text) or True)
    except ValueError:
        return False


def _inferred(
    unit: Unit, cells: Cells, name: str, text: pa.Array, table: Table
) -> tuple[Profile, pa.Array, str]:
    seen, stray, values = profile(text, table.dialect.missing)
    if stray >= 0:
        row = int(cells.numbers(np.array([stray]))[0])
        seen = replace(seen, stray=Stray(unit.number, row, text[stray].as_py()))
    hint = table.hints.get(name, "")
    if hint == "string" or (seen.values and (values is None or seen.kind == "string")):
        return seen, text, "string"  # `nan` and blanks are texts among texts
    if not seen.values:
        kind = hint or "float"
        return seen, pa.nulls(len(text), ARROW[kind]), kind
    if seen.kind == "int" and hint == "float":
        return seen, pc.cast(values, pa.float64(), safe=False), "float"
    return seen, values, seen.kind


@dataclass(frozen=True)
class IngestUnit:
    """Work on a unit: reads it, and writes its rows in parts, or spills them if classes are to be counted."""

    table: Table
    placing: Placing

    def __call__(self, unit: Unit) -> Result:
        """Gives JSON: rows in, rejects, kinds, profiles, and the files written."""
        typed = read_unit(unit, self.table)
        told: dict[str, Any] = {
            "rows_in": typed.rows_in,
            "rejects": to_json(typed.rejects),
            "empty": typed.empty,
            "kinds": typed.kinds,
            "profiles": {name: seen.to_json() for name, seen in typed.profiles.items()},
        }
        told |= write_rows(typed.rows, typed.lines, self.placing, unit.number, unit.file)
        return Result(json.dumps(told).encode(), typed.rows_in)
