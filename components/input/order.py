"""The order of a split's examples: a pure function of (seed, epoch), any piece of which can be had at once.

A split is cut into blocks of neighbouring records, which are read at once. In each epoch the blocks come in
an order of their own, `WINDOW_BLOCKS` of them make a window, and within a window the examples come in an
order of their own. So a split of one window is shuffled throughout; of a larger one, which was shuffled
globally when it was written, each epoch brings other blocks together. Only a window has to be in memory, and
to begin in the middle of an epoch nothing is read but the blocks of the window that is then open.

An order is by a hash of what is ordered (SplitMix64): the same on every machine and with every version of the
libraries, and independent of how the examples are batched, cached and spread over replicas and hosts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...pipelines.errors import DataError
from ..data_plane.row_hash import mix
from .position import Position

WINDOW_BLOCKS = 16
"""Blocks that are permuted together."""
_HELD = 2
"""Epochs whose order of blocks is held: one ends while the next is begun."""

Ints = npt.NDArray[np.int64]
Only = npt.NDArray[np.bool_] | None
"""Which rows of a split are wanted, a bool for each in the order of the shards; None for all."""
Copies = Callable[[int], npt.NDArray[Any]]
"""From an epoch to how often each example comes in it, int [rows], in the order of the shards."""


class Block(NamedTuple):
    """Neighbouring records of a shard.

    Attributes:
        shard: its number in the split.
        place: the block's number in the shard.
        first: the number of its first example in the split.
        rows: how many there are.
    """

    shard: int
    place: int
    first: int
    rows: int


class Window(NamedTuple):
    """Some examples of an epoch.

    Attributes:
        blocks: that hold them.
        numbers: the examples' places in the split, from 0 in the order of the shards, int64 [n], in the order
            in which they come.
    """

    blocks: tuple[Block, ...]
    numbers: Ints


class _Epoch(NamedTuple):
    """The order of blocks in an epoch, how often each example comes, and how many come before each window."""

    blocks: Ints
    copies: npt.NDArray[Any] | None
    starts: Ints


class Order:
    """Which example comes when.

    Args:
        shards: the number of examples in each shard.
        block_rows: examples in a block; the last one of a shard may have fewer.
        seed: decides the order; None for that of the shards.
        copies: how often each example comes in an epoch; once if not given. There have to be equally many
            in each epoch.

    Attributes:
        rows: examples in an epoch.
        windows: how many of them an epoch has; one may be empty where not every example comes.
    """

    def __init__(
        self, shards: Sequence[int], block_rows: int, seed: int | None = None, copies: Copies | None = None
    ) -> None:
        begun = np.cumsum([0, *shards])
        self._blocks = [
            Block(shard, place, int(begun[shard]) + start, min(block_rows, rows - start))
            for shard, rows in enumerate(shards)
            for place, start in enumerate(range(0, rows, block_rows))
        ]
        self._firsts = np.array([block.first for block in self._blocks], np.int64)
        self._sizes = np.array([block.rows for block in self._blocks], np.int64)
        self._seed = seed
        self._copies = copies
        self.windows = -(-len(self._blocks) // WINDOW_BLOCKS)
        self._epoch = lru_cache(maxsize=_HELD)(self._begun)
        self.rows = int(begun[-1]) if copies is None else int(self._epoch(0).starts[-1])

    def window(self, epoch: int, number: int) -> Window:
        """A window of an epoch; both are counted from 0."""
        order, copies, _ = self._epoch(epoch)
        chosen = order[number * WINDOW_BLOCKS : (number + 1) * WINDOW_BLOCKS]
        blocks = tuple(self._blocks[place] for place in chosen)
        ranges = [np.arange(block.first, block.first + block.rows) for block in blocks]
        numbers = np.concatenate(ranges)
        again = None
        if copies is not None:
            times = copies[numbers]
            numbers = np.repeat(numbers, times)
            again = np.arange(len(numbers)) - np.repeat(np.cumsum(times) - times, times)
        if self._seed is not None:
            numbers = numbers[np.argsort(self._hashes(epoch, "example", numbers, again), kind="stable")]
        return Window(blocks, numbers)

    def find(self, position: Position) -> int:
        """The window of the epoch that holds the example at a position.

        Raises:
            DataError: an epoch has no such example.
        """
        if not 0 <= position.examples < self.rows:
            raise DataError(
                f"there is no example {position.examples:,} in an epoch of {self.rows:,}",
                argument="start",
                remedy="a position behind an epoch's last example is the beginning of the next epoch",
            )
        starts = self._epoch(position.epoch).starts
        return int(np.searchsorted(starts, position.examples, side="right")) - 1

    def before(self, epoch: int, number: int) -> int:
        """How many examples of an epoch come before a window."""
        return int(self._epoch(epoch).starts[number])

    def _begun(self, epoch: int) -> _Epoch:
        order = np.arange(len(self._blocks))
        if self._seed is not None:
            order = np.argsort(self._hashes(epoch, "block", order), kind="stable")
        copies = None if self._copies is None else self._copies(epoch)
        sizes = self._sizes if copies is None else np.add.reduceat(copies, self._firsts, dtype=np.int64)
        starts = np.cumsum(np.concatenate([[0], sizes[order]]))
        return _Epoch(order, copies, np.append(starts[:-1:WINDOW_BLOCKS], starts[-1]))

    def _hashes(self, epoch: int, what: str, numbers: Ints, again: Ints | None = None) -> Any:
        digest = hashlib.sha256(f"order\0{self._seed}\0{epoch}\0{what}".encode()).digest()
        hashed = mix(numbers.astype(np.uint64)) ^ np.uint64(int.from_bytes(digest[:8], "little"))
        return mix(hashed) if again is None else mix(mix(hashed) + again.astype(np.uint64))
