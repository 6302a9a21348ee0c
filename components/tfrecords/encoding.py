"""From a batch of raw rows to serialized tf.Examples; every value that the model would get is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ...pipelines.artifact import Transform
from ..preprocessing.casting import serving_batch
from ..preprocessing.fitted import WEIGHT_REMEDY, WRONG_WEIGHT, FittedTransform, Program
from ..preprocessing.fitted_features import LISTS, Branch, Places
from ..preprocessing.fitted_file import load_fitted
from ..preprocessing.fitted_labels import label_column, label_remedy
from ..transforms.base import MISSING_INT
from ..transforms.namespace import NumpyNamespace
from .layout import Layout
from .tf_example import RecordTemplate

MISSING = "is missing"
INFINITE = "is infinite, or beyond float32 (3.4e38),"
NO_VALUE = "has a value that can't be transformed"
_REMEDIES = {
    MISSING: "put {impute: median} first, as in [{impute: median}, log1p, z_score], or leave these rows out",
    INFINITE: "put {clip: [low, high]} first, or correct the data",
    NO_VALUE: "put clip first, as in [{clip: [0, 1000]}, log1p], or correct the data",
}


class Fault(NamedTuple):
    """Something that can't be learned from, in a batch.

    Attributes:
        where: `features.name` or `label.column`.
        what: the fact.
        rows: in how many rows.
        first: the first of them, from 0.
        value: the value there; empty if it is missing.
        remedy: what to do.
    """

    where: str
    what: str
    rows: int
    first: int
    value: str
    remedy: str


@dataclass(frozen=True)
class Encoder:
    """Encodes batches of raw rows; images are left to `image_encoding.ImageEncoder`.

    Attributes:
        fitted: the fitted transform.
        layout: how a record is laid out.
        of_others: whether the rows are others than the transform was fitted on; in its train split, means by
            key leave the row itself out otherwise.
    """

    fitted: FittedTransform
    layout: Layout
    of_others: bool = False

    @cached_property
    def template(self) -> RecordTemplate:
        """The encoder of records."""
        return RecordTemplate([field for field in self.layout.fields if not field.image])

    @cached_property
    def _program(self) -> Program:
        if not self.layout.images:
            return self.fitted.numpy_program
        return Program([f for f in self.fitted.fitted if not f.output.is_image], NumpyNamespace())

    @property
    def columns(self) -> list[str]:
        """The raw columns to read."""
        return list(self._types)

    @property
    def _types(self) -> dict[str, str]:
        fitted = self.fitted
        weight = {fitted.weight: "float"} if fitted.weight else {}
        types = {name: kind for name, kind in fitted.types.items() if kind != "image"}
        return {**weight, **types, **{label.column: label.type for label in fitted.labels}}

    def encode(
        self, batch: pa.RecordBatch, places: Places | None = None
    ) -> tuple[np.ndarray[Any, Any] | None, list[Fault]]:
        """Serialized tf.Examples, uint8 [n, length]; None and the faults if there is a value to refuse.

        Args:
            batch: raw rows.
            places: of rows of the train split, see `Rows`; None for other rows.
        """
        columns = serving_batch(batch, self._types)
        labels: list[np.ndarray[Any, Any]] = []
        faults: list[Fault] = []
        for target in self.fitted.labels:
            label, wrong = label_column(target, columns[target.column])
            labels.append(label.reshape(len(label), -1))
            for what, rows in wrong.items():
                where, raw = f"label.{target.column}", columns[target.column]
                faults += faults_of(where, {what: rows}, raw, label_remedy(what))
        program = self._program
        made = program.run(columns, places)
        for feature in program.features:
            for branch, values in zip(feature.branches, made[feature.name], strict=True):
                faults += check_values(feature.name, branch, columns[branch.column], values)
        weights = self._weights(columns, faults)
        if faults:
            return None, faults
        last = [*labels, *weights]
        return self.template.encode(self._fields(program.join(made), last)), []

    def _weights(self, columns: Mapping[str, Any], faults: list[Fault]) -> list[np.ndarray[Any, Any]]:
        """The row weights, [n, 1], if there are any; adds what is wrong with them to `faults`."""
        name = self.fitted.weight
        if not name:
            return []
        weights = NumpyNamespace().to_float(columns[name])
        wrong = ~((weights >= 0) & np.isfinite(weights))
        faults += faults_of(f"weight.{name}", {WRONG_WEIGHT: wrong}, weights, WEIGHT_REMEDY)
        return [weights[:, None]]

    def _fields(
        self, stored: Mapping[str, np.ndarray[Any, Any]], last: Sequence[np.ndarray[Any, Any]]
    ) -> dict[str, np.ndarray[Any, Any]]:
        features = self.layout.features
        every = [*(None if f.is_image else stored[f.name] for f in features), *last]
        by_field: dict[str, list[np.ndarray[Any, Any]]] = {}
        for (_, key, _, _), values in zip(self.layout.columns(), every, strict=True):
            if values is None:
                continue
            by_field.setdefault(key, []).append(values)
        return {key: np.concatenate(each, axis=1) for key, each in by_field.items()}


class ApplyTransform(beam.PTransform):
    """PCollection of `pa.RecordBatch` of raw rows → PCollection of dicts of arrays by feature, [n, width].

    Example:
        ```python
        with beam.Pipeline() as pipeline:
            features = (
                pipeline
                | ReadCsv("new.csv", types={"size": "float", "city": "string"})
                | ApplyTransform("store/artifacts/…")
            )
        ```

    Args:
        transform: a Transform artifact, its folder, or what `load_fitted` read from it. It is read once,
            where the pipeline is built; workers need not reach the folder. Or what `AnalyzeColumns` gives in
            the same pipeline: workers read it from its folder.

    Raises:
        StoreError: there is no transform in the folder.
    """

    def __init__(self, transform: Transform | FittedTransform | str | Path | beam.pvalue.PCollection) -> None:
        super().__init__()
        if isinstance(transform, Transform):
            transform = transform.path
        if isinstance(transform, str | Path):
            transform = load_fitted(transform)
        self._fitted: FittedTransform | beam.pvalue.PCollection = transform

    def expand(self, batches: Any) -> Any:
        """Applies the transform to each batch."""
        if isinstance(self._fitted, FittedTransform):
            return batches | beam.Map(self._fitted.apply_numpy)
        return batches | beam.Map(_apply_from, beam.pvalue.AsSingleton(self._fitted))


def _apply_from(batch: pa.RecordBatch, folder: str) -> dict[str, np.ndarray[Any, Any]]:
    return _fitted_in(folder).apply_numpy(batch)


@lru_cache(maxsize=2)
def _fitted_in(folder: str) -> FittedTransform:
    return load_fitted(folder)


def check_values(name: str, branch: Branch, raw: Any, made: np.ndarray[Any, Any]) -> list[Fault]:
    """What a chain made that the model must not get: NaN, infinities, missing whole numbers.

    Args:
        name: the feature.
        branch: the chain.
        raw: the cast column that went in, [n].
        made: what came out, [n] or [n, width].
    """
    bad = _bad(branch.end.kind, made)
    if not bad.any():
        return []
    numbers = NumpyNamespace().to_float(raw) if isinstance(raw, np.ndarray) else np.zeros(len(bad))
    missing, infinite = bad & np.isnan(numbers), bad & np.isinf(numbers)
    masks = {MISSING: missing, INFINITE: infinite, NO_VALUE: bad & ~missing & ~infinite}
    found = []
    for what, rows in masks.items():
        text = f"the column {branch.column!r} {what}"
        found += faults_of(f"features.{name}", {text: rows}, raw, _REMEDIES[what])
    return found


def _bad(kind: str, made: Any) -> np.ndarray[Any, Any]:
    """The rows, bool [n], in which a chain made what no model can take."""
    if kind == "vector":
        return np.asarray(~np.isfinite(made).all(axis=1))
    if kind in ("string", "sequence", *LISTS):
        return np.zeros(len(made), bool)
    bad: np.ndarray[Any, Any] = (
        ~np.isfinite(made) if kind == "float" else made == MISSING_INT if kind == "int" else made < 0
    )
    return bad


def faults_of(where: str, wrong: Mapping[str, np.ndarray[Any, Any]], raw: Any, remedy: str) -> list[Fault]:
    """A fault for each fact, given as the rows of which it holds, bool [n], that holds of any.

    Args:
        where: `features.name`, `label.column` or `weight.column`.
        wrong: by fact.
        raw: the column's values.
        remedy: what to do.
    """
    found = []
    for what, rows in wrong.items():
        if rows.any():
            first = int(np.flatnonzero(rows)[0])
            value = str(raw[first])
            shown = "" if value in ("nan", str(MISSING_INT)) else value
            found.append(Fault(where, what, int(rows.sum()), first, shown, remedy))
    return found
