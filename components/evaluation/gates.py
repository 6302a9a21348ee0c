"""Thresholds on metrics, and the blessing that they give or refuse. Standard library only.

accuracy: 0.9                    at least, since a higher accuracy is better
rmse: 56000                      at most, since a lower one is better
accuracy: {min: 0.9, max: 0.999} either bound, or both
rmse: {baseline: 1000}           better than the naive baseline's by at least 1000
baseline: 0.05                   the same for the task's first metric (accuracy, or rmse)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...pipelines.errors import Problem

HIGHER = ("accuracy", "auc", "precision", "recall", "f1", "r2")
LOWER = ("log_loss", "rmse", "mae")
REGRESSION = ("rmse", "mae", "r2")
CLASSIFICATION = ("accuracy", "auc", "precision", "recall", "f1", "log_loss")
BOUNDS = ("min", "max", "baseline")

Threshold = float | dict[str, float]
Thresholds = Mapping[str, Threshold]


@dataclass(frozen=True)
class Blessing:
    """Whether a model may be exported, and why: a sentence for each threshold that failed, or for each
    one that held."""

    blessed: bool
    reasons: tuple[str, ...]


def metric_names(task: str | None) -> tuple[str, ...]:
    """The names of a task's metrics, the first the most telling; of all tasks for None."""
    if task is None:
        return CLASSIFICATION + REGRESSION
    return REGRESSION if task == "regression" else CLASSIFICATION


def threshold_problems(thresholds: Thresholds, task: str | None = None) -> list[Problem]:
    """What is wrong with the names and bounds of thresholds, before anything runs."""
    names = metric_names(task)
    problems = []
    for name, bound in thresholds.items():
        if name == "baseline":
            if isinstance(bound, Mapping):
                problems.append(
                    Problem("baseline takes one number: by how much to be better", argument="thresholds")
                )
        elif name not in names:
            of = f" of a {task} task" if task else ""
            problems.append(
                Problem(
                    f"{name!r} is no metric{of}",
                    argument="thresholds",
                    given=name,
                    available=(*names, "baseline"),
                )
            )
        if isinstance(bound, Mapping):
            problems += [
                Problem(f"{name} has no bound {key!r}", argument="thresholds", given=key, available=BOUNDS)
                for key in bound
                if key not in BOUNDS
            ]
    return problems


def bless(
    metrics: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    thresholds: Thresholds,
    task: str,
) -> Blessing:
    """Holds metrics against thresholds.

    Args:
        metrics: the model's, by name.
        baseline: those of the naive prediction.
        thresholds: see the module's text.
        task: decides which metric `baseline` alone means.
    """
    if not thresholds:
        return Blessing(True, ("no thresholds were given",))
    held: list[str] = []
    failed: list[str] = []
    for name, bound in thresholds.items():
        for metric, kind, limit in _limits(name, bound, task):
            ok, reason = _compare(metric, kind, limit, metrics.get(metric), baseline.get(metric))
            (held if ok else failed).append(reason)
    return Blessing(not failed, tuple(failed or held))


def behind_baseline(
    metrics: Mapping[str, float | None], baseline: Mapping[str, float | None], task: str
) -> str:
    """Where a model isn't better than the naive prediction in the task's first metric: both; else ""."""
    metric = metric_names(task)[0]
    value, naive = metrics.get(metric), baseline.get(metric)
    if value is None or naive is None or (value > naive if metric in HIGHER else value < naive):
        return ""
    return f"{metric} {_number(value)}, naive {_number(naive)}"


def _limits(name: str, bound: Threshold, task: str) -> Sequence[tuple[str, str, float]]:
    if name == "baseline":
        assert not isinstance(bound, Mapping)
        return [(metric_names(task)[0], "baseline", bound)]
    if isinstance(bound, Mapping):
        return [(name, kind, limit) for kind, limit in bound.items()]
    return [(name, "min" if name in HIGHER else "max", bound)]


def _compare(
    metric: str, kind: str, limit: float, value: float | None, naive: float | None
) -> tuple[bool, str]:
    if value is None:
        return False, f"{metric} can't be computed on these rows, and has a threshold"
    note = ""
    if kind == "baseline":
        if naive is None:
            return False, f"the naive baseline has no {metric} to be better than"
        note = f" (naive baseline {_number(naive)})"
        limit = naive + limit if metric in HIGHER else naive - limit
        kind = "min" if metric in HIGHER else "max"
    ok = value >= limit if kind == "min" else value <= limit
    sign = {(True, "min"): "≥", (True, "max"): "≤", (False, "min"): "<", (False, "max"): ">"}[ok, kind]
    left, right = _number(value), _number(limit)
    if left == right and value != limit:
        left, right = repr(value), repr(limit)
    return ok, f"{metric} {left} {sign} {right}{note}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
