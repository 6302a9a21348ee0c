"""The names of the metrics by task, and which way each is better. Standard library only.

Regression, in the label's own units: rmse, mae, r2, median_absolute_error, mape, explained_variance.
Binary: accuracy, auc, precision, recall, f1, log_loss, pr_auc, brier, ece.
Multi-class: the same, and precision_weighted, recall_weighted, f1_weighted, top_3_accuracy, top_5_accuracy,
top_10_accuracy, or those with another k that is asked for. The micro means are the accuracy, and so have no
names of their own.
Multi-label: f1_micro, subset_accuracy, hamming_loss, auc, pr_auc, lrap, precision, recall, f1 (macro), the
three `_micro` and `_weighted`, log_loss, brier, ece.

What each is stands in `headrace.components.evaluation.metrics`. With several outputs a name is
`output/metric`, for example `price/rmse`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

TOP = (3, 5, 10)
"""The k of top_k_accuracy unless told otherwise; each is given where there are more than k classes."""


def top_of(asked: Any) -> tuple[int, ...]:
    """The k of an argument `top_k`, each once: `TOP` for none. What else is wrong is told elsewhere."""
    given = [k for k in asked if isinstance(k, int)] if isinstance(asked, list | tuple) else []
    return tuple(dict.fromkeys(given)) or TOP


def top_names(top: Sequence[int]) -> tuple[str, ...]:
    """The names of the metrics: 5 → `top_5_accuracy`."""
    return tuple(f"top_{k}_accuracy" for k in top)


REGRESSION = ("rmse", "mae", "r2", "median_absolute_error", "mape", "explained_variance")
BINARY = ("accuracy", "auc", "precision", "recall", "f1", "log_loss", "pr_auc", "brier", "ece")
MULTICLASS = (*BINARY, "precision_weighted", "recall_weighted", "f1_weighted", *top_names(TOP))
MULTILABEL = (
    "f1_micro", "subset_accuracy", "hamming_loss", "auc", "pr_auc", "lrap", "precision", "recall", "f1",
    "precision_micro", "recall_micro", "precision_weighted", "recall_weighted", "f1_weighted",
    "log_loss", "brier", "ece",
)  # fmt: skip
BY_TASK = {
    "regression": REGRESSION,
    "binary": BINARY,
    "multiclass": MULTICLASS,
    "classification": MULTICLASS,
    "multilabel": MULTILABEL,
}
"""For each task its metrics, the first the most telling; "classification" is binary or multi-class, where it
isn't known yet which."""

PER_CLASS = ("precision", "recall", "f1", "auc", "pr_auc", "support")
"""The metrics that each class has for itself."""

LOWER = frozenset(
    ("rmse", "mae", "median_absolute_error", "mape", "log_loss", "brier", "ece", "hamming_loss")
)


def metric_names(task: str, top: Sequence[int] = TOP) -> tuple[str, ...]:
    """The names of a task's metrics, the first the most telling; of all tasks for ""."""
    names = BY_TASK[task] if task else tuple(dict.fromkeys(chain.from_iterable(BY_TASK.values())))
    usual = top_names(TOP)
    if not set(usual) <= set(names):
        return names
    return (*(name for name in names if name not in usual), *top_names(top))


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric, with or without its output in front, is better."""
    return bare(metric) not in LOWER


def bare(metric: str) -> str:
    """The metric's own name, without the output before it."""
    return metric.rpartition("/")[2]


def output_of(metric: str) -> str:
    """The output in front of a metric's name, or ""."""
    return metric.rpartition("/")[0]


def prefixed(output: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by metric under `output/metric`; as they are for an empty output."""
    return {f"{output}/{name}": value for name, value in values.items()} if output else dict(values)


def first_metrics(tasks: Mapping[str, str]) -> Sequence[str]:
    """The most telling metric of each output, `{"": "binary"}` for a single one."""
    return [next(iter(prefixed(output, {metric_names(task)[0]: 0}))) for output, task in tasks.items()]
