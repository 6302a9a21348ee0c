"""Transforms of a person's own, as a file beside a pipeline would hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.components.transforms import Transform


def clamp(xp: Any, column: Any, low: float = 0.0, high: float = 1.0) -> Any:
    """Values beyond the bounds become the bounds."""
    return xp.where(column < low, low, xp.where(column > high, high, column))


def above(xp, column, bound=0, height=1):  # type: ignore[no-untyped-def]
    """Without annotations, with whole numbers."""
    return xp.where(xp.isnan(column), column, xp.where(column > bound, height, xp.float32(0 * column)))


@dataclass(frozen=True)
class Gap(Transform):
    """The distance to the least value of the train split, in units."""

    unit: float = 1.0
    first = ("unit",)

    def analyzers(self, kind: Any) -> Any:
        return ("moments",)

    def fit(self, results: Any, kind: Any) -> Any:
        return {"least": results.min}

    def apply(self, xp: Any, column: Any, constants: Any) -> Any:
        return (column - constants["least"]) * (1 / self.unit)

    def inverse(self, xp: Any, column: Any, constants: Any) -> Any:
        return column * self.unit + constants["least"]


@dataclass(frozen=True)
class Initials(Transform):
    """Strings to ids, by the hash of each word."""

    buckets: int
    first = ("buckets",)
    takes = ("string",)

    def gives(self, kind: Any) -> Any:
        return "ids"

    def size(self, constants: Any, size: int) -> int:
        return self.buckets

    def apply(self, xp: Any, column: Any, constants: Any) -> Any:
        return xp.hash_bucket(column, self.buckets)


@dataclass(frozen=True)
class Dim(Transform):
    """The upper half of each image, darker."""

    share: float = 0.5
    first = ("share",)
    takes = ("pixels",)

    def shape(self, shape: Any) -> Any:
        return shape[0] // 2, shape[1], shape[2]

    def apply(self, xp: Any, column: Any, constants: Any) -> Any:
        return xp.uint8(xp.float32(column[:, : column.shape[1] // 2]) * self.share)
