"""What is wrong with thresholds, as far as tasks, slices and classes are known. Standard library only."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...pipelines.errors import Problem
from .gates import BASELINE, EVERY, GROUPS, NAIVE, Thresholds
from .metric_names import PER_CLASS, TOP, bare, metric_names, output_of, prefixed

BOUNDS = ("min", "max", NAIVE, BASELINE)
OLD_WORD = f"write {NAIVE} for the naive prediction, or {BASELINE} for the model that is given as `baseline`"

_TOP_NAME = re.compile(r"top_(\d+)_accuracy")


@dataclass(frozen=True)
class Asked:
    """What thresholds may speak of, as far as it is known.

    Attributes:
        tasks: the task's name by output, "" for a single one; None, or an empty name, if unknown.
        slices: the slice columns; None if unknown.
        baseline: whether a baseline model is given; None if unknown.
        classes: the class names by output; None if unknown.
        top: the k of `top_k_accuracy`.
    """

    tasks: Mapping[str, str] | None = None
    slices: Sequence[str] | None = None
    baseline: bool | None = None
    classes: Mapping[str, Sequence[str]] | None = None
    top: Sequence[int] = TOP


def threshold_problems(thresholds: Thresholds, asked: Asked | None = None) -> list[Problem]:
    """What is wrong with the names and bounds of thresholds, before anything runs."""
    asked = asked or Asked()
    problems: list[Problem] = []
    names = asked_metrics(asked)
    for name, value in thresholds.items():
        if name == "baseline":
            problems.append(_problem("there is no threshold 'baseline'", remedy=OLD_WORD))
        elif name in (NAIVE, BASELINE):
            problems += _bound_problems("", name, value, asked)
        elif name == "per_class":
            problems += _class_problems(value, asked)
        elif name == "slices":
            problems += _slice_problems(value, asked, names)
        else:
            problems += _metric_problems(name, value, asked, names, (NAIVE, BASELINE, *GROUPS))
    return problems


def _problem(what: str, **details: Any) -> Problem:
    return Problem(what, argument="thresholds", **details)


def asked_metrics(asked: Asked) -> tuple[str, ...]:
    """The metrics that there are, with their outputs in front; of all tasks where none is known."""
    return _names(asked, partial(metric_names, top=asked.top))


def _names(asked: Asked, of_task: Any) -> tuple[str, ...]:
    """The metrics that there are, with their outputs in front."""
    if asked.tasks is None:
        return tuple(of_task(""))
    return tuple(
        name
        for output, task in asked.tasks.items()
        for name in prefixed(output, dict.fromkeys(of_task(task)))
    )


def _metric_problems(
    name: str, bound: Any, asked: Asked, names: Sequence[str], others: Sequence[str] = ()
) -> list[Problem]:
    # Where the outputs are not known yet, any may stand in front.
    known = name in names or (asked.tasks is None and bool(output_of(name)) and bare(name) in names)
    if known:
        return _bound_problems(name, "", bound, asked)
    if asked.tasks is not None and "" not in asked.tasks:
        return [_of_several(name, tuple(asked.tasks), names, others)]
    if told := _TOP_NAME.fullmatch(bare(name)):
        remedy = f"name {told[1]} under `top_k` of the step"
        return [_problem(f"{name!r} is not among the metrics that are asked for", remedy=remedy)]
    single = (asked.tasks or {}).get("")
    of = f" of a {single} task" if single else ""
    return [_problem(f"{name!r} is no metric{of}", given=name, available=(*names, *others))]


def _of_several(name: str, labels: tuple[str, ...], names: Sequence[str], others: Sequence[str]) -> Problem:
    """The problem of a metric that isn't there, where each stands behind its label."""
    label, metric = output_of(name), bare(name)
    if not label:
        same = [one for one in names if bare(one) == name]
        remedy = f"write its label before it: {' or '.join(same[:3])}" if same else ""
        given, available = ("", ()) if same else (name, (*names, *others))
        return _problem(f"{name!r} is no metric", given=given, available=available, remedy=remedy)
    if label not in labels:
        return _problem(f"{name!r}: {label!r} is no label", given=label, available=labels)
    own = tuple(bare(one) for one in names if output_of(one) == label)
    if not own:
        return _problem(f"{name!r}: the label {label!r} has no classes to set thresholds on")
    return _problem(f"{name!r}: {metric!r} is no metric of {label!r}", given=metric, available=own)


