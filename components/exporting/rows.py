"""Raw rows out of a file, as an exported model takes them: CSV, Parquet or JSON Lines.

Parquet (`*.parquet`): the columns by name, of the types that raw examples have or what `parquet_examples`
makes of others. JSON Lines (`*.jsonl`, `*.ndjson`): an object a line; a key that isn't there is a missing
value; times are ISO 8601 texts, several values a row are lists. Everything else is CSV.

Images come as they stand there: paths (string), or in Parquet the bytes of files too (binary); a column of
images may also have one of the names that manifests give it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipelines.errors import DataError, Problem
from ..images.options import IMAGE_NAMES

if TYPE_CHECKING:
    import pyarrow as pa

    from ..csv.reading import Unit
    from ..csv.sources import Dialect
    from ..predict import CsvOptions

BLOCK_BYTES = 4 << 20
IMAGE_ROWS = 64
"""Rows of a Parquet file that are read at a time where images are among them."""
PARQUET_ROWS = 16_384
MULTIVALUED = ("strings", "ints", "floats")
Types = Mapping[str, str]
"""Column → type; see `headrace.schemas.schema.FeatureType`."""


def read_rows(types: Types, path: Path, scratch: Path, options: CsvOptions) -> Iterator[pa.RecordBatch]:
    """The columns that the model needs, a few megabytes at a time; see `predict` for the errors.

    Args:
        types: the columns, and their types.
        path: the file; its ending says how it is read.
        scratch: a folder for a copy in plain UTF-8, where a CSV file isn't that.
        options: how a CSV file is written.
    """
    ending = path.suffix.lower()
    if ending in (".jsonl", ".ndjson"):
        return _renamed(_json_rows(types, path), types)
    times = options.times or {}
    stated = {name: f"{kind}:{times[name]}" if times.get(name) else kind for name, kind in types.items()}
    if ending == ".parquet":
        return _renamed(_parquet_rows(stated, path), types)
    return _renamed(_csv_rows(stated, path, scratch, options), types)


def _renamed(batches: Iterator[pa.RecordBatch], types: Types) -> Iterator[pa.RecordBatch]:
    """The columns, which are in the model's order, under the model's names."""
    return (batch.rename_columns(list(types)) for batch in batches)


def _as_named(types: Types, names: Sequence[str]) -> dict[str, str]:
    """The types by the names that the columns have in a file; see `IMAGE_NAMES`."""
    found: dict[str, str] = {}
    for column, kind in types.items():
        other = [name for name in IMAGE_NAMES if name in names and name not in types]
        found[other[0] if kind == "image" and column not in names and other else column] = kind
    return found


def no_rows(types: Types) -> pa.RecordBatch:
    """The columns without a row."""
    import pyarrow as pa

    arrays = [pa.array([], _arrow_type(kind.partition(":")[0])) for kind in types.values()]
    return pa.RecordBatch.from_arrays(arrays, names=list(types))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether cells of this type hold bytes."""
    import pyarrow.types as at

    return bool(at.is_binary(kind) or at.is_large_binary(kind) or at.is_fixed_size_binary(kind))


def _arrow_type(kind: str) -> Any:
    import pyarrow as pa

    from ..ingestion.kinds import ARROW

    return pa.list_(ARROW[kind.removesuffix("s")]) if kind in MULTIVALUED else ARROW[kind]


def _parquet_rows(types: Types, path: Path) -> Iterator[pa.RecordBatch]:
    groups = open_parquet(types, path)
    if not sum(rows for _, rows in groups):
        yield no_rows(types)
    for group, _ in groups:
        yield from read_group(types, path, group, sum(rows for _, rows in groups[:group]))


def open_parquet(types: Types, path: Path) -> list[tuple[int, int]]:
    """The row groups of a Parquet file with the rows of each; refuses one without the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            types = _as_named(types, file.schema_arrow.names)
            _require_columns(types, tuple(file.schema_arrow.names), path)
            _require_types(types, file.schema_arrow, path)
            return [(n, file.metadata.row_group(n).num_rows) for n in range(file.metadata.num_row_groups)]
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"this can't be read as Parquet: {error}", file=str(path)) from error


def read_group(types: Types, path: Path, group: int, before: int) -> Iterator[pa.RecordBatch]:
    """The columns of a row group, some rows at a time; `before` says how many rows stand before it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    at_once = IMAGE_ROWS if "image" in types.values() else PARQUET_ROWS
    try:
        with pq.ParquetFile(path) as file:
            types = _as_named(types, file.schema_arrow.names)
            for batch in file.iter_batches(at_once, row_groups=[group], columns=list(types)):
                yield _converted(batch, types, path, before)
                before += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"this can't be read as Parquet: {error}", file=str(path)) from error


