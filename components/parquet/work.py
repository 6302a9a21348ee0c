"""What is done with a row group's rows: read, convert, place in splits, write. Runs on Beam's workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...pipelines.errors import DataError
from ..data_plane.result import Result
from ..ingestion.partitions import Partition
from ..ingestion.rejects import to_json
from ..ingestion.sifting import Rows, Sifted, sift
from ..ingestion.values import read_values, shown
from ..ingestion.writing import Placing, write_rows
from .sources import damaged


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
        partition: the columns that the file's folders stand for.
    """

    path: str
    group: int
    row: int
    blocks: tuple[Block, ...]
    split: str = ""
    partition: Partition = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file as messages call it."""
        return self.path


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
        DataError: it is damaged, or its name can't be handed to Arrow.
    """
    try:
        # By the page: a row group may be larger than what a worker should hold.
        return pq.ParquetFile(
            path, buffer_size=1 << 16, coerce_int96_timestamp_unit="us", page_checksum_verification=True
        )
    except UnicodeEncodeError as error:
        raise DataError(
            "the file's name isn't UTF-8, and Arrow can't open it", file=path, remedy="rename it"
        ) from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:  # the last: a column's name
        raise damaged(path, error) from error


def read_blocks(unit: Unit, columns: list[str]) -> Iterator[tuple[Block, pa.RecordBatch]]:
    """Gives each block's rows, with the columns as the file holds them; at least one, which tells how many.

    Raises:
        DataError: the file is damaged.
    """
    with open_parquet(unit.path) as file:
        wanted, most = columns or file.schema_arrow.names[:1], unit.blocks[0].rows
        batches = iter(file.iter_batches(most, row_groups=[unit.group], columns=wanted, use_threads=False))
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


def convert_block(rows: pa.RecordBatch, unit: Unit, block: Block, table: Table) -> Sifted:
    """The good rows of a block as values.

    Raises:
        DataError: more rows are bad than are tolerated.
    """
    for name, value in unit.partition.items():
        if name in table.types:
            rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.string()), rows.num_rows))
    columns = {name: read_values(rows.column(name), stated) for name, stated in table.types.items()}
    source = Rows(
        unit.path, unit.row + block.start, rows.num_rows, tuple(rows.schema.names),
        lambda name, row: shown(rows.column(name), row),
    )  # fmt: skip
    return sift(columns, source, table.max_rejects)


@dataclass(frozen=True)
class IngestUnit:
    """Work on a unit: reads its blocks and writes their rows in parts."""

    table: Table
    placing: Placing

    def __call__(self, unit: Unit) -> Result:
        """Gives JSON: for each block rows in, rejects, rows in no split, and the files written."""
        own = [name for name in self.table.types if name not in unit.partition]
        blocks = read_blocks(unit, own)
        told = [self._block(rows, unit, block) for block, rows in blocks]
        return Result(json.dumps(told).encode(), sum(block.rows for block in unit.blocks))

    def _block(self, rows: pa.RecordBatch, unit: Unit, block: Block) -> dict[str, Any]:
        found = convert_block(rows, unit, block, self.table)
        told = {"rows_in": rows.num_rows, "rejects": to_json(found.rejects)}
        return told | write_rows(found.rows, found.numbers, self.placing, block.number, unit)
