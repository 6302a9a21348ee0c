"""From the bytes of whole rows to columns of cells, and which rows can't be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ..ingestion.rejects import Reject
from .boundaries import line_ends, row_ends
from .prepare import TableFile
from .sources import Dialect, encoding_remedy

_TEXT_BYTES = 2000


@dataclass(frozen=True)
class Unit:
    """A range of whole rows of one file.

    Attributes:
        number: the unit's place among all units of the step, from 0.
        file: the file.
        start, end: bytes.
        line: the line number of the first row.
        plain: whether every line end ends a row, see `Cut`.
    """

    number: int
    file: TableFile
    start: int
    end: int
    line: int
    plain: bool = False

    def read(self) -> bytes:
        """The unit's bytes."""
        with open(self.file.path, "rb") as stream:  # noqa: PTH123 - a plain open, called once a unit
            stream.seek(self.start)
            return stream.read(self.end - self.start)


@dataclass
class Cells:
    """The rows of a unit as text.

    Attributes:
        table: a string column for each column of the file; missing values are null.
        rows_in: rows that the unit holds, blank lines and empty rows left out, counted apart from Arrow.
        rejects: rows that are not in `table`.
        kept: the number, within the unit, of each row of `table`; None where all were kept.
    """

    table: pa.Table
    rows_in: int
    rejects: list[Reject]
    places: Places
    kept: Any = None

    def numbers(self, indices: Any) -> Any:
        """Row numbers within the unit of rows of `table`, int64."""
        return indices if self.kept is None else self.kept[indices]

    def lines(self) -> Any:
        """The line of each row of `table`, int64."""
        lines = self.places.lines()
        return lines if self.kept is None else lines[self.kept]

    def reject(self, index: int, reason: str, remedy: str) -> Reject:
        """A Reject for row `index` of `table`."""
        return self.places.reject(int(self.numbers(np.array([index]))[0]), reason, remedy)


@dataclass
class Places:
    """Where each row of a unit is, found only if somebody asks.

    Attributes:
        starts, ends: byte ranges, int64 [rows], of the rows that aren't blank, line ends included.
        empty: how many rows of delimiters alone were left out beside the blank lines.
        blank: whether blank lines were left out.
    """

    unit: Unit
    content: bytes
    starts: Any
    ends: Any
    empty: int = 0
    blank: bool = False
    _lines: Any = field(default=None)

    def line(self, row: int) -> int:
        """The line number of a row."""
        if self._lines is None:
            self._lines = line_ends(self.content)
        return self.unit.line + int(np.searchsorted(self._lines, int(self.starts[row])))

    def lines(self) -> Any:
        """The line numbers of all rows, int64."""
        if self.unit.plain and not self.blank and not self.empty:
            return self.unit.line + np.arange(len(self.starts), dtype=np.int64)
        if self._lines is None:
            self._lines = line_ends(self.content)
        return self.unit.line + np.searchsorted(self._lines, self.starts).astype(np.int64)

    def text(self, row: int) -> str:
        """The raw text of a row."""
        raw = self.content[int(self.starts[row]) : int(self.ends[row])].rstrip(b"\r\n")
        return raw[:_TEXT_BYTES].decode("utf-8", "backslashreplace")

    def reject(self, row: int, reason: str, remedy: str = "") -> Reject:
        """A Reject for a row."""
        return Reject(self.unit.file.name, self.line(row), reason, remedy, self.text(row))

    def rows(self, numbers: Any) -> bytes:
        """The bytes of some rows, ascending."""
        steps = np.zeros(len(self.content) + 1, np.int8)
        steps[self.starts[numbers]] += 1
        steps[self.ends[numbers]] -= 1
        wanted = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
        chosen: bytes = np.frombuffer(self.content, np.uint8)[wanted].tobytes()
        return chosen

    def row_at(self, offset: int) -> int:
        """The row that holds a byte."""
        return int(np.searchsorted(self.ends, offset, side="right"))


def read_cells(
    unit: Unit, columns: tuple[str, ...], dialect: Dialect, encoding: str, max_rejects: int
) -> Cells:
    """Parses a unit.

    Args:
        unit: which rows.
        columns: the names of the columns.
        dialect: how cells are written.
        encoding: as the user gave it, for messages.
        max_rejects: how many rejected rows are tolerated.

    Raises:
        DataError: more rows can't be read than `max_rejects`.
    """
    content = unit.read()
    places = find_rows(unit, content, dialect, len(columns))
    bad = _unreadable(places, encoding, max_rejects)
    good = content
    kept = np.arange(len(places.starts))
    if bad:
        kept = np.delete(kept, list(bad))
    if bad or places.empty:
        good = places.rows(kept)
    invalid: list[tuple[int, int]] = []
    table = _parse(good, columns, dialect, invalid)
    for number, actual in invalid:
        what = f"the row has {actual} fields, and there are {len(columns)} columns"
        row = int(kept[number - 1])
        bad[row] = places.reject(row, what, "add or remove delimiters, or quote the cell that holds one")
    rejects = [bad[row] for row in sorted(bad)]
    if len(rejects) > max_rejects:
        raise rejects[max_rejects].error(max_rejects)
    kept = np.delete(kept, [number - 1 for number, _ in invalid]) if invalid else kept
    if len(kept) != table.num_rows:
        raise RuntimeError(
            f"{unit.file.name}: {len(kept)} rows lie between bytes {unit.start} and {unit.end}, "
            f"and {table.num_rows} were parsed"
        )
    return Cells(table, len(places.starts), rejects, places, kept if rejects else None)


