"""Where the rows of a CSV file end, exactly, found in blocks that know nothing of each other.

A newline ends a row unless it stands in a quoted field, and whether it does depends on every quote before
it. So each block is looked at for each of the three states in which it may begin, and the driver folds the
blocks in their order. The states are those of RFC 4180 as Arrow's parser reads it: a quote opens a field
only where a field begins, a doubled quote inside is one quote, and a quote amid an unquoted field is text.
Each quote is a function from state to state; a prefix composition of these functions (a table of 27 by 27,
in about 2·√n vector steps) gives the state after every quote without a loop over quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

OUTSIDE, INSIDE, CLOSED = 0, 1, 2
"""Not in quotes; in quotes; just after a quote that closes, unless another one follows at once."""

_LF, _CR = 10, 13
_PIECE = 1 << 17
_HEAD = 256
"""Quotes after which a well-formed block's state is known, whatever it was at the beginning."""
_IDENTITY = 0 + 3 * 1 + 9 * 2
_DIGITS = np.array([[c % 3, c // 3 % 3, c // 9] for c in range(27)], np.uint8)
_COMPOSE = np.array(
    [[sum(int(_DIGITS[g][_DIGITS[f][s]]) * 3**s for s in range(3)) for g in range(27)] for f in range(27)],
    np.uint8,
)


def _code(outside: int, inside: int, closed: int) -> int:
    return outside + 3 * inside + 9 * closed


_AMID = _code(OUTSIDE, CLOSED, OUTSIDE)
_AT_FIELD_START = _code(INSIDE, CLOSED, INSIDE)
_AFTER_QUOTE = _code(OUTSIDE, CLOSED, INSIDE)
assert len(set(product(range(3), repeat=3))) == len(_COMPOSE)


@dataclass(frozen=True)
class BlockScan:
    """What one block tells, for each of the three states in which it may begin.

    Attributes:
        offset, size: the block's place in the file, in bytes.
        lines: how many line ends the block holds, in quotes or not.
        end_state: the state behind the block.
        rows: how many rows end in the block.
        first_end: the place just behind the first row end, relative to the block; -1 if there is none.
        last_end: the place just behind the last row end, likewise.
        lines_to_end: how many line ends there are up to that place.
    """

    offset: int
    size: int
    lines: int
    end_state: tuple[int, int, int]
    rows: tuple[int, int, int]
    first_end: tuple[int, int, int]
    last_end: tuple[int, int, int]
    lines_to_end: tuple[int, int, int]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> BlockScan:
        """The other way of `dataclasses.asdict`, through JSON."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**fields)


@dataclass(frozen=True)
class Cut:
    """A range of whole rows.

    Attributes:
        start, end: bytes in the file.
        line: the number, from 1, of the line in which it starts.
        plain: whether every line end in it ends a row, so that quotes need not be looked at again.
    """

    start: int
    end: int
    line: int
    plain: bool = False


def line_ends(content: bytes, after: int = -1) -> Any:
    """Positions, int64 [lines], of the last byte of each line end: LF, CRLF, or CR alone.

    Args:
        content: the bytes.
        after: the byte that follows them, or -1 at the end of the file.
    """
    data = np.frombuffer(content, np.uint8)
    feeds = positions(data, _LF)
    if b"\r" not in content:
        return feeds
    returns = positions(data, _CR)
    following = np.append(data, np.uint8(_LF if after == _LF else 0))[returns + 1]
    alone = returns[following != _LF]
    return np.sort(np.concatenate([feeds, alone]), kind="stable") if len(alone) else feeds


def positions(data: Any, byte: int) -> Any:
    """Where `byte` stands in uint8 [n], int64, ascending."""
    # In pieces, whose masks stay in the processor's cache and need no fresh memory.
    pieces = [
        np.flatnonzero(data[begin : begin + _PIECE] == byte) + begin for begin in range(0, len(data), _PIECE)
    ]
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def quote_states(data: Any, delimiter: int, quote: int, before: int = -1) -> tuple[Any, Any]:
    """The quotes of a block and the states behind them.

    Args:
        data: uint8 [n].
        delimiter, quote: single bytes; quote -1 where the file knows no quoting.
        before: the byte before `data`, or -1 where a row begins.

    Returns:
        Positions int64 [q], and states uint8 [q, 3]: behind each quote, for each state at the beginning.
    """
    places = positions(data, quote) if quote >= 0 else np.empty(0, np.int64)
    if not len(places):
        return places, np.empty((0, 3), np.uint8)
    kinds = np.full(256, _AMID, np.uint8)
    kinds[[delimiter, _LF, _CR]] = _AT_FIELD_START
    kinds[quote] = _AFTER_QUOTE
    first = kinds[before] if before >= 0 else _AT_FIELD_START
    states = np.empty((3, len(places)), np.uint8)
    head = min(len(places), _HEAD)
    states[:, :head] = _DIGITS[_prefix(_codes(data, places[:head], kinds, first))].T
    if head < len(places):
        met = set(states[:, head - 1].tolist())
        simple = _alternating(data, places, head, met.pop(), kinds) if len(met) == 1 else None
        if simple is None:
            states[:] = _DIGITS[_prefix(_codes(data, places, kinds, first))].T
        else:
            states[:, head:] = simple
    return places, states.T


def _codes(data: Any, places: Any, kinds: Any, first: int) -> Any:
    """The function of each quote, uint8 [q], by the byte before it; `first` if a quote is the first byte."""
    codes = kinds[data[np.maximum(places - 1, 0)]]
    if places[0] == 0:
        codes[0] = first
    return codes


def _alternating(data: Any, places: Any, head: int, state: int, kinds: Any) -> Any:
    """States, uint8 [q - head], behind the quotes from `head` on, or None where that is less simple.

    A quote inside closes whatever is before it. So if every other quote is one that opens or doubles, states
    alternate. In well-formed files the three states meet after a few quotes and it is so.
    """
    first = head + int(state == INSIDE)
    openers = kinds[data[places[first::2] - 1]]
    if (openers == _AMID).any() or (state == OUTSIDE and openers[:1] != _AT_FIELD_START):
        return None
    states = np.full(len(places) - head, CLOSED, np.uint8)
    states[first - head :: 2] = INSIDE
    return states


def _prefix(codes: Any) -> Any:
    """Prefix compositions, uint8 [n], of state functions given as codes uint8 [n]."""
    length = max(1, int(np.sqrt(len(codes))))
    groups = -(-len(codes) // length)
    padded = np.full(groups * length, _IDENTITY, np.uint8)
    padded[: len(codes)] = codes
    steps = padded.reshape(groups, length).T.copy()
    for step in range(1, length):
        steps[step] = _COMPOSE[steps[step - 1], steps[step]]
    so_far = np.full(groups, _IDENTITY, np.uint8)
    for group in range(1, groups):
        so_far[group] = _COMPOSE[so_far[group - 1], steps[-1, group - 1]]
    return _COMPOSE[so_far[None, :], steps].T.reshape(-1)[: len(codes)]


def row_ends(
    content: bytes, delimiter: int, quote: int, state: int = OUTSIDE, before: int = -1, after: int = -1
) -> Any:
    """Positions, int64 [rows], of the last byte of each row end in a block that begins in `state`."""
    ends = line_ends(content, after)
    places, states = quote_states(np.frombuffer(content, np.uint8), delimiter, quote, before)
    return ends[_outside(np.searchsorted(places, ends), states, state)]


def _outside(quotes: Any, states: Any, start: int) -> Any:
    """Whether a place is outside of quotes, bool, by the number of quotes before it."""
    outside: Any = np.concatenate([[start], states[:, start]])[quotes] != INSIDE
    return outside


def scan_block(
    content: bytes, offset: int, delimiter: int, quote: int, before: int = -1, after: int = -1
) -> BlockScan:
    """Looks at one block.

    Args:
        content: the block's bytes.
        offset: its place in the file.
        delimiter, quote: single bytes; quote -1 for none.
        before, after: the neighbouring bytes; -1 where there is none that counts.
    """
    data = np.frombuffer(content, np.uint8)
    ends = line_ends(content, after)
    places, states = quote_states(data, delimiter, quote, before)
    quotes = np.searchsorted(places, ends)
    behind, rows, firsts, lasts, lines = [], [], [], [], []
    for start in (OUTSIDE, INSIDE, CLOSED):
        behind.append(int(states[-1, start]) if len(places) else start)
        numbers = np.flatnonzero(_outside(quotes, states, start))
        rows.append(len(numbers))
        firsts.append(int(ends[numbers[0]]) + 1 if len(numbers) else -1)
        lasts.append(int(ends[numbers[-1]]) + 1 if len(numbers) else -1)
        lines.append(int(numbers[0]) + 1 if len(numbers) else 0)
    return BlockScan(
        offset,
        len(content),
        len(ends),
        _three(behind),
        _three(rows),
        _three(firsts),
        _three(lasts),
        _three(lines),
    )


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    return values[0], values[1], values[2]


@dataclass(frozen=True)
class Folded:
    """The blocks of a file, put together.

    Attributes:
        cuts: ranges of whole rows that cover the file from its first row to its end.
        states: the state in which each block begins.
        rows: how many rows end in each block.
        all_rows: how many rows there are; the last one may lack its line end. Blank lines count.
        open_quote: whether the file ends in a quoted field.
    """

    cuts: tuple[Cut, ...]
    states: tuple[int, ...]
    rows: tuple[int, ...]
    all_rows: int
    open_quote: bool


def fold_blocks(scans: Sequence[BlockScan], line: int) -> Folded:
    """Puts the scans of a file's consecutive blocks together; `line` is the first row's line number."""
    if not scans:
        return Folded((), (), (), 0, False)
    state = OUTSIDE
    states, rows, cuts = [], [], []
    begin, begin_line, lines = scans[0].offset, line, line
    tail, begin_rows = begin, 0
    for number, scan in enumerate(scans):
        states.append(state)
        rows.append(scan.rows[state])
        if number and scan.first_end[state] >= 0:
            end, end_line = scan.offset + scan.first_end[state], lines + scan.lines_to_end[state]
            end_rows = sum(rows[:-1]) + 1
            cuts.append(Cut(begin, end, begin_line, end_rows - begin_rows == end_line - begin_line))
            begin, begin_line, begin_rows = end, end_line, end_rows
        if scan.rows[state]:
            tail = scan.offset + scan.last_end[state]
        lines += scan.lines
        state = scan.end_state[state]
    end = scans[-1].offset + scans[-1].size
    if begin < end:
        cuts.append(Cut(begin, end, begin_line, sum(rows) - begin_rows == lines - begin_line))
    unended = int(tail < end)
    return Folded(tuple(cuts), tuple(states), tuple(rows), sum(rows) + unended, state == INSIDE)


def block_ranges(start: int, size: int, block_bytes: int) -> Iterator[tuple[int, int]]:
    """Offsets and lengths of the blocks from `start` to `size`."""
    for offset in range(start, size, block_bytes):
        yield offset, min(block_bytes, size - offset)


def last_opening(content: bytes, delimiter: int, quote: int, state: int, before: int) -> int:
    """The place of the last quote that opens a field in a block that begins in `state`, or -1."""
    data = np.frombuffer(content, np.uint8)
    places, states = quote_states(data, delimiter, quote, before)
    if not len(places):
        return -1
    behind = states[:, state]
    ahead = np.concatenate([np.array([state], np.uint8), behind[:-1]])
    previous = np.where(places > 0, data[np.maximum(places - 1, 0)], before)
    opening = (behind == INSIDE) & (ahead != INSIDE) & ~((ahead == CLOSED) & (previous == quote))
    return int(places[np.flatnonzero(opening)[-1]]) if opening.any() else -1