def _require_types(types: Types, schema: pa.Schema, path: Path) -> None:
    """Refuses columns that can't become what the model takes."""
    from ..ingestion.column_options import CONVERTIBLE
    from ..ingestion.kinds import kind_of, unsupported
    from ..ingestion.time_patterns import UNITS

    problems = []
    for name, stated in types.items():
        kind, given = stated.partition(":")[0], schema.field(name).type
        own = kind_of(given)
        if kind == "image":
            if own not in ("string", "null") and not is_bytes(given):
                what = f"column {name!r} is {own or given} here, and images are paths or bytes"
                problems.append(Problem(what, file=str(path)))
        elif not own:
            problems.append(unsupported(name, given, str(path)).at(remedy="write it as text or numbers"))
        elif own != kind and kind not in CONVERTIBLE[own]:
            what = f"column {name!r} is {own} here, and the model takes {kind}"
            problems.append(Problem(what, file=str(path)))
        elif own == "int" and kind == "timestamp" and stated.partition(":")[2] not in UNITS:
            what = f"column {name!r} is int here, and the unit of its times has to be stated"
            problems.append(Problem(what, file=str(path), remedy=f"--time {name}=s (or ms, us)"))
    if problems:
        raise DataError(problems)


def _converted(batch: pa.RecordBatch, types: Types, path: Path, before: int) -> pa.RecordBatch:
    """The columns as `parquet_examples` reads them; `before` says how many rows stand before the batch."""
    import numpy as np
    import pyarrow as pa

    from ..ingestion.values import read_values, shown

    arrays = []
    for name, stated in types.items():
        if stated == "image":
            column = batch.column(name)
            arrays.append(column.cast(pa.binary() if is_bytes(column.type) else pa.string()))
            continue
        values = read_values(batch.column(name), stated)
        for bad in values.bad:
            row = int(np.flatnonzero(bad.mask)[0])
            what = f"column {name!r}, row {before + row + 1}: {shown(batch.column(name), row)!r} {bad.what}"
            raise DataError(what, file=str(path), remedy="mend the value")
        arrays.append(values.array)
    return pa.RecordBatch.from_arrays(arrays, names=list(types))


def _json_rows(types: Types, path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.json

    types = _as_named(types, _first_keys(path)) if "image" in types.values() else types
    texts = ("timestamp", "image")
    stated = {name: pa.string() if kind in texts else _arrow_type(kind) for name, kind in types.items()}
    reading = pyarrow.json.ReadOptions(block_size=BLOCK_BYTES)
    parsing = pyarrow.json.ParseOptions(
        explicit_schema=pa.schema(list(stated.items())), unexpected_field_behavior="ignore"
    )
    if not path.stat().st_size:
        yield no_rows(types)
        return
    try:
        table = pyarrow.json.read_json(path, read_options=reading, parse_options=parsing)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"this can't be read as JSON Lines with the columns that the model needs: {error}",
            file=str(path),
            remedy="write an object a line, times as ISO 8601 texts, several values as a list",
        ) from error
    for batch in table.to_batches(max_chunksize=PARQUET_ROWS):
        yield _with_times(batch, types, path)


def _first_keys(path: Path) -> tuple[str, ...]:
    """The keys of the first line; none where it can't be read, of which others tell more."""
    with path.open("rb") as stream:
        line = stream.readline(BLOCK_BYTES)
    try:
        told = json.loads(line)
    except ValueError:
        return ()
    return tuple(told) if isinstance(told, dict) else ()


def _with_times(batch: pa.RecordBatch, types: Types, path: Path) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    from ..ingestion.times import parse_times

    arrays = []
    for name, kind in types.items():
        column = batch.column(name)
        if kind == "timestamp":
            values = parse_times(column)
            bad = pc.and_(pc.is_valid(column), pc.is_null(values))
            if pc.any(bad).as_py():
                text = column.filter(bad)[0].as_py()
                what = f"column {name!r}: {text!r} is not a time as ISO 8601 writes it"
                raise DataError(what, file=str(path), remedy="write it as 2024-01-31T12:30:00Z")
            column = values
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, names=list(types))


@dataclass(frozen=True)
class CsvRows:
    """How the rows of a CSV file are read, by whatever worker.

    Attributes:
        names: of all columns of the file.
        types: the columns that are read, as the file calls them, and their types.
        dialect: how cells are written.
        encoding: as it was stated, for messages.
    """

    names: tuple[str, ...]
    types: Types
    dialect: Dialect
    encoding: str

    def read(self, unit: Unit) -> tuple[pa.RecordBatch, Any]:
        """The rows of a unit, and the line of each, int64 [rows]; see `predict` for the errors."""
        return _typed(unit, self)


