"""What a served model says, for each label:

    prediction       the value in the label's own units (float32 `[n]`); the class name (string `[n]`); or, of
                     a multi-label task, the names with a probability of at least 0.5, joined by `|`
    probability      of the predicted class (float32 `[n]`); not of multi-label tasks
    probabilities    of each class (float32 `[n, classes]`)
    classes          their names in the same order (string `[n, classes]`)

With several labels each name is followed by `_` and the label's key: `prediction_price`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..training.tasks import MULTILABEL_THRESHOLD, Task, output_keys

if TYPE_CHECKING:
    from ..preprocessing.fitted_labels import Label

SEPARATOR = "|"
"""Between the predicted names of a multi-label task."""


def suffixes(tasks: Sequence[Task]) -> tuple[str, ...]:
    """What follows the names of each task's outputs."""
    keys = output_keys(tasks)
    return ("",) if len(tasks) == 1 else tuple(f"_{keys[task.label]}" for task in tasks)


def describe(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Name, dtype, shape (None for the rows) and label of each output."""
    found: list[dict[str, Any]] = []
    for task, suffix in zip(tasks, suffixes(tasks), strict=True):
        classes = len(task.classes)
        told: list[tuple[str, str, list[int | None]]]
        told = [("prediction", "string" if classes else "float32", [None])]
        if classes and task.name != "multilabel":
            told.append(("probability", "float32", [None]))
        if classes:
            told += [("probabilities", "float32", [None, classes]), ("classes", "string", [None, classes])]
        label = {"label": task.label} if len(tasks) > 1 else {}
        found += [{"name": f"{n}{suffix}", "dtype": d, "shape": s, **label} for n, d, s in told]
    return found


def served(labels: Sequence[Label], tasks: Sequence[Task], given: Sequence[Any]) -> dict[str, Any]:
    """The outputs of the signatures, as tensors.

    Args:
        labels: the transform's.
        tasks: of each label.
        given: what the network gives for each, float32 `[n, outputs]`.
    """
    found: dict[str, Any] = {}
    for label, task, suffix, values in zip(labels, tasks, suffixes(tasks), given, strict=True):
        one = _classes(task, values) if task.classes else _value(label, values)
        found |= {f"{name}{suffix}": tensor for name, tensor in one.items()}
    return found


def _value(label: Label, values: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {"prediction": tf.cast(label.inverse(tf, values[:, 0]), tf.float32)}


def _classes(task: Task, values: Any) -> dict[str, Any]:
    import tensorflow as tf

    from ..training.networks import probabilities

    shares = probabilities(tf, task, values)
    names = tf.constant(task.classes)
    told = {"probabilities": shares, "classes": tf.tile(names[tf.newaxis, :], [tf.shape(shares)[0], 1])}
    if task.name == "multilabel":
        # NaN is less than nothing, so that a row without an answer has no names.
        chosen = shares >= MULTILABEL_THRESHOLD
        ragged = tf.ragged.boolean_mask(told["classes"], chosen)
        return {"prediction": tf.strings.reduce_join(ragged, axis=-1, separator=SEPARATOR), **told}
    known = tf.reduce_all(tf.math.is_finite(shares), axis=1)
    return {
        "prediction": tf.where(known, tf.gather(names, tf.argmax(shares, axis=1)), ""),
        "probability": tf.where(known, tf.reduce_max(shares, axis=1), tf.constant(float("nan"))),
        **told,
    }
