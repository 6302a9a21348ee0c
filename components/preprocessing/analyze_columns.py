"""`AnalyzeColumns`: a full-pass analysis in anyone's Beam pipeline, which ends in a fitted transform.

A transform behind another needs a pass of its own, since what it analyses is not known before. The graph has
as many passes as the longest chain may need; one that turns out not to be needed reads nothing. What a pass
found is a file, and only names of files cross a stage. Each worker fits from these files as far as they go,
which says what the next pass has to look for.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import apache_beam as beam

from ...pipelines.artifact import Draft, Transform
from ...pipelines.errors import DataError, InvalidRequestError
from ..data_plane.spilled_batches import BatchFile, SpillBatches, publish_folder
from ..transforms import Transform as ColumnTransform
from .analysis import Found, Request, answers_from, folded, partial_of
from .features_checks import check_specs, weight_problems
from .features_grammar import FeatureSpec, LabelSpec, parse_features, parse_labels
from .fitted import FittedTransform
from .fitting import TRAIN, Fitter
from .run import finish_transform

LABEL_PASSES = 3
"""What a label may need: whether it is a class, how far its values spread, and its transform's own."""


class AnalyzeColumns(beam.PTransform):
    """PCollection of batches of raw rows → PCollection of one str: the folder of the fitted transform.

    What `transform` fits on its split `train`, from the same features and label: the folder is a Transform
    artifact, which `ApplyTransform` and `WriteExamples` take (as the PCollection too, in the same pipeline),
    and `load_fitted` and `headrace step` as a folder. The numbers don't depend on workers or bundling.

        rows = pipeline | ReadCsv("data.csv", types={"size": "float", "city": "string", "price": "float"})
        fitted = rows | AnalyzeColumns(
            {"size": "float", "city": "string", "price": "float"}, "/shared/work",
            features={"size": "z_score", "city": "one_hot"}, label={"price": "z_score"},
        )
        features = rows | ApplyTransform(fitted)

    Elements are RecordBatches, or pairs `(unit, batch)`, `(split, batch)`, `((split, unit), batch)`; of those
    with a split, `split` alone is analysed.

    Args:
        columns: the columns with their types, see `headrace.schemas.schema.FeatureType`.
        folder: an existing folder that every worker reaches; what is spilled there is left there.
        features: as in `transform`, but not `auto`.
        label: as in `transform`.
        weight: as in `transform`.
        split: what is analysed where batches are of splits.
        output: where the transform is written; a new folder in `folder` if not given.

    Raises:
        InvalidRequestError: features and label don't fit the columns.
        DataError: a column has no values, or what `transform` refuses.
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        folder: str | Path,
        *,
        features: Mapping[str, Any],
        label: Any,
        weight: str = "",
        split: str = TRAIN,
        output: str | Path | None = None,
    ) -> None:
        super().__init__()
        self._plan = _Plan(tuple(columns.items()), _frozen(features), _frozen(label), weight)
        self._folder = Path(folder)
        self._split = split
        self._output = str(output or self._folder / f"transform-{uuid.uuid4().hex}")
        specs, labels = self._plan.parsed()
        problems = check_specs(specs, labels, dict(columns), list(columns))
        problems += weight_problems(weight, dict(columns), labels)
        if problems:
            raise InvalidRequestError(problems)
        self._passes = LABEL_PASSES + max((_analysed(chain) for s in specs for chain in s.chains), default=0)

    def expand(self, batches: Any) -> Any:
        """Spills the batches, and goes over them as often as the chains need."""
        folder = str(self._folder)
        files = (
            batches
            | "Spill" >> SpillBatches(folder, self._split)
            | "Chosen" >> beam.Filter(_is_of, self._split)
        )
        begin = batches.pipeline | "Begin" >> beam.Create([None], reshuffle=False)
        known = begin | "Nothing" >> beam.Map(_nothing)
        for number in range(self._passes):
            before = beam.pvalue.AsSingleton(known)
            partials = files | f"Look{number}" >> beam.ParDo(_Look(self._plan, folder), before)
            fold = _Fold(self._plan, folder)
            known = begin | f"Fold{number}" >> beam.ParDo(fold, before, beam.pvalue.AsList(partials))
        return begin | "Fit" >> beam.ParDo(_Fit(self._plan, self._output), beam.pvalue.AsSingleton(known))


def _is_of(file: BatchFile, split: str) -> bool:
    return file.split == split


def _nothing(_: None) -> tuple[str, ...]:
    return ()


def _analysed(chain: Sequence[ColumnTransform]) -> int:
    """How many transforms of a chain may need something of the data."""
    return sum(type(one).analyzers is not ColumnTransform.analyzers for one in chain)


class _Needed(Exception):  # noqa: N818 - it is no error
    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = tuple(requests)


@dataclass(frozen=True)
class _Plan:
    """What is asked for, in values that can be hashed.

    Attributes:
        columns: with their types.
        features, label: frozen, see `_frozen`.
        weight: the column of row weights, or "".
    """

    columns: tuple[tuple[str, str], ...]
    features: Any
    label: Any
    weight: str

    def parsed(self) -> tuple[list[FeatureSpec], tuple[LabelSpec, ...]]:
        """Raises InvalidRequestError where these can't be read."""
        labels, problems = parse_labels(_thawed(self.label))
        specs, more = parse_features(_thawed(self.features))
        if problems or more:
            raise InvalidRequestError([*problems, *more])
        return specs, tuple(labels)


