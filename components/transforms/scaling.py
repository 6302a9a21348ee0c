"""Transforms of numbers to numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .base import Analyzer, Constants, Kind, Results, Transform
from .by_key import ByKey


@dataclass(frozen=True)
class _Scaling(Transform):
    takes: ClassVar[tuple[Kind, ...]] = ("float",)
    label: ClassVar[str] = "value"


@dataclass(frozen=True)
class _ScalingByKey(ByKey):
    takes: ClassVar[tuple[Kind, ...]] = ("float",)
    label: ClassVar[str] = "value"


@dataclass(frozen=True)
class ZScore(_ScalingByKey):
    """`(x - mean) / deviation` with ddof=0; zero variance gives 0. As `tft.scale_to_z_score`.

    With `by` as `tft.scale_to_z_score_per_key`, and 0 where a key's values don't vary.
    """

    name: ClassVar[str] = "z_score"

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Moments."""
        return ("moments",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """Mean, deviation, and its reciprocal (0 where there is no variance)."""
        return {"mean": results.mean, "std": results.std, "scale": reciprocal(results.std)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return (column - constants["mean"]) * constants["scale"]

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """Back to the column's units."""
        return column * constants["std"] + constants["mean"]


@dataclass(frozen=True)
class MinMax(_ScalingByKey):
    """The range of the train split to `low … high`; a constant column gives the middle of it.

    Values outside of the train split's range come out outside of `low … high`.
    """

    low: float = 0.0
    high: float = 1.0
    name: ClassVar[str] = "min_max"
    first: ClassVar[tuple[str, ...]] = ("low", "high")

    def problem(self, kind: Kind | None) -> str:
        """`low` has to be below `high`."""
        return "" if self.low < self.high else f"low ({self.low:g}) has to be below high ({self.high:g})"

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Moments, which hold the range."""
        return ("moments",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The minimum, the factor and its reciprocal, and what is added."""
        factor = (self.high - self.low) * reciprocal(results.max - results.min)
        offset = self.low if factor else (self.low + self.high) / 2
        span = (results.max - results.min) / (self.high - self.low)
        return {"min": results.min, "scale": factor, "offset": offset, "span": span}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return (column - constants["min"]) * constants["scale"] + constants["offset"]

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """Back to the column's units."""
        return (column - constants["offset"]) * constants["span"] + constants["min"]


@dataclass(frozen=True)
class MaxAbs(_ScalingByKey):
    """`x / max |x|` of the train split, so -1 … 1 with 0 left at 0; as scikit-learn's `MaxAbsScaler`."""

    name: ClassVar[str] = "max_abs"

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Moments, which hold the range."""
        return ("moments",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The greatest magnitude and its reciprocal (0 for a column of zeros)."""
        greatest = max(abs(results.min), abs(results.max))
        return {"greatest": greatest, "scale": reciprocal(greatest)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return column * constants["scale"]

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """Back to the column's units."""
        return column * constants["greatest"]


@dataclass(frozen=True)
class Robust(_ScalingByKey):
    """`(x - median) / (upper quantile - lower quantile)`; 0 where these are equal.

    As scikit-learn's `RobustScaler`.

    Attributes:
        low, high: the shares of the quantiles, by default the interquartile range.
    """

    low: float = 0.25
    high: float = 0.75
    name: ClassVar[str] = "robust"
    first: ClassVar[tuple[str, ...]] = ("low", "high")

    def problem(self, kind: Kind | None) -> str:
        """Shares, in order."""
        if not 0 <= self.low < self.high <= 1:
            return f"low ({self.low:g}) and high ({self.high:g}) have to be shares from 0 to 1, in this order"
        return ""

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of values, for quantiles."""
        return ("values",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The median, the range between the quantiles, and its reciprocal."""
        spread = results.quantile(self.high) - results.quantile(self.low)
        return {"median": results.quantile(0.5), "spread": spread, "scale": reciprocal(spread)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return (column - constants["median"]) * constants["scale"]

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """Back to the column's units."""
        return column * constants["spread"] + constants["median"]


@dataclass(frozen=True)
class Rescale(_Scaling):
    """`x * factor + offset`, as Keras' `Rescaling`."""

    factor: float
    offset: float = 0.0
    name: ClassVar[str] = "rescale"
    first: ClassVar[tuple[str, ...]] = ("factor",)

    def problem(self, kind: Kind | None) -> str:
        """A factor of 0 would lose everything."""
        return "" if self.factor else "factor must not be 0"

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The arguments, in float32."""
        return {"factor": self.factor, "offset": self.offset}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return column * constants["factor"] + constants["offset"]

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """Back to the column's units."""
        return (column - constants["offset"]) / constants["factor"]


@dataclass(frozen=True)
class Log1p(_Scaling):
    """`log(1 + x)`; a value of -1 or less has none and is an error when the shards are written."""

    name: ClassVar[str] = "log1p"

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        return xp.log1p(column)

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """`exp(x) - 1`."""
        return xp.expm1(column)


@dataclass(frozen=True)
class Clip(_Scaling):
    """Values below `low` become `low`, above `high` become `high`; missing stays missing."""

    low: float
    high: float
    name: ClassVar[str] = "clip"
    first: ClassVar[tuple[str, ...]] = ("low", "high")

    def problem(self, kind: Kind | None) -> str:
        """`low` has to be below `high`."""
        return "" if self.low < self.high else f"low ({self.low:g}) has to be below high ({self.high:g})"

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The arguments, in float32."""
        return {"low": self.low, "high": self.high}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        raised = xp.where(column < constants["low"], constants["low"], column)
        return xp.where(raised > constants["high"], constants["high"], raised)

    def inverse(self, xp: Any, column: Any, constants: Constants) -> Any:
        """What was clipped stays clipped."""
        return column


def reciprocal(value: float) -> float:
    """`1 / value`, or 0 where float32 holds none, as for a constant column."""
    return 1 / value if value > 1e-37 else 0.0
