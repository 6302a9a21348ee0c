"""Metrics of a model over a split: the whole, each class, its slices, and the naive prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...pipelines.artifact import Examples, Model
from ...pipelines.errors import DataError, InvalidRequestError
from ..input.order import Only
from ..preprocessing.casting import MULTIVALUED
from ..split_checks import RAW_REMEDY, SLICES_NEED_RAW
from ..training.tasks import Task
from .answers import Answers, Metrics, ValueAnswers
from .asking import Answered, Answerer
from .class_answers import CURVE_CELLS, ClassAnswers
from .counts import confusion_matrix, frequent_mistakes
from .gates import Report
from .label_answers import LabelAnswers
from .metric_names import TOP, prefixed
from .metrics import by_value
from .naive import FROM, naive_answers, naive_prediction
from .predictions import require_split
from .worst import Worst, WorstExamples

MOST_VALUES = 200
"""A slice column with more values than that is refused: so many slices tell nothing."""
MOST_CONFUSED = 100
"""With more classes there is no confusion matrix in the report."""
MOST_MISTAKES = 20
"""How many of the most frequent mistakes are in the report."""
CELLS_AT_ONCE = 1 << 20
"""Outputs that are gathered before they are reduced, so that small batches cost no more than large ones."""

Progress = Callable[..., None]


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        split: which split.
        slices: the slice columns.
        batch_size: rows at once.
        top: the k of `top_k_accuracy`.
        worst: how many of the worst examples are wanted, of each output.
    """

    split: str
    slices: tuple[str, ...] = ()
    batch_size: int = 4096
    top: tuple[int, ...] = TOP
    worst: int = 0


@dataclass(frozen=True)
class Measured:
    """What came out; see the component `evaluate`.

    Attributes:
        tasks: one for each output.
        answers: the rows' answers by output, "" for a single one.
        train_labels: the facts of the train labels by output.
        rows: how many there are.
        slices: the texts of the slice columns, row by row.
        weight: the column of row weights, or "".
        worst: the worst examples by output, the worst first.
    """

    tasks: Mapping[str, Task]
    answers: Mapping[str, Answers]
    train_labels: Mapping[str, Mapping[str, Any]]
    rows: int
    slices: Mapping[str, pa.ChunkedArray]
    weight: str = ""
    worst: Mapping[str, Sequence[Worst]] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """The task's name by output."""
        return {output: task.name for output, task in self.tasks.items()}

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """The class names by output."""
        return {output: task.classes for output, task in self.tasks.items()}

    @property
    def total(self) -> float:
        """The sum of the weights, or the number of rows."""
        return next(iter(self.answers.values())).total

    def report(self) -> Report:
        """The model's metrics."""
        return _report(self.tasks, self.answers, self.slices)

    def naive(self) -> Report:
        """Those of the naive prediction."""
        made = {
            output: naive_answers(self.tasks[output], self.train_labels[output], one)
            for output, one in self.answers.items()
        }
        return _report(self.tasks, made, self.slices)

    def naive_from(self) -> dict[str, Any]:
        """What the naive prediction is made from, and what it is; by output, where there are several."""
        told = {
            output: {"from": FROM[task.name], "prediction": naive_prediction(task, self.train_labels[output])}
            for output, task in self.tasks.items()
        }
        return (
            told[""]
            if "" in told
            else {key: {o: one[key] for o, one in told.items()} for key in ("from", "prediction")}
        )

    def details(self, of: Callable[[Task, Answers], Any]) -> Any:
        """Something of each output that has it, by output; of a single one just that, or None."""
        found = {output: of(task, self.answers[output]) for output, task in self.tasks.items()}
        return found[""] if "" in found else {output: one for output, one in found.items() if one is not None}


def measure(model: Model, examples: Examples, request: Request, progress: Progress) -> Measured:
    """Sends a split through a model's network and gathers the answers.

    Raises:
        InvalidRequestError: no such split or slice column, or slices of transformed examples.
        DataError: the split has no rows, a slice column has too many values, the weights can't be weights, or
            the network's answers are no numbers.
    """
    require_split(examples, request.split)
    _check_slices(examples, request.slices)
    about = model.read_json("model.json")
    facts = about["train_labels"] if "train_labels" in about else {"": about["train_label"]}
    return gather(Answerer.of_model(model), facts, examples, request, progress)


def gather(
    answerer: Answerer,
    train_labels: Mapping[str, Mapping[str, Any]],
    examples: Examples,
    request: Request,
    progress: Progress,
    only: Only = None,
) -> Measured:
    """Sends a split, or only some rows of it, through a network and gathers the answers.

    Args:
        answerer: the network.
        train_labels: by output the facts of the train labels.
        examples, request, progress: as above.
        only: which rows of transformed examples, see `dataset()`.
    """
    tasks = answerer.outputs
    total = examples.rows(request.split) if only is None else int(only.sum())
    gathered: dict[str, list[Answers]] = {output: [] for output in tasks}
    texts: dict[str, list[pa.Array]] = {name: [] for name in request.slices}
    waiting: list[Answered] = []
    worst = WorstExamples(tasks, request.worst)
    rows = done = 0
    for answered in answerer.answers(
        examples, request.split, request.batch_size, request.slices, only, bool(request.worst)
    ):
        waiting.append(answered)
        rows += answered.rows
        many = sum(one.cells for one in waiting) >= CELLS_AT_ONCE
        if many or rows == total or answered.images is not None:  # images are not kept waiting
            found = _reduce(tasks, waiting, total, request.top)
            worst.take(done, found, answered.images)
            for output, one in found.items():
                gathered[output].append(one)
            waiting.clear()
            done = rows
        for name in request.slices:
            texts[name].append(answered.slices[name])
        progress(done=rows, total=total, rows=rows)
    answers = {output: type(parts[0]).join(parts) for output, parts in gathered.items()}
    slices = {name: _slice_column(name, parts) for name, parts in texts.items()}
    measured = Measured(tasks, answers, train_labels, rows, slices, answerer.weight, worst.found)
    _require_weight(measured, request.split)
    return measured


