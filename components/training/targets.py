"""Labels and weights of a batch as Keras wants them, and what training has to know of them beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, InvalidRequestError
from ..dataset import dataset, shard_errors
from ..preprocessing.fitted import Label
from .tasks import Task, output_keys

ClassWeights = str | Mapping[str, Any] | None
"""As the component takes them: "balanced", by class, or by label."""


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


def look_at(examples: Examples, split: str, tasks: Sequence[Task], labels: Sequence[Label]) -> Seen:
    """Reads the labels and weights of a split.

    Args:
        examples: transformed examples.
        split: which of them.
        tasks: what to learn.
        labels: the transform's, in the order of the tasks.

    Raises:
        DataError: a weight is negative or no finite number, or all are 0.
    """
    columns: dict[str, list[Any]] = {task.label: [] for task in tasks}
    weights: list[Any] = []
    with shard_errors(examples, split):
        for _, label, *weight in dataset(examples, split, batch_size=8192, expand=False):
            for task in tasks:
                columns[task.label].append((label[task.label] if len(tasks) > 1 else label).numpy())
            weights += [one.numpy() for one in weight]
    if weights:
        _require_weights(np.concatenate(weights), split)
    found = {label: np.concatenate(parts) for label, parts in columns.items()}
    means = {one.column: _mean(one, found[one.column]) for one in labels if one.kind == "value"}
    counts = {t.label: _counts(t, found[t.label]) for t in tasks if t.classes}
    return Seen(means, counts, examples.rows(split), bool(weights))


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
        told: "balanced" for every label of classes; weights by class name; or, for several labels, by label
            one of these.
        tasks: the tasks.
        seen: of the training split.

    Raises:
        InvalidRequestError: an unknown class or label, a weight that isn't a positive number, or a label
            whose rows aren't of one class each.
    """
    if told is None:
        return {}
    if isinstance(told, str):
        fit = [task for task in tasks if task.name in ("binary", "multiclass")]
        if not fit:
            raise _no_classes(tasks[0])
        return {task.label: _of_label(told, task, seen) for task in fit}
    if len(tasks) == 1:
        return {tasks[0].label: _of_label(told, tasks[0], seen)}
    by_label = {task.label: task for task in tasks}
    for label in told:
        if label not in by_label:
            raise InvalidRequestError(
                f"{label!r} is no label",
                argument="class_weights",
                given=label,
                available=tuple(by_label),
                remedy="with several labels, class weights stand under their label: {label: {class: 2.0}}",
            )
    return {label: _of_label(weights, by_label[label], seen) for label, weights in told.items()}


def _of_label(told: Any, task: Task, seen: Seen) -> tuple[float, ...]:
    if task.name not in ("binary", "multiclass"):
        raise _no_classes(task)
    if isinstance(told, str):
        if told != "balanced":
            raise InvalidRequestError(
                f"class weights are 'balanced' or by class, not {told!r}",
                argument="class_weights",
                given=told,
                available=("balanced",),
            )
        counts = seen.counts[task.label]
        return tuple(seen.rows / (len(counts) * count) if count else 0.0 for count in counts)
    if not isinstance(told, Mapping):
        raise InvalidRequestError(
            f"the class weights of the label {task.label!r} are {told!r}, not 'balanced' or by class",
            argument="class_weights",
        )
    for name, weight in told.items():
        if name not in task.classes:
            raise InvalidRequestError(
                f"the label {task.label!r} has no class {name!r}",
                argument="class_weights",
                given=str(name),
                available=task.classes,
            )
        if not _positive(weight):
            raise InvalidRequestError(
                f"the weight of the class {name!r} is {weight!r}, and has to be a number above 0",
                argument="class_weights",
            )
    return tuple(float(told.get(name, 1.0)) for name in task.classes)


def _positive(weight: Any) -> bool:
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return is_number and 0 < weight < float("inf")


def _no_classes(task: Task) -> InvalidRequestError:
    return InvalidRequestError(
        f"class weights are for labels of one class a row, and the task of the label {task.label!r} is "
        f"{task.name}",
        argument="class_weights",
        remedy="weigh the rows: name a column as weight in the transform step",
    )


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