def find_rows(unit: Unit, content: bytes, dialect: Dialect, columns: int) -> Places:
    """Where the rows of `content` are, blank lines and rows of empty cells alone left out."""
    data = np.frombuffer(content, np.uint8)
    quoted = bool(dialect.quote) and not unit.plain and dialect.quote.encode() in content
    quote = dialect.quote_byte if quoted else -1
    ends = row_ends(content, dialect.delimiter_byte, quote) + 1
    if not len(ends) or ends[-1] < len(data):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    first = data[starts]
    blank = (first == 10) | (first == 13)
    if some := bool(blank.any()):
        starts, ends = starts[~blank], ends[~blank]
    empty = _empty_rows(data, starts, ends, dialect, columns)
    if len(empty):
        starts, ends = np.delete(starts, empty), np.delete(ends, empty)
    return Places(unit, content, starts, ends, len(empty), some)


def _empty_rows(data: Any, starts: Any, ends: Any, dialect: Dialect, columns: int) -> Any:
    """The numbers of rows of two cells or more in which all cells are empty or blank, and unquoted.

    Spreadsheets write such rows below a table. One with a wrong number of cells is left to be refused.
    """
    sign = dialect.delimiter_byte
    empty = np.zeros(256, bool)
    empty[[sign, 9, 10, 13, 32]] = True
    # The first two bytes and the last one tell of nearly every row that it isn't empty.
    maybe = np.flatnonzero(empty[data[starts]])
    maybe = maybe[empty[data[np.minimum(starts[maybe] + 1, len(data) - 1)]] & empty[data[ends[maybe] - 1]]]
    if columns < 2 or not len(maybe):
        return np.empty(0, np.int64)
    bounds = np.stack([starts[maybe], ends[maybe]], axis=1).reshape(-1)
    signs = np.append(data == sign, False)
    other = ~np.append(empty[data], True)
    full = np.logical_or.reduceat(other, bounds)[::2]
    cells = np.add.reduceat(signs, bounds, dtype=np.int64)[::2] + 1
    return maybe[~full & (cells == columns)]


def _unreadable(places: Places, encoding: str, max_rejects: int) -> dict[int, Reject]:
    """Rows with NUL bytes, or with bytes that aren't UTF-8; no more than there is use in finding."""
    bad: dict[int, Reject] = {}
    content = places.content
    if content.isascii() and b"\0" not in content:
        return bad
    offset = content.find(b"\0")
    while offset >= 0 and len(bad) <= max_rejects:
        row = places.row_at(offset)
        hint = "if every second byte is NUL the file is UTF-16: encoding: utf-16"
        bad[row] = places.reject(row, "the row holds a NUL byte", hint)
        offset = content.find(b"\0", int(places.ends[row]))
    begin = 0
    undecodable = 0
    while begin < len(content) and undecodable <= max_rejects:
        try:
            content[begin:].decode("utf-8") if begin else content.decode("utf-8")
            break
        except UnicodeDecodeError as error:
            row = places.row_at(begin + error.start)
            value = content[begin + error.start : begin + error.end].hex(" ")
            reason = f"the bytes {value} are not {encoding} text"
            bad.setdefault(row, places.reject(row, reason, encoding_remedy(encoding)))
            begin = int(places.ends[row])
            undecodable += 1
    return bad


def _parse(
    content: bytes, columns: tuple[str, ...], dialect: Dialect, invalid: list[tuple[int, int]]
) -> pa.Table:
    """Arrow's parser over whole rows; invalid rows go to `invalid` as (number from 1, fields)."""
    if content[:1] in (b"", b"\r", b"\n") and not content.strip(b"\r\n"):
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    quoted = bool(dialect.quote) and dialect.quote.encode() in content
    names = [f"c{place}" for place in range(len(columns))]

    def skip(row: Any) -> str:
        invalid.append((row.number, row.actual_columns))
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        # One block, so that numbers of invalid rows count from the unit's beginning.
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(content) + 1
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote if quoted else False,
            newlines_in_values=quoted,
            invalid_row_handler=skip,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            check_utf8=False,  # done for the whole unit at once
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(dialect.missing),
            strings_can_be_null=True,
        ),
    )
    return table.combine_chunks().rename_columns(list(columns))
