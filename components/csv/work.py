"""What is done with one unit of rows: parse, convert, place in splits, write. Runs on Beam's workers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..data_plane.row_hash import row_hash
from ..data_plane.work import Result
from ..ingestion.placing import assign, whole, why_outside
from ..ingestion.split_options import SplitOptions
from ..ingestion.times import sort_keys
from .conversion import ARROW, convert
from .inference import Profile, Stray, profile
from .options import kind_of
from .reading import Cells, Unit, read_cells
from .rejects import Reject, bad_value, to_json
from .source_lines import write_lines
from .sources import Dialect

MISSING_CLASS = "\0missing"
"""The class of rows without a value; no cell can be this, since NUL is refused."""


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
class Placing:
    """How rows are placed in splits.

    Attributes:
        rule: what is asked for.
        exact: whether shares are exact, so that rows are spilled and placed once all are known.
        folder: where parts and spills are written, by whatever worker.
    """

    rule: SplitOptions
    exact: bool
    folder: str

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return self.rule.names


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
            "parts": {},
            "classes": [],
            "spill": "",
            "outside": None,
        }
        if self.placing.exact:
            told["spill"], told["classes"], outside = spill_rows(typed.rows, self.placing, unit.number)
            np.save(f"{told['spill']}.lines.npy", typed.lines)
        else:
            assigned, outside = assign(typed.rows, self.placing.rule, unit.file.split)
            source = (unit.file.name, typed.lines)
            told["parts"] = write_parts(typed.rows, assigned, self.placing, unit.number, source)
        if outside.any():
            first = int(np.argmax(outside))
            told["outside"] = {
                "rows": int(np.count_nonzero(outside)),
                "line": int(typed.lines[first]),
                "reason": why_outside(typed.rows, self.placing.rule, first),
            }
        return Result(json.dumps(told).encode(), typed.rows_in)


@dataclass(frozen=True)
class PlaceSpilled:
    """Work on a spilled unit whose rows have got their splits: (unit, rows file, splits file, source)."""

    placing: Placing

    def __call__(self, item: tuple[int, str, str, str]) -> Result:
        """Gives JSON: the parts written."""
        unit, rows, assigned, source_name = item
        with pa.memory_map(rows) as source:
            table = pa.ipc.open_file(source).read_all()
            lines = np.load(rows.removesuffix(".arrow") + ".lines.npy")
            parts = write_parts(table, np.load(assigned), self.placing, unit, (source_name, lines))
        return Result(json.dumps(parts).encode(), table.num_rows)


def spill_rows(rows: pa.Table, placing: Placing, unit: int) -> tuple[str, list[str], Any]:
    """Writes rows, the numbers of their classes (-1: in no split), and what they are ranked by.

    Returns:
        The files' common name, the names of the classes, and bool [rows] of those in no split.
    """
    path = Path(placing.folder) / f"{unit:06d}-{uuid.uuid4().hex}"
    with pa.OSFile(f"{path}.arrow", "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    column = rows.column(placing.rule.column)
    names: list[str] = []
    if placing.rule.kind == "time_shares":
        ranks, outside = sort_keys(whole(column))
        classes = np.where(outside, -1, 0)
    else:
        classes, names = _classes(column)
        ranks, outside = row_hash(rows, None, placing.rule.seed), np.zeros(rows.num_rows, bool)
    np.save(f"{path}.classes.npy", classes.astype(np.int32))
    np.save(f"{path}.ranks.npy", ranks)
    return str(path), names, outside


def _classes(column: pa.ChunkedArray) -> tuple[Any, list[str]]:
    encoded = whole(pc.fill_null(pc.cast(column, pa.string()), MISSING_CLASS)).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def write_parts(
    rows: pa.Table, assigned: Any, placing: Placing, unit: int, source: tuple[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Writes the rows of each split to a Parquet file; a split without rows gets none.

    `source` is the file and the line of each row, for the record beside the part (`source_lines`).

    Returns:
        By split: `path` and `rows`.
    """
    parts: dict[str, dict[str, Any]] = {}
    for number, split in enumerate(placing.splits):
        chosen = np.flatnonzero(assigned == number)
        if not len(chosen):
            continue
        path = Path(placing.folder) / f"{unit:06d}-{number}-{uuid.uuid4().hex}.parquet"
        own = rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen))
        write_parquet(own, path)
        if source is not None:
            write_lines(path, source[0], source[1][chosen])
        parts[split] = {"path": str(path), "rows": len(chosen)}
    return parts


def write_parquet(rows: pa.Table, path: Path) -> None:
    """Writes a Parquet file whose bytes depend on the rows and Arrow's version alone."""
    texts = [
        name
        for name, kind in zip(rows.schema.names, rows.schema.types, strict=True)
        if pa.types.is_string(kind)
    ]
    pq.write_table(
        rows, path, compression="lz4", use_dictionary=texts, write_statistics=False, store_schema=False,
        row_group_size=1 << 16,
    )  # fmt: skip