@lru_cache(maxsize=16)
def _advanced(plan: _Plan, known: tuple[str, ...]) -> FittedTransform | tuple[Request, ...]:
    """The transform, fitted from what passes found; or what the next pass has to look for."""
    files = iter(known)

    def look(_: str, requests: Sequence[Request]) -> list[Found]:
        file = next(files, None)
        if file is None:
            raise _Needed(requests)
        return answers_from(requests, Path(file).read_bytes())

    specs, labels = plan.parsed()
    try:
        fitted = Fitter(dict(plan.columns), look, _warn).fit(specs, labels)
    except _Needed as needed:
        return needed.requests
    return replace(fitted, weight=plan.weight)


def _warn(text: str) -> None:
    import logging

    logging.getLogger(__name__).warning("%s", text)


class _Look(beam.DoFn):
    """A batch, and what is known → the file of its accumulators, if more has to be known."""

    def __init__(self, plan: _Plan, folder: str) -> None:
        self._plan = plan
        self._folder = folder

    def process(self, file: BatchFile, known: tuple[str, ...]) -> Iterator[tuple[int, str]]:
        requests = _advanced(self._plan, tuple(known))
        if isinstance(requests, FittedTransform):
            return
        path = Path(self._folder) / f"partial-{uuid.uuid4().hex}"
        path.write_bytes(partial_of(requests, file.read(), [(file.unit, file.rows)]))
        yield file.unit, str(path)


class _Fold(beam.DoFn):
    """What is known, and what all batches gave → what is known now."""

    def __init__(self, plan: _Plan, folder: str) -> None:
        self._plan = plan
        self._folder = folder

    def process(
        self, _: None, known: tuple[str, ...], partials: Sequence[tuple[int, str]]
    ) -> Iterator[tuple[str, ...]]:
        requests = _advanced(self._plan, tuple(known))
        if isinstance(requests, FittedTransform):
            yield known
            return
        if not partials:
            raise DataError("there are no rows to analyse", remedy="look at what comes into AnalyzeColumns")
        payloads = (Path(path).read_bytes() for _, path in sorted(partials))
        path = Path(self._folder) / f"found-{uuid.uuid4().hex}"
        path.write_bytes(folded(requests, payloads))
        yield (*known, str(path))


class _Fit(beam.DoFn):
    """What is known → the folder of the Transform, there whole or not at all."""

    def __init__(self, plan: _Plan, output: str) -> None:
        self._plan = plan
        self._output = output

    def process(self, _: None, known: tuple[str, ...]) -> Iterator[str]:
        fitted = _advanced(self._plan, tuple(known))
        if not isinstance(fitted, FittedTransform):
            raise RuntimeError(f"{len(known)} passes were not enough")
        draft = Draft(Transform, Path(f"{self._output}.{uuid.uuid4().hex}.partly"))
        finish_transform(draft, fitted)
        publish_folder(draft.path, Path(self._output))
        yield self._output


def _frozen(value: Any) -> Any:
    """JSON values as what can be hashed; `_thawed` is the other way."""
    if isinstance(value, Mapping):
        return ("{}", tuple((key, _frozen(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("[]", tuple(map(_frozen, value)))
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        kind, items = value
        return {k: _thawed(v) for k, v in items} if kind == "{}" else [_thawed(item) for item in items]
    return value
