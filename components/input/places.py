"""Which examples a reader gets of each window: from a position on, its own share, with padding or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .order import Block, Ints, Order
from .position import BEGIN, Position


class Share(NamedTuple):
    """The part of each global batch that a host gets: the `host`-th of equal slices for so many `hosts`."""

    host: int
    hosts: int


class Chosen(NamedTuple):
    """Examples that a reader gets.

    Attributes:
        epoch: theirs.
        blocks: that hold them.
        numbers: int64 [n], their places in the split.
        padding: bool [n], which stand there only to make a batch full.
    """

    epoch: int
    blocks: tuple[Block, ...]
    numbers: Ints
    padding: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Places:
    """The examples of a stream of windows, by the windows' numbers over all epochs.

    Attributes:
        order: of the examples.
        start: the first example is the one there.
        batch_size: examples of a global batch, which matter to a share and to padding.
        share: the slice of each global batch that is wanted; None for all of it.
        pad: whether the last batch of an epoch is made full by examples that don't count.
        carry: whether batches go over the ends of epochs.
    """

    order: Order
    start: Position = BEGIN
    batch_size: int = 1
    share: Share | None = None
    pad: bool = False
    carry: bool = True

    @property
    def first(self) -> int:
        """The number of the first window."""
        return self.start.epoch * self.order.windows + self.order.find(self.start)

    def at(self, index: int) -> Chosen:
        """The examples of a window."""
        epoch, number = divmod(int(index), self.order.windows)
        blocks, numbers = self.order.window(epoch, number)
        before, begin = self.order.before(epoch, number), 0
        if epoch == self.start.epoch:
            begin = self.start.examples
            numbers = numbers[max(begin - before, 0) :]
            before = max(begin, before)
        padding = 0
        if self.pad and number == self.order.windows - 1:
            padding = -(self.order.rows - begin) % self.batch_size
            numbers = np.append(numbers, np.full(padding, numbers[-1] if len(numbers) else blocks[0].first))
        is_padding = np.arange(len(numbers)) >= len(numbers) - padding
        if self.share is not None:
            # Places in the stream of batches, which begins at `start`, or with each epoch.
            origin = begin
            if self.carry:
                origin = self.start.examples - (epoch - self.start.epoch) * self.order.rows
            places = (before - origin + np.arange(len(numbers))) % self.batch_size
            own = places // (self.batch_size // self.share.hosts) == self.share.host
            numbers, is_padding = numbers[own], is_padding[own]
        return Chosen(epoch, blocks, numbers, is_padding)
