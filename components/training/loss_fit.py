"""Which of Keras' losses and metrics are for which task, and for which labels. Standard library only.

Keras computes most losses for most labels, and few of the numbers mean something: the cross-entropy of
several classes is 0 for one output, the binary one sinks without end for labels outside 0 … 1, and
`categorical_accuracy` takes class numbers for one-hots. So each name is listed with what it is for. A test
compares the lists with the names of `keras_names`, and trains with each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...pipelines.errors import Problem

_ALIASES = {
    "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error", "bce": "binary_crossentropy", "kld": "kl_divergence",
}  # fmt: skip
_OF_VALUES = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")
_OF_POSITIVE_VALUES = ("mean_absolute_percentage_error", "mean_squared_logarithmic_error", "poisson")
_OF_YES_AND_NO = (
    "binary_crossentropy", "binary_focal_crossentropy", "hinge", "squared_hinge", "dice", "tversky",
)  # fmt: skip
_OF_CLASSES = (
    "sparse_categorical_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_hinge", "kl_divergence",
)  # fmt: skip

LOSSES: Mapping[str, tuple[str, ...]] = {
    "regression": (*_OF_VALUES, *_OF_POSITIVE_VALUES, "binary_crossentropy"),
    "binary": (*_OF_YES_AND_NO, *_OF_VALUES),
    "multiclass": (*_OF_CLASSES, *_OF_YES_AND_NO, *_OF_VALUES, "cosine_similarity", "poisson"),
    "multilabel": (*_OF_YES_AND_NO, *_OF_VALUES),
}
"""By task the losses that mean something, those that are meant for it first."""

_ERRORS = ("mean_squared_error", "mean_absolute_error", "root_mean_squared_error")
_YES_AND_NO = (
    "auc", "binary_accuracy", "binary_crossentropy", "precision", "recall", "hinge", "squared_hinge",
)  # fmt: skip
METRICS: Mapping[str, tuple[str, ...]] = {
    "regression": (*_ERRORS, *_OF_POSITIVE_VALUES, "log_cosh_error", "r2_score"),
    "binary": ("accuracy", *_YES_AND_NO, *_ERRORS),
    "multiclass": (
        "accuracy", "sparse_categorical_accuracy", "sparse_categorical_crossentropy",
        "sparse_top_k_categorical_accuracy",
    ),
    "one-hot": (
        "accuracy", "categorical_accuracy", "top_k_categorical_accuracy", "categorical_crossentropy",
        "categorical_hinge", "kl_divergence", "cosine_similarity", *_YES_AND_NO, *_ERRORS,
    ),
    "multilabel": (*_YES_AND_NO, *_ERRORS),
}  # fmt: skip
"""By task the metrics that mean something; "one-hot" is multi-class with a loss that isn't `sparse_…`."""

CLASSIFICATION = "classification"
"""A task that is binary or multi-class, as far as it is known before the data is."""

DOMAINS: Mapping[str, tuple[float, float, str]] = {
    "binary_crossentropy": (0.0, 1.0, "takes probabilities, from 0 to 1"),
    "poisson": (0.0, math.inf, "takes counts, from 0"),
    "mean_squared_logarithmic_error": (0.0, math.inf, "takes the logarithm of the label, from 0"),
}
"""By loss the least and the greatest value of a label, and why."""


def bare(name: str) -> str:
    """The name by which a loss or metric is listed here: `MSE`, `MeanSquaredError` → `mean_squared_error`."""
    plain = name.replace("_", "").lower()
    return _LISTED.get(plain, plain)


def fit_problems(
    tasks: Mapping[str, str], loss: Any, metrics: Any, *, own_model: bool = False
) -> list[Problem]:
    """Losses and metrics that mean nothing for a label.

    Args:
        tasks: by label its task, "classification" where only that is known, "" where nothing is.
        loss: a name, or names by label, as `train` takes it; what Keras doesn't know is passed over.
        metrics: names, or by label, likewise.
        own_model: whether the model is the user's own, whose output may be a probability.
    """
    problems = []
    for label, task in tasks.items():
        named = _of_label(loss, label)
        for name in [named] if isinstance(named, str) else []:
            problems += _loss_problem(name, label, task, own_model)
        sparse = not isinstance(named, str) or bare(named).startswith("sparse")
        for name in _names(_of_label(metrics, label)):
            problems += _metric_problem(name, label, task, sparse, several=len(tasks) > 1)
    return problems


