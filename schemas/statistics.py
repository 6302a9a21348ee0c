"""Statistics of a data set as values: per split, per feature; JSON to and from.

Standard library only, so that statistics can be read where nothing is computed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .schema import FeatureType

SHARES = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
"""The shares at which quantiles are given."""

Value = str | int | float

FORMAT = 2
"""The layout of `statistics.json`; 1 is read too, and lacks what is new."""


class StatisticsFormatError(ValueError):
    """Statistics that this version can't read."""


@dataclass(frozen=True)
class Histogram:
    """Counts in adjacent buckets.

    Attributes:
        edges: b + 1 ascending numbers; the last bucket holds its upper edge, the others don't.
        counts: b counts; floats where the histogram's maker interpolated them.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True)
class NumericStatistics:
    """Of the finite values of a numeric column; None where there is none or float64 can't hold it.

    A timestamp's values are microseconds since 1970-01-01 UTC, those of ints and floats are the values in
    all rows' lists.

    Attributes:
        min, max, mean, deviation, median: the deviation is the population's (ddof=0).
        zeros: how many values are zero.
        infinite: how many values are infinite; nothing else here takes them in.
        quantiles: pairs of share and value, at `SHARES`.
        relative_error: the bound of the relative error of median and quantiles; 0 if they are exact.
        histogram: buckets of equal width from `min` to `max`. Where `relative_error` isn't 0, a value within
            it of an edge may be counted on the edge's other side.
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
    histogram: Histogram | None = None

    @property
    def quantile_histogram(self) -> Histogram | None:
        """Ten buckets with a tenth of the values each, whose edges are the deciles; None without them."""
        total = sum(self.histogram.counts) if self.histogram else 0
        at = dict(self.quantiles)
        inner = [at.get(tenth / 10) for tenth in range(1, 10)]
        if not total or self.min is None or self.max is None or None in inner:
            return None
        edges = (self.min, *(edge for edge in inner if edge is not None), self.max)
        return Histogram(edges, (total / 10,) * 10)


@dataclass(frozen=True)
class LengthStatistics:
    """Lengths of the values of a string column in code points; None where there is no value.

    Attributes:
        min, max, mean: exact.
        histogram: of equal width; lengths from 1,024 on are counted with a relative error of 2^-7.
    """

    min: int | None
    max: int | None
    mean: float | None
    histogram: Histogram | None = None


@dataclass(frozen=True)
class ImageStatistics:
    """Of the encoded files in an image column, none of which is decoded; None where there is no image.

    Attributes:
        min_bytes, max_bytes, mean_bytes, bytes: of the smallest and the largest file, of the mean one, and of
            all together; exact.
        formats: pairs of a format (`jpeg`, `png` or `other`, by the first bytes) and how many files are of
            it, by descending count.
        histogram: of their bytes, of equal width; from 1,024 on with a relative error of 2^-7.
    """

    min_bytes: int | None = None
    max_bytes: int | None = None
    mean_bytes: float | None = None
    bytes: int = 0
    formats: tuple[tuple[str, int], ...] = ()
    histogram: Histogram | None = None


@dataclass(frozen=True)
class ListStatistics:
    """How many values the lists of the rows that aren't missing hold; None where all are missing.

    Attributes:
        min, max, mean: the least, the greatest and the mean number of values in a row.
        values: how many values there are in all, nulls within the lists included.
    """

    min: int | None
    max: int | None
    mean: float | None
    values: int


@dataclass(frozen=True)
class WeightedStatistics:
    """The same with each row counted by its weight.

    Attributes:
        count, missing: the weights of the rows with and without a value.
        mean, deviation: of a scalar numeric column: sum(w x) / sum(w) over finite x, and
            sqrt(sum(w (x - mean)^2) / sum(w)); else None.
    """

    count: float
    missing: float
    mean: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Correlation:
    """How a column goes with the label, over the rows where both have a finite value.

    Attributes:
        label: the label's column.
        method: `pearson` between numbers, sum((x - mx)(y - my)) / sqrt(sum((x - mx)^2) sum((y - my)^2));
            `eta`, the correlation ratio, between a number and a category,
            sqrt(sum over categories of n_c (m_c - m)^2 / sum((y - m)^2)); `cramers_v` between categories,
            sqrt(chi^2 / (n (min(categories of either) - 1))), without a correction of its bias.
        value: from -1 to 1 (pearson) or 0 to 1; None where one side has a single value, or where a
            category has more than 1,000 values.
        rows: how many rows it is of.
    """

    label: str
    method: str
    value: float | None
    rows: int


