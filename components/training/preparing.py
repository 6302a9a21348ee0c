"""What training and cross-validation have to know, and to refuse, before a network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...pipelines.artifact import Examples, Transform
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError, Problem
from ..evaluation.predictions import require_same_transform
from ..preprocessing.fitted import FittedTransform
from ..preprocessing.fitted_file import load_fitted, own_paths
from ..preprocessing.fitted_tf import require_graph
from .loss_fit import fit_problems, for_values
from .own_objects import require_own
from .targets import class_weights, look_at, require_class_weights
from .tasks import Seen, Task, task_of


@dataclass(frozen=True)
class Prepared:
    """What is learned from what.

    Attributes:
        fitted: the transform that made the examples.
        tasks: in the order of the labels.
        seen: what the labels of the training split are like.
        class_weights: by label the weight of each class, for those that have some.
        validation: the split that chooses the epoch, or None.
    """

    fitted: FittedTransform
    tasks: tuple[Task, ...]
    seen: Seen
    class_weights: Mapping[str, tuple[float, ...]]
    validation: str | None


def prepare(ctx: Context, examples: Examples, transform: Transform, told: Mapping[str, Any]) -> Prepared:
    """Checks the arguments of `train` or `cross_validate` against the data, the cheap things first.

    Args:
        ctx: the step's context.
        examples: transformed examples.
        transform: the Transform that made them.
        told: of the arguments `task`, `model`, `loss`, `loss_weights`, `metrics` where there is one,
            `class_weights`, `patience`, `train_split` and `validation_split`.

    Raises:
        InvalidRequestError, DataError: see `train`.
    """
    fitted = load_fitted(transform.path)
    tasks = learned_tasks(fitted, told["task"])
    require_labels(tasks, {name: told.get(name) for name in ("loss", "loss_weights", "metrics")})
    require_class_weights(told["class_weights"], tasks)
    _look_at_fit(ctx, tasks, told)
    split = told["train_split"]
    validation = checked_splits(examples, tasks, split, told["validation_split"])
    if validation is None:
        idle = ", and patience has nothing to go by" if told.get("patience") else ""
        what = f"there are no examples in a split {told['validation_split']!r}"
        ctx.warn(f"{what}: the weights of the last epoch are kept{idle}")
    require_same_transform(examples, fitted)
    if own_paths(fitted):
        require_graph(fitted)  # now, and not at the export after hours of training
    seen = look_at(examples, split, tasks, fitted.labels, told.get("loss"))
    if validation:
        look_at(examples, validation, tasks, fitted.labels, told.get("loss"))
    weights = class_weights(told["class_weights"], tasks, seen)
    require_own(told, tasks, weighted=seen.weighted or bool(weights))
    return Prepared(fitted, tasks, seen, weights, validation)


def learned_tasks(fitted: FittedTransform, wanted: str) -> tuple[Task, ...]:
    """What is to be done with each label, in the order of the labels.

    Args:
        fitted: the transform.
        wanted: "auto", or where there is one label a task's name.

    Raises:
        InvalidRequestError: the wanted task doesn't fit, or there are several labels.
    """
    if len(fitted.labels) > 1 and wanted != "auto":
        raise InvalidRequestError(
            f"there are {len(fitted.labels)} labels, and one task {wanted!r}",
            argument="task",
            remedy="leave task out: each label makes its own",
        )
    return tuple(task_of(label.column, label.kind, tuple(label.classes), wanted) for label in fitted.labels)


def require_labels(tasks: tuple[Task, ...], told: Mapping[str, Any]) -> None:
    """Looks for the labels in arguments that may be given by label.

    Raises:
        InvalidRequestError: names each that is no label.
    """
    labels = tuple(task.label for task in tasks)
    problems = [
        Problem(f"{name!r} is no label", argument=argument, given=name, available=labels)
        for argument, by_label in told.items()
        for name in (by_label if isinstance(by_label, Mapping) else ())
        if name not in labels
    ]
    if problems:
        raise InvalidRequestError(problems)


def _look_at_fit(ctx: Context, tasks: tuple[Task, ...], told: Mapping[str, Any]) -> None:
    """Refuses losses and metrics that mean nothing for their label; warns of one made for something else."""
    by_label = {task.label: task.name for task in tasks}
    own = ":" in told.get("model", "")
    problems = fit_problems(by_label, told.get("loss"), told.get("metrics"), own_model=own)
    if problems:
        raise InvalidRequestError(problems)
    for sentence in for_values(told.get("loss"), by_label):
        ctx.warn(sentence)


def checked_splits(examples: Examples, tasks: tuple[Task, ...], train: str, validation: str) -> str | None:
    """Looks whether a training can learn from a split.

    Args:
        examples: transformed examples.
        tasks: what to learn.
        train: the split to learn from.
        validation: the split that is to choose the epoch.

    Returns:
        The split to validate on; None if it isn't there or has no rows.

    Raises:
        InvalidRequestError: the examples are raw ones, or have no such split.
        DataError: there are too few of them.
    """
    if examples.properties.get("format") != "tfrecord":
        raise InvalidRequestError(
            "train needs transformed examples, and these are raw ones",
            argument="examples",
            remedy="wire the transform step's examples: ${steps.transform.examples}",
        )
    splits = tuple(examples.splits)
    if train not in splits:
        raise InvalidRequestError(
            f"the examples have no split {train!r}", argument="train_split", given=train, available=splits
        )
    rows = examples.rows(train)
    task = max(tasks, key=lambda one: 0 if one.name == "multilabel" else len(one.classes))
    least = max(2, len(task.classes) if task.name != "multilabel" else 0)
    if rows < least:
        raise DataError(
            f"the split {train!r} has {rows} examples, and a {task.name} task with the label {task.label!r} "
            f"needs {least} at the least",
            argument="examples",
            remedy="give more rows, or a greater share to the split",
        )
    return validation if validation in splits and examples.rows(validation) else None