def open_csv(types: Types, path: Path, scratch: Path, asked: CsvOptions) -> tuple[CsvRows, list[Unit]]:
    """How a CSV file is read, and its units of a few megabytes, none where there are no rows.

    Args:
        types: the columns, and their types.
        path: the file.
        scratch: a folder for a copy in plain UTF-8, where the file isn't that.
        asked: how it is written.
    """
    from ..csv.cutting import cut_file
    from ..csv.prepare import needs_copy, table_file, write_plain
    from ..csv.sources import Dialect, read_head

    encoding, quote = asked.encoding or "utf-8", '"' if asked.quote is None else asked.quote
    plain = write_plain(path, encoding, scratch) if needs_copy(path, encoding) else path
    sign = read_head(plain, "utf-8", asked.delimiter, quote, str(path)).delimiter
    dialect = Dialect(sign, quote, asked.missing_values or ())
    file, names = table_file(str(path), plain, encoding, dialect, True)
    if asked.names is not None and not set(_as_named(types, names)) <= set(names):
        _require_width(names, asked.names, path)
        file, names = (
            table_file(str(path), plain, encoding, dialect, bool(asked.header))[0],
            tuple(asked.names),
        )
    types = {name: "string" if kind == "image" else kind for name, kind in _as_named(types, names).items()}
    hint = f"cells are taken to be separated by {sign!r}; if not, state the delimiter"
    _require_columns(types, names, path, hint if len(names) == 1 else "")
    lists = [column for column, kind in types.items() if kind in MULTIVALUED]
    if lists:
        raise DataError(
            f"the column {lists[0]!r} has several values a row, which a CSV file can't hold",
            file=str(path),
            remedy="give the rows as Parquet, or as JSON Lines",
        )
    return CsvRows(names, types, dialect, encoding), cut_file(file, dialect, BLOCK_BYTES)


def _csv_rows(types: Types, path: Path, scratch: Path, asked: CsvOptions) -> Iterator[pa.RecordBatch]:
    rows, units = open_csv(types, path, scratch, asked)
    if not units:
        yield no_rows(rows.types)
    for unit in units:
        yield rows.read(unit)[0]


def _require_width(first: tuple[str, ...], names: Sequence[str], path: Path) -> None:
    if len(first) != len(names):
        raise DataError(
            f"the first row has {len(first)} fields, and the columns are {len(names)}: {', '.join(names)}",
            file=str(path),
            line=1,
            remedy="name the columns in a first row, or by --columns; the label may be left out then",
        )


def _require_columns(types: Types, names: tuple[str, ...], path: Path, remedy: str = "") -> None:
    problems = []
    for column in types:
        if column not in names:
            what = f"there is no column {column!r}, which the model needs"
            problems.append(
                Problem(what, file=str(path), line=1, given=column, available=names, remedy=remedy)
            )
        elif names.count(column) > 1:
            what = f"the column name {column!r} occurs more than once"
            problems.append(Problem(what, file=str(path), line=1, remedy="rename all but one"))
    if problems:
        raise DataError(problems)


def _typed(unit: Unit, how: CsvRows) -> tuple[pa.RecordBatch, Any]:
    import numpy as np
    import pyarrow as pa

    from ..csv.conversion import convert
    from ..csv.reading import read_cells
    from ..ingestion.rejects import bad_value

    # Bad rows are collected and the first one raised here, since there is no rejects file to send them to.
    places = tuple(str(place) for place in range(len(how.names)))
    cells = read_cells(unit, places, how.dialect, how.encoding, sys.maxsize)
    if cells.rejects:
        bad = cells.rejects[0]
        raise DataError(bad.reason, file=bad.file, line=bad.line, remedy=bad.remedy)
    arrays = []
    for column, kind in how.types.items():
        text = cells.table.column(how.names.index(column)).combine_chunks()
        text = text.chunk(0) if isinstance(text, pa.ChunkedArray) else text
        values, mask = convert(text, kind, how.dialect.missing)
        if mask is not None and mask.any():
            row = int(np.flatnonzero(mask)[0])
            reason, _ = bad_value(column, text[row].as_py(), kind)
            place = cells.reject(row, reason, "")
            remedy = "mend the value, or name it as a missing value"
            if kind.startswith("timestamp"):
                written = kind.partition(":")[2] or "as 2024-01-31T12:30:00Z"
                remedy = f"write it {written}, as in the examples, or say how it is written (--time)"
            raise DataError(reason, file=place.file, line=place.line, remedy=remedy)
        arrays.append(values)
    return pa.RecordBatch.from_arrays(arrays, names=list(how.types)), cells.lines()
