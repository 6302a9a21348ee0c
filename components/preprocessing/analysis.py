"""Full passes over the train split: what transforms have to know of the data, as mergeable accumulators.

A request names a column, the fitted transforms that stand before the analyzer, and the analyzers. All
requests of one depth are answered in one pass. A unit of work is some Parquet parts; the driver folds the
units' accumulators in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError
from ...schemas.folding import fold, in_threads
from ...schemas.keyed_means import KeyedMeans
from ...schemas.moments import ColumnMoments, Moments
from ...schemas.numeric_counts import NumericCounts
from ...schemas.packing import Blob, join, split
from ...schemas.pixel_sums import PixelSums
from ...schemas.string_counts import StringCounts
from ..data_plane.parts import Parts, units_of
from ..data_plane.result import Result
from ..data_plane.work import run_units
from ..transforms import Analyzer, coerce, coerced
from ..transforms.image_chains import rows_at_once
from ..transforms.namespace import NumpyNamespace
from ..transforms.own import path_of
from ..transforms.ragged import Ragged
from .casting import serving_batch
from .fitted_features import Branch, Places, Rows
from .fitted_labels import Label
from .keyed_analysis import Target, accumulate_keys, accumulate_label, group_facts, key_readers, require_keys

QUANTILE_BUDGET = 500_000
"""Distinct values of a column up to which its quantiles are exact, about 8 MB an accumulator."""


@dataclass(frozen=True)
class Request:
    """What has to be known of one column at one place of a chain.

    Attributes:
        branch: the column and the fitted transforms before the analyzer.
        analyzers: what is wanted.
        takes: the kinds that the transform with the analyzers reads.
        names: whether strings are the class names of a label, so that bools are "true" and "false".
        by: column and type of the key, where something has to be known of each key's rows too.
        target: the label, where its means are wanted.
    """

    branch: Branch
    analyzers: tuple[Analyzer, ...]
    takes: tuple[Any, ...]
    names: bool = False
    by: tuple[str, str] | None = None
    target: Target | None = None

    @property
    def types(self) -> dict[str, str]:
        """Column → type of what has to be read."""
        own = [(self.branch.column, self.branch.type), *self.branch.beside, *([self.by] if self.by else [])]
        label = self.target.label if self.target else None
        return dict([*own, (label.column, label.type)] if label else own)

    @property
    def key(self) -> str:
        """Equal for requests that one pass can answer once."""
        stages = [
            (
                path_of(type(stage.transform)),
                stage.transform,
                sorted((name, _plain(value)) for name, value in stage.constants.items()),
            )
            for stage in self.branch.stages
        ]
        return repr(
            (
                self.branch.column,
                stages,
                self.analyzers,
                coerced(self.branch.end.kind, self.takes),
                self.names,
                self.by,
                self.target,
            )
        )

    def column(self, columns: Mapping[str, Any], places: Places) -> Any:
        """The column as the analyzers see it, of some parts of the split."""
        xp = NumpyNamespace()
        raw = columns[self.branch.column]
        if self.names:
            return Label(self.branch.column, self.branch.type, "class").names(raw)
        constants = [{k: xp.prepare(v) for k, v in s.constants.items()} for s in self.branch.stages]
        made = self.branch.run(xp, raw, constants, Rows(columns, places))
        return coerce(xp, made, self.branch.end.kind, self.takes)[0]

    def pixel_sums(self, columns: Mapping[str, Any]) -> PixelSums:
        """The sums of the images of some parts; few images are decoded at a time."""
        xp, raw, found = NumpyNamespace(), columns[self.branch.column], PixelSums()
        step = rows_at_once(self.branch.end.shape)
        for start in range(0, len(raw), step):
            images = self.branch.run(xp, raw.slice(start, step), [s.constants for s in self.branch.stages])
            found = found.merge(PixelSums.of(images.values[images.valid]))
        return found


@dataclass(frozen=True, eq=False)
class Found:
    """The answer to a request; see `headrace.components.transforms.Results`.

    Attributes:
        column: the column, for messages.
        moments, values, strings, means, images: what each analyzer found.
        groups: by key, ascending, what was found in its rows alone.
    """

    column: str
    moments: ColumnMoments | None = None
    values: NumericCounts | None = None
    strings: StringCounts | None = None
    means: KeyedMeans | None = None
    images: PixelSums | None = None
    groups: Mapping[str, Found] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of values that aren't missing."""
        if self.moments is not None:
            return self.moments.count + self.moments.infinite
        if self.values is not None:
            return self.values.count
        if self.means is not None:
            return int(self.means.count.sum())
        if self.images is not None:
            return self.images.count
        assert self.strings is not None
        return self.strings.count

    @cached_property
    def _moments(self) -> ColumnMoments:
        assert self.moments is not None
        if self.moments.infinite:
            raise DataError(
                f"the column {self.column!r} is infinite, or beyond float32 (3.4e38), in"
                f" {self.moments.infinite} rows of the train split, so that it has no mean and no range",
                remedy="put clip before, as in [{clip: [0, 100]}, z_score], or correct the data",
            )
        return self.moments

    @property
    def mean(self) -> float:
        """The mean."""
        return self._moments.mean

    @property
    def std(self) -> float:
        """The standard deviation, ddof=0."""
        return self._moments.deviation

    @property
    def min(self) -> float:
        """The least value."""
        return self._moments.min

    @property
    def max(self) -> float:
        """The greatest value."""
        return self._moments.max

    def quantile(self, share: float) -> float:
        """A quantile, rounded to float32."""
        assert self.values is not None
        return float(np.float32(self.values.quantiles([share])[0]))

    def cuts(self, buckets: int) -> list[float]:
        """The bounds between buckets of equally many values, rounded to float32."""
        assert self.values is not None
        return [float(np.float32(cut)) for cut in self.values.cuts(buckets)]

    def distribution(self) -> tuple[Any, Any]:
        """Distinct numbers, ascending, and their counts."""
        assert self.values is not None
        values, counts = self.values.compute()
        return values.astype(np.float64), counts

    def string_counts(self, top_k: int | None) -> list[tuple[str, int]]:
        """Strings by descending count, ties by value descending, with their counts."""
        assert self.strings is not None
        return list(self.strings.top(top_k))

    def label_means(self) -> tuple[list[str], Any, Any]:
        """Strings ascending, rows int64 [folds, d], and the label's means float64 [folds, numbers, d]."""
        assert self.means is not None
        return self.means.compute()

    def pixels(self, by_channel: bool) -> tuple[list[float], list[float]]:
        """Mean and deviation of all pixels, or of each channel's."""
        assert self.images is not None
        return self.images.compute(by_channel)

    def most_frequent(self) -> float | str:
        """The most frequent value."""
        counts: Any = self.values if self.values is not None else self.strings
        found: float | str = counts.top(1)[0][0]
        return found

    def vocabulary(self, top_k: int | None, min_count: int) -> list[str]:
        """Strings by descending count, ties by value descending."""
        assert self.strings is not None
        return [value for value, count in self.strings.top(top_k) if count >= min_count]


