"""What a search may give to a parameter: a range of numbers, or choices.

    1e-4..1e-1:log      floats, equally often in every decade
    0.0..0.5            floats
    16..128             whole numbers, both ends included
    1e-4..1e-1:log:4    four values, evenly spaced on that scale
    0.5,1,2             choices; anything that YAML can write, such as [32],[64,32]

In a document the same texts, a list of choices, or `{low: 1e-4, high: 1e-1, log: true, points: 4}`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ...schemas import yaml12
from ..errors import Problem

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})((?::\w+)*)")
KEYS = ("low", "high", "log", "points")
DIGITS = 6
"""Significant digits of a drawn float: it can be typed again, and nothing in a search depends on more."""


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, which are included.

    Attributes:
        low, high: the bounds; whole numbers if both are ints.
        log: whether every decade is as likely as the next.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that stand for all, to see whether a parameter takes them."""
        return (self.low, self.high)

    def value(self, drawn: float) -> float:
        """A drawn number as it is given to the parameter."""
        return int(drawn) if self.whole else min(max(rounded(drawn), self.low), self.high)

    def points(self, number: int) -> tuple[float, ...]:
        """So many values, evenly spaced on the range's scale, each once."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        places = [low + (high - low) * i / max(number - 1, 1) for i in range(number)]
        values = [math.exp(place) if self.log else place for place in places]
        return tuple(dict.fromkeys(self.value(round(v) if self.whole else v) for v in values))

    def to_json(self) -> dict[str, Any]:
        """As a document has it."""
        return {"low": self.low, "high": self.high, **({"log": True} if self.log else {})}


@dataclass(frozen=True)
class Choices:
    """Some values, in the order in which they were given.

    Attributes:
        values: JSON values.
        log: whether a picture of them, if they are numbers, has a logarithmic scale.
    """

    values: tuple[Any, ...]
    log: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def to_json(self) -> list[Any]:
        """As a document has it."""
        return list(self.values)


Axis = Range | Choices


def rounded(value: float) -> float:
    """A float with `DIGITS` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def axis_of(given: Any) -> Axis | Problem:
    """What may be tried for one parameter, from what was written, or what is wrong with that."""
    if isinstance(given, str):
        return _of_text(str(given))
    if isinstance(given, Mapping):
        return _of_mapping(given)
    if isinstance(given, list | tuple):
        return _choices(list(given))
    return Problem(
        f"{given!r} is nothing to choose from", remedy="write a range, as 1e-4..1e-1:log, or a list of values"
    )


def _of_text(text: str) -> Axis | Problem:
    found = _RANGE.fullmatch(text.strip())
    if not found:
        try:
            values = yaml12.load(f"[{text}]", "--over")
        except yaml12.YamlError as error:
            return Problem(f"{text!r} is neither a range nor a list of values: {error.what}", remedy=_REMEDY)
        one_list = len(values) == 1 and isinstance(values[0], list)  # [8, 16], as a document has it
        return _choices(values[0] if one_list else values)
    told: dict[str, Any] = {"low": _number(found[1]), "high": _number(found[2])}
    for word in found[3].split(":")[1:]:
        if word == "log":
            told["log"] = True
        elif word.isdigit():
            told["points"] = int(word)
        else:
            return Problem(f"a range has no {word!r}", given=word, available=("log",), remedy=_REMEDY)
    return _of_mapping(told)


_REMEDY = "write LOW..HIGH, LOW..HIGH:log, LOW..HIGH:log:POINTS, or the values with commas between them: 8,16"


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _of_mapping(told: Mapping[str, Any]) -> Axis | Problem:
    unknown = [key for key in told if key not in KEYS]
    if unknown:
        return Problem(f"a range has no {unknown[0]!r}", given=str(unknown[0]), available=KEYS)
    low, high = told.get("low"), told.get("high")
    log, points = told.get("log", False), told.get("points")
    if not _is_number(low) or not _is_number(high):
        return Problem("a range needs two numbers, low and high", remedy=_REMEDY)
    assert low is not None and high is not None
    if not isinstance(log, bool):
        return Problem("log has to be true or false")
    if not low < high:
        return Problem(
            f"the range ends at {high:g}, before it begins at {low:g}", remedy="low first, then high"
        )
    if log and low <= 0:
        return Problem(f"a logarithmic range can't begin at {low:g}", remedy="begin above 0")
    if points is None:
        return Range(low, high, log)
    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        return Problem("points has to be a whole number, 2 or more")
    return Choices(Range(low, high, log).points(points), log)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _choices(values: Any) -> Axis | Problem:
    kept: list[Any] = []
    for value in values or []:
        if not any(type(value) is type(other) and value == other for other in kept):
            kept.append(value)
    if not kept:
        return Problem("there is nothing to choose from", remedy=_REMEDY)
    return Choices(tuple(kept))


def grid(axes: Mapping[str, Axis]) -> Sequence[dict[str, Any]]:
    """Every combination of the axes' values, the last one changing fastest.

    Whole numbers count one by one.

    Raises:
        ValueError: a range of floats has no end of values; it is named.
    """
    return [
        dict(zip(axes, values, strict=True)) for values in product(*(_values(k, a) for k, a in axes.items()))
    ]


def size(axes: Mapping[str, Axis]) -> int | None:
    """How many combinations there are; None where a range of floats has no end of them."""
    if any(isinstance(axis, Range) and not axis.whole for axis in axes.values()):
        return None
    return math.prod(len(_values(name, axis)) for name, axis in axes.items())


def _values(name: str, axis: Axis) -> Sequence[Any]:
    if isinstance(axis, Choices):
        return axis.values
    if axis.whole:
        return range(int(axis.low), int(axis.high) + 1)
    raise ValueError(name)


def probes(axes: Mapping[str, Axis]) -> Iterator[dict[str, Any]]:
    """Settings in which every end of every axis occurs, to see whether the pipeline takes them."""
    most = max(len(axis.ends) for axis in axes.values())
    for number in range(most):
        yield {name: axis.ends[min(number, len(axis.ends) - 1)] for name, axis in axes.items()}
