"""The accumulator behind statistics: everything of every column of a table, in one pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .feature_statistics import image_feature, list_feature, numeric_feature, text_feature, weighted
from .folding import in_threads
from .image_counts import ImageCounts
from .label_relation import LabelRelation
from .list_counts import ListCounts, flat
from .moments import Moments
from .numeric_counts import BUDGET, NumericCounts
from .packing import Blob, Column, floats, join, split
from .schema import MULTI, FeatureType
from .statistics import FeatureStatistics, SplitStatistics
from .string_counts import MAX_BYTES, StringCounts
from .weighted_moments import WeightedMoments

T = TypeVar("T")

NUMERIC = ("int", "float", "timestamp")
"""Types of one number a row; a timestamp is its microseconds."""
FLAT_NUMERIC = ("ints", "floats")
ALL_NUMBERS, LEAST_NUMBERS = 1 << 24, 4_096
"""Distinct numbers that are counted exactly, of all columns together, and of each whatever their number."""


@dataclass(frozen=True)
class Options:
    """What is asked for beyond the columns' own statistics, and the budget.

    Attributes:
        label: a scalar column that the others are correlated with, or "".
        weight: a numeric column that holds the rows' weights, or "".
        budget: how many bytes the distinct values of one column may take: that many of strings, a sixteenth
            of it in numbers, but see `numbers`.
        buckets: of the histograms of equal width.
    """

    label: str = ""
    weight: str = ""
    budget: int = MAX_BYTES
    buckets: int = 10

    def numbers(self, columns: int) -> int:
        """How many distinct numbers of one of so many columns are counted exactly: at most 65,536.

        Of a table of more than 256 columns of numbers all columns together have 16.8 million (256 MiB), but
        each at least 4,096: memory must not grow with the table's width.
        """
        return min(BUDGET, self.budget // 16, max(ALL_NUMBERS // max(columns, 1), LEAST_NUMBERS))


DEFAULT = Options()


def column_types(schema: pa.Schema) -> dict[str, FeatureType]:
    """The feature type of each column of an Arrow schema.

    Raises:
        TypeError: a column is none of the types that statistics know.
    """
    return {field.name: _feature_type(field.name, field.type) for field in schema}


def _feature_type(name: str, kind: pa.DataType) -> FeatureType:
    kinds = pa.types
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        many: dict[str, FeatureType] = {"int": "ints", "float": "floats", "string": "strings"}
        if inner := many.get(_feature_type(name, kind.value_type)):
            return inner
    if kinds.is_timestamp(kind):
        return "timestamp"
    if kinds.is_boolean(kind):
        return "bool"
    if kinds.is_integer(kind):
        return "int"
    if kinds.is_floating(kind):
        return "float"
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return "string"
    if kinds.is_binary(kind) or kinds.is_large_binary(kind):
        return "image"
    raise TypeError(
        f"the column {name!r} has the type {kind}, which is no number, string, bool, timestamp, list or image"
    )


@dataclass(frozen=True, eq=False)
class TableSummary:
    """An accumulator over the batches of a table.

    Counts don't depend on the order of merging; mean, deviation, weighted figures and correlations do in
    their last bits, see `Moments`: merge the parts from the left.

    Attributes:
        columns: types by name, in order.
        options: what is asked for.
        rows: how many rows were seen.
        moments: of the int, float and timestamp columns.
        flat: moments of the values in ints and floats columns, by name.
        numbers: counts of the values of each column of numbers, by name.
        strings: of each other column but images, by name.
        lists: of each list column, by name.
        images: of each column of images, by name.
        weights: of all columns, if there is a weight column.
        relation: to the label, if there is one.
    """

    columns: Mapping[str, FeatureType]
    options: Options
    rows: int
    moments: Moments
    flat: Mapping[str, Moments]
    numbers: Mapping[str, NumericCounts]
    strings: Mapping[str, StringCounts]
    lists: Mapping[str, ListCounts]
    images: Mapping[str, ImageCounts]
    weights: WeightedMoments | None
    relation: LabelRelation | None

    @classmethod
    def empty(cls, columns: Mapping[str, FeatureType], options: Options = DEFAULT) -> TableSummary:
        """The neutral element of `merge`."""
        numeric, counted = _named(columns, NUMERIC), _named(columns, NUMERIC + FLAT_NUMERIC)
        return cls(
            columns,
            options,
            0,
            Moments.empty(numeric),
            {name: Moments.empty([name]) for name in _named(columns, FLAT_NUMERIC)},
            {name: NumericCounts.empty(options.numbers(len(counted))) for name in counted},
            {name: StringCounts.empty(max_bytes=options.budget) for name in _text(columns)},
            {name: ListCounts() for name in _named(columns, MULTI)},
            {name: ImageCounts() for name in _named(columns, ("image",))},
            WeightedMoments.empty(len(columns), len(numeric)) if options.weight else None,
            LabelRelation.empty(columns, options.label) if options.label else None,
        )

    @classmethod
    def of(
        cls, columns: Mapping[str, FeatureType], batch: pa.RecordBatch | pa.Table, options: Options = DEFAULT
    ) -> TableSummary:
        """The summary of one batch, which has at least `columns`; for images their `image_facts` will do."""
        held = {name: batch.column(name) for name in columns}
        plain = {name: _plain(column, columns[name]) for name, column in held.items()}
        numeric = _named(columns, NUMERIC)
        numbers = {name: floats(plain[name]) for name in numeric}
        values = np.stack(list(numbers.values())) if numbers else np.empty((0, batch.num_rows))
        inner = {name: floats(plain[name]) for name in _named(columns, FLAT_NUMERIC)}
        counted = _named(columns, NUMERIC + FLAT_NUMERIC)
        return cls(
            columns,
            options,
            batch.num_rows,
            Moments.of_arrays(numeric, values),
            {name: Moments.of_arrays([name], array[None]) for name, array in inner.items()},
            {name: NumericCounts.of(plain[name], options.numbers(len(counted))) for name in counted},
            {name: StringCounts.of(plain[name], max_bytes=options.budget) for name in _text(columns)},
            {name: ListCounts.of(held[name]) for name in _named(columns, MULTI)},
            {name: ImageCounts.of(held[name]) for name in _named(columns, ("image",))},
            _weights(columns, held, values, numeric.index(options.weight)) if options.weight else None,
            LabelRelation.of(columns, options.label, numbers, plain) if options.label else None,
        )

    def merge(self, other: TableSummary) -> TableSummary:
        """The summary of the rows of both."""
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[TableSummary]) -> TableSummary:
        """The summary of the rows of all, of which there is at least one, in their order."""
        first = parts[0]
        if len(parts) == 1:
            return first
        weights = [part.weights for part in parts if part.weights]
        relations = [part.relation for part in parts if part.relation]
        return cls(
            first.columns,
            first.options,
            sum(part.rows for part in parts),
            reduce(Moments.merge, [part.moments for part in parts]),
            {name: reduce(Moments.merge, [part.flat[name] for part in parts]) for name in first.flat},
            _merged(NumericCounts.merge_all, [part.numbers for part in parts]),
            _merged(StringCounts.merge_all, [part.strings for part in parts]),
            {name: reduce(ListCounts.merge, [part.lists[name] for part in parts]) for name in first.lists},
            {name: ImageCounts.merge_all([part.images[name] for part in parts]) for name in first.images},
            reduce(WeightedMoments.merge, weights) if weights else None,
            reduce(LabelRelation.merge, relations) if relations else None,
        )

    @property
    def nbytes(self) -> int:
        """About its bytes: those of the values that are counted."""
        numbers = sum(counts.nbytes for counts in self.numbers.values())
        return numbers + sum(counts.nbytes for counts in self.strings.values())

    def compute(self, name: str, top_values: int = 20) -> SplitStatistics:
        """The statistics of what was seen, as the split `name`."""
        correlations = self.relation.compute() if self.relation else {}
        features = []
        for place, (column, kind) in enumerate(self.columns.items()):
            feature = self._feature(column, kind, top_values)
            if self.weights or column in correlations:
                seen = weighted(self.weights, place, self._numeric_place(column))
                feature = _with(feature, weighted=seen, correlation=correlations.get(column))
            features.append(feature)
        return SplitStatistics(
            name, self.rows, tuple(features), None if self.weights is None else self.weights.total
        )

    def _feature(self, column: str, kind: FeatureType, top_values: int) -> FeatureStatistics:
        if kind == "image":
            return image_feature(column, self.rows, self.images[column], self.options.buckets)
        if kind in NUMERIC or kind in FLAT_NUMERIC:
            moments = self.flat[column] if kind in FLAT_NUMERIC else self.moments
            counts = self.numbers[column]
            found = numeric_feature(
                column, kind, self.rows, moments[column], counts, top_values, self.options.buckets
            )
        else:
            found = text_feature(
                column, kind, self.rows, self.strings[column], top_values, self.options.buckets
            )
        return list_feature(found, self.lists[column]) if kind in MULTI else found

    def _numeric_place(self, column: str) -> int | None:
        return self.moments.names.index(column) if column in self.moments.names else None

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        lists = [counts.to_json() for counts in self.lists.values()]
        images = [counts.to_json() for counts in self.images.values()]
        options = [getattr(self.options, name) for name in ("label", "weight", "budget", "buckets")]
        header = {
            "columns": list(self.columns.items()),
            "rows": self.rows,
            "lists": lists,
            "images": images,
            "options": options,
        }
        parts: list[Any] = [*self.flat.values(), *self.strings.values()]
        parts += [part for part in (self.weights, self.relation) if part is not None]
        blobs = [part.to_bytes() for part in (self.moments, *parts)]
        return join(
            [json.dumps(header).encode(), NumericCounts.pack_all(list(self.numbers.values())), *blobs]
        )

    @classmethod
    def from_bytes(cls, blob: Blob) -> TableSummary:
        """The inverse of `to_bytes`."""
        first, numbers, moments, *rest = split(blob)
        header = json.loads(bytes(first))
        columns, options = dict(header["columns"]), Options(*header["options"])
        empty, blobs = cls.empty(columns, options), iter(rest)
        return cls(
            columns,
            options,
            header["rows"],
            Moments.from_bytes(moments),
            {name: Moments.from_bytes(next(blobs)) for name in empty.flat},
            dict(zip(empty.numbers, NumericCounts.unpack_all(numbers), strict=True)),
            {name: StringCounts.from_bytes(next(blobs)) for name in empty.strings},
            {name: ListCounts(**told) for name, told in zip(empty.lists, header["lists"], strict=True)},
            dict(zip(empty.images, map(ImageCounts.from_json, header["images"]), strict=True)),
            WeightedMoments.from_bytes(next(blobs)) if options.weight else None,
            LabelRelation.from_bytes(columns, options.label, next(blobs)) if options.label else None,
        )


def _named(columns: Mapping[str, FeatureType], kinds: Sequence[str]) -> list[str]:
    """The names of the columns of some types."""
    return [name for name, kind in columns.items() if kind in kinds]


def _text(columns: Mapping[str, FeatureType]) -> list[str]:
    """The names of the columns whose values are counted as text."""
    return [name for name, kind in columns.items() if kind not in (*NUMERIC, *FLAT_NUMERIC, "image")]


def _merged(merge_all: Callable[[Sequence[T]], T], parts: Sequence[Mapping[str, T]]) -> dict[str, T]:
    """The accumulators of each column as one."""
    by_column = [[part[name] for part in parts] for name in parts[0]]
    return dict(zip(parts[0], in_threads(merge_all, by_column), strict=True))


def _with(feature: FeatureStatistics, **more: Any) -> FeatureStatistics:
    return FeatureStatistics(**{**vars(feature), **more})


def _plain(column: Column, kind: FeatureType) -> Column:
    """A column as its accumulators take it: lists flattened, times as microseconds."""
    if kind in MULTI:
        return flat(column)
    if kind == "timestamp" and pa.types.is_timestamp(column.type):
        # By way of the microsecond, whatever the unit; what is finer is cut.
        return pc.cast(pc.cast(column, pa.timestamp("us", column.type.tz), safe=False), pa.int64())
    return column


def _weights(
    columns: Mapping[str, FeatureType], held: Mapping[str, Column], values: np.ndarray, place: int
) -> WeightedMoments:
    missing = [_missing(held[name], kind) for name, kind in columns.items()]
    return WeightedMoments.of(values[place], missing, values)


def _missing(column: Column, kind: FeatureType) -> np.ndarray:
    """Whether a row has no value: null, NaN or an empty list; bool [rows]."""
    if kind in MULTI:
        gone = pc.equal(pc.fill_null(pc.list_value_length(column), 0), 0)
    else:
        gone = pc.is_null(column, nan_is_null=True)
    found: np.ndarray = np.asarray(gone)
    return found
