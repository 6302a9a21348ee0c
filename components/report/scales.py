"""Axes of charts: where ticks stand, what is written at them, where a value lies. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOG_FROM = 20.0
"""How many times its least value the greatest one has to be for a logarithmic axis."""
PADDING = 0.06
"""Of the length of an axis that is left free at either end."""


@dataclass(frozen=True)
class Scale:
    """From values to places on an axis, 0 at its beginning and 1 at its end.

    Attributes:
        low, high: the values at its ends.
        ticks: values at which there is a tick.
        log: whether it is logarithmic; both ends are above 0 then.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies; one beyond an end lies at the end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)

    @property
    def texts(self) -> list[str]:
        """What is written at the ticks, with as many digits as tell them apart."""
        if self.log:  # 1,000 and 0.01 on one axis
            return [text for tick in self.ticks for text in tick_texts([tick])]
        return tick_texts(self.ticks)


def scale_of(values: Iterable[float], most: int = 5, log: bool | None = None) -> Scale:
    """A scale that shows all values.

    Args:
        values: those that aren't finite are left aside.
        most: about how many ticks.
        log: whether it is logarithmic; by default where all values are above 0, and the greatest is
            `LOG_FROM` times the least. Ignored where a value is not above 0.
    """
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if low > 0 and (high >= LOG_FROM * low if log is None else log):
        return _logarithmic(low, high, most)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = abs(low) / 10 or 0.5
        low, high = low - half, high + half
    room = PADDING * (high - low)
    ends = low - room, high + room
    if low >= 0 and ends[0] < 0:  # what can't be below 0 is not shown there, nor a share above 1
        ends = 0.0, ends[1]
    if low >= 0 and high <= 1 < ends[1]:
        ends = ends[0], 1.0
    return Scale(*ends, tuple(_between(*ends, _nice_step(ends[1] - ends[0], most))))


def count_scale(low: float, high: float, most: int) -> Scale:
    """A scale of things that are counted, such as epochs: ticks at whole numbers, and no room at the ends."""
    high = high if high > low else low + 1
    step = max(1.0, _nice_step(high - low, most))
    return Scale(low, high, tuple(_between(low, high, step)))


def _nice_step(length: float, most: int) -> float:
    """The least of 1, 2, 5 times a power of ten that makes no more than so many steps."""
    rough = length / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next((size * power for size in (1, 2, 5) if size * power >= rough * 0.999), 10 * power)


def _between(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _logarithmic(low: float, high: float, most: int) -> Scale:
    room = (high / low) ** PADDING
    low, high = low / room, high * room
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [d * 10.0**power for power in range(first, last + 1) for d in digits]
        ticks = [tick for tick in found if low <= tick <= high]
        if len(ticks) <= most + 2:
            break
    every = -(-len(ticks) // (most + 2))
    return Scale(low, high, tuple(ticks[::every]), log=True)


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Ticks as short texts that tell them apart: `0.25`, `1,000`, `2e-05`."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    least = min((abs(tick) for tick in ticks if tick), default=0.0)
    if largest >= 1e6 or 0 < least < 1e-3:
        return ["0" if not tick else f"{tick:.3g}".replace("e+0", "e").replace("e-0", "e-") for tick in ticks]
    for digits in range(7):
        texts = [f"{tick:,.{digits}f}" for tick in ticks]
        if all(
            math.isclose(float(t.replace(",", "")), v, rel_tol=1e-6, abs_tol=1e-12)
            for t, v in zip(texts, ticks, strict=True)
        ):
            return texts
    return texts
