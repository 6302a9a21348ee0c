"""Statistics in Beam: the public PTransform `ComputeStatistics`, and the pass over an Examples artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from ..pipelines.artifact import Examples
from ..pipelines.context import Context
from ..pipelines.errors import DataError
from ..schemas.folding import fold
from ..schemas.schema import FeatureType
from ..schemas.statistics import DatasetStatistics, SplitStatistics
from ..schemas.table_summary import DEFAULT, Options, TableSummary
from .data_plane.parts import Parts, units_of
from .data_plane.result import Result
from .data_plane.slices import SummarizeSlices, check_columns, chosen_slices, fold_slices
from .data_plane.spilled_batches import content_number
from .data_plane.spilling import Partial
from .data_plane.work import GatherPartials, MapUnits, run_units


class ComputeStatistics(beam.PTransform):
    """PCollection of `RecordBatch` or `(unit, RecordBatch)` → PCollection of one `SplitStatistics`.

    Each batch is summarised where it is; the summaries are spilled to `folder` and only their names are
    grouped. They are folded in the order of the units, or, where there are none, of a hash of the
    batches' content. So the result doesn't depend on workers or bundling, to the last bit, as long as
    the batches are cut alike.

        found = pipeline | beam.Create([batch]) | ComputeStatistics({"age": "int"}, "/shared/spill")

    Args:
        columns: the columns to look at, with their types, see `headrace.schemas.schema.FeatureType`.
        folder: an existing folder that every worker reaches; what is spilled there is left there.
        name: the name of the split in the result.
        top_values: see the component `statistics`.
    """

    def __init__(
        self, columns: Mapping[str, FeatureType], folder: str | Path, name: str = "all", top_values: int = 20
    ) -> None:
        super().__init__()
        self._columns = dict(columns)
        self._folder = Path(folder)
        self._name = name
        self._top_values = top_values

    def expand(self, batches: Any) -> Any:
        """Summarises, gathers the references, folds."""
        return (
            batches
            | "Unit" >> beam.Map(_with_unit)
            | "Summarize" >> MapUnits(_BatchSummary(self._columns), self._folder)
            | "Gather" >> GatherPartials()
            | "Fold" >> beam.ParDo(_Fold(self._columns, self._name, self._top_values))
        )


def examples_statistics(
    ctx: Context,
    examples: Examples,
    top_values: int = 20,
    options: Options = DEFAULT,
    slices: Sequence[str] = (),
    max_slices: int = 20,
) -> DatasetStatistics:
    """The statistics of raw examples; a unit of work is some Parquet parts, and a pass takes all splits.

    Slices take a second pass, since which values are the most frequent is known after the first.

    Raises:
        DataError: the examples are not raw rows, a column that `options` or `slices` name is not there or of
            no fitting type, or a weight is missing or negative.
        StoreError: a part can't be read.
    """
    columns = _columns(examples)
    check_columns(columns, options, slices)
    units = units_of(examples, list(examples.splits))
    of_split = {split: [unit for unit in units if unit.split == split] for split in examples.splits}
    summaries = run_units(ctx, "statistics", units, _Summarize(columns, options))
    found = {
        split: _fold(columns, (next(summaries) for _ in own), options) for split, own in of_split.items()
    }
    for split, summary in found.items():
        _check_rows(examples, split, summary)
    sliced: dict[str, tuple[SplitStatistics, ...]] = {}
    if slices:
        chosen = chosen_slices(ctx, list(found.values()), slices, max_slices)
        packed = run_units(ctx, "slices", units, SummarizeSlices(columns, options, chosen))
        for split, own in of_split.items():
            sliced[split] = fold_slices(chosen, [next(packed) for _ in own], top_values)
    computed = [
        replace(summary.compute(split, top_values), slices=sliced.get(split, ()))
        for split, summary in found.items()
    ]
    return DatasetStatistics(tuple(computed), options.budget)


def _columns(examples: Examples) -> dict[str, FeatureType]:
    if examples.properties.get("format") != "parquet":
        raise DataError(
            "statistics take raw examples, and these are transformed",
            argument="examples",
            remedy="wire the output of the step that reads the data, for example csv_examples",
        )
    return dict(examples.properties["columns"])


def _check_rows(examples: Examples, split: str, summary: TableSummary) -> None:
    if summary.rows != examples.rows(split):
        raise DataError(
            f"the split {split} should have {examples.rows(split)} rows, and {summary.rows} were read",
            file=str(examples.path),
            remedy="the artifact is damaged: delete it and run again",
        )
    if summary.weights is not None and summary.weights.bad:
        raise DataError(
            f"{summary.weights.bad} rows of the split {split} have no weight of zero or more",
            argument="weights",
            given=summary.options.weight,
            remedy="leave these rows out, or give them a weight",
        )


@dataclass(frozen=True)
class _Summarize:
    """Parquet parts → their packed summary."""

    columns: Mapping[str, FeatureType]
    options: Options = DEFAULT

    def __call__(self, parts: Parts) -> Result:
        batch = parts.read_for_statistics(self.columns)
        return Result(TableSummary.of(self.columns, batch, self.options).to_bytes(), batch.num_rows)


@dataclass(frozen=True)
class _BatchSummary:
    """Batch → its packed summary."""

    columns: Mapping[str, FeatureType]

    def __call__(self, batch: pa.RecordBatch) -> Result:
        return Result(TableSummary.of(self.columns, batch).to_bytes(), batch.num_rows)


class _Fold(beam.DoFn):
    def __init__(self, columns: Mapping[str, FeatureType], name: str, top_values: int) -> None:
        self._columns = columns
        self._name = name
        self._top_values = top_values

    def process(self, element: tuple[None, Iterable[Partial]]) -> Iterator[SplitStatistics]:
        partials = sorted(Partial(*partial) for partial in element[1])
        summary = _fold(self._columns, (Path(partial.path).read_bytes() for partial in partials))
        yield summary.compute(self._name, self._top_values)


def _fold(
    columns: Mapping[str, FeatureType], packed: Iterable[bytes], options: Options = DEFAULT
) -> TableSummary:
    summaries = (TableSummary.from_bytes(blob) for blob in packed)
    empty = TableSummary.empty(columns, options)
    return fold(summaries, TableSummary.merge_all, lambda summary: summary.nbytes, empty)


def _with_unit(element: Any) -> tuple[int, pa.RecordBatch]:
    if isinstance(element, tuple):
        return element
    return content_number(element), element