@dataclass(frozen=True)
class Analyze:
    """Reads some parts and answers the requests for them; the payload is one blob an accumulator."""

    requests: tuple[Request, ...]

    def __call__(self, parts: Parts) -> Result:
        """The accumulators of the rows, joined."""
        batch = parts.read(list(_types(self.requests)))
        return Result(partial_of(self.requests, batch, parts.places), parts.rows)


def partial_of(requests: Sequence[Request], batch: pa.RecordBatch, places: Places) -> bytes:
    """What `accumulate` gives, as bytes."""
    return join([one.to_bytes() for one in accumulate(requests, batch, places)])


def folded(requests: Sequence[Request], partials: Iterable[bytes]) -> bytes:
    """What `partial_of` gave for several batches put together, in their order."""
    readers = _readers(requests)
    return join([one.to_bytes() for one in _merge(_read(readers, payload) for payload in partials)])


def answers_from(requests: Sequence[Request], partial: bytes) -> list[Found]:
    """The answers to requests by what `folded` gave."""
    return _found(requests, _read(_readers(requests), partial))


def _types(requests: Sequence[Request]) -> dict[str, str]:
    return {name: kind for request in requests for name, kind in request.types.items()}


def accumulate(requests: Sequence[Request], batch: pa.RecordBatch, places: Places) -> list[Any]:
    """The accumulators of some parts: the moments of all requests first, then the others' one by one."""
    columns = serving_batch(batch, _types(requests))
    made: list[Any] = [
        request.pixel_sums(columns) if "pixels" in request.analyzers else request.column(columns, places)
        for request in requests
    ]
    moments = [(str(i), made[i]) for i, r in enumerate(requests) if "moments" in r.analyzers]
    values = np.empty((len(moments), batch.num_rows))
    for i, (_, column) in enumerate(moments):
        values[i] = NumpyNamespace().to_float(column)
    found: list[Any] = [Moments.of_arrays([name for name, _ in moments], values)]
    for request, column in zip(requests, made, strict=True):
        if "values" in request.analyzers:
            kept = column if column.dtype != np.int64 else column[column != np.iinfo(np.int64).min]
            counted = kept if kept.dtype == np.int64 else kept.astype(np.float64)
            found.append(NumericCounts.of_array(counted, QUANTILE_BUDGET))
        if "strings" in request.analyzers:
            # Of several values a row each counts; those that are missing have been left out.
            text = NumpyNamespace().to_string(column.values if isinstance(column, Ragged) else column)
            missing = pa.scalar(None, pa.string())
            found.append(StringCounts.of(pc.if_else(pc.equal(text, ""), missing, text)))
        if request.by:
            keys = NumpyNamespace().to_string(columns[request.by[0]])
            found += accumulate_keys(request.analyzers, keys, column)
        if request.target:
            found.append(accumulate_label(request.target, columns, column, places))
        found += [column] if "pixels" in request.analyzers else []
    return found


