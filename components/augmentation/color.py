"""Augmentations that change values, in shares of the range 0…255."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .base import STEPS, Amount, Augmentation, around, range_problem


@dataclass(frozen=True, kw_only=True)
class Brightness(Augmentation):
    """Adds one number to all values of an image: `{brightness: 0.2}`.

    Attributes:
        amount: a share of 255 as far to both sides, or [low, high].
    """

    amount: Amount
    name: ClassVar[str] = "brightness"
    first: ClassVar[tuple[str, ...]] = ("amount",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        return range_problem("amount, in shares of 255,", self.amount, -1, 1)

    def table(self, np: Any) -> Any:
        """What is added, float64 [k], each as likely as the other."""
        return np.linspace(*around(self.amount), STEPS) * 255


@dataclass(frozen=True, kw_only=True)
class Contrast(Augmentation):
    """Multiplies the differences to the image's mean: `{contrast: 0.3}`, `{contrast: [0.5, 2]}`.

    Attributes:
        factor: a number a stands for [1 - a, 1 + a].
    """

    factor: Amount
    name: ClassVar[str] = "contrast"
    first: ClassVar[tuple[str, ...]] = ("factor",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        return range_problem("factor", self.factor, 0, 10, 1.0)

    def table(self, np: Any) -> Any:
        """The factors, float64 [k], each as likely as the other."""
        return np.linspace(*around(self.factor, 1.0), STEPS)


@dataclass(frozen=True, kw_only=True)
class Noise(Augmentation):
    """Adds a normal number of its own to each value: `{noise: 0.02}`.

    Attributes:
        deviation: the standard deviation in shares of 255; or [low, high], from which each image draws one.
    """

    deviation: Amount
    name: ClassVar[str] = "noise"
    first: ClassVar[tuple[str, ...]] = ("deviation",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        ends = self.deviation if isinstance(self.deviation, tuple) else (self.deviation, self.deviation)
        if not 0 <= ends[0] <= ends[1] <= 1:
            return f"deviation lies between 0 and 1, in shares of 255, and this is {self.deviation!r}"
        return ""

    def table(self, np: Any) -> Any:
        """The deviations, float64 [k], each as likely as the other."""
        ends = self.deviation if isinstance(self.deviation, tuple) else (self.deviation, self.deviation)
        return np.linspace(*ends, STEPS) * 255


@dataclass(frozen=True, kw_only=True)
class Cutout(Augmentation):
    """Paints squares over, anywhere, also partly beyond the edge: `{cutout: 0.3}`.

    Attributes:
        size: the side, as a share of the image's shorter one; or [low, high].
        count: the number of squares.
        value: what they are painted with, 0 to 255.
    """

    size: Amount
    count: int = 1
    value: float = 0.0
    name: ClassVar[str] = "cutout"
    first: ClassVar[tuple[str, ...]] = ("size",)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        ends = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if not 0 < ends[0] <= ends[1] <= 1:
            return f"size is a share of the image between 0 and 1, and this is {self.size!r}"
        if not 1 <= self.count <= 64:
            return f"count is 1 to 64, and this is {self.count}"
        return "" if 0 <= self.value <= 255 else f"value is from 0 to 255, and this is {self.value}"

    def sides(self, np: Any, height: int, width: int) -> Any:
        """The sides in pixels, int64 [k], each as likely as the other."""
        ends = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return np.maximum(np.rint(np.linspace(*ends, STEPS) * min(height, width)), 1).astype(np.int64)
