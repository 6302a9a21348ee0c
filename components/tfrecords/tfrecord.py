"""TFRecord framing of whole batches: length, masked CRC32C of the length, data, masked CRC32C of the data.

The format is TensorFlow's (`tensorflow/core/lib/io/record_writer.h`). Records of one batch have one length,
so the headers are broadcast; only the checksum of the data takes a call a record.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol, cast

import google_crc32c
import numpy as np

HEADER, FOOTER = 12, 4
"""Bytes before and after a record's data."""
PIECE_BYTES = 1 << 18
BUFFER_BYTES = 1 << 16
"""Small pieces are gathered up to this before they are written; larger ones are written as they are."""
_MASK_DELTA = 0xA282EAD8


class Digest(Protocol):
    """A hash of `hashlib`."""

    def update(self, data: Any, /) -> None:
        """Takes more bytes."""


def masked_crc(data: bytes) -> int:
    """CRC32C, rotated and shifted as TFRecord wants it."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def frame(records: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Records with header and footer.

    Args:
        records: uint8 [n, length].

    Returns:
        uint8 [n, 12 + length + 4].
    """
    count, length = records.shape
    framed = np.empty((count, HEADER + length + FOOTER), np.uint8)
    size = struct.pack("<Q", length)
    framed[:, :HEADER] = np.frombuffer(size + struct.pack("<I", masked_crc(size)), np.uint8)
    framed[:, HEADER:-FOOTER] = records
    data = records.tobytes()
    value = google_crc32c.value
    crcs = np.fromiter((value(data[i : i + length]) for i in range(0, len(data), length)), np.uint32, count)
    framed[:, -FOOTER:] = masked(crcs).astype("<u4").view(np.uint8).reshape(count, FOOTER)
    return framed


def masked(crcs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Checksums, uint32 [n], rotated and shifted as TFRecord wants them."""
    rotated = (crcs >> np.uint32(15)) | (crcs << np.uint32(17))
    return rotated + np.uint32(_MASK_DELTA)


def frame_pieces(records: np.ndarray[Any, Any], order: np.ndarray[Any, Any]) -> Iterator[memoryview]:
    """What `frame` gives, of the records in another order, in pieces that the processor's cache holds.

    Args:
        records: uint8 [n, length].
        order: int [m], numbers of records.
    """
    for piece in gathered(records, order):
        yield frame(piece).data


def gathered(rows: np.ndarray[Any, Any], order: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """`rows[order]` in pieces that the processor's cache holds, each uint8 [k, length]."""
    step = max(PIECE_BYTES // max(rows.shape[1], 1), 1)
    for begin in range(0, len(order), step):
        yield np.take(rows, order[begin : begin + step], axis=0)


def framed(record: bytes) -> tuple[bytes, bytes, bytes]:
    """One record with header and footer, in three pieces."""
    return _header(len(record)), record, struct.pack("<I", masked_crc(record))


@lru_cache(maxsize=256)
def _header(length: int) -> bytes:
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked_crc(size))


class _Hashed(io.FileIO):
    """A file whose bytes are hashed while they are written, so that nobody has to read them again for it."""

    def __init__(self, path: Path, digest: Digest) -> None:
        super().__init__(path, "wb")
        self._digest = digest

    def write(self, data: Any) -> int:
        """Writes what it can."""
        written = super().write(data)
        self._digest.update(memoryview(data)[:written])
        return written


@contextmanager
def record_file(path: Path, digest: Digest | None = None) -> Iterator[IO[bytes]]:
    """A TFRecord file to write framed bytes to.

    Args:
        path: the file.
        digest: is updated with every byte of the file, in their order.
    """
    with io.BufferedWriter(_Hashed(path, digest) if digest else io.FileIO(path, "wb"), BUFFER_BYTES) as raw:
        yield cast("IO[bytes]", raw)
