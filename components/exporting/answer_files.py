"""Predictions as CSV, JSON Lines or Parquet. A cell without a value is empty in CSV, and else null."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ...pipelines.errors import InvalidRequestError

if TYPE_CHECKING:
    import pyarrow as pa


def write_csv(tables: Iterator[pa.Table], stream: TextIO) -> int:
    """Writes tables of the same columns, and gives the number of rows."""
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    rows = 0
    for number, table in enumerate(tables):
        if not number:
            writer.writerow(table.column_names)
        # str() of a NumPy float32 is the shortest text that reads back as the same float32.
        columns = [_texts(column) for column in table.columns]
        writer.writerows(zip(*columns, strict=True))
        rows += table.num_rows
    return rows


def write_json(tables: Iterator[pa.Table], stream: TextIO) -> int:
    """The same as JSON Lines, an object a row."""
    rows = 0
    for table in tables:
        for row in table.to_pylist():
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        rows += table.num_rows
    return rows


def _texts(column: pa.ChunkedArray) -> list[str]:
    there = column.is_valid().to_pylist() if column.null_count else None
    texts = [str(value) for value in column.to_numpy()]
    return texts if there is None else [t if told else "" for t, told in zip(texts, there, strict=True)]


def write_file(tables: Iterator[pa.Table], target: Path) -> int:
    """Writes beside the target and renames, so that a failure leaves nothing half-written."""
    partly = target.with_name(f".{target.name}.{os.getpid()}.partly")
    try:
        if target.suffix.lower() in (".csv", ".jsonl"):
            write = write_csv if target.suffix.lower() == ".csv" else write_json
            with partly.open("w", encoding="utf-8", newline="") as stream:
                rows = write(tables, stream)
        else:
            rows = _write_parquet(tables, partly)
        partly.replace(target)
    except OSError as error:
        raise InvalidRequestError(f"the file can't be written: {error.strerror}", file=str(target)) from error
    finally:
        partly.unlink(missing_ok=True)
    return rows


def _write_parquet(tables: Iterator[pa.Table], path: Path) -> int:
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows
