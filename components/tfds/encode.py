"""Raw rows as serialized tf.Examples that TFDS parses. Runs on Beam's workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..images.admit import Limits, Refused, admit
from ..preprocessing.casting import serving_batch
from ..tfrecords.encoding import Fault, faults_of
from ..tfrecords.layout import Field
from ..tfrecords.tf_example import ENTRY, EXAMPLE, RecordTemplate, entry_front, varint
from ..transforms.base import MISSING_INT
from ..transforms.ragged import Ragged

_NUMBERS = {"float": "float32", "int": "int64", "bool": "int64", "timestamp": "int64"}
_REMEDY = "leave these rows out where they are ingested"
_VALUE = b"\x0a"
"""The tag of a string in a bytes_list."""


@dataclass
class ImageFacts:
    """What the images of a column are: [height, width] and formats, up to two of each, and channels."""

    sizes: list[list[int]] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)

    def add(self, other: ImageFacts) -> None:
        """Adds what else there is."""
        _extend(self.sizes, other.sizes, 2)
        _extend(self.channels, other.channels, 4)
        _extend(self.formats, other.formats, 2)


@dataclass
class Seen:
    """What the rows tell besides their records.

    Attributes:
        missing: by column of int, bool or timestamp, how many values are.
        images: by image column.
    """

    missing: dict[str, int] = field(default_factory=dict)
    images: dict[str, ImageFacts] = field(default_factory=dict)

    def add(self, told: Mapping[str, Any]) -> None:
        """Adds what another unit saw, as JSON values."""
        for name, count in told["missing"].items():
            self.missing[name] = self.missing.get(name, 0) + count
        for name, facts in told["images"].items():
            self.images.setdefault(name, ImageFacts()).add(ImageFacts(**facts))


T = TypeVar("T")


def _extend(known: list[T], more: Sequence[T], most: int) -> None:
    for value in more:
        if value not in known and len(known) < most:
            known.append(value)


@dataclass(frozen=True)
class RawEncoder:
    """Encodes batches of raw rows.

    Attributes:
        types: of the columns that are written.
        classes: by column of classes their names, in the order of their numbers.
    """

    types: Mapping[str, str]
    classes: Mapping[str, Sequence[str]]

    @cached_property
    def _numbers(self) -> dict[str, str]:
        """The columns of one number a row, with the dtype that is stored."""
        plain = {name: _NUMBERS[kind] for name, kind in self.types.items() if kind in _NUMBERS}
        single = {name: "int64" for name in self.classes if not self.types[name].endswith("s")}
        return {**plain, **single}

    @cached_property
    def _template(self) -> RecordTemplate:
        fields = []
        for name, dtype in self._numbers.items():
            # A class's number may be -1, which takes the bytes of any int64.
            fields.append(Field(name, "float32" if dtype == "float32" else "int64", (0,)))
        return RecordTemplate(fields)

    def records(self, batch: pa.RecordBatch, seen: Seen) -> tuple[Iterator[bytes], list[Fault]]:
        """Serialized tf.Examples; what is wrong with the rows, and then there are none.

        Args:
            batch: raw rows.
            seen: is told of images and of missing values.
        """
        columns = serving_batch(batch, {n: k for n, k in self.types.items() if k != "image"})
        faults: list[Fault] = []
        numbers = {name: self._number(name, columns[name], seen)[:, None] for name in self._numbers}
        others: list[Sequence[bytes]] = []
        for name, kind in self.types.items():
            if kind == "image":
                files, wrong = _images(name, batch.column(name), seen)
                faults += wrong
                others.append(files)
            elif name not in self._numbers:
                others.append(self._entries(name, columns[name]))
        if faults:
            return iter(()), faults
        count = batch.num_rows
        fixed = self._template.encode(numbers) if numbers else np.empty((count, 0), np.uint8)
        return _joined(fixed, self._template.head if numbers else 0, others, count), []

    def _number(self, name: str, column: Any, seen: Seen) -> Any:
        if name in self.classes:
            return self._ids(name, column)
        if self._numbers[name] == "int64" and (lost := int(np.count_nonzero(column == MISSING_INT))):
            seen.missing[name] = seen.missing.get(name, 0) + lost
        return column

    def _ids(self, name: str, column: Any) -> Any:
        """The numbers of classes, int64 [n], -1 where there is none."""
        texts = class_texts(column, self.types[name])
        return (
            pc.fill_null(pc.index_in(texts, pa.array(self.classes[name], pa.string())), -1)
            .to_numpy()
            .astype(np.int64)
        )

    def _entries(self, name: str, column: Any) -> list[bytes]:
        """The feature of each row in a record, of text or of any number of values."""
        if not isinstance(column, Ragged):
            encoded = (item.encode() for item in column.to_pylist())
            return [_entry(name, "bytes", item) for item in encoded]
        ends = column.offsets.tolist()
        spans = list(pairwise(ends))
        if name in self.classes:
            column = column.like(self._ids(name, column.values))
        values = column.values
        if isinstance(values, pa.Array):
            pieces = [
                _VALUE + varint(len(item)) + item for item in (text.encode() for text in values.to_pylist())
            ]
            return [_list_entry(name, b"".join(pieces[start:end])) for start, end in spans]
        if values.dtype == np.float32:
            return [_entry(name, "float32", values[start:end].tobytes()) for start, end in spans]
        pieces = [varint(value & 0xFFFFFFFFFFFFFFFF) for value in values.tolist()]
        return [_entry(name, "int64", b"".join(pieces[start:end])) for start, end in spans]


def class_texts(column: Any, kind: str) -> pa.Array:
    """The values of a column of classes as their names, null where missing.

    Args:
        column: cast, see `serving_batch`.
        kind: the column's type.
    """
    if kind in ("string", "strings"):
        return pc.if_else(pc.equal(column, ""), None, column)
    known = pa.array(column, pa.int64(), mask=column == MISSING_INT)
    return (known.cast(pa.bool_()) if kind == "bool" else known).cast(pa.string())


def _images(name: str, column: pa.Array, seen: Seen) -> tuple[list[bytes], list[Fault]]:
    """The feature of each row in a record, of an image."""
    files: list[bytes] = []
    absent, broken = np.zeros(len(column), bool), np.zeros(len(column), bool)
    facts = seen.images.setdefault(name, ImageFacts())
    why = ""
    for row, data in enumerate(column.to_pylist()):
        found = admit(data, "", Limits()) if data else None
        if isinstance(found, list):
            one = found[0]
            facts.add(ImageFacts([[one.height, one.width]], [one.channels], [one.source_format]))
            files.append(_entry(name, "bytes", data))
        elif isinstance(found, Refused):
            broken[row], why = True, why or found.reason
        else:
            absent[row] = True
    wrong = {f"the column {name!r} has no image": absent, f"the column {name!r}: {why}": broken}
    return files, faults_of(f"columns.{name}", wrong, np.full(len(column), "nan"), _REMEDY)


def _joined(fixed: Any, head: int, others: Sequence[Sequence[bytes]], count: int) -> Iterator[bytes]:
    for row in range(count):
        pieces = [fixed[row, head:].tobytes(), *(entries[row] for entries in others)]
        yield b"".join([EXAMPLE, varint(sum(map(len, pieces))), *pieces])


def _entry(name: str, dtype: Any, payload: bytes) -> bytes:
    return _front(name, dtype, len(payload)) + payload


def _list_entry(name: str, payload: bytes) -> bytes:
    """A bytes_list of several strings, each with its own tag and length in `payload`."""
    key = name.encode()
    feature = b"\x0a" + varint(len(payload)) + payload
    entry = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(feature)) + feature
    return ENTRY + varint(len(entry)) + entry


@lru_cache(maxsize=4096)
def _front(name: str, dtype: Any, size: int) -> bytes:
    """What stands in a record before the `size` bytes of a feature's values."""
    front = entry_front(Field(name, dtype, ()), size)
    return ENTRY + varint(len(front) + size) + front
