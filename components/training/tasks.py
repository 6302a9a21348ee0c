"""What a model is to do with its label: the task, and the shapes that follow. Standard library only.

The stated rule: a label of kind "value" makes a regression; one of kind "class" a binary task if it has two
classes, otherwise a multi-class one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...pipelines.errors import InvalidRequestError

TASKS = ("regression", "binary", "multiclass")
LOSSES = {
    "regression": "mean_squared_error",
    "binary": "binary_crossentropy",
    "multiclass": "sparse_categorical_crossentropy",
}
"""The loss that a task is trained with unless told otherwise, by its Keras name."""


@dataclass(frozen=True)
class Task:
    """A task with its label.

    Attributes:
        name: "regression", "binary" or "multiclass".
        label: the label's column.
        classes: the class names in the order of their numbers; empty for regression.
    """

    name: str
    label: str
    classes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """The width of the network's output: 1, or the number of classes of a multi-class task."""
        return len(self.classes) if self.name == "multiclass" else 1

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"name": self.name, "label": self.label, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Task:
        """Reads what `to_json` gave."""
        return cls(value["name"], value["label"], tuple(value["classes"]))


def task_of(column: str, kind: str, classes: tuple[str, ...], wanted: str = "auto") -> Task:
    """The task for a label, by the stated rule or as wanted.

    Args:
        column: the label's column.
        kind: "value" or "class".
        classes: the class names; empty for a value.
        wanted: "auto", or a task's name.

    Raises:
        InvalidRequestError: the wanted task does not fit the label.
    """
    fits: tuple[str, ...]
    if kind == "value":
        ruled, fits, what = "regression", ("regression",), "a value"
    else:
        ruled = "binary" if len(classes) == 2 else "multiclass"
        fits = (ruled, "multiclass")
        what = f"a class with {len(classes)} names"
    if wanted != "auto" and wanted not in fits:
        way = (
            "give the label a numeric transform such as z_score in the transform step"
            if wanted == "regression"
            else "give the label the transform vocabulary in the transform step"
        )
        raise InvalidRequestError(
            f"the task is to be {wanted!r}, and the label {column!r} is {what}, which makes it {ruled!r}",
            argument="task",
            remedy=f"leave task out, or {way}"
            if kind == "value" or wanted == "regression"
            else "leave task out",
        )
    return Task(ruled if wanted == "auto" else wanted, column, tuple(classes))
