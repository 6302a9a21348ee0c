"""Numbers to numbers of another distribution, by that of the train split."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, ClassVar

import msgspec

from .base import Analyzer, Constants, Kind, Results, Transform

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class QuantileNormal(Transform):
    """The standard normal quantile of a value's place in the train split, linear between `quantiles` of them.

    As scikit-learn's `QuantileTransformer(output_distribution="normal")`. Values beyond the train split's
    range come out as its ends, at the normal quantiles of 1e-4 and 1 - 1e-4 (about -3.7 and 3.7).

    Attributes:
        quantiles: how many points the distribution is known at.
    """

    quantiles: Annotated[int, msgspec.Meta(ge=2, le=10_000)] = 1000
    name: ClassVar[str] = "quantile_normal"
    first: ClassVar[tuple[str, ...]] = ("quantiles",)

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of values, for quantiles."""
        return ("values",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """Ascending points, the normal quantile at each, and the slope behind each."""
        places: dict[float, list[float]] = {}
        for i in range(self.quantiles):
            share = i / (self.quantiles - 1)
            places.setdefault(results.quantile(share), []).append(min(max(share, 1e-4), 1 - 1e-4))
        normal = NormalDist()
        points = sorted(places)
        # A value that fills several quantiles stands in their middle.
        heights = [normal.inv_cdf((places[p][0] + places[p][-1]) / 2) for p in points]
        if len(points) == 1:
            return {"points": points, "heights": [0.0], "slopes": [0.0]}
        pairs = zip(
            zip(points, heights, strict=True), zip(points[1:], heights[1:], strict=True), strict=False
        )
        slopes = [(high - low) / (right - left) for (left, low), (right, high) in pairs]
        return {"points": points, "heights": heights, "slopes": [*slopes, 0.0]}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        points = constants["points"]
        first, last = float(points[0]), float(points[-1])
        inside = xp.where(column < first, first, column)
        inside = xp.where(inside > last, last, inside)
        found = xp.bucket(inside, points) - 1
        place = xp.where(found < 0, xp.full_like(found, 0), found)
        made = xp.take(constants["heights"], place) + (inside - xp.take(points, place)) * xp.take(
            constants["slopes"], place
        )
        return xp.where(xp.isnan(column), column, made)


@dataclass(frozen=True)
class Power(Transform):
    """Yeo and Johnson's power transform (Biometrika 87, 2000), which makes a skewed column more normal.

    The exponent has the greatest likelihood in the train split, to 1e-4 between -5 and 5; as scikit-learn's
    `PowerTransformer(standardize=False)`. Put z_score behind.
    """

    name: ClassVar[str] = "power"
    label: ClassVar[str] = ""

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """Counts of values."""
        return ("values",)

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """The exponent, usually called lambda."""
        values, counts = results.distribution()
        return {"exponent": _greatest(lambda one: _likelihood(values, counts, one), -5.0, 5.0)}

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class."""
        power = constants["exponent"]
        positive = xp.where(column < 0, 0.0, column)
        negative = xp.where(column < 0, -column, 0.0)
        above = xp.log1p(positive) if power == 0 else (xp.power(positive + 1.0, power) - 1.0) * (1 / power)
        rest = 2.0 - power
        below = xp.log1p(negative) if rest == 0 else (xp.power(negative + 1.0, rest) - 1.0) * (1 / rest)
        return xp.where(xp.isnan(column), column, xp.where(column < 0, -below, above))


def _likelihood(values: Any, counts: Any, power: float) -> float:
    """The log-likelihood of an exponent, up to a constant; `values` float64 [d], `counts` int64 [d]."""
    import numpy as np

    size = np.log1p(np.abs(values))
    with np.errstate(all="ignore"):
        above = size if abs(power) < 1e-9 else np.expm1(power * size) / power
        rest = 2.0 - power
        below = size if abs(rest) < 1e-9 else np.expm1(rest * size) / rest
        made = np.where(values >= 0, above, -below)
        total = float(counts.sum())
        mean = float((made * counts).sum()) / total
        variance = float(((made - mean) ** 2 * counts).sum()) / total
        slope = float((np.sign(values) * size * counts).sum())
    if not math.isfinite(variance) or variance <= 0:
        return -math.inf
    return -0.5 * total * math.log(variance) + (power - 1) * slope


def _greatest(height: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one top is greatest, by golden section to 1e-5; 1 where it is level."""
    start = height(1.0)
    if start == -math.inf:
        return 1.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = height(left), height(right)
    while high - low > 1e-5:
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = height(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = height(right)
    return round((low + high) / 2, 4)
