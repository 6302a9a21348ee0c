"""The columns of a Parquet file, read from its footer with the standard library alone.

The static check runs before anything heavy is imported, so it can't ask Arrow. Read is the beginning of the
footer: Thrift's compact protocol, struct FileMetaData, whose second field is the flat list of the schema's
elements (parquet-format, `parquet.thrift`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .sources import check_magic, damaged

_MOST_BYTES = 256 << 20
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_PHYSICAL = ("bool", "int", "int", "timestamp", "float", "float", "string", "")
_CONVERTED = {0: "string", 4: "string", 5: "float", 6: "timestamp", 7: "", 8: "", 9: "timestamp",
              10: "timestamp", 19: "string", 20: "", 21: ""}  # fmt: skip
_LOGICAL = {1: "string", 4: "string", 5: "float", 6: "timestamp", 7: "", 8: "timestamp", 11: "",
            12: "string", 13: "", 14: "", 15: "float"}  # fmt: skip
_BROKEN = (
    IndexError, ValueError, KeyError, TypeError, AttributeError, StopIteration, RuntimeError, struct.error
)  # fmt: skip
"""What comes of values of another type, or fewer of them, than the schema's elements should have."""
_REPEATED = 2
_CONVERTED_LIST, _LOGICAL_LIST = 3, 3


def read_columns(path: Path) -> dict[str, str]:
    """The names of a file's columns, with the type that each will get; "" where it takes more to tell.

    Raises:
        DataError: the file is no Parquet file, or damaged.
    """
    check_magic(path)
    with path.open("rb") as stream:
        end = stream.seek(-8, 2)
        length = int.from_bytes(stream.read(4), "little")
        if not 0 < length <= min(end, _MOST_BYTES):
            raise damaged(path, "the length of its footer can't be")
        stream.seek(end - length)
        footer = stream.read(length)
    try:
        return _columns(_Compact(footer).elements())
    except _BROKEN as error:
        raise damaged(path, f"its footer can't be read: {error!r}") from error


def _columns(elements: list[dict[int, Any]]) -> dict[str, str]:
    rest = iter(elements[1:])
    return {child[4].decode(): _kind(child, rest) for child in (next(rest) for _ in range(elements[0][5]))}


def _kind(element: dict[int, Any], rest: Iterator[dict[int, Any]]) -> str:
    """The type of an element; takes the elements below it from `rest`."""
    below = element.get(5, 0)
    if not below:
        return _leaf(element)
    kinds = [_kind(next(rest), rest) for _ in range(below)]
    is_list = element.get(6) == _CONVERTED_LIST or _LOGICAL_LIST in element.get(10, {})
    if element.get(3) == _REPEATED:  # the group between a list and its elements
        return kinds[0] if below == 1 else ""
    return {"int": "ints", "float": "floats", "string": "strings"}.get(kinds[0], "") if is_list else ""


def _leaf(element: dict[int, Any]) -> str:
    for logical in element.get(10, {}):
        if logical in _LOGICAL:
            return _LOGICAL[logical]
    if element.get(6) in _CONVERTED:
        return _CONVERTED[element[6]]
    return _PHYSICAL[element[1]]


class _Compact:
    """A reader of Thrift's compact protocol: structs as `{field: value}`."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def elements(self) -> list[dict[int, Any]]:
        """The second field of the outermost struct."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            value = self._value(head & 15)
            if field == 2:
                return list(value)
        raise ValueError("there is no schema")

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _take(self, length: int) -> bytes:
        if length > len(self._content) - self._at:
            raise ValueError("it is cut short")
        self._at += length
        return self._content[self._at - length : self._at]

    def _value(self, kind: int, in_list: bool = False) -> Any:
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE if in_list else kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind == _DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in (_LIST, _SET):
            head = self._byte()
            size = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15, True) for _ in range(size)]
        if kind == _STRUCT:
            return self._struct()
        raise ValueError(f"type {kind} isn't known")

    def _struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            fields[field] = self._value(head & 15)
        return fields