def analyze(
    ctx: Context, stage: str, examples: Examples, splits: Sequence[str], requests: Sequence[Request]
) -> list[Found]:
    """Answers all requests in one pass over the named splits.

    Args:
        ctx: the step's context.
        stage: a name, unique within the step.
        examples: raw examples.
        splits: what to read; transforms are fitted on `train` alone.
        requests: what has to be known.
    """
    payloads = run_units(ctx, stage, units_of(examples, splits), Analyze(tuple(requests)))
    readers = _readers(requests)
    return _found(requests, _merge(_read(readers, payload) for payload in payloads))


def analyze_batches(requests: Sequence[Request], batches: Sequence[pa.RecordBatch]) -> list[Found]:
    """Answers all requests from batches in memory, each a part of the train split, folded in their order."""
    parts = (accumulate(requests, batch, [(n, batch.num_rows)]) for n, batch in enumerate(batches))
    return _found(requests, _merge(parts))


def _readers(requests: Sequence[Request]) -> list[Callable[[Blob], Any]]:
    readers: list[Callable[[Blob], Any]] = [Moments.from_bytes]
    for request in requests:
        readers += [NumericCounts.from_bytes] if "values" in request.analyzers else []
        readers += [StringCounts.from_bytes] if "strings" in request.analyzers else []
        readers += key_readers(request.analyzers) if request.by else []
        readers += [KeyedMeans.from_bytes] if request.target else []
        readers += [PixelSums.from_bytes] if "pixels" in request.analyzers else []
    return readers


def _read(readers: Sequence[Callable[[Blob], Any]], payload: bytes) -> list[Any]:
    return [read(blob) for read, blob in zip(readers, split(payload), strict=True)]


def _merge(partials: Iterable[list[Any]]) -> list[Any]:
    """One accumulator of each of all partials; moments, which come first, from the left."""
    return fold(partials, _merge_all, lambda partial: sum(counts.nbytes for counts in partial[1:]), [])


def _merge_all(partials: Sequence[list[Any]]) -> list[Any]:
    moments = reduce(Moments.merge, [partial[0] for partial in partials])
    counts = list(zip(*(partial[1:] for partial in partials), strict=True))
    return [moments, *in_threads(lambda same: type(same[0]).merge_all(same), counts)]


def _found(requests: Sequence[Request], accumulators: Sequence[Any]) -> list[Found]:
    moments, rest = accumulators[0], iter(accumulators[1:])
    answers = []
    for i, request in enumerate(requests):
        found = Found(request.branch.column)
        if "moments" in request.analyzers:
            found = replace(found, moments=moments[str(i)])
        if "values" in request.analyzers:
            found = replace(found, values=next(rest))
        if "strings" in request.analyzers:
            found = replace(found, strings=next(rest))
        if request.by:
            facts = group_facts(request.analyzers, request.branch.column, request.by[0], rest)
            groups = {key: Found(request.branch.column, **one) for key, one in facts.items()}
            found = replace(found, groups=groups)
        if request.target:
            means: KeyedMeans = next(rest)
            require_keys(means.keys, request.branch.column)
            found = replace(found, means=means)
        if "pixels" in request.analyzers:
            found = replace(found, images=next(rest))
        answers.append(found)
    return answers


def _plain(value: Any) -> str:
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)
