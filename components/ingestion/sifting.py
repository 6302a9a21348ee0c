"""From columns of values to the good rows, and the others with what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from .rejects import Reject
from .values import Bad, Values

_REMEDIES = {
    "infinite": "write a finite number or null",
    "beyond 64 bits": "types: {COLUMN: float} reads it as a float where the file has one",
    "UTF-8": "write UTF-8, or leave the column out with `columns`; types: {COLUMN: image} reads images",
    "used as an image": "mend the file, or leave the column out with `columns`",
    "several values": "types: {COLUMN: ints} (or floats, strings) reads lists",
}
_MOST_CELLS = 200


@dataclass(frozen=True)
class Rows:
    """Where rows are from, and how to show them.

    Attributes:
        file: as messages call it.
        first: the number, from 0, of the first of them in the file.
        count: how many there are.
        names: of all columns.
        shown: gives a cell, by column and row, as a message shows it.
        word: what a row is called.
        broken: rows that can't be read at all, with what is wrong; nothing else is said of these.
    """

    file: str
    first: int
    count: int
    names: tuple[str, ...]
    shown: Callable[[str, int], str]
    word: str = "row"
    broken: Mapping[int, str] = field(default_factory=dict)

    def reject(self, row: int, name: str, bad: Bad) -> Reject:
        """What is told of a row with a bad value."""
        remedy = next((remedy for part, remedy in _REMEDIES.items() if part in bad.what), "mend the value")
        what = f"column {name!r}: {self.shown(name, row)!r} {bad.what}"
        return self._reject(row, what, remedy.replace("COLUMN", name))

    def reject_broken(self, row: int) -> Reject:
        """What is told of a row that can't be read."""
        return self._reject(row, f"it {self.broken[row]}", f"write the {self.word} again")

    def _reject(self, row: int, what: str, remedy: str) -> Reject:
        number = self.first + row + 1
        cells = {name: self.shown(name, row) for name in self.names[:_MOST_CELLS]}
        text = json.dumps(cells, ensure_ascii=False)
        return Reject(self.file, number, f"{self.word} {number}: {what}", remedy, text)


@dataclass(frozen=True)
class Sifted:
    """The good rows, their numbers in the file, int64 [rows] from 1, and the bad ones."""

    rows: pa.Table
    numbers: Any
    rejects: list[Reject]


def sift(columns: Mapping[str, Values], source: Rows, max_rejects: int) -> Sifted:
    """Takes bad rows out.

    Raises:
        DataError: more rows are bad than are tolerated.
    """
    bad: dict[int, tuple[str, Bad] | None] = dict.fromkeys(list(source.broken)[: max_rejects + 1])
    for name, values in columns.items():
        for found in values.bad:
            for row in np.flatnonzero(found.mask)[: max_rejects + 1].tolist():
                bad.setdefault(row, (name, found))
    table = pa.table({name: values.array for name, values in columns.items()})
    numbers = source.first + 1 + np.arange(source.count)
    if not bad:
        return Sifted(table, numbers, [])
    told = ((row, bad[row]) for row in sorted(bad))
    rejects = [source.reject(row, *found) if found else source.reject_broken(row) for row, found in told]
    if len(rejects) > max_rejects:
        raise rejects[max_rejects].error(max_rejects)
    keep = np.ones(source.count, bool)
    keep[list(bad)] = False
    return Sifted(table.filter(pa.array(keep)), numbers[keep], rejects)
