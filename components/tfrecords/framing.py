"""Reading TFRecord framing: where records are, with both checksums of each one looked at.

A file can only be followed from its beginning, as nothing marks where a record starts. So one pass hops from
length to length and cuts the file at records; what is between two cuts is then read by any worker.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from ...pipelines.errors import DataError
from .tfrecord import FOOTER, HEADER, masked

FRAME = HEADER + FOOTER
_REMEDY = "copy, download or write it again"
_POLYNOMIAL = 0x82F63B78


@dataclass(frozen=True)
class Cut:
    """A range of whole records.

    Attributes:
        start, end: bytes in the file.
        first: the number, from 0, of its first record in the file.
        records: how many there are.
    """

    start: int
    end: int
    first: int
    records: int


@dataclass(frozen=True)
class Records:
    """Records in memory.

    Attributes:
        content: uint8 [bytes], some of which are framing.
        starts, ends: int64 [n], ascending: where each record's data is.
    """

    content: Any
    starts: Any
    ends: Any

    def __len__(self) -> int:
        return len(self.starts)

    def record(self, index: int) -> bytes:
        """The data of one record."""
        data: bytes = self.content[self.starts[index] : self.ends[index]].tobytes()
        return data


def cut_file(
    path: Path, name: str, most_records: int, most_bytes: int, limit: int | None = None
) -> list[Cut]:
    """Cuts a TFRecord file; checks the checksums of all lengths, and that the file ends where a record does.

    Args:
        path: the plain file.
        name: as messages call it.
        most_records, most_bytes: what a cut may hold; one record may be larger.
        limit: look at so many records only, from the beginning.

    Raises:
        DataError: the file is cut short or damaged, with record and byte.
    """
    size = path.stat().st_size
    if not size:
        return []
    cuts: list[Cut] = []
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = first = 0
        while at < size and (limit is None or first < limit):
            most = most_records if limit is None else min(most_records, limit - first)
            places, end = _hop(content, at, size, most, most_bytes)
            _check_headers(content, places, end, size, first, name)
            cuts.append(Cut(at, end, first, len(places)))
            at, first = end, first + len(places)
    return cuts


def shortened(path: Path, cut: Cut, records: int) -> Cut:
    """The first records of a cut; there have to be so many."""
    with path.open("rb") as stream:
        stream.seek(cut.start)
        content = stream.read(cut.end - cut.start)
    _, end = _hop(content, 0, len(content), records, len(content))
    return Cut(cut.start, cut.start + end, cut.first, records)


def _hop(content: Any, at: int, size: int, most_records: int, most_bytes: int) -> tuple[list[int], int]:
    """Where records begin, and where the last one ends; that is beyond `size` if the file isn't whole."""
    places: list[int] = []
    begin, length_at = at, struct.Struct("<Q").unpack_from
    while at < size and len(places) < most_records and (at - begin < most_bytes):
        places.append(at)
        at += FRAME + length_at(content, at)[0] if at + HEADER <= size else HEADER
    return places, at


def _check_headers(content: Any, places: list[int], end: int, size: int, first: int, name: str) -> None:
    """Raises DataError for the first record whose length has a wrong checksum, or that isn't whole."""
    whole = len(places) - (places[-1] + HEADER > size)
    headers = b"".join(content[at : at + HEADER] for at in places[:whole])
    wrong = np.flatnonzero(~_are_headers(np.frombuffer(headers, np.uint8).reshape(whole, HEADER)))
    if len(wrong):
        place = int(wrong[0])
        raise _wrong_length(name, first + place, places[place])
    if end <= size:
        return
    at = places[-1]
    told = f"record {first + len(places)} begins at byte {at}"
    if whole < len(places):
        told += f", and {size - at} of its first {HEADER} bytes are there"
    else:
        told += f" and should take {end - at} bytes, of which {size - at} are there"
    raise DataError(f"the file is cut short: {told}", file=name, line=first + len(places), remedy=_REMEDY)


def _wrong_length(name: str, record: int, at: int) -> DataError:
    if not record:
        return DataError(
            "this is no TFRecord file: the checksum of the first record's length is wrong", file=name,
            remedy="for other formats there are csv_examples and parquet_examples; if it should be TFRecords,"
            " copy, download or write it again",
        )  # fmt: skip
    return DataError(
        f"the file is damaged: the checksum of the length of record {record + 1}, at byte {at}, is wrong",
        file=name, line=record + 1, remedy=_REMEDY,
    )  # fmt: skip


def _table() -> Any:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> np.uint32(1) ^ np.uint32(_POLYNOMIAL), table >> np.uint32(1))
    return table.astype(np.uint32)


_TABLE = _table()


def _are_headers(headers: Any) -> Any:
    """Whether uint8 [n, 12] are lengths with their masked CRC32C, bool [n]."""
    crc = np.full(len(headers), 0xFFFFFFFF, np.uint32)
    for place in range(8):
        crc = _TABLE[(crc ^ headers[:, place]) & np.uint32(0xFF)] ^ crc >> np.uint32(8)
    stated = np.ascontiguousarray(headers[:, 8:]).view("<u4")[:, 0]
    return masked(~crc) == stated


def read_records(path: Path, cut: Cut, name: str) -> Records:
    """Reads the records of a cut, and checks the checksum of each one's data.

    Raises:
        DataError: a checksum is wrong, or the file isn't what it was when it was cut.
    """
    with path.open("rb") as stream:
        stream.seek(cut.start)
        content = stream.read(cut.end - cut.start)
    if len(content) < cut.end - cut.start:
        raise DataError("the file has become shorter while it was read", file=name, remedy=_REMEDY)
    places, end = _hop(content, 0, len(content), cut.records, len(content))
    if len(places) != cut.records or end != len(content):
        raise DataError("the file has changed while it was read", file=name, remedy=_REMEDY)
    array = np.frombuffer(content, np.uint8)
    starts = np.array(places, np.int64) + HEADER
    ends = np.append(starts[1:] - HEADER, len(content)) - FOOTER
    stated = array[ends[:, None] + np.arange(FOOTER)].view("<u4")[:, 0]
    wrong = np.flatnonzero(masked(_crcs(content, starts.tolist(), ends.tolist())) != stated)
    if len(wrong):
        record, at = cut.first + int(wrong[0]) + 1, cut.start + int(starts[wrong[0]]) - HEADER
        raise DataError(
            f"the file is damaged: the checksum of the data of record {record}, at byte {at}, is wrong",
            file=name, line=record, remedy=_REMEDY,
        )  # fmt: skip
    return Records(array, starts, ends)


def _crcs(content: bytes, starts: list[int], ends: list[int]) -> Any:
    value = google_crc32c.value
    ranges: Iterator[tuple[int, int]] = zip(starts, ends, strict=True)
    return np.fromiter((value(content[start:end]) for start, end in ranges), np.uint32, len(starts))
