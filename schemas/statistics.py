"""Statistics of a data set as values: per split, per feature; JSON to and from.

Standard library only, so that statistics can be read where nothing is computed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .schema import FeatureType

SHARES = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
"""The shares at which quantiles are given."""

Value = str | int | float


@dataclass(frozen=True)
class NumericStatistics:
    """Of the finite values of an int or float column; None where there is none or float64 can't hold it.

    Attributes:
        min, max, mean, deviation, median: the deviation is the population's (ddof=0).
        zeros: how many values are zero.
        infinite: how many values are infinite; nothing else here takes them in.
        quantiles: pairs of share and value, at `SHARES`.
        relative_error: the bound of the relative error of median and quantiles; 0 if they are exact.
    """

    min: float | None
    max: float | None
    mean: float | None
    deviation: float | None
    median: float | None
    zeros: int
    infinite: int
    quantiles: tuple[tuple[float, float], ...]
    relative_error: float


@dataclass(frozen=True)
class LengthStatistics:
    """Lengths of the values of a string column in code points; None where there is no value."""

    min: int | None
    max: int | None
    mean: float | None


@dataclass(frozen=True)
class FeatureStatistics:
    """One column of one split.

    Attributes:
        name, type: the column.
        rows: all rows of the split.
        missing: rows without a value (NaN is none).
        distinct: the number of distinct values; see `exact`.
        exact: whether `distinct` and `top` are exact. If not, `distinct` is an estimate, and `top` lacks
            values of a string column, or groups those of a numeric one to within `relative_error`.
        top: values and counts, by descending count, ties by descending value. A string or bool column
            with at most 1,000 distinct values has all of them here.
        numeric: of an int or float column, else None.
        lengths: of a string column, else None.
    """

    name: str
    type: FeatureType
    rows: int
    missing: int
    distinct: int
    exact: bool
    top: tuple[tuple[Value, int], ...]
    numeric: NumericStatistics | None = None
    lengths: LengthStatistics | None = None

    @property
    def count(self) -> int:
        """How many rows have a value."""
        return self.rows - self.missing

    @property
    def presence(self) -> float:
        """The share of rows that have a value; 0 without rows."""
        return self.count / self.rows if self.rows else 0.0

    @property
    def complete(self) -> bool:
        """Whether `top` holds every value there is."""
        return self.exact and len(self.top) == self.distinct


@dataclass(frozen=True)
class SplitStatistics:
    """One split; `features` are in the order of the columns."""

    name: str
    rows: int
    features: tuple[FeatureStatistics, ...]

    def __iter__(self) -> Iterator[FeatureStatistics]:
        return iter(self.features)

    def __getitem__(self, name: str) -> FeatureStatistics:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)


@dataclass(frozen=True)
class DatasetStatistics:
    """All splits, in the order of ingestion."""

    splits: tuple[SplitStatistics, ...]

    def __iter__(self) -> Iterator[SplitStatistics]:
        return iter(self.splits)

    def __getitem__(self, name: str) -> SplitStatistics:
        for split in self.splits:
            if split.name == name:
                return split
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the splits."""
        return tuple(split.name for split in self.splits)

    def to_json(self) -> str:
        """JSON text with a line for each feature, equal for equal statistics."""
        splits = []
        for split in self:
            # `vars` and not `asdict`, which copies every number: seconds for thousands of columns.
            lines = (json.dumps(one, default=vars, ensure_ascii=False, allow_nan=False) for one in split)
            head = json.dumps({"name": split.name, "rows": split.rows}, ensure_ascii=False)
            splits.append(f'{head[:-1]}, "features": [\n' + ",\n".join(lines) + "\n]}")
        return '{"format": 1, "splits": [\n' + ",\n".join(splits) + "\n]}\n"

    @classmethod
    def from_json(cls, text: str) -> DatasetStatistics:
        """The inverse of `to_json`.

        Raises:
            ValueError, KeyError, TypeError: the text isn't what `to_json` writes.
        """
        return cls(tuple(_split(split) for split in json.loads(text)["splits"]))


def finite(value: float) -> float | None:
    """The value, or None for NaN and the infinities, which JSON can't hold."""
    return value if math.isfinite(value) else None


def _split(value: Mapping[str, Any]) -> SplitStatistics:
    return SplitStatistics(value["name"], value["rows"], tuple(_feature(f) for f in value["features"]))


def _feature(value: Mapping[str, Any]) -> FeatureStatistics:
    numeric, lengths = value["numeric"], value["lengths"]
    if numeric is not None:
        quantiles = tuple((share, quantile) for share, quantile in numeric["quantiles"])
        numeric = NumericStatistics(**{**numeric, "quantiles": quantiles})
    return FeatureStatistics(
        **{
            **value,
            "top": tuple((item, count) for item, count in value["top"]),
            "numeric": numeric,
            "lengths": lengths and LengthStatistics(**lengths),
        }
    )