def for_values(loss: Any, tasks: Mapping[str, str]) -> Iterator[str]:
    """A sentence about each label of classes that is learned by a loss that is made for values.

    That works: the squared error of a probability is the Brier score, and `huber` is half of it. But its
    gradient is nearly nothing where the network is sure and wrong.
    """
    for label, task in tasks.items():
        named = _of_label(loss, label)
        if isinstance(named, str) and task not in ("", "regression") and bare(named) in _OF_VALUES:
            yield (
                f"the loss {named} of the label {label!r} is made for values, and the task is {task}: it "
                f"learns slowly where the network is sure and wrong; {LOSSES[task][0]} doesn't"
            )


def domain_of(loss: Any, label: str) -> tuple[float, float, str] | None:
    """The least and the greatest value of a label that its loss can take, and why; None for any."""
    named = _of_label(loss, label)
    return DOMAINS.get(bare(named)) if isinstance(named, str) else None


def _loss_problem(name: str, label: str, task: str, own_model: bool) -> list[Problem]:
    fitting = _fitting(LOSSES, task)
    if task == "regression" and not own_model:  # a built-in model gives any number, and no probability
        fitting = tuple(one for one in fitting if one not in _OF_YES_AND_NO)
    if not task or bare(name) not in _LISTED.values() or bare(name) in fitting:
        return []
    what = f"the loss {name} means nothing for {_told(label, task)}"
    return [Problem(what, argument="loss", available=fitting, remedy="leave loss out, or take one of these")]


def _metric_problem(name: str, label: str, task: str, sparse: bool, *, several: bool) -> list[Problem]:
    kind = "one-hot" if task == "multiclass" and not sparse else task
    fitting = _fitting(METRICS, kind)
    if not task or bare(name) not in _LISTED.values() or bare(name) in fitting:
        return []
    what = f"the metric {name} means nothing for {_told(label, task)}"
    remedy = f"say metrics by label: {{{label}: [{fitting[0]}]}}" if several else "take some of these"
    if kind == "multiclass" and bare(name) in METRICS["one-hot"]:
        what = f"the metric {name} takes one-hots, and {_told(label, task)} comes as class numbers"
        remedy = "add loss: categorical_crossentropy, which is the same loss and makes one-hots of them"
    elif kind == "one-hot" and bare(name).startswith("sparse"):
        what = f"the metric {name} takes class numbers, and the loss makes one-hots of {_told(label, task)}"
    return [Problem(what, argument="metrics", available=fitting, remedy=remedy)]


def _fitting(table: Mapping[str, tuple[str, ...]], task: str) -> tuple[str, ...]:
    if task != CLASSIFICATION:
        return table.get(task, ())
    kinds = [kind for kind in ("binary", "multiclass", "one-hot") if kind in table]
    return tuple(dict.fromkeys(name for kind in kinds for name in table[kind]))


def _told(label: str, task: str) -> str:
    of = "a value" if task == "regression" else "a label of classes"
    named = f"the label {label!r}" if label else of
    return f"{named} ({task})"


def _of_label(told: Any, label: str) -> Any:
    return told.get(label) if isinstance(told, Mapping) else told


def _names(told: Any) -> Sequence[Any]:
    names = [told] if isinstance(told, str) else told or []
    return [name for name in names if isinstance(name, str)]


_OTHERS = ("f1_score", "binary_io_u", "pearson_correlation", "concordance_correlation")
"""Metrics of Keras that are for no task by their name alone: they give an array, or compare within a row."""
_EVERY = [name for table in (LOSSES, METRICS) for names in table.values() for name in names]
_LISTED = {name.replace("_", ""): name for name in (*_EVERY, *_OTHERS)} | _ALIASES
