"""Mean and deviation of pixels, from exact sums: the same in whatever order images come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from .packing import Blob, pack, unpack

_STEP = 1 << 16
"""Values that are summed at once, which a cache holds."""


@dataclass(frozen=True)
class PixelSums:
    """An accumulator over images of some channels.

    Attributes:
        count: pixels of each channel.
        sums, squares: of each channel the sum of values and of their squares; Python's ints, which don't
            overflow.
    """

    count: int = 0
    sums: tuple[int, ...] = ()
    squares: tuple[int, ...] = ()

    @classmethod
    def of(cls, pixels: np.ndarray) -> PixelSums:
        """Of some images, uint8 [n, height, width, channels]."""
        flat = pixels.reshape(-1, pixels.shape[-1])
        sums, squares = [0] * flat.shape[1], [0] * flat.shape[1]
        for start in range(0, len(flat), _STEP):
            for channel in range(flat.shape[1]):
                values = flat[start : start + _STEP, channel].astype(np.uint32)
                sums[channel] += int(values.sum(dtype=np.uint64))
                squares[channel] += int((values * values).sum(dtype=np.uint64))
        return cls(len(flat), tuple(sums), tuple(squares)) if len(flat) else cls()

    def merge(self, other: PixelSums) -> PixelSums:
        """Of the images of both."""
        if not self.count or not other.count:
            return self if self.count else other
        sums = tuple(a + b for a, b in zip(self.sums, other.sums, strict=True))
        squares = tuple(a + b for a, b in zip(self.squares, other.squares, strict=True))
        return PixelSums(self.count + other.count, sums, squares)

    @classmethod
    def merge_all(cls, parts: Sequence[PixelSums]) -> PixelSums:
        """Of the images of all."""
        found = cls()
        for part in parts:
            found = found.merge(part)
        return found

    @property
    def nbytes(self) -> int:
        """About the bytes that it takes."""
        return 64 * (1 + len(self.sums))

    def compute(self, by_channel: bool) -> tuple[list[float], list[float]]:
        """Mean and deviation (ddof=0) of all pixels, or of each channel's; at least one pixel is needed."""
        if by_channel:
            told = [(self.count, s, q) for s, q in zip(self.sums, self.squares, strict=True)]
        else:
            told = [(self.count * len(self.sums), sum(self.sums), sum(self.squares))]
        return [s / n for n, s, _ in told], [sqrt(n * q - s * s) / n for n, s, q in told]

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        return pack([self.count, self.sums, self.squares], {})

    @classmethod
    def from_bytes(cls, blob: Blob) -> PixelSums:
        """What `to_bytes` gave."""
        count, sums, squares = unpack(blob)[0]
        return cls(count, tuple(sums), tuple(squares))
