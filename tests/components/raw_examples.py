"""Raw Examples artifacts, laid out as `csv_examples` writes them, from tables in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from headrace.components.ingestion.writing import write_parquet
from headrace.pipelines import Context, Examples
from headrace.pipelines.artifact import Draft

TYPES = {
    pa.float64(): "float",
    pa.int64(): "int",
    pa.string(): "string",
    pa.bool_(): "bool",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.list_(pa.string()): "strings",
    pa.list_(pa.int64()): "ints",
    pa.list_(pa.float64()): "floats",
    pa.binary(): "image",
}


def make_raw_examples(
    where: Context | Path, tables: Mapping[str, pa.Table], rows_per_part: int = 65_536, name: str = "raw"
) -> Examples:
    """Writes tables as an Examples artifact of Parquet parts.

    Args:
        where: a context (the artifact becomes its output `name`), or a folder that doesn't exist yet.
        tables: a table by split; all with the same columns of the types in `TYPES`.
        rows_per_part: how many rows each part holds; small numbers give many units of work.
        name: the output's name in the context.
    """
    draft = where.output(Examples, name) if isinstance(where, Context) else Draft(Examples, where)
    splits = {}
    for split, table in tables.items():
        (draft.path / split).mkdir()
        parts = []
        for number, start in enumerate(range(0, table.num_rows, rows_per_part)):
            piece = table.slice(start, rows_per_part)
            path = f"{split}/part-{number:05d}.parquet"
            write_parquet(piece, draft.path / path)
            parts.append({"path": path, "rows": piece.num_rows})
        splits[split] = {"rows": table.num_rows, "parts": parts}
    schema = next(iter(tables.values())).schema
    columns = {field.name: TYPES[field.type] for field in schema}
    return draft.finish(
        properties={"format": "parquet", "columns": columns, "splits": splits, "rejects": 0},
        summary={"rows": {split: table.num_rows for split, table in tables.items()}},
    )
