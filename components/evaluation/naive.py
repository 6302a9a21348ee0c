"""The naive prediction, made from the train labels alone: the least that a model has to be better than.

Regression: their mean for every row. Classes: their shares as probabilities, so the most frequent class.
Multi-label: each class's share of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..training.tasks import MULTILABEL_THRESHOLD, Task
from .answers import Answers, ValueAnswers
from .class_answers import ClassAnswers
from .label_answers import LabelAnswers

FROM = {
    "regression": "the mean of the train labels",
    "binary": "the shares of the classes among the train labels",
    "multiclass": "the shares of the classes among the train labels",
    "multilabel": "the shares of the train rows that have each class",
}
"""What the prediction of a task is made from."""
ROWS_AT_ONCE = 4096


def naive_answers(task: Task, facts: Mapping[str, Any], answers: Answers) -> Answers:
    """The naive answers to the labels that a model's answers hold.

    Args:
        task: decides what is predicted.
        facts: of the train labels: `mean`; or `counts` by class, and for multi-label `rows`.
        answers: the model's; weights and labels are taken from there.
    """
    if isinstance(answers, ValueAnswers):
        return replace(answers, predictions=np.full(len(answers.labels), float(facts["mean"])))
    shares = naive_shares(task, facts)
    if isinstance(answers, ClassAnswers):
        return _of_classes(shares, answers)
    assert isinstance(answers, LabelAnswers)
    rows = range(0, max(len(answers.truth), 1), ROWS_AT_ONCE)
    parts = [answers.truth[i : i + ROWS_AT_ONCE] for i in rows]
    made = [LabelAnswers.reduce(part, np.broadcast_to(shares, part.shape)) for part in parts]
    return replace(LabelAnswers.join(made), weights=answers.weights)


def naive_shares(task: Task, facts: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """`[classes]`, the share of the train rows that have each class."""
    counts = np.asarray([facts["counts"][name] for name in task.classes], np.float64)
    rows = facts["rows"] if task.name == "multilabel" else counts.sum()
    shares: npt.NDArray[np.float32] = (counts / rows).astype(np.float32)
    return shares


def naive_prediction(task: Task, facts: Mapping[str, Any]) -> Any:
    """What is predicted for every row: a value, a class name, or a list of names."""
    if not task.classes:
        return facts["mean"]
    shares = naive_shares(task, facts)
    if task.name == "multilabel":
        return [
            name for name, share in zip(task.classes, shares, strict=True) if share >= MULTILABEL_THRESHOLD
        ]
    return task.classes[int(shares.argmax())]


def _of_classes(shares: npt.NDArray[np.float32], answers: ClassAnswers) -> ClassAnswers:
    """Rows of one label have one answer, so that it is worked out once for each label that occurs."""
    present, place = np.unique(answers.labels, return_inverse=True)
    starts = range(0, max(len(present), 1), ROWS_AT_ONCE)
    parts = [present[i : i + ROWS_AT_ONCE] for i in starts]
    made = [
        ClassAnswers.reduce(part, np.broadcast_to(shares, (len(part), len(shares))), keep_scores=False)
        for part in parts
    ]
    rows = ClassAnswers.join(made).take(place)
    scores = None
    if answers.scores is not None:
        columns = shares[1:] if len(shares) == 2 else shares
        scores = np.broadcast_to(columns, (len(place), len(columns)))
    return replace(rows, weights=answers.weights, scores=scores, top=answers.top)
