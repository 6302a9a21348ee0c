"""Raw rows for batch prediction, cut into units: the parts of Examples, or files of tables.

Each row keeps its identity: split, part and row (from 0) of Examples; file and line of a file, which is the
line in which a row of a CSV file begins, and the number of the row, from 1, in Parquet and JSON Lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.errors import InvalidRequestError, Problem
from ..csv.reading import Unit
from ..data_plane.parts import Parts, units_of
from ..ingestion.kinds import kind_of
from .image_rows import BATCH_IMAGES
from .rows import PARQUET_ROWS, CsvRows, open_csv, open_parquet, read_group, read_rows

if TYPE_CHECKING:
    from ..predict import CsvOptions

Types = Mapping[str, str]
"""Column → type; see `headrace.schemas.schema.FeatureType`."""
ALL = "all"
"""What the one split of predictions for files is called."""


class Piece(NamedTuple):
    """Some consecutive rows.

    Attributes:
        rows: the columns that the model takes and those that are kept.
        identity: what names each row.
    """

    rows: pa.RecordBatch
    identity: dict[str, pa.Array]

    def place(self, row: int) -> str:
        """What a message calls a row."""
        told = [column[row].as_py() for column in self.identity.values()]
        if len(told) == 3:
            return f"{told[0]}, part {told[1]}, row {told[2] + 1}"
        return f"{told[0]}:{told[1]}"


@dataclass(frozen=True)
class FileRows:
    """Some rows of a file, or all: a unit of work.

    Attributes:
        path: the file.
        name: what the rows' identity calls it.
        csv: the unit of a CSV file, and how its rows are read.
        group: the row group of a Parquet file.
        before: how many rows stand before that.
    """

    path: str
    name: str
    csv: tuple[Unit, CsvRows] | None = None
    group: int = -1
    before: int = 0

    @property
    def split(self) -> str:
        """The split of the predictions."""
        return ALL

    def pieces(self, types: Types, options: CsvOptions) -> Iterator[Piece]:
        """The rows, with the columns under the names in `types`."""
        if self.csv is not None:
            unit, how = self.csv
            rows, lines = how.read(unit)
            for start in range(0, rows.num_rows, PARQUET_ROWS):
                yield self._piece(rows.slice(start, PARQUET_ROWS), types, lines[start : start + PARQUET_ROWS])
            return
        path, before = Path(self.path), self.before
        # No scratch folder: of JSON Lines nothing is copied.
        batches = (
            read_group(stated(types, options), path, self.group, before)
            if self.group >= 0
            else read_rows(types, path, path.parent, options)
        )
        for batch in batches:
            yield self._piece(batch, types, before + 1 + np.arange(batch.num_rows))
            before += batch.num_rows

    def _piece(self, rows: pa.RecordBatch, types: Types, lines: Any) -> Piece:
        identity = {
            "file": pa.repeat(pa.scalar(self.name), rows.num_rows),
            "line": pa.array(lines, pa.int64()),
        }
        return Piece(rows.rename_columns(list(types)), identity)


def part_pieces(unit: Parts, columns: Sequence[str], images: bool) -> Iterator[Piece]:
    """The rows of some parts."""
    batch = unit.read(columns)
    parts = np.repeat([number for number, _ in unit.places], [rows for _, rows in unit.places])
    rows = np.concatenate([np.arange(rows) for _, rows in unit.places])
    at_once = BATCH_IMAGES if images else PARQUET_ROWS
    for start in range(0, batch.num_rows, at_once):
        piece = batch.slice(start, at_once)
        span = slice(start, start + piece.num_rows)
        identity = {
            "split": pa.repeat(pa.scalar(unit.split), piece.num_rows),
            "part": pa.array(parts[span], pa.int32()),
            "row": pa.array(rows[span], pa.int64()),
        }
        yield Piece(piece, identity)


def example_units(examples: Examples, splits: Sequence[str]) -> list[Parts]:
    """The units of raw examples."""
    return units_of(examples, splits)


def file_units(
    paths: Sequence[tuple[Path, str]], types: Types, options: CsvOptions, scratch: Path
) -> list[FileRows]:
    """The units of files.

    Args:
        paths: the files with their names.
        types: the columns to read.
        options: how CSV files are written, and times.
        scratch: a folder that every worker reaches, for copies of files that can't be cut as they are.

    Raises:
        DataError: a file lacks a column, or can't be read.
    """
    found: list[FileRows] = []
    for path, name in paths:
        ending = path.suffix.lower()
        if ending == ".parquet":
            before = 0
            for group, rows in open_parquet(stated(types, options), path):
                found.append(FileRows(str(path), name, group=group, before=before))
                before += rows
        elif ending in (".jsonl", ".ndjson"):
            found.append(FileRows(str(path), name))
        else:
            how, units = open_csv(stated(types, options), path, scratch, options)
            found += [FileRows(str(path), name, (unit, how)) for unit in units]
    return found


def stated(types: Types, options: CsvOptions) -> dict[str, str]:
    """The types, those of times with the way they are written."""
    times = options.times or {}
    return {name: f"{kind}:{times[name]}" if times.get(name) else kind for name, kind in types.items()}


def kept_types(paths: Sequence[tuple[Path, str]], keep: Sequence[str], inputs: Types) -> dict[str, str]:
    """The types of columns of files that the model doesn't take: their own in Parquet, and else texts.

    Raises:
        InvalidRequestError: files have a column in different types, or of one that can't be kept.
    """
    found: dict[str, str] = {}
    problems = []
    for path, _ in paths:
        own: dict[str, str] = {}
        if path.suffix.lower() == ".parquet":
            schema = pq.read_schema(path)
            own = {name: kind_of(schema.field(name).type) for name in schema.names}
        for name in keep:
            kind = own.get(name, "string") or "string"
            if name not in inputs and found.setdefault(name, kind) != kind:
                what = f"column {name!r} is {kind} here, and {found[name]} in a file before"
                problems.append(Problem(what, argument="keep", file=str(path)))
    if problems:
        raise InvalidRequestError(problems)
    return found
