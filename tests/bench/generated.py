"""Generated tables for benchmarks: the same bytes for the same arguments, made in pieces of bounded size.

python tests/bench/generated.py table.csv --rows 1500000            # 18 mixed columns
python tests/bench/generated.py wide.csv --rows 50000 --columns 2000
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

PIECE_CELLS = 4_000_000
"""Cells that are made at once, so that memory doesn't grow with the table."""
LABEL = {"y": "z_score"}
CATEGORIES = {"c4": 4, "c50": 50, "c1000": 1_000, "c20000": 20_000}


def mixed_features() -> dict[str, Any]:
    """A feature for each of the mixed columns but the label."""
    made: dict[str, Any] = dict.fromkeys(("normal", "uniform", "price"), "z_score")
    made |= {"lognormal": ["log1p", "z_score"], "exponential": {"bucketize": 10}}
    made |= {"gap": [{"impute": "median"}, "log1p", "z_score"]}
    made |= {"age": "min_max", "count": "z_score", "year": "z_score", "id": "min_max"}
    made |= {"c4": "one_hot", "c50": "one_hot", "c1000": "vocabulary"}
    made |= {"c20000": {"vocabulary": {"top_k": 5000}}, "skewed": {"hash": 100}}
    return made | {"member": "z_score", "when": {"hash": 100}}


def mixed_piece(piece: int, rows: int, seed: int = 0) -> pa.Table:
    """Rows of the mixed table: 6 floats, 4 ints, 5 categories, a bool, a time as text, a label."""
    draw = np.random.default_rng([seed, piece])
    normal = draw.normal(size=rows)
    columns: dict[str, Any] = {
        "normal": normal.round(6),
        "uniform": draw.random(rows).round(6),
        "lognormal": draw.lognormal(3, 2, rows).round(4),
        "exponential": draw.exponential(2, rows).round(5),
        "gap": pa.array(draw.lognormal(size=rows).round(5), mask=draw.random(rows) < 0.05),
        "price": (draw.integers(100, 100_000, rows) / 100).round(2),
        "age": draw.integers(0, 100, rows),
        "count": draw.poisson(3, rows),
        "year": draw.integers(1900, 2027, rows),
        "id": draw.integers(0, 10**12, rows),
    }
    for name, size in CATEGORIES.items():
        columns[name] = _words(name, size, draw.integers(0, size, rows))
    columns["skewed"] = _words("skewed", 5_000, np.minimum(draw.zipf(1.5, rows), 5_000) - 1)
    columns["member"] = pa.array(draw.random(rows) < 0.3)
    seconds = draw.integers(0, 3 * 365 * 86400, rows) + np.datetime64("2023-01-01").astype("M8[s]")
    columns["when"] = pa.array(np.datetime_as_string(seconds.astype("M8[s]")))
    columns["y"] = (2 * normal + draw.normal(size=rows) * 0.1).round(6)
    return pa.table(columns)


def plain_piece(piece: int, rows: int, columns: int, seed: int = 0) -> pa.Table:
    """Rows of a table of numbers alone: `x0` …, of two distributions in turn, and the label `y`."""
    draw = np.random.default_rng([seed, piece])
    values = draw.normal(size=(columns - 1, rows)).round(4)
    values[1::2] = np.abs(values[1::2] * 250).round()
    named: dict[str, Any] = {
        f"x{i}": own if i % 2 == 0 else own.astype(np.int64) for i, own in enumerate(values)
    }
    return pa.table(named | {"y": draw.normal(size=rows).round(4)})


def plain_features(columns: int) -> dict[str, Any]:
    """A z-score for each column of a table of numbers."""
    return {f"x{i}": "z_score" for i in range(columns - 1)}


def pieces(rows: int, columns: int = 0, seed: int = 0) -> Iterator[pa.Table]:
    """The table in pieces; the mixed one where `columns` is 0."""
    size = max(PIECE_CELLS // (columns or 18), 1)
    for piece, start in enumerate(range(0, rows, size)):
        count = min(size, rows - start)
        yield plain_piece(piece, count, columns, seed) if columns else mixed_piece(piece, count, seed)


def write_csv(path: Path, rows: int, columns: int = 0, seed: int = 0) -> None:
    """Writes the table; see `pieces`."""
    writer: Any = None
    for table in pieces(rows, columns, seed):
        writer = writer or pyarrow.csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def _words(name: str, size: int, numbers: Any) -> pa.Array:
    words = pa.array([f"{name}-{i}" for i in range(size)])
    return words.take(pa.array(numbers))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--columns", type=int, default=0)
    asked = parser.parse_args()
    write_csv(asked.path, asked.rows, asked.columns)
