"""Metrics of a model over a split: the whole, its slices, and the naive baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.artifact import Examples, Model
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..preprocessing.fitted import FittedTransform
from ..preprocessing.fitted_file import load_fitted
from ..split_checks import RAW_REMEDY, SLICES_NEED_RAW
from ..training.networks import forward, load_network, probabilities
from ..training.tasks import Task
from .metrics import Metrics, by_value, classification_metrics, confusion_matrix, regression_metrics
from .predictions import Batch, batches, require_same_features, require_split

MOST_VALUES = 200
"""A slice column with more values than that is refused: so many slices tell nothing."""
MOST_CONFUSED = 100
"""With more classes there is no confusion matrix in the report."""
MISSING = "(missing)"
"""The name of the slice of rows in which the column has no value."""


@dataclass(frozen=True)
class Request:
    """What to measure: the split, the slice columns, and how many rows at once."""

    split: str
    slices: tuple[str, ...] = ()
    batch_size: int = 1024


@dataclass(frozen=True)
class Measured:
    """What came out; see the component `evaluate`. `confusion` is None for regression and for
    very many classes."""

    task: Task
    rows: int
    metrics: Metrics
    slices: Mapping[str, Mapping[str, Metrics]]
    baseline: Mapping[str, Any]
    confusion: list[list[int]] | None


def measure(ctx: Context, model: Model, examples: Examples, request: Request) -> Measured:
    """Sends a split through the network and measures the answers.

    Raises:
        InvalidRequestError: no such split or slice column, or slices of transformed examples.
        DataError: the split has no rows, or a slice column has too many values.
    """
    require_split(examples, request.split)
    _check_slices(examples, request.slices)
    about = model.read_json("model.json")
    task = Task.from_json(about["task"])
    fitted = load_fitted(model.path / "transform")
    require_same_features(examples, fitted)
    network = forward(load_network(model), about["inputs"])
    labels: list[Any] = []
    outputs: list[Any] = []
    columns: dict[str, list[Any]] = {name: [] for name in request.slices}
    rows = 0
    for batch in batches(examples, request.split, fitted, request.batch_size):
        labels.append(batch.labels)
        outputs.append(network(batch.features).numpy())
        _require_answers(fitted, batch, outputs[-1])
        _keep_columns(batch, columns)
        rows += len(batch.labels)
        ctx.progress(done=rows, total=examples.rows(request.split), rows=rows)
    truth, answers = _in_own_units(task, fitted, np.concatenate(labels), np.concatenate(outputs))
    whole = _metrics(task, truth, answers)
    return Measured(
        task,
        rows,
        whole,
        {name: _slice(task, name, values, truth, answers) for name, values in columns.items()},
        _baseline(task, about["train_label"], truth),
        _confusion(task, truth, answers),
    )


def _require_answers(fitted: FittedTransform, batch: Batch, outputs: npt.NDArray[np.float32]) -> None:
    """Raises DataError where the network gives no number, for a feature that is none."""
    if np.isfinite(outputs).all():
        return
    owners = [feature.name for feature in fitted.features for _ in range(feature.width)]
    wrong = np.flatnonzero(~np.isfinite(batch.features).all(axis=0))
    names = ", ".join(dict.fromkeys(owners[place] for place in wrong)) or "no feature"
    raise DataError(
        f"the model's answers are not all numbers; missing or infinite in these rows: {names}",
        argument="examples",
        remedy="impute the column in the transform step and train again, or leave these rows out",
    )


def _confusion(task: Task, truth: npt.NDArray[Any], answers: npt.NDArray[Any]) -> list[list[int]] | None:
    """Counts, a row for each label and a column for each prediction; None for very many classes."""
    if not 0 < len(task.classes) <= MOST_CONFUSED:
        return None
    counts: list[list[int]] = confusion_matrix(truth, answers.argmax(axis=1), len(task.classes)).tolist()
    return counts


def _check_slices(examples: Examples, slices: tuple[str, ...]) -> None:
    if not slices:
        return
    if examples.properties["format"] != "parquet":
        raise InvalidRequestError(SLICES_NEED_RAW, argument="slices", remedy=RAW_REMEDY)
    columns = tuple(examples.properties["columns"])
    for name in slices:
        if name not in columns:
            raise InvalidRequestError(
                f"there is no column {name!r} to slice by", argument="slices", given=name, available=columns
            )


def _keep_columns(batch: Batch, columns: Mapping[str, list[list[str]]]) -> None:
    for name, kept in columns.items():
        assert batch.raw is not None
        text = pc.cast(batch.raw.column(name), pa.string())
        kept.append(pc.fill_null(text, MISSING).to_pylist())


def _in_own_units(
    task: Task, fitted: FittedTransform, labels: npt.NDArray[Any], outputs: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Both in the label's units `[n]`, or class numbers `[n]` and probabilities `[n, classes]`."""
    if task.classes:
        return labels, probabilities(np, task, outputs)
    assert fitted.label is not None
    return fitted.label.inverse(np, labels), fitted.label.inverse(np, outputs[:, 0])


def _metrics(task: Task, truth: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Metrics:
    return classification_metrics(truth, answers) if task.classes else regression_metrics(truth, answers)


def _slice(
    task: Task, name: str, values: list[list[str]], truth: npt.NDArray[Any], answers: npt.NDArray[Any]
) -> dict[str, Metrics]:
    flat = [value for part in values for value in part]
    distinct = len(set(flat))
    if distinct > MOST_VALUES:
        raise DataError(
            f"the slice column {name!r} has {distinct:,} values, and {MOST_VALUES} are the most",
            argument="slices",
            remedy="slice by a column with fewer values",
        )
    return by_value(flat, lambda rows: _metrics(task, truth[rows], answers[rows]))


def _baseline(task: Task, train_label: Mapping[str, Any], truth: npt.NDArray[Any]) -> dict[str, Any]:
    """The metrics of the naive prediction: the train labels' shares, or their mean, for every row."""
    if not task.classes:
        mean = train_label["mean"]
        metrics = regression_metrics(truth, np.full(len(truth), mean))
        return {"from": "the mean of the train labels", "prediction": mean, "metrics": metrics}
    counts = np.asarray([train_label["counts"][name] for name in task.classes], np.float64)
    shares = np.tile(counts / counts.sum(), (len(truth), 1))
    return {
        "from": "the shares of the classes among the train labels",
        "prediction": task.classes[int(counts.argmax())],
        "metrics": classification_metrics(truth, shares),
    }
