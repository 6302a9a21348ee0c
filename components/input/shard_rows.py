"""Rows of a split out of the blocks of its shards."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...pipelines.artifact import Examples
from ...pipelines.errors import StoreError
from ..tfrecords.cutting import RecordCutter
from ..tfrecords.layout import Layout
from ..tfrecords.shard_blocks import DAMAGED_REMEDY, ShardBlocks
from ..tfrecords.tfrecord import FOOTER, HEADER
from .order import Block, Ints

Array = npt.NDArray[Any]


class ShardRows:
    """Reads rows of a split by their numbers.

    Args:
        examples: transformed examples.
        split: which of them.
        layout: of the records.
        keys: of the fields that are wanted.

    Attributes:
        whole_records: whether `read` gives records as they are, since their lengths differ, and no fields.
    """

    def __init__(self, examples: Examples, split: str, layout: Layout, keys: Sequence[str]) -> None:
        parts = examples.splits[split]["parts"]
        self._paths: list[Path] = examples.parts(split)
        self._rows = [int(part["rows"]) for part in parts]
        self._compression = layout.compression
        self._keys = list(keys)
        self._cutter = RecordCutter.of(layout)
        self._blocks: dict[int, ShardBlocks] = {}
        self._lock = threading.Lock()
        self.whole_records = self._cutter is None

    def read(self, blocks: Sequence[Block], numbers: Ints) -> list[Array]:
        """Rows in the order in which they are asked for; safe to be called by several threads.

        Args:
            blocks: that hold them; those that hold none of them aren't read.
            numbers: the rows' places in the split, int64 [n].

        Returns:
            For each of the keys an array [n, …], as `RecordCutter.cut` gives it; or one of whole records,
            object [n] of bytes.

        Raises:
            StoreError: a shard or a sidecar file is damaged.
        """
        firsts = np.array([block.first for block in blocks], np.int64)
        order = np.argsort(firsts)
        owner = order[np.searchsorted(firsts[order], numbers, side="right") - 1]
        used = np.unique(owner)
        begun = np.zeros(len(blocks), np.int64)
        sizes = np.array([blocks[place].rows for place in used], np.int64)
        begun[used] = np.cumsum(sizes) - sizes
        places = numbers - firsts[owner] + begun[owner]
        contents = [self._content(blocks[place]) for place in used]
        if self._cutter is None:
            records = [one for content in contents for one in _records(content)]
            found = np.empty(len(places), object)
            found[:] = [records[place] for place in places.tolist()]
            return [found]
        joined = np.frombuffer(contents[0] if len(contents) == 1 else b"".join(contents), np.uint8)
        if len(joined) != sizes.sum() * self._cutter.length or not self._cutter.are_lengths(joined):
            raise StoreError(
                "the shard's records are not of the length that the manifest implies",
                file=str(self._paths[blocks[0].shard]), remedy=DAMAGED_REMEDY,
            )  # fmt: skip
        return self._cutter.cut(joined, places, self._keys)

    def _content(self, block: Block) -> bytes:
        path = self._paths[block.shard]
        with self._lock:
            blocks = self._blocks.get(block.shard)
            if blocks is None:
                blocks = self._blocks[block.shard] = ShardBlocks.load(path, self._rows[block.shard])
        return blocks.read(path, block.place, self._compression)


def _records(content: bytes) -> list[bytes]:
    """The records of a block, whose checksum was right."""
    found, at = [], 0
    while at < len(content):
        end = at + HEADER + int.from_bytes(content[at : at + 8], "little")
        found.append(content[at + HEADER : end])
        at = end + FOOTER
    return found
