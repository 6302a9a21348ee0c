"""The tables that headrace and its peers are compared on: housing, and drawn ones with the awkward cases."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

ROW = "row"
"""The number of the row, int64: a column of each table, by which outputs are brought into one order."""
AWKWARD = [
    " ",
    "  leading",
    "trailing ",
    "tab\there",
    '"quoted"',
    "a,b",
    "a|b",
    "NaN",
    "None",
    "-1",
    "0",
    "é",
    "e\u0301",
    "ß",
    "SS",
    "ﬀ",
    "\uffff",
    "\U0001f600",
    "\U00010000",
    "京都",
    "Köln",
    "\u200b",
    "\x7f",
    "\u00a0",
    "x" * 300,
]


def housing(path: str | Path) -> pa.Table:
    """The California housing data: floats (one of them with missing values) and a string."""
    table = pyarrow.csv.read_csv(path)
    return table.append_column(ROW, pa.array(np.arange(table.num_rows)))


def drawn(seed: int, rows: int = 5_000) -> pa.Table:
    """A table of one seed: what a mean, a vocabulary, a hash or a bucket could get wrong."""
    draw = np.random.default_rng(seed)
    words = _words(draw, 400)
    gaps = draw.random(rows) < 0.1
    columns: dict[str, Any] = {
        "normal": draw.normal(size=rows),
        "lognormal": draw.lognormal(3, 2, rows),
        "shifted": 1e6 + draw.normal(size=rows),
        "large": draw.normal(size=rows) * 1e15,
        "small": draw.normal(size=rows) * 1e-12,
        "constant": np.full(rows, 0.1),
        "zeros": draw.choice([-0.0, 0.0, 1.0, -1.0], rows),
        "steps": draw.integers(0, 7, rows) / 4,
        "gaps": pa.array(draw.lognormal(1, 1, rows), mask=gaps),
        "whole": draw.integers(-(2**40), 2**40, rows),
        "digits": draw.integers(-50, 50, rows),
        "ties": [words[i] for i in draw.integers(0, len(words), rows)],
        "skewed": [words[i] for i in np.minimum(draw.zipf(1.3, rows) - 1, len(words) - 1)],
        "awkward": [AWKWARD[i] for i in draw.integers(0, len(AWKWARD), rows)],
        "sparse": pa.array([words[i] for i in draw.integers(0, 50, rows)], mask=gaps),
        "pairs": [f"{i // 15:06d}" for i in draw.permutation(rows)],
    }
    return pa.table({**columns, ROW: np.arange(rows)})


def _words(draw: np.random.Generator, count: int) -> list[str]:
    """Distinct words out of letters of one to four bytes, whose order differs in UTF-8 and UTF-16."""
    letters = [*string.ascii_letters, "ä", "é", "Ω", "京", "都", "\uff21", "\U0001f600", "\U00010348"]
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(draw.choice(letters, draw.integers(1, 6))))
    return sorted(found)
