"""tf.Example encoding of whole batches, without TensorFlow and without a loop over rows.

All records of a layout have one length. A template record is made once, broadcast to `[n, length]`, and
the values are written over it: floats as they are, integers as varints padded to a fixed number of
bytes, which protobuf allows and every parser reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .layout import Field

EXAMPLE, ENTRY = b"\x0a", b"\x0a"
"""The tags of the features in a tf.Example, and of each of them in these."""
_KEY, _VALUE = 0x0A, 0x12
_LIST = {"bytes": 0x0A, "float32": 0x12, "int64": 0x1A}
_VALUES = 0x0A
FULL_VARINT = 10
"""The bytes of a varint that may be any int64."""


class RecordTemplate:
    """Encodes batches of one layout.

    Args:
        fields: the tf.Example features of a record, images not among them; they are stored in the order of
            their keys.

    Attributes:
        head: the bytes of a record before its first feature.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(sorted(fields, key=lambda field: field.key.encode()))
        template = bytearray()
        self._places: list[int] = []
        for field in self.fields:
            entry, offset = _entry(field)
            head = ENTRY + varint(len(entry))
            self._places.append(len(template) + len(head) + offset)
            template += head + entry
        head = EXAMPLE + varint(len(template))
        self.head = len(head)
        self._places = [place + self.head for place in self._places]
        self._template = np.frombuffer(head + bytes(template), np.uint8)

    def places(self) -> list[tuple[Field, int, int]]:
        """For each field where its values begin in a record, and how many bytes they take."""
        both = zip(self.fields, self._places, strict=True)
        return [(field, place, _value_bytes(field)) for field, place in both]

    @cached_property
    def length(self) -> int:
        """The bytes of a record."""
        return len(self._template)

    def encode(self, values: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Serialized tf.Examples.

        Args:
            values: by field key, float32 or int64 [n, width].

        Returns:
            uint8 [n, length].
        """
        count = len(next(iter(values.values())))
        records = np.empty((count, self.length), np.uint8)
        records[:] = self._template
        for field, place in zip(self.fields, self._places, strict=True):
            given = values[field.key]
            if field.dtype == "float32":
                flat = np.ascontiguousarray(given, "<f4").view(np.uint8)
                records[:, place : place + flat.shape[1]] = flat
                continue
            for i, size in enumerate(field.sizes):
                width = varint_width(size)
                _put_varints(records[:, place : place + width], given[:, i])
                place += width
        return records


def varint(value: int) -> bytes:
    """A non-negative integer as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_width(size: int) -> int:
    """The bytes that hold any id below `size`; for 0, any int64."""
    return len(varint(size - 1)) if size else FULL_VARINT


def _put_varints(target: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> None:
    """Writes int64 [n] as padded varints into uint8 [n, width]."""
    width = target.shape[1]
    rest = values.astype(np.int64).view(np.uint64)
    for i in range(width):
        last = i == width - 1
        target[:, i] = (rest & np.uint64(0x7F)).astype(np.uint8) | np.uint8(0 if last else 0x80)
        rest = rest >> np.uint64(7)
    if rest.any():
        raise ValueError(f"an id needs more than {width} bytes")


def _entry(field: Field) -> tuple[bytes, int]:
    """A map entry with zeros for values, and the offset of the first value in it."""
    size = _value_bytes(field)
    front = entry_front(field, size)
    return front + bytes(size), len(front)


def _value_bytes(field: Field) -> int:
    return 4 * field.width if field.dtype == "float32" else sum(map(varint_width, field.sizes))


@lru_cache(maxsize=256)
def map_front(field: Field, size: int) -> bytes:
    """What stands in a record before the `size` bytes of values of a field."""
    front = entry_front(field, size)
    return ENTRY + varint(len(front) + size) + front


def entry_front(field: Field, size: int) -> bytes:
    """What stands in a map entry before `size` bytes of values, packed or one string of bytes."""
    key = field.key.encode()
    values = bytes([_VALUES]) + varint(size)
    feature = bytes([_LIST[field.dtype]]) + varint(len(values) + size) + values
    head = bytes([_KEY]) + varint(len(key)) + key + bytes([_VALUE])
    return head + varint(len(feature) + size) + feature
