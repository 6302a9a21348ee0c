"""The accumulator behind statistics: everything of every column of a table, in one pass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from .moments import Moments
from .numeric_counts import NumericCounts
from .packing import join, split
from .schema import FeatureType
from .statistics import (
    SHARES,
    FeatureStatistics,
    LengthStatistics,
    NumericStatistics,
    SplitStatistics,
    finite,
)
from .string_counts import StringCounts

NUMERIC = ("int", "float")
ALL_VALUES = 1_000
"""A string or bool column with at most this many distinct values lists all of them."""


def column_types(schema: pa.Schema) -> dict[str, FeatureType]:
    """The feature type of each column of an Arrow schema.

    Raises:
        TypeError: a column is neither a number, a string nor a bool.
    """
    return {field.name: _feature_type(field) for field in schema}


def _feature_type(field: pa.Field) -> FeatureType:
    kinds = pa.types
    if kinds.is_boolean(field.type):
        return "bool"
    if kinds.is_integer(field.type):
        return "int"
    if kinds.is_floating(field.type):
        return "float"
    if kinds.is_string(field.type) or kinds.is_large_string(field.type):
        return "string"
    raise TypeError(
        f"the column {field.name!r} has the type {field.type}, which is no number, string or bool"
    )


@dataclass(frozen=True, eq=False)
class TableSummary:
    """An accumulator over the batches of a table.

    Counts don't depend on the order of merging; mean and deviation do in their last bits, see `Moments`.

    Attributes:
        columns: types by name, in order.
        rows: how many rows were seen.
        moments: of the int and float columns.
        numbers: of each int and float column, by name.
        strings: of each string and bool column, by name.
    """

    columns: Mapping[str, FeatureType]
    rows: int
    moments: Moments
    numbers: Mapping[str, NumericCounts]
    strings: Mapping[str, StringCounts]

    @classmethod
    def empty(cls, columns: Mapping[str, FeatureType]) -> TableSummary:
        """The neutral element of `merge`."""
        numeric, text = _kinds(columns)
        return cls(
            columns,
            0,
            Moments.empty(numeric),
            {name: NumericCounts.empty() for name in numeric},
            {name: StringCounts.empty() for name in text},
        )

    @classmethod
    def of(cls, columns: Mapping[str, FeatureType], batch: pa.RecordBatch | pa.Table) -> TableSummary:
        """The summary of one batch, which has at least `columns`."""
        numeric, text = _kinds(columns)
        return cls(
            columns,
            batch.num_rows,
            Moments.of(numeric, batch),
            {name: NumericCounts.of(batch.column(name)) for name in numeric},
            {name: StringCounts.of(batch.column(name)) for name in text},
        )

    def merge(self, other: TableSummary) -> TableSummary:
        """The summary of the rows of both."""
        return TableSummary(
            self.columns,
            self.rows + other.rows,
            self.moments.merge(other.moments),
            {name: counts.merge(other.numbers[name]) for name, counts in self.numbers.items()},
            {name: counts.merge(other.strings[name]) for name, counts in self.strings.items()},
        )

    def compute(self, name: str, top_values: int = 20) -> SplitStatistics:
        """The statistics of what was seen, as the split `name`."""
        features = tuple(
            self._numeric(column, kind, top_values)
            if kind in NUMERIC
            else self._text(column, kind, top_values)
            for column, kind in self.columns.items()
        )
        return SplitStatistics(name, self.rows, features)

    def _numeric(self, column: str, kind: FeatureType, top_values: int) -> FeatureStatistics:
        moments, counts = self.moments[column], self.numbers[column]
        quantiles = counts.quantiles(SHARES)
        numeric = NumericStatistics(
            min=finite(moments.min),
            max=finite(moments.max),
            mean=finite(moments.mean),
            deviation=finite(moments.deviation),
            median=finite(counts.median),
            zeros=moments.zeros,
            infinite=moments.infinite,
            quantiles=tuple(zip(SHARES, quantiles, strict=True)) if counts.count else (),
            relative_error=counts.relative_error,
        )
        top = tuple(counts.top(top_values))
        return FeatureStatistics(
            column, kind, self.rows, moments.missing, counts.distinct, counts.exact, top, numeric
        )

    def _text(self, column: str, kind: FeatureType, top_values: int) -> FeatureStatistics:
        counts = self.strings[column]
        some = counts.count > 0
        lengths = LengthStatistics(
            counts.shortest if some else None, counts.longest if some else None, finite(counts.mean_length)
        )
        listed = max(ALL_VALUES, top_values) if counts.distinct <= ALL_VALUES else top_values
        return FeatureStatistics(
            column,
            kind,
            self.rows,
            counts.missing,
            counts.distinct,
            counts.exact,
            tuple(counts.top(listed)),
            lengths=lengths if kind == "string" else None,
        )

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        header = json.dumps({"columns": list(self.columns.items()), "rows": self.rows}).encode()
        numbers = [counts.to_bytes() for counts in self.numbers.values()]
        strings = [counts.to_bytes() for counts in self.strings.values()]
        return join([header, self.moments.to_bytes(), *numbers, *strings])

    @classmethod
    def from_bytes(cls, blob: bytes) -> TableSummary:
        """The inverse of `to_bytes`."""
        first, moments, *rest = split(blob)
        header = json.loads(first)
        columns = dict(header["columns"])
        numeric, text = _kinds(columns)
        numbers = {name: NumericCounts.from_bytes(b) for name, b in zip(numeric, rest, strict=False)}
        strings = {
            name: StringCounts.from_bytes(b) for name, b in zip(text, rest[len(numeric) :], strict=True)
        }
        return cls(columns, header["rows"], Moments.from_bytes(moments), numbers, strings)


def _kinds(columns: Mapping[str, FeatureType]) -> tuple[list[str], list[str]]:
    """The names of the numeric columns, and of the others."""
    numeric = [name for name, kind in columns.items() if kind in NUMERIC]
    return numeric, [name for name, kind in columns.items() if kind not in NUMERIC]
