"""Blocks of a shard: what is read at once, with the sidecar file that says where each one lies.

A shard is written block by block, of `Layout.block_rows` records each. Beside it stands a JSON file with the
offset of each block and the CRC32C of its bytes, so that a reader begins at any block without having read the
ones before it, and finds damage by one look at the whole block. A compressed shard is a gzip member a block,
which together are one gzip file to any reader, TensorFlow's among them.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import google_crc32c
import numpy as np

from ...pipelines.errors import StoreError
from .tfrecord import Digest, record_file

DAMAGED_REMEDY = "delete the artifact's folder, and run the pipeline again"


@dataclass(frozen=True)
class ShardBlocks:
    """Where the blocks of a shard lie.

    Attributes:
        rows: records in the shard.
        block_rows: records in a block; the last one may have fewer.
        offsets: the first byte of each block, and the end of the last.
        crc32c: of the bytes of each block, as they are in the file.
    """

    rows: int
    block_rows: int
    offsets: tuple[int, ...]
    crc32c: tuple[int, ...]

    def save(self, path: Path) -> None:
        """Writes the sidecar file of a shard; there whole or not at all."""
        target = sidecar(path)
        partly = Path(f"{target}.partly")
        partly.write_text(json.dumps(asdict(self), separators=(",", ":")) + "\n", "utf-8")
        partly.replace(target)

    @classmethod
    def load(cls, path: Path, rows: int) -> ShardBlocks:
        """Reads the sidecar file of a shard of that many rows.

        Raises:
            StoreError: it is gone, or is no such file.
        """
        target = sidecar(path)
        try:
            told = json.loads(target.read_text("utf-8"))
            made = cls(told["rows"], told["block_rows"], tuple(told["offsets"]), tuple(told["crc32c"]))
            sound = made.rows == rows and len(made.crc32c) == -(-rows // made.block_rows)
        except FileNotFoundError:
            raise StoreError(
                "the shard's sidecar file, which says where its blocks lie, is gone",
                file=str(target), remedy=DAMAGED_REMEDY,
            ) from None  # fmt: skip
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            sound = False
        if not sound or len(made.offsets) != len(made.crc32c) + 1:
            raise StoreError("the shard's sidecar file is damaged", file=str(target), remedy=DAMAGED_REMEDY)
        return made

    def read(self, path: Path, place: int, compression: str) -> bytes:
        """The framed records of a block; nothing else of the file is read.

        Args:
            path: the shard.
            place: the block's number in it.
            compression: empty or `gzip`.

        Raises:
            StoreError: the bytes are not those that were written.
        """
        start, end = self.offsets[place : place + 2]
        descriptor = os.open(path, os.O_RDONLY)
        try:
            content = os.pread(descriptor, end - start, start)
        finally:
            os.close(descriptor)
        if len(content) != end - start or google_crc32c.value(content) != self.crc32c[place]:
            raise StoreError(
                f"the shard is damaged: its bytes {start:,} to {end:,} are not what was written",
                file=str(path),
                remedy=DAMAGED_REMEDY,
            )
        return gzip.decompress(content) if compression else content


def sidecar(path: Path) -> Path:
    """The sidecar file of a shard."""
    return path.with_suffix(".blocks.json")


class BlockWriter:
    """Takes framed records, and writes them block by block; see `block_file`."""

    def __init__(self, stream: IO[bytes], compression: str, block_rows: int) -> None:
        self._stream = stream
        self._compression = compression
        self._block_rows = block_rows
        self._rows = self._open = 0
        self._pieces: list[bytes] = []
        self._offsets, self._crcs = [0], list[int]()

    def write(self, records: np.ndarray[Any, Any]) -> None:
        """Takes framed records of one length, uint8 [n, length]."""
        while len(records):
            some = records[: self._block_rows - self._open]
            self._take(some.tobytes(), len(some))
            records = records[len(some) :]

    def write_record(self, record: bytes) -> None:
        """Takes a framed record."""
        self._take(record, 1)

    def end(self) -> ShardBlocks:
        """Writes what is left, and tells where the blocks lie."""
        if self._open:
            self._flush()
        return ShardBlocks(self._rows, self._block_rows, tuple(self._offsets), tuple(self._crcs))

    def _take(self, content: bytes, rows: int) -> None:
        self._pieces.append(content)
        self._rows += rows
        self._open += rows
        if self._open == self._block_rows:
            self._flush()

    def _flush(self) -> None:
        content = b"".join(self._pieces)
        if self._compression:
            packed = io.BytesIO()
            # Without name and time, which would make each run's file different.
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=packed, mtime=0) as member:
                member.write(content)
            content = packed.getvalue()
        self._stream.write(content)
        self._offsets.append(self._offsets[-1] + len(content))
        self._crcs.append(google_crc32c.value(content))
        self._pieces, self._open = [], 0


@contextmanager
def block_file(path: Path, compression: str, block_rows: int, digest: Digest) -> Iterator[BlockWriter]:
    """A shard to write framed records to; the same records in give the same file.

    Args:
        path: the shard.
        compression: empty or `gzip`.
        block_rows: records in a block.
        digest: is updated with every byte of the file, in their order.
    """
    with record_file(path, digest) as stream:
        yield BlockWriter(stream, compression, block_rows)
