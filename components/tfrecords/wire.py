"""Protobuf's wire format, followed in many messages at once with NumPy.

Only the usual form of a message is read here; whatever else protobuf allows raises `UnusualError`, which
names the records that have to go through the protobuf library.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

FIRST, SECOND = 0x0A, 0x12
"""Tags of fields 1 and 2 where they are length-delimited."""
_FEW, _MANY_STEPS = 16, 64


class Parts(NamedTuple):
    """Parts of messages: the message each is of, int64 [m], and where it starts and ends, ascending."""

    owner: Any
    start: Any
    end: Any

    def where(self, chosen: Any) -> Parts:
        """Some of them."""
        return Parts(self.owner[chosen], self.start[chosen], self.end[chosen])


class UnusualError(Exception):
    """Records, by index, that have to go through protobuf first."""

    def __init__(self, records: Any) -> None:
        super().__init__()
        self.records = np.unique(records).tolist()


def refuse(owner: Any, unusual: Any) -> None:
    """Raises UnusualError for the owners, int64 [m], of what is unusual, bool [m], if anything is."""
    if unusual.any():
        raise UnusualError(owner[unusual])


def _lengths(data: Any, at: Any) -> tuple[Any, Any]:
    """The varints at some places, of up to five bytes, and the places behind them.

    One of more bytes gets a value that no length is.
    """
    value = data[np.minimum(at, len(data) - 1)].astype(np.int64)
    behind = at + 1
    more = np.flatnonzero(value > 127)
    value[more] &= 127
    for shift in (7, 14, 21, 28):
        if not len(more):
            return value, behind
        byte = data[np.minimum(behind[more], len(data) - 1)].astype(np.int64)
        value[more] |= (byte & 127) << shift
        behind[more] += 1
        more = more[byte > 127]
    value[more] = 1 << 40
    return value, behind


def delimited(data: Any, parts: Parts, at: Any, tag: int) -> tuple[Parts, Any]:
    """The one field that begins at `at` in each message, and the places behind it."""
    here = data[np.minimum(at, len(data) - 1)]
    length, start = _lengths(data, at + 1)
    end = start + length
    refuse(parts.owner, (at >= parts.end) | (here != tag) | (end > parts.end))
    return Parts(parts.owner, start, end), end


def repeated(data: Any, parts: Parts) -> Parts:
    """All fields of messages that hold nothing but field 1, length-delimited.

    Args:
        data: uint8 [bytes].
        parts: the messages, none of them empty.
    """
    found: list[Parts] = []
    number, at = np.arange(len(parts.owner)), parts.start
    while len(number):
        if len(number) < _FEW and len(found) > _MANY_STEPS:  # a few long lists: one by one is faster
            found += [_scalar(data, parts, int(n), int(place)) for n, place in zip(number, at, strict=True)]
            break
        limit = parts.end[number]
        length, start = _lengths(data, at + 1)
        end = start + length
        unusual = (data[at] != FIRST) | (end > limit)
        refuse(parts.owner[number], unusual)
        found.append(Parts(number, start, end))
        more = np.flatnonzero(end < limit)
        number, at = number[more], end[more]
    if not found:
        none = np.empty(0, np.int64)
        return Parts(none, none, none)
    owner, start, end = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    if len(found) > 1:
        order = np.argsort(start, kind="stable")
        owner, start, end = owner[order], start[order], end[order]
    return Parts(parts.owner[owner], start, end)


def _scalar(data: Any, parts: Parts, number: int, at: int) -> Parts:
    """The fields of one message from `at` on."""
    limit = int(parts.end[number])
    base, content = at, data[at:limit].tobytes()
    starts, ends = [], []
    place, size = 0, len(content)
    while place < size:
        tag, shift, length = content[place], 0, 0
        place += 1
        while place < size and shift < 35:
            byte = content[place]
            place += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            length = size
        if tag != FIRST or place + length > size:
            raise UnusualError(parts.owner[number : number + 1])
        starts.append(base + place)
        place += length
        ends.append(base + place)
    return Parts(np.full(len(starts), number), np.array(starts, np.int64), np.array(ends, np.int64))


def gathered(data: Any, parts: Parts) -> pa.Array:
    """The bytes of parts that follow each other, large_binary [m]."""
    count = len(parts.owner)
    if not count:
        return pa.array([], pa.large_binary())
    # The parts and what lies between them are one array in the data as it is; Arrow copies every other one.
    bounds = np.column_stack([parts.start, parts.end]).reshape(-1).astype(np.int64)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    both = pa.Array.from_buffers(pa.large_binary(), 2 * count - 1, buffers)
    return both.take(pa.array(np.arange(0, 2 * count, 2)))
