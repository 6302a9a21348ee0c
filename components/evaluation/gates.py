"""Thresholds on metrics, and the blessing that they give or refuse. Standard library only.

accuracy: 0.9                         at least, since a higher accuracy is better
rmse: 56000                           at most, since a lower one is better
accuracy: {min: 0.9, max: 0.999}      either bound, or both
rmse: {better_than_naive: 1000}       better by at least 1000 than the naive prediction, which is made from
                                      the train labels alone (their mean, or their shares)
rmse: {better_than_baseline: 0}       not worse than the model given as `baseline`; -500 lets it be worse
                                      by 500
better_than_naive: 0.05               the same for the task's first metric (accuracy, rmse, f1_micro);
better_than_baseline: 0               with several labels for the first metric of each
price/rmse: 56000                     with several labels: of the label price
per_class: {bird: {recall: 0.8}}      of one class; "*" is each class; with several labels {kind/recall: 0.8}
slices: {city: {Rome: {rmse: 9000}}}  of the rows in which a column has a value; "*" is each value
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .metric_names import (
    first_metrics,
    higher_is_better,
)

NAIVE, BASELINE = "better_than_naive", "better_than_baseline"
GROUPS = ("per_class", "slices")
EVERY = "*"

Thresholds = Mapping[str, Any]
Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Report:
    """Metrics by name: of all rows, of each class, and of each value of the slice columns."""

    metrics: Values
    per_class: Mapping[str, Values] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)

    def at(self, place: tuple[str, ...]) -> Values | None:
        """The metrics at a place: `()`, `("per_class", class)` or `("slices", column, value)`."""
        if not place:
            return self.metrics
        group, *path = place
        found: Any = getattr(self, group)
        for name in path:
            found = found.get(name, {})
        return found or None


@dataclass(frozen=True)
class Rule:
    """One bound on one metric at one place; see `Report.at`."""

    place: tuple[str, ...]
    metric: str
    kind: str
    limit: float

    @property
    def subject(self) -> str:
        """The metric and where it is from."""
        if not self.place:
            return self.metric
        group, *path = self.place
        return f"{self.metric} of {path[0]}" if group == "per_class" else f"{self.metric} of {'='.join(path)}"


@dataclass(frozen=True)
class Blessing:
    """Whether a model may be exported, and why: a sentence for each rule that failed, or for each
    that held."""

    blessed: bool
    reasons: tuple[str, ...]


def bless(
    thresholds: Thresholds,
    tasks: Mapping[str, str],
    report: Report,
    naive: Report,
    baseline: Report | None = None,
) -> Blessing:
    """Holds metrics against thresholds in which `threshold_problems` finds nothing wrong.

    Args:
        thresholds: see the module's text.
        tasks: the task's name by output, "" for a single one.
        report: the model's metrics.
        naive: those of the naive prediction.
        baseline: those of the baseline model.
    """
    if not thresholds:
        return Blessing(True, ("no thresholds were given",))
    held: list[str] = []
    failed: list[str] = []
    for rule in rules(thresholds, tasks, report):
        ok, reason = _hold(rule, report, {NAIVE: naive, BASELINE: baseline})
        (held if ok else failed).append(reason)
    return Blessing(not failed, tuple(failed or held))


def rules(thresholds: Thresholds, tasks: Mapping[str, str], report: Report) -> Iterator[Rule]:
    """The single rules of thresholds, "*" replaced by the classes and values that the report has."""
    for name, value in thresholds.items():
        if name in (NAIVE, BASELINE):
            for metric in first_metrics(tasks):
                yield Rule((), metric, name, value)
        elif name in GROUPS:
            for place, bounds in _places(
                (name,), value, getattr(report, name), 1 if name == "per_class" else 2
            ):
                there = report.at(place)
                for metric, bound in bounds.items():
                    # The classes of one label don't have the metrics of another, and "*" doesn't mean them.
                    if there is None or metric in there:
                        yield from _bounds(place, metric, bound)
        else:
            yield from _bounds((), name, value)


def behind_naive(metrics: Values, naive: Values, tasks: Mapping[str, str]) -> str:
    """Where a model isn't better than the naive prediction in the task's first metric: both; else ""."""
    told = []
    for metric in first_metrics(tasks):
        value, other = metrics.get(metric), naive.get(metric)
        if value is not None and other is not None and _gain(metric, value, other) <= 0:
            told.append(f"{metric} {number(value)}, naive {number(other)}")
    return "; ".join(told)


def number(value: float) -> str:
    """A number with four significant digits, and all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _gain(metric: str, value: float, other: float) -> float:
    return value - other if higher_is_better(metric) else other - value


def _places(
    place: tuple[str, ...], value: Mapping[str, Any], known: Mapping[str, Any], depth: int
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if not depth:
        yield place, value
        return
    for name, inner in value.items():
        for each in known if name == EVERY else (name,):
            yield from _places((*place, each), inner, known.get(each, {}), depth - 1)


def _bounds(place: tuple[str, ...], metric: str, bound: Any) -> Iterator[Rule]:
    if not isinstance(bound, Mapping):
        bound = {"min" if higher_is_better(metric) else "max": bound}
    for kind, limit in bound.items():
        yield Rule(place, metric, kind, limit)


def _hold(rule: Rule, report: Report, others: Mapping[str, Report | None]) -> tuple[bool, str]:
    values = report.at(rule.place)
    stated = f"rule {rule.kind}: {_plain(rule.limit)}"
    if values is None:
        return False, f"{rule.subject}: no such rows here, and there is a threshold ({stated})"
    value = values.get(rule.metric)
    if value is None:
        return False, f"{rule.subject} can't be computed on these rows, and has a threshold ({stated})"
    kind, limit = rule.kind, rule.limit
    if kind in others:
        whose = "the naive prediction" if kind == NAIVE else "the baseline model"
        other_report = others[kind]
        other = (other_report.at(rule.place) or {}).get(rule.metric) if other_report else None
        if other is None:
            return False, f"{rule.subject}: {whose} has none to be better than ({stated})"
        higher = higher_is_better(rule.metric)
        kind, limit = ("min", other + limit) if higher else ("max", other - limit)
        stated += f"; {whose} has {number(other)}"
    ok = value >= limit if kind == "min" else value <= limit
    sign = {(True, "min"): "≥", (True, "max"): "≤", (False, "min"): "<", (False, "max"): ">"}[ok, kind]
    left, right = number(value), number(limit)
    if left == right and value != limit:
        left, right = repr(value), repr(limit)
    by = "" if ok else f": {number(abs(value - limit))} too {'low' if kind == 'min' else 'high'}"
    return ok, f"{rule.subject} {left} {sign} {right} ({stated}){by}"


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
