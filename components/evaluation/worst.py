"""The examples that a model does worst on: those of the highest loss, however many rows there are.

The loss of a row is what it adds to log_loss, or, of a regression, its squared error. Equal losses stand in
the order of the rows; rows of weight 0 are none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..training.tasks import Task
from .answers import Answers, ValueAnswers
from .class_answers import ClassAnswers
from .label_answers import LabelAnswers

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Worst:
    """One of the worst examples.

    Attributes:
        row: its place in the split, from 0.
        loss: see the module's text.
        answer: label, prediction and what the model says of both, as JSON values.
        image: uint8 `[height, width, channels]`, or None.
    """

    row: int
    loss: float
    answer: Mapping[str, Any]
    image: Pixels | None = None


class WorstExamples:
    """Keeps the worst examples of each output of those that it is shown.

    Args:
        tasks: by output.
        most: how many of each are kept.
    """

    def __init__(self, tasks: Mapping[str, Task], most: int) -> None:
        self._tasks = tasks
        self._most = most
        self.found: dict[str, list[Worst]] = {output: [] for output in tasks}
        """By output, the worst first."""

    def take(self, first: int, answers: Mapping[str, Answers], images: Pixels | None = None) -> None:
        """Looks at the next rows.

        Args:
            first: the place of the first of them in the split.
            answers: by output.
            images: uint8 `[n, height, width, channels]`, where rows have images.
        """
        for output, task in self._tasks.items() if self._most else ():
            kept, own = self.found[output], answers[output]
            losses = own.losses
            candidates = np.arange(len(losses)) if own.weights is None else np.flatnonzero(own.weights > 0)
            if len(kept) == self._most:  # a later row has to be worse than the last of those
                candidates = candidates[losses[candidates] > kept[-1].loss]
            order = candidates[np.argsort(-losses[candidates], kind="stable")][: self._most]
            kept += [
                Worst(
                    first + row,
                    float(losses[row]),
                    answer_of(task, own, row),
                    None if images is None else np.array(images[row]),
                )
                for row in order.tolist()
            ]
            kept.sort(key=lambda one: (-one.loss, one.row))
            del kept[self._most :]


def answer_of(task: Task, answers: Answers, row: int) -> dict[str, Any]:
    """Label and prediction of a row, with probabilities or the error, as JSON values."""
    if isinstance(answers, ValueAnswers):
        label, prediction = float(answers.labels[row]), float(answers.predictions[row])
        return {"label": label, "prediction": prediction, "error": prediction - label}
    if isinstance(answers, LabelAnswers):
        pairs = zip(task.classes, answers.truth[row], answers.claimed[row], answers.scores[row], strict=True)
        told = [(name, bool(is_so), bool(said), float(p)) for name, is_so, said, p in pairs]
        return {
            "label": [name for name, is_so, _, _ in told if is_so],
            "prediction": [name for name, _, said, _ in told if said],
            "probabilities": {name: p for name, is_so, said, p in told if is_so or said},
        }
    assert isinstance(answers, ClassAnswers)
    chosen, probability = int(answers.predicted[row]), float(answers.probability[row])
    return {
        "label": task.classes[int(answers.labels[row])],
        "prediction": task.classes[chosen],
        "probability": 1.0 - probability if answers.classes == 2 and chosen == 0 else probability,
        "label_probability": math.exp(-float(answers.loss[row])),
    }