def _bound_problems(metric: str, kind: str, bound: Any, asked: Asked) -> list[Problem]:
    """Of one number (`kind` says what it means, "" for a plain bound), or of a mapping of them."""
    if isinstance(bound, Mapping) and not kind:
        problems = []
        for key, value in bound.items():
            if key == "baseline":
                problems.append(_problem(f"{metric} has no bound 'baseline'", remedy=OLD_WORD))
            elif key in BOUNDS:
                problems += _bound_problems(metric, key, value, asked)
            else:
                problems.append(_problem(f"{metric} has no bound {key!r}", given=key, available=BOUNDS))
        return problems if bound else [_problem(f"{metric} has no bound", available=BOUNDS)]
    name = ": ".join(part for part in (metric, kind) if part)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
        return [_problem(f"{name} takes a number, not {bound!r}")]
    if kind == BASELINE and asked.baseline is False:
        remedy = f"wire a model as `baseline`, or write {NAIVE}"
        return [_problem(f"{name}: no baseline model is given", remedy=remedy)]
    return []


def _class_problems(value: Any, asked: Asked) -> list[Problem]:
    tasks = asked.tasks
    if not isinstance(value, Mapping) or not all(isinstance(inner, Mapping) for inner in value.values()):
        return [_problem("per_class takes metrics by class, such as {bird: {recall: 0.8}}")]
    if tasks is not None and not any(task != "regression" for task in tasks.values()):
        return [_problem("a regression has no classes to set thresholds on")]
    names = _names(asked, lambda task: () if task == "regression" else PER_CLASS)
    problems = []
    for name, bounds in value.items():
        for metric, bound in bounds.items():
            problems += _metric_problems(metric, bound, asked, names)
        problems += _class_name_problems(name, bounds, asked.classes) if name != EVERY else []
    return problems


def _class_name_problems(
    name: str, metrics: Iterable[str], classes: Mapping[str, Sequence[str]] | None
) -> list[Problem]:
    """The problem of a class that isn't there, or isn't one of the label that a metric is of."""
    every = [one for names in (classes or {}).values() for one in names]
    if classes is None:
        return []
    if name not in every:
        available = tuple(dict.fromkeys(every))
        return [_problem(f"there is no class {name!r}", given=name, available=available)]
    return [
        _problem(f"{output!r} has no class {name!r}", given=name, available=tuple(classes[output]))
        for output in dict.fromkeys(map(output_of, metrics))
        if output in classes and name not in classes[output]
    ]


def _slice_problems(value: Any, asked: Asked, names: Sequence[str]) -> list[Problem]:
    example = "slices takes metrics by column and value, such as {city: {Rome: {rmse: 9000}}}"
    if not isinstance(value, Mapping):
        return [_problem(example)]
    problems = []
    for column, values in value.items():
        if asked.slices is not None and column not in asked.slices:
            remedy = "" if asked.slices else "name it under `slices` of the step"
            what = f"{column!r} is no slice column of this step"
            available = tuple(asked.slices)
            problems.append(_problem(what, given=column, available=available, remedy=remedy))
        if not isinstance(values, Mapping) or not all(isinstance(v, Mapping) for v in values.values()):
            problems.append(_problem(example))
            continue
        for bounds in values.values():
            for metric, bound in bounds.items():
                problems += _metric_problems(metric, bound, asked, names)
    return problems
