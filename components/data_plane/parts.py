"""The Parquet parts of raw examples as units of work: small ones together, so that none is all overhead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.errors import StoreError

UNIT_ROWS = 1 << 15
"""Rows up to which parts are put together in one unit,"""
UNIT_CELLS = 1 << 23
"""and cells,"""
UNIT_BYTES = 1 << 24
"""and bytes of Parquet,"""
UNIT_PARTS = 64
"""and parts, whose names all stand in the unit."""


@dataclass(frozen=True)
class Part:
    """One Parquet part of a split."""

    path: str
    split: str
    number: int
    rows: int


@dataclass(frozen=True)
class Parts:
    """Consecutive Parquet parts of one split: a unit of work.

    Attributes:
        split: its name.
        paths: their files.
        rows: of all together.
        places: number and rows of each, see `headrace.components.data_plane.row_hash.fold_of`.
    """

    split: str
    paths: tuple[str, ...]
    rows: int
    places: tuple[tuple[int, int], ...]

    def read(self, columns: Sequence[str]) -> pa.RecordBatch:
        """The named columns of all rows, in their order."""
        return _batch([read_part(path, columns) for path in self.paths])

    def read_for_statistics(self, types: Mapping[str, str]) -> pa.RecordBatch:
        """The columns that have types, those of images as `image_facts`, since no more is looked at."""
        from .image_parts import image_columns, read_with_facts

        read = read_with_facts if image_columns(types) else read_part
        return _batch([read(path, list(types)) for path in self.paths])

    def place(self, row: int) -> tuple[str, int, int]:
        """The file, the part's number, and the row within it, of a row of the unit; rows count from 0."""
        for path, (number, rows) in zip(self.paths, self.places, strict=True):
            if row < rows:
                return path, number, row
            row -= rows
        raise IndexError(f"the unit has {self.rows} rows")


def parts_of(examples: Examples, splits: Sequence[str]) -> list[Part]:
    """The parts of the named splits, those without rows left out."""
    return [
        Part(str(examples.file(part["path"])), name, number, part["rows"])
        for name in splits
        for number, part in enumerate(examples.splits[name]["parts"])
        if part["rows"]
    ]


def units_of(examples: Examples, splits: Sequence[str]) -> list[Parts]:
    """The units of work of the named splits; how they are cut is a function of the artifact alone."""
    columns = len(examples.properties["columns"])
    sizes = {entry.path: entry.size for entry in examples.files}
    units: list[Parts] = []
    held: list[Part] = []
    held_bytes = 0
    for part in parts_of(examples, splits):
        size = sizes.get(examples.splits[part.split]["parts"][part.number]["path"], 0)
        rows = sum(other.rows for other in held) + part.rows
        full = rows > UNIT_ROWS or rows * columns > UNIT_CELLS or held_bytes + size > UNIT_BYTES
        if held and (full or held[0].split != part.split or len(held) == UNIT_PARTS):
            units.append(_together(held))
            held, held_bytes = [], 0
        held.append(part)
        held_bytes += size
    return [*units, _together(held)] if held else units


def _together(parts: Sequence[Part]) -> Parts:
    places = tuple((part.number, part.rows) for part in parts)
    return Parts(parts[0].split, tuple(p.path for p in parts), sum(p.rows for p in parts), places)


def read_part(path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The named columns of a part, or all; all also where none is asked for, as their rows would be lost.

    Raises:
        StoreError: it can't be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns=list(columns) if columns else None, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: Exception) -> StoreError:
    """What to say of a part that Arrow can't read."""
    return StoreError(
        f"the part can't be read ({error})",
        file=path,
        remedy="delete the artifact's folder, and run the pipeline again",
    )


def _batch(tables: Sequence[pa.Table]) -> pa.RecordBatch:
    batches = pa.concat_tables(tables).combine_chunks().to_batches()
    if len(batches) != 1:
        # One column of 2 GiB of text, which a string array can't hold.
        table = pa.concat_tables(tables)
        wide = [
            pa.field(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in table.schema
        ]
        (batch,) = table.cast(pa.schema(wide)).combine_chunks().to_batches()
        return batch
    return batches[0]
