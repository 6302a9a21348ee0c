"""What a model is to do with its labels: the tasks, and the shapes that follow. Standard library only.

The stated rule: a label of kind "value" makes a regression; one of kind "class" a binary task if it has two
classes, otherwise a multi-class one; one of kind "multi" a multi-label task, in which each class is a yes
or no of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...pipelines.errors import InvalidRequestError
from ..exporting.serving_names import serving_names

TASKS = ("regression", "binary", "multiclass", "multilabel")
LOSSES = {
    "regression": "mean_squared_error",
    "binary": "binary_crossentropy",
    "multiclass": "sparse_categorical_crossentropy",
    "multilabel": "binary_crossentropy",
}
"""The loss that a task is trained with unless told otherwise, by its Keras name."""
METRICS: dict[str, tuple[str, ...]] = {
    "regression": (),
    "binary": ("accuracy",),
    "multiclass": ("accuracy",),
    "multilabel": ("binary_accuracy",),
}
"""What is shown during training unless told otherwise, by Keras names."""
MULTILABEL_THRESHOLD = 0.5
"""The least probability with which a class of a multi-label task is predicted."""


@dataclass(frozen=True)
class Task:
    """A task with its label.

    Attributes:
        name: "regression", "binary", "multiclass" or "multilabel".
        label: the label's column.
        classes: the class names in the order of their numbers; empty for regression.
    """

    name: str
    label: str
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """The width of the network's output: 1, or the number of classes of multi-class and multi-label."""
        return len(self.classes) if self.name in ("multiclass", "multilabel") else 1

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"name": self.name, "label": self.label, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """Reads what `to_json` gave."""
        return cls(value["name"], value["label"], tuple(value["classes"]))


@dataclass(frozen=True)
class Seen:
    """What a split's labels and weights are like.

    Attributes:
        means: the mean of each regression label, in its own units.
        counts: the rows of each class of the other labels, by label.
        rows: how many there are.
        weighted: whether rows have weights.
    """

    means: Mapping[str, float]
    counts: Mapping[str, tuple[int, ...]]
    rows: int
    weighted: bool

    def facts(self, task: Task) -> dict[str, Any]:
        """What the naive prediction of a label is made from: its mean, or the counts by class."""
        if not task.classes:
            return {"mean": self.means[task.label]}
        counts = {"counts": dict(zip(task.classes, self.counts[task.label], strict=True))}
        return {**counts, "rows": self.rows} if task.name == "multilabel" else counts


def tasks_to_json(tasks: Sequence[Task]) -> dict[str, Any]:
    """`{"task": …}` for one, `{"tasks": […]}` for several, as `model.json` and `export.json` hold them."""
    if len(tasks) == 1:
        return {"task": tasks[0].to_json()}
    return {"tasks": [task.to_json() for task in tasks]}


def tasks_from_json(about: Mapping[str, Any]) -> tuple[Task, ...]:
    """The tasks of a `model.json` or `export.json`, in the order of the labels."""
    told = about["tasks"] if "tasks" in about else [about["task"]]
    return tuple(Task.from_json(one) for one in told)


def output_keys(tasks: Sequence[Task]) -> dict[str, str]:
    """By label the name of its output, which Keras and TensorFlow take: `Preis €` → `Preis`."""
    return serving_names(task.label for task in tasks)


def task_of(column: str, kind: str, classes: tuple[str, ...], wanted: str = "auto") -> Task:
    """The task for a label, by the stated rule or as wanted.

    Args:
        column: the label's column.
        kind: "value", "class" or "multi".
        classes: the class names; empty for a value.
        wanted: "auto", or a task's name.

    Raises:
        InvalidRequestError: the wanted task does not fit the label.
    """
    fits: tuple[str, ...]
    if kind == "value":
        ruled, fits, what = "regression", ("regression",), "a value"
    elif kind == "multi":
        ruled, fits, what = "multilabel", ("multilabel",), f"any number of {len(classes)} names"
    else:
        ruled = "binary" if len(classes) == 2 else "multiclass"
        fits = (ruled, "multiclass")
        what = f"a class with {len(classes)} names"
    if wanted != "auto" and wanted not in fits:
        raise InvalidRequestError(
            f"the task is to be {wanted!r}, and the label {column!r} is {what}, which makes it {ruled!r}",
            argument="task",
            remedy=_remedy(kind, wanted),
        )
    return Task(ruled if wanted == "auto" else wanted, column, tuple(classes))


def _remedy(kind: str, wanted: str) -> str:
    ways = {
        "regression": "a numeric transform such as z_score",
        "multilabel": "the transform multi_hot",
        "binary": "the transform vocabulary",
        "multiclass": "the transform vocabulary",
    }
    if kind == "class" and wanted in ("binary", "multiclass"):
        return "leave task out"
    return f"leave task out, or give the label {ways[wanted]} in the transform step"
