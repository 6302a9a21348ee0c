"""What an augmentation is: arguments, what is wrong with them, and what it draws. No array library here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

Amount = float | tuple[float, float]
"""A number or a range, from which a number is drawn for each image."""
Fill = Literal["reflect", "nearest", "wrap", "constant"]
Interpolation = Literal["bilinear", "nearest"]
STEPS = 4096
"""Numbers that a range is cut into: sines and matrices are computed once for each, in float64 by NumPy, and
an image draws one of them. What a device's own sine gives differs by device and by place in the batch."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The contract; subclasses are the augmentations.

    Attributes:
        name: what a list calls it.
        first: the argument that `{name: value}` sets, or those that `{name: [value, value]}` sets.
        probability: of being applied to an image at all.
    """

    probability: float = 1.0
    name: ClassVar[str]
    first: ClassVar[tuple[str, ...]] = ()

    def problem(self, shape: Sequence[int] | None) -> str:
        """What is wrong with the arguments; empty if nothing is.

        Args:
            shape: (height, width, channels) of the images; None as long as they aren't known.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                return f"{field.name} has to be finite, not {value!r}"
        if not 0.0 <= self.probability <= 1.0:
            return f"a probability is between 0 and 1, and this is {self.probability}"
        return self.wrong(shape)

    def wrong(self, shape: Sequence[int] | None) -> str:
        """`problem` of the subclass's own arguments, which are finite."""
        return ""


@dataclass(frozen=True)
class Drawn:
    """One random choice of a row of a table.

    Attributes:
        draw: which of the augmentation's random numbers chooses; two with one number choose the same row.
        rows: float64 `[k, 6]`, each as likely as the other: `x' = r0 x + r1 y + r2`, `y' = r3 x + r4 y + r5`
            is where in the image the pixel for the place (x, y) is taken from, in pixels from the centre of
            the first one.
        by_itself: whether the augmentation's probability is asked for it anew.
    """

    draw: int
    rows: Any
    by_itself: bool = False


@dataclass(frozen=True, kw_only=True)
class Warp(Augmentation):
    """An augmentation that moves pixels."""

    @property
    def keeps_pixels(self) -> bool:
        """Whether whole pixels move to whole pixels, so that nothing is interpolated."""
        return True

    def matrices(self, np: Any, height: int, width: int) -> list[Drawn]:
        """What the image goes through, the first one first.

        Args:
            np: NumPy.
            height, width: of the images, in pixels.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class FillingWarp(Warp):
    """One that may show what lies outside of the image.

    Attributes:
        fill: what stands where the image doesn't reach: `reflect` (c b a|a b c), `nearest` (a a a|a b c),
            `wrap` (a b c|a b c) or `constant`.
        fill_value: with `constant`, from 0 to 255.
        interpolation: `bilinear` or `nearest`.
    """

    fill: Fill = "reflect"
    fill_value: float = 0.0
    interpolation: Interpolation = "bilinear"

    @property
    def keeps_pixels(self) -> bool:
        """See the class `Warp`."""
        return False

    def problem(self, shape: Sequence[int] | None) -> str:
        """See the class `Augmentation`."""
        if not 0.0 <= self.fill_value <= 255.0:
            return f"fill_value is a pixel's value from 0 to 255, and this is {self.fill_value}"
        if self.fill_value and self.fill != "constant":
            return f"fill_value is for fill: constant, and fill is {self.fill}"
        return super().problem(shape)


def around(amount: Amount, middle: float = 0.0) -> tuple[float, float]:
    """The range of an amount: a number says how far it reaches from the middle on both sides."""
    return amount if isinstance(amount, tuple) else (middle - amount, middle + amount)


def range_problem(name: str, amount: Amount, low: float, high: float, middle: float = 0.0) -> str:
    """What is wrong with an amount whose range has to lie between two numbers; empty if nothing is."""
    if not isinstance(amount, tuple) and amount < 0:
        return f"{name} is how far it goes on both sides, so it can't be below 0, as {amount}; or [low, high]"
    least, most = around(amount, middle)
    if least > most:
        return f"{name} is [low, high], and {least} is greater than {most}"
    if least < low or most > high:
        told = f"[{least:g}, {most:g}]"
        return f"{name} has to lie between {low:g} and {high:g}, and {amount!r} is the range {told}"
    return ""