@dataclass(frozen=True)
class FeatureStatistics:
    """One column of one split.

    Attributes:
        name, type: the column.
        rows: all rows of the split.
        missing: rows without a value (NaN is none, nor is an empty list).
        distinct: the number of distinct values; see `exact`. 0 beside a `count` above 0 where it isn't told:
            of images, and by statistics of another maker.
        exact: whether `distinct` and `top` are exact. If not, `distinct` is an estimate, and `top` lacks
            values of a string column, or groups those of a numeric one to within `relative_error`.
        top: values and counts, by descending count, ties by descending value. A string or bool column
            with at most 1,000 distinct values has all of them here.
            Values of a list column are those in the lists.
        numeric: of an int, float, timestamp, ints or floats column, else None.
        lengths: of a string or strings column, else None.
        distinct_error: the relative standard error of `distinct`; 0 where it is exact.
        invalid_utf8: how many values aren't UTF-8; they are counted with U+FFFD for their bad bytes.
        lists: of a strings, ints or floats column, else None.
        images: of an image column, else None.
        weighted: where the statistics were made with a weight column.
        correlation: where they were made with a label; None for the label itself.
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
    distinct_error: float = 0.0
    invalid_utf8: int = 0
    lists: ListStatistics | None = None
    images: ImageStatistics | None = None
    weighted: WeightedStatistics | None = None
    correlation: Correlation | None = None

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
        return self.exact and len(self.top) == self.distinct and self.images is None


@dataclass(frozen=True)
class SplitStatistics:
    """One split, or a slice of it.

    Attributes:
        name: the split; of a slice, `column=value`.
        rows: how many.
        features: in the order of the columns.
        weight: the sum of the rows' weights; None without a weight column.
        slices: the same of the rows with one value of a column, each.
    """

    name: str
    rows: int
    features: tuple[FeatureStatistics, ...]
    weight: float | None = None
    slices: tuple[SplitStatistics, ...] = ()

    def __iter__(self) -> Iterator[FeatureStatistics]:
        return iter(self.features)

    def __getitem__(self, name: str) -> FeatureStatistics:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> Mapping[str, FeatureStatistics]:
        return {feature.name: feature for feature in self.features}


@dataclass(frozen=True)
class DatasetStatistics:
    """All splits, in the order of ingestion.

    Attributes:
        splits: at least one row or none, each.
        budget: how many bytes the distinct values of one column may take before sketches replace exact
            counts; see `FeatureStatistics.exact`, `distinct_error` and `NumericStatistics.relative_error` for
            where that happened. None where it isn't known.
    """

    splits: tuple[SplitStatistics, ...]
    budget: int | None = None

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
        splits = ",\n".join(map(_split_json, self))
        head = f'"format": {FORMAT}, "budget": {json.dumps(self.budget)}'
        return f'{{{head}, "splits": [\n{splits}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> DatasetStatistics:
        """The inverse of `to_json`; reads what older versions wrote too.

        Raises:
            StatisticsFormatError: the text isn't what `to_json` writes, or a newer version wrote it.
        """
        try:
            told = json.loads(text)
            version = told.get("format") if isinstance(told, dict) else None
            if type(version) is not int or version < 1:
                raise StatisticsFormatError("these are no statistics of headrace: they tell no format")
            if version > FORMAT:
                raise StatisticsFormatError(
                    f"the statistics have format {version}, and this headrace reads up to {FORMAT}"
                )
            return cls(tuple(map(_split, told["splits"])), told.get("budget"))
        except StatisticsFormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StatisticsFormatError(f"these are no statistics of headrace ({error!r})") from error


def finite(value: float) -> float | None:
    """The value, or None for NaN and the infinities, which JSON can't hold."""
    return value if math.isfinite(value) else None


def _split_json(split: SplitStatistics) -> str:
    # What says nothing is left out, and `vars` is not `asdict`, which copies every number: both matter for
    # thousands of columns.
    encode = json.JSONEncoder(default=_told, ensure_ascii=False, allow_nan=False).encode
    head = encode({"name": split.name, "rows": split.rows, "weight": split.weight})
    features = ",\n".join(map(encode, split))
    slices = ",\n".join(map(_split_json, split.slices))
    return f'{head[:-1]}, "features": [\n{features}\n], "slices": [{slices}]}}'


def _told(value: Any) -> dict[str, Any]:
    return {name: item for name, item in vars(value).items() if item is not None or name in _ALWAYS}


_ALWAYS = frozenset({"numeric", "lengths", "min", "max", "mean", "deviation", "median", "value"})


def _split(value: Mapping[str, Any]) -> SplitStatistics:
    return SplitStatistics(
        value["name"],
        value["rows"],
        tuple(map(_feature, value["features"])),
        value.get("weight"),
        tuple(map(_split, value.get("slices", ()))),
    )


def _feature(value: Mapping[str, Any]) -> FeatureStatistics:
    made = {name: _made(kind, value.get(name)) for name, kind in _PARTS.items()}
    top = tuple((item, count) for item, count in value["top"])
    return FeatureStatistics(**{**value, **made, "top": top})


_PARTS: Mapping[str, type] = {
    "numeric": NumericStatistics,
    "lengths": LengthStatistics,
    "lists": ListStatistics,
    "images": ImageStatistics,
    "weighted": WeightedStatistics,
    "correlation": Correlation,
}


def _made(kind: type, value: Mapping[str, Any] | None) -> Any:
    if value is None:
        return None
    made = dict(value)
    if "quantiles" in made:
        made["quantiles"] = tuple((share, quantile) for share, quantile in made["quantiles"])
    if "formats" in made:
        made["formats"] = tuple((name, count) for name, count in made["formats"])
    if made.get("histogram"):
        histogram = made["histogram"]
        made["histogram"] = Histogram(tuple(histogram["edges"]), tuple(histogram["counts"]))
    return kind(**made)
