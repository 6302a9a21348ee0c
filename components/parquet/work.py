"""What is done with a row group's rows: read, convert, place in splits, write. Runs on Beam's workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.errors import DataError
from ..csv.rejects import Reject, to_json
from ..csv.work import Placing, spill_rows, write_parts
from ..data_plane.few_units import Result
from ..ingestion.placing import assign, why_outside
from .sources import damaged
from .values import Bad, read_values, shown

_REMEDIES = {
    "infinite": "write a finite number or null",
    "beyond 64 bits": "types: {COLUMN: float} reads it as a float where the file has one",
    "UTF-8": "write UTF-8, or leave the column out with `columns`",
}
_MOST_CELLS = 200


@dataclass(frozen=True)
class Block:
    """Some rows of a row group, which become one part of each split.

    Attributes:
        number: from 0 over all files.
        start: the place of its first row in the row group.
        rows: their number.
    """

    number: int
    start: int
    rows: int


@dataclass(frozen=True)
class Unit:
    """Blocks of one row group that follow each other, and are read together.

    Attributes:
        path: the file.
        group: the number of the row group.
        row: the number, from 0, of the group's first row in the file.
        blocks: in their order.
        split: the split of the file, where `path` names files by split.
    """

    path: str
    group: int
    row: int
    blocks: tuple[Block, ...]
    split: str = ""


@dataclass(frozen=True)
class Table:
    """How all units are read.

    Attributes:
        types: the columns, in their order, with what they become.
        max_rejects: how many bad rows are tolerated.
    """

    types: Mapping[str, str]
    max_rejects: int = 0


def open_parquet(path: str) -> pq.ParquetFile:
    """Opens a Parquet file.

    Raises:
        DataError: it is damaged.
    """
    try:
        # By the page: a row group may be larger than what a worker should hold.
        return pq.ParquetFile(
            path, buffer_size=1 << 16, coerce_int96_timestamp_unit="us", page_checksum_verification=True
        )
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def read_blocks(unit: Unit, columns: list[str]) -> Iterator[tuple[Block, pa.RecordBatch]]:
    """Gives each block's rows, with the columns as the file holds them.

    Raises:
        DataError: the file is damaged.
    """
    with open_parquet(unit.path) as file:
        batches = iter(
            file.iter_batches(
                unit.blocks[0].rows, row_groups=[unit.group], columns=columns, use_threads=False
            )
        )
        at, held = 0, pa.table({})  # the rows that `held` begins with, counted from the group's first
        for block in unit.blocks:
            # The reader begins at the start of the row group, and may give less than it was asked for.
            while at + held.num_rows < block.start + block.rows:
                batch = pa.Table.from_batches([_next(batches, unit)])
                if at + held.num_rows <= block.start:
                    at, held = at + held.num_rows, batch
                else:
                    held = pa.concat_tables([held, batch])
            rows = held.slice(block.start - at, block.rows).combine_chunks()
            yield block, rows.to_batches()[0]


def _next(batches: Iterator[pa.RecordBatch], unit: Unit) -> pa.RecordBatch:
    try:
        return next(batches)
    except StopIteration:
        raise damaged(unit.path, f"row group {unit.group} has less rows than its footer says") from None
    except (OSError, pa.ArrowException) as error:
        if "Expected all lists to be of size" in str(error):
            raise DataError(
                f"Arrow can't read lists of a fixed size with missing rows ({error})",
                file=unit.path,
                remedy="write the column as lists of any size, or leave it out with `columns`",
            ) from error
        raise damaged(unit.path, error) from error


def convert_block(
    rows: pa.RecordBatch, unit: Unit, block: Block, table: Table
) -> tuple[pa.Table, Any, list[Reject]]:
    """The good rows as values, their numbers in the file, int64 [rows], from 1, and the bad ones.

    Raises:
        DataError: more rows are bad than are tolerated.
    """
    arrays = []
    bad: dict[int, tuple[str, Bad]] = {}
    for name, stated in table.types.items():
        values = read_values(rows.column(name), stated)
        arrays.append(values.array)
        for found in values.bad:
            for row in np.flatnonzero(found.mask)[: table.max_rejects + 1].tolist():
                bad.setdefault(row, (name, found))
    converted = pa.table(arrays, names=list(table.types))
    numbers = unit.row + block.start + 1 + np.arange(rows.num_rows)
    if not bad:
        return converted, numbers, []
    rejects = [_reject(rows, row, *bad[row], unit, block) for row in sorted(bad)]
    if len(rejects) > table.max_rejects:
        raise rejects[table.max_rejects].error(table.max_rejects)
    keep = np.ones(rows.num_rows, bool)
    keep[list(bad)] = False
    return converted.filter(pa.array(keep)), numbers[keep], rejects


def _reject(rows: pa.RecordBatch, row: int, name: str, bad: Bad, unit: Unit, block: Block) -> Reject:
    number = unit.row + block.start + row + 1
    cell = shown(rows.column(name), row)
    remedy = next((remedy for part, remedy in _REMEDIES.items() if part in bad.what), "mend the value")
    cells = {other: shown(rows.column(other), row) for other in rows.schema.names[:_MOST_CELLS]}
    return Reject(
        unit.path, number, f"row {number}: column {name!r}: {cell!r} {bad.what}",
        remedy.replace("COLUMN", name), json.dumps(cells, ensure_ascii=False),
    )  # fmt: skip


@dataclass(frozen=True)
class IngestUnit:
    """Work on a unit: reads its blocks and writes their rows in parts."""

    table: Table
    placing: Placing

    def __call__(self, unit: Unit) -> Result:
        """Gives JSON: for each block rows in, rejects, rows in no split, and the files written."""
        blocks = read_blocks(unit, list(self.table.types))
        told = [self._block(rows, unit, block) for block, rows in blocks]
        return Result(json.dumps(told).encode(), sum(block.rows for block in unit.blocks))

    def _block(self, rows: pa.RecordBatch, unit: Unit, block: Block) -> dict[str, Any]:
        good, numbers, rejects = convert_block(rows, unit, block, self.table)
        told: dict[str, Any] = {
            "rows_in": rows.num_rows,
            "rejects": to_json(rejects),
            "parts": {},
            "spill": "",
            "classes": [],
            "outside": None,
        }
        if self.placing.exact:
            told["spill"], told["classes"], outside = spill_rows(good, self.placing, block.number)
            np.save(f"{told['spill']}.lines.npy", numbers)
        else:
            assigned, outside = assign(good, self.placing.rule, unit.split)
            told["parts"] = write_parts(good, assigned, self.placing, block.number, (unit.path, numbers))
        if outside.any():
            first = int(np.argmax(outside))
            told["outside"] = {
                "rows": int(np.count_nonzero(outside)),
                "line": int(numbers[first]),
                "reason": why_outside(good, self.placing.rule, first),
            }
        return told
