"""Points in time to numbers: parts of the calendar, and circles.

The calendar is the proleptic Gregorian one in UTC, by whole-number arithmetic on days since 1970-01-01 after
Howard Hinnant's "chrono-compatible low-level date algorithms", the same in both planes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .base import MISSING_INT, Constants, Kind, Transform

DatePart = Literal[
    "year", "quarter", "month", "day", "day_of_year", "weekday", "hour", "minute", "second", "epoch_days"
]
CyclicPart = Literal["month", "day", "day_of_year", "weekday", "hour", "minute", "second"]
PERIODS: dict[str, tuple[int, float]] = {
    "month": (1, 12), "day": (1, 31), "day_of_year": (1, 366), "weekday": (0, 7), "hour": (0, 24),
    "minute": (0, 60), "second": (0, 60),
}  # fmt: skip
"""By part its first number and how many there are."""
EPOCHS = {"s": 1_000_000, "ms": 1_000, "us": 1, "days": 86_400_000_000}
"""Microseconds in a unit of an epoch."""
Epoch = Literal["s", "ms", "us", "days"]
DAY = 86_400_000_000


@dataclass(frozen=True)
class _FromTime(Transform):
    takes: ClassVar[tuple[Kind, ...]] = ("time", "int")

    def gives(self, kind: Kind) -> Kind:
        """Numbers, [n, width]."""
        return "vector"


@dataclass(frozen=True)
class DateParts(_FromTime):
    """Parts of a point in time as numbers, side by side; a single part is a whole number, to be one-hot.

    year; quarter, month and day from 1; day_of_year from 1; weekday from 0, Monday; hour, minute, second;
    epoch_days, whole days since 1970-01-01.

    Attributes:
        parts: which.
        epoch: the unit of an int column: s, ms, us or days since 1970-01-01 UTC.
    """

    parts: DatePart | list[DatePart]
    epoch: Epoch | None = None
    name: ClassVar[str] = "date_parts"
    first: ClassVar[tuple[str, ...]] = ("parts",)

    @property
    def names(self) -> list[str]:
        """The parts as a list."""
        return [self.parts] if isinstance(self.parts, str) else list(self.parts)

    def problem(self, kind: Kind | None) -> str:
        """There have to be parts; a whole number needs its unit."""
        if not self.names:
            return "there has to be a part"
        return _epoch_problem(self.epoch, kind)

    def gives(self, kind: Kind) -> Kind:
        """A whole number for one part, else numbers [n, parts]."""
        return "int" if isinstance(self.parts, str) else "vector"

    def width(self, constants: Constants, width: int) -> int:
        """The number of parts."""
        return len(self.names)

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        missing, parts = calendar(xp, column, self.epoch, self.names)
        if isinstance(self.parts, str):
            return xp.where(missing, xp.full_like(parts[0], MISSING_INT), parts[0])
        nan = float("nan")
        return xp.stack([xp.where(missing, xp.float32(nan), xp.float32(part)) for part in parts])


@dataclass(frozen=True)
class Cyclic(_FromTime):
    """A point on a circle, as sine and cosine, so that December lies beside January.

    Of points in time, the parts named; of numbers, those of a `period`, such as 24 for hours.

    Attributes:
        parts: parts of a point in time.
        period: of a numeric column, in its own units.
        epoch: the unit of an int column that is a point in time: s, ms, us or days since 1970-01-01 UTC.
    """

    parts: CyclicPart | list[CyclicPart] | None = None
    period: float | None = None
    epoch: Epoch | None = None
    name: ClassVar[str] = "cyclic"
    takes: ClassVar[tuple[Kind, ...]] = ("time", "float", "int")
    first: ClassVar[tuple[str, ...]] = ("parts",)

    @property
    def names(self) -> list[str]:
        """The parts as a list."""
        return [self.parts] if isinstance(self.parts, str) else list(self.parts or ())

    def problem(self, kind: Kind | None) -> str:
        """Parts of a time, or the period of a number."""
        if bool(self.names) == (self.period is not None):
            return "give parts of a point in time, or the period of a number"
        if self.period is not None:
            if not self.period > 0 or not math.isfinite(self.period):
                return f"the period has to be positive, not {self.period:g}"
            return "a point in time has parts and no period" if kind == "time" else ""
        return "a float has a period and no parts" if kind == "float" else _epoch_problem(self.epoch, kind)

    def width(self, constants: Constants, width: int) -> int:
        """A sine and a cosine for each."""
        return 2 * max(len(self.names), 1)

    def fit(self, results: Any, kind: Kind) -> dict[str, Any]:
        """The factor from a number to radians."""
        return {} if self.period is None else {"factor": 2 * math.pi / self.period}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        if self.period is not None:
            angles = [xp.to_float(column) * constants["factor"]]
        else:
            missing, parts = calendar(xp, column, self.epoch, self.names)
            angles = []
            for name, part in zip(self.names, parts, strict=True):
                first, count = PERIODS[name]
                turn = xp.float32(part - first) * float(2 * math.pi / count)
                angles.append(xp.where(missing, xp.float32(float("nan")), turn))
        return xp.stack([wave(angle) for angle in angles for wave in (xp.sin, xp.cos)])


def calendar(xp: Any, column: Any, epoch: str | None, names: list[str]) -> tuple[Any, list[Any]]:
    """Where the time is missing, and the named parts, int64 [n] each (any number where it is missing).

    Args:
        xp: the plane.
        column: int64 [n].
        epoch: its unit; None for microseconds.
        names: see `DateParts`.
    """
    missing = column == MISSING_INT
    some = xp.where(missing, xp.full_like(column, 0), column)
    factor = EPOCHS[epoch or "us"]
    days = some // (DAY // factor)
    seconds = (some - days * (DAY // factor)) * factor // 1_000_000
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march = (5 * of_year + 2) // 153
    day = of_year - (153 * march + 2) // 5 + 1
    month = xp.where(march < 10, march + 3, march - 9)
    year = year_of_era + era * 400 + xp.where(month <= 2, xp.full_like(month, 1), xp.full_like(month, 0))
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    january = of_year - 306
    later = of_year + 59 + xp.where(leap, xp.full_like(month, 1), xp.full_like(month, 0))
    made = {
        "year": lambda: year,
        "quarter": lambda: (month + 2) // 3,
        "month": lambda: month,
        "day": lambda: day,
        "day_of_year": lambda: xp.where(month <= 2, january, later) + 1,
        "weekday": lambda: (days + 3) % 7,
        "hour": lambda: seconds // 3600,
        "minute": lambda: seconds // 60 % 60,
        "second": lambda: seconds % 60,
        "epoch_days": lambda: days,
    }
    return missing, [made[name]() for name in names]


def _epoch_problem(epoch: str | None, kind: Kind | None) -> str:
    if kind == "int" and epoch is None:
        return "an int column needs its unit: epoch: s, ms, us or days since 1970-01-01"
    return "a point in time has no epoch to be told" if kind == "time" and epoch is not None else ""
