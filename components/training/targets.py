"""Labels and weights of a batch as Keras wants them, and what training has to know of them beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, InvalidRequestError, Problem
from ..dataset import dataset, shard_errors
from ..preprocessing.fitted_labels import Label
from .argument_checks import no_classes
from .label_checks import label_problems, require_labels_fit
from .tasks import Seen, Task, output_keys

ClassWeights = str | Mapping[str, Any] | None
"""As the component takes them: "balanced", by class, or by label."""
ARGUMENT = "class_weights"


def look_at(
    examples: Examples, split: str, tasks: Sequence[Task], labels: Sequence[Label], loss: Any = None
) -> Seen:
    """Reads the labels and weights of a split.

    Args:
        examples: transformed examples.
        split: which of them.
        tasks: what to learn.
        labels: the transform's, in the order of the tasks.
        loss: as `train` takes it; some take no label below 0, or above 1.

    Raises:
        DataError: a label is none that its task or its loss can take; a weight is negative or no finite
            number, or all are 0.
    """
    columns: dict[str, list[Any]] = {task.label: [] for task in tasks}
    weights: list[Any] = []
    with shard_errors(examples, split):
        for _, label, *weight in dataset(examples, split, batch_size=8192, expand=False, images=False):
            for column, values in by_column(label, tasks).items():
                columns[column].append(values.numpy())
            weights += [one.numpy() for one in weight]
    if weights:
        _require_weights(np.concatenate(weights), split)
    found = {label: np.concatenate(parts) for label, parts in columns.items()}
    require_labels_fit(
        [one for t in tasks for one in label_problems(examples, split, t, found[t.label], loss)]
    )
    means = {one.column: _mean(one, found[one.column]) for one in labels if one.kind == "value"}
    counts = {t.label: _counts(t, found[t.label]) for t in tasks if t.classes}
    return Seen(means, counts, examples.rows(split), bool(weights))


def by_column(labels: Any, tasks: Sequence[Task]) -> Mapping[str, Any]:
    """Labels as `dataset()` gives them, by column also where there is only one."""
    return labels if len(tasks) > 1 else {tasks[0].label: labels}


def _mean(label: Label, values: Any) -> float:
    return float(np.mean(np.asarray(label.inverse(np, values), np.float64)))


def _counts(task: Task, values: Any) -> tuple[int, ...]:
    if task.name == "multilabel":
        return tuple(int(n) for n in values.sum(axis=0, dtype=np.float64))
    return tuple(np.bincount(values.astype(np.int64), minlength=len(task.classes)).tolist())


def _require_weights(weights: Any, split: str) -> None:
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} of {len(weights)} row weights in the split {split!r} are negative, missing "
            f"or infinite, the first is {weights[wrong][0]}",
            argument="weight",
            remedy="a weight is a number from 0: mend the column in the data, or impute it",
        )
    if not weights.sum():
        raise DataError(
            f"every row weight in the split {split!r} is 0, so there is nothing to learn or to compare",
            argument="weight",
            remedy="look at the column that the transform step names as weight",
        )


def class_weights(told: ClassWeights, tasks: Sequence[Task], seen: Seen) -> dict[str, tuple[float, ...]]:
    """The weight of each class, by label; only of labels for which weights were asked.

    "balanced" is n / (classes · count), the rule of scikit-learn's `compute_class_weight`; a class that the
    split doesn't have weighs 0. A class that isn't named weighs 1.

    Args:
        told: "balanced" for every label of classes; weights by class name; or by label one of these.
        tasks: the tasks.
        seen: of the training split.

    Raises:
        InvalidRequestError: see `require_class_weights`.
    """
    require_class_weights(told, tasks)
    by_label = {task.label: task for task in tasks}
    return {name: _of_label(one, by_label[name], seen) for name, one in _by_label(told, tasks).items()}


def require_class_weights(told: ClassWeights, tasks: Sequence[Task]) -> None:
    """Checks class weights against the labels and their classes, without a look at the data.

    Raises:
        InvalidRequestError: names every unknown class or label, every weight that isn't a positive number,
            and every label whose rows aren't of one class each.
    """
    by_label = {task.label: task for task in tasks}
    problems: list[Problem] = []
    for label, one in _by_label(told, tasks).items():
        if label in by_label:
            problems += _problems(one, by_label[label])
            continue
        remedy = "with several labels, class weights stand under their label: {label: {class: 2.0}}"
        what, available = f"{label!r} is no label", tuple(by_label)
        problems.append(
            Problem(what, argument=ARGUMENT, given=str(label), available=available, remedy=remedy)
        )
    if problems:
        raise InvalidRequestError(problems)


def _by_label(told: ClassWeights, tasks: Sequence[Task]) -> Mapping[str, Any]:
    """What is said of each label, unchecked."""
    if told is None:
        return {}
    if isinstance(told, str):
        fit = [task for task in tasks if task.name in ("binary", "multiclass")] or tasks[:1]
        return {task.label: told for task in fit}
    if len(tasks) == 1:
        label = tasks[0].label
        under_label = set(told) == {label} and isinstance(told[label], str | Mapping)
        return told if under_label else {label: told}
    return told


def _problems(told: Any, task: Task) -> list[Problem]:
    """What is wrong with the class weights of a label."""
    if task.name not in ("binary", "multiclass"):
        return [no_classes(task.label, task.name)]
    if isinstance(told, str):
        what = f"class weights are 'balanced' or by class, not {told!r}"
        wrong = Problem(what, argument=ARGUMENT, given=told, available=("balanced",))
        return [] if told == "balanced" else [wrong]
    if not isinstance(told, Mapping):
        what = f"the class weights of the label {task.label!r} are {told!r}, not 'balanced' or by class"
        return [Problem(what, argument=ARGUMENT)]
    problems = []
    for name, weight in told.items():
        if name not in task.classes:
            what = f"the label {task.label!r} has no class {name!r}"
            problems.append(Problem(what, argument=ARGUMENT, given=str(name), available=task.classes))
        elif not _positive(weight):
            what = f"the weight of the class {name!r} is {weight!r}, and has to be a number above 0"
            problems.append(Problem(what, argument=ARGUMENT))
    return problems


def _of_label(told: Any, task: Task, seen: Seen) -> tuple[float, ...]:
    if isinstance(told, str):
        counts = seen.counts[task.label]
        return tuple(seen.rows / (len(counts) * count) if count else 0.0 for count in counts)
    return tuple(float(told.get(name, 1.0)) for name in task.classes)


def _positive(weight: Any) -> bool:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return is_number and 0 < weight < float("inf")


class Targets:
    """From a batch's labels and row weights to Keras' targets and sample weights.

    Args:
        tasks: the tasks; labels come as one tensor for one task, by column for several.
        sparse: by label whether the loss of a multi-class task takes class numbers, not one-hots.
        weights: see `class_weights`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        sparse: Mapping[str, bool],
        weights: Mapping[str, tuple[float, ...]],
    ) -> None:
        self._tasks = tuple(tasks)
        self._keys = output_keys(tasks)
        self._sparse = sparse
        self._weights = weights

    def __call__(self, labels: Any, *row_weights: Any) -> tuple[Any, ...]:
        """`(targets,)`, or `(targets, sample weights)`; dicts by output key for several labels."""
        if len(self._tasks) == 1:
            (task,) = self._tasks
            targets, weight = self._one(task, labels, *row_weights)
            return (targets,) if weight is None else (targets, weight)
        made = {self._keys[t.label]: self._one(t, labels[t.label], *row_weights) for t in self._tasks}
        targets = {key: target for key, (target, _) in made.items()}
        if not row_weights and not self._weights:
            return (targets,)
        ones = tf.ones(tf.shape(next(iter(targets.values())))[:1])
        return targets, {key: ones if weight is None else weight for key, (_, weight) in made.items()}

    def _one(self, task: Task, labels: Any, *row_weights: Any) -> tuple[Any, Any]:
        weight = row_weights[0] if row_weights else None
        if task.label in self._weights:
            table = tf.constant(self._weights[task.label], tf.float32)
            by_class = tf.gather(table, tf.cast(labels, tf.int64))
            weight = by_class if weight is None else weight * by_class
        if task.name == "multilabel":
            return tf.cast(labels, tf.float32), weight
        if task.name != "multiclass":
            return tf.reshape(tf.cast(labels, tf.float32), [-1, 1]), weight
        return labels if self._sparse[task.label] else tf.one_hot(labels, task.outputs), weight
