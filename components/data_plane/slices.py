"""Statistics of slices: the rows with one value of a column, for the most frequent values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.context import Context
from ...pipelines.errors import DataError
from ...schemas.packing import join, split
from ...schemas.schema import MULTI, FeatureType
from ...schemas.statistics import SplitStatistics
from ...schemas.table_summary import NUMERIC, Options, TableSummary
from .parts import Parts
from .result import Result

SLICED = ("string", "bool", "int")
"""Types of columns whose values make slices."""

Chosen = Sequence[tuple[str, Any]]
"""Pairs of a column and one of its values."""


def check_columns(columns: Mapping[str, FeatureType], options: Options, slices: Sequence[str]) -> None:
    """Whether label, weights and slices name columns that can be that.

    Raises:
        DataError: a column isn't there, or its type doesn't fit.
    """
    scalar = tuple(kind for kind in ("int", "float", "timestamp", "string", "bool") if kind not in MULTI)
    asked = [("label", options.label, scalar), ("weights", options.weight, ("int", "float"))]
    asked += [("slices", name, SLICED) for name in slices]
    for argument, name, fitting in asked:
        if name and name not in columns:
            raise DataError(
                f"there is no column {name!r}", argument=argument, given=name, available=tuple(columns)
            )
        if name and columns[name] not in fitting:
            raise DataError(
                f"the column {name!r} is {columns[name]}, and this takes {', '.join(fitting)}",
                argument=argument,
                given=name,
                available=tuple(other for other, kind in columns.items() if kind in fitting),
            )


def chosen_slices(
    ctx: Context, summaries: Sequence[TableSummary], slices: Sequence[str], most: int
) -> Chosen:
    """The most frequent values of each column over all splits, at most `most`; ties by descending value."""
    chosen: list[tuple[str, Any]] = []
    for column in slices:
        if summaries[0].columns[column] in NUMERIC:
            counts: Any = reduce(lambda a, b: a.merge(b), (one.numbers[column] for one in summaries))
        else:
            counts = reduce(lambda a, b: a.merge(b), (one.strings[column] for one in summaries))
        values = [value for value, _ in counts.top(most)]
        if counts.distinct > len(values):
            ctx.say(
                f"slices by {column}: the {len(values)} most frequent of {counts.distinct} values "
                "(max_slices sets how many)"
            )
        chosen += [(column, value) for value in values]
    return chosen


@dataclass(frozen=True)
class SummarizeSlices:
    """Parquet parts → the packed summaries of their slices, in order."""

    columns: Mapping[str, FeatureType]
    options: Options
    chosen: Chosen

    def __call__(self, parts: Parts) -> Result:
        """Reads the parts and summarises each slice."""
        batch = parts.read_for_statistics(self.columns)
        texts: dict[str, Any] = {}
        packed = []
        for column, value in self.chosen:
            if column not in texts:
                texts[column] = _comparable(batch.column(column), self.columns[column])
            own = batch.filter(pc.equal(texts[column], pa.scalar(value, texts[column].type)))
            packed.append(TableSummary.of(self.columns, own, self.options).to_bytes())
        return Result(join(packed), batch.num_rows)


def _comparable(column: Any, kind: FeatureType) -> Any:
    return column if kind == "int" else pc.cast(column, pa.large_string())


def fold_slices(chosen: Chosen, packed: Sequence[bytes], top_values: int) -> tuple[SplitStatistics, ...]:
    """The statistics of the slices of one split; `packed` are its units, in order.

    A slice without rows in this split is there too, so that splits can be compared.
    """
    parts = [split(blob) for blob in packed]
    if not parts:
        return ()
    found = []
    for place, (column, value) in enumerate(chosen):
        summaries = [TableSummary.from_bytes(part[place]) for part in parts]
        folded = TableSummary.merge_all(summaries)
        found.append(folded.compute(f"{column}={value}", top_values))
    return tuple(found)