def confusion(task: Task, answers: Answers) -> list[list[float]] | None:
    """Counts, a row for each label and a column for each prediction; None for very many classes."""
    if not isinstance(answers, ClassAnswers) or answers.classes > MOST_CONFUSED:
        return None
    matrix = confusion_matrix(answers.labels, answers.predicted, answers.classes, answers.weights)
    found: list[list[float]] = matrix.tolist()
    return found


def mistakes(task: Task, answers: Answers) -> list[dict[str, Any]] | None:
    """The most frequent pairs of a label and another class that was predicted, by their names."""
    if not isinstance(answers, ClassAnswers):
        return None
    pairs = frequent_mistakes(
        answers.labels, answers.predicted, answers.classes, answers.weights, MOST_MISTAKES
    )
    return [{"label": task.classes[a], "prediction": task.classes[b], "rows": rows} for a, b, rows in pairs]


def calibration(task: Task, answers: Answers) -> dict[str, Any] | None:
    """What the probabilities are of, and the reliability table."""
    bins = answers.reliability()
    if not bins:
        return None
    what = {
        "binary": f"the probability of {task.classes[-1]}",
        "multiclass": "the probability of the predicted class",
        "multilabel": "the probability of each class",
    }
    return {"of": what[task.name], "bins": bins}


def _reduce(
    tasks: Mapping[str, Task], waiting: list[Answered], total: int, top: tuple[int, ...]
) -> dict[str, Answers]:
    found: dict[str, Answers] = {}
    weights = None
    if waiting[0].weights is not None:
        weights = np.concatenate([np.asarray(one.weights, np.float64) for one in waiting])
    for output, task in tasks.items():
        labels = np.concatenate([one.labels[output] for one in waiting])
        outputs = np.concatenate([one.outputs[output] for one in waiting])
        found[output] = _answers(task, labels, outputs, weights, total, top)
    return found


def _answers(
    task: Task,
    labels: npt.NDArray[Any],
    outputs: npt.NDArray[Any],
    weights: npt.NDArray[np.float64] | None,
    total: int,
    top: tuple[int, ...],
) -> Answers:
    if task.name == "regression":
        return ValueAnswers.reduce(labels, outputs, weights)
    if task.name == "multilabel":
        return LabelAnswers.reduce(labels, outputs, weights)
    keep = total * outputs.shape[1] <= CURVE_CELLS
    return ClassAnswers.reduce(labels, outputs, weights, keep_scores=keep, top=top)


def _report(
    tasks: Mapping[str, Task], answers: Mapping[str, Answers], slices: Mapping[str, pa.ChunkedArray]
) -> Report:
    def metrics(rows: npt.NDArray[np.intp] | None = None) -> Metrics:
        told: Metrics = {}
        for output, one in answers.items():
            told.update(prefixed(output, (one if rows is None else one.take(rows)).metrics()))
        return told

    per_class: dict[str, Metrics] = {}
    for output, task in tasks.items():
        for name, values in zip(task.classes, answers[output].per_class(), strict=bool(task.classes)):
            per_class.setdefault(name, {}).update(prefixed(output, values))
    return Report(metrics(), per_class, {name: by_value(texts, metrics) for name, texts in slices.items()})


def _require_weight(measured: Measured, split: str) -> None:
    if measured.weight and not measured.total:
        raise DataError(
            f"the weights ({measured.weight}) of all rows of the split {split!r} are 0, so nothing is "
            "to be measured",
            argument="split",
            remedy="take another split, or other weights in the transform step",
        )


def _check_slices(examples: Examples, slices: tuple[str, ...]) -> None:
    if not slices:
        return
    if examples.properties["format"] != "parquet":
        raise InvalidRequestError(SLICES_NEED_RAW, argument="slices", remedy=RAW_REMEDY)
    columns: Mapping[str, str] = examples.properties["columns"]
    plain = tuple(name for name, kind in columns.items() if kind not in (*MULTIVALUED, "image"))
    for name in slices:
        if name not in plain:
            what = f"there is no column {name!r} to slice by"
            if name in columns:
                holds = "images" if columns[name] == "image" else "several values a row"
                what = f"the column {name!r} has {holds}, so that its rows are no slices"
            raise InvalidRequestError(what, argument="slices", given=name, available=plain)


def _slice_column(name: str, parts: list[pa.Array]) -> pa.ChunkedArray:
    texts = pa.chunked_array(parts, pa.string())
    distinct = len(texts.unique())
    if distinct > MOST_VALUES:
        raise DataError(
            f"the slice column {name!r} has {distinct:,} values, and {MOST_VALUES} are the most",
            argument="slices",
            remedy="slice by a column with fewer values",
        )
    return texts
