"""A bound pipeline with other values in it: what a trial runs; and whether a search fits its pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from ..bound import BoundPipeline, BoundStep
from ..checks import check_components
from ..component import Known
from ..entry_points import offered_paths
from ..errors import PipelineError, Problem
from ..pipeline import StepOutput
from ..planning import Selection
from ..values import convert_given, located, plain, resolve_paths
from .settings import TuneSettings
from .space import probes


def with_values(bound: BoundPipeline, values: Mapping[str, Any]) -> BoundPipeline:
    """The pipeline with values of arguments put in.

    Args:
        bound: the pipeline.
        values: JSON values by `step.argument`, or `step.argument.key` for one entry of a mapping; relative
            paths are relative to the pipeline's folder.

    Raises:
        PipelineError: there is no such step or argument, or a value doesn't fit it; all problems are listed.
    """
    steps = dict(bound.steps)
    problems: list[Problem] = []
    for name, value in values.items():
        step, path = split_name(name, steps)
        if not path or path[0] not in steps[step].component.arguments:
            problems.append(_unknown(name, step, path, bound))
            continue
        changed = _changed(steps[step], path, value, bound.folder)
        if isinstance(changed, Problem):
            problems.append(changed.at(step=step, argument=".".join(path)))
        else:
            steps[step] = changed
    if problems:
        raise PipelineError(problems)
    return replace(bound, steps=steps)


def split_name(name: str, steps: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The step that a dotted name begins with, and the rest; `("", [])` if there is no such step.

    The longest name wins: a step of a sub-pipeline has a dot in its own.
    """
    step = max((step for step in steps if name.startswith(f"{step}.")), key=len, default="")
    return (step, name.removeprefix(f"{step}.").split(".")) if step else ("", [])


def _unknown(name: str, step: str, path: list[str], bound: BoundPipeline) -> Problem:
    if not step:
        given = name.partition(".")[0] if "." in name else name
        remedy = "write STEP.ARGUMENT, or STEP.ARGUMENT.KEY for one entry of a mapping"
        what = f"{name} is to be searched, and there is no such step"
        return Problem(what, given=given, available=tuple(bound.steps), remedy=remedy)
    component = bound.steps[step].component
    parameters = tuple(n for n, a in component.arguments.items() if a.annotation is not None)
    what = f"{component.name} has no argument {path[0]!r}"
    return Problem(what, step=step, argument=path[0], given=path[0], available=parameters)


def _changed(step: BoundStep, path: list[str], value: Any, folder: str) -> BoundStep | Problem:
    argument = step.component.arguments[path[0]]
    if argument.annotation is None:
        return Problem("an artifact can't be searched", remedy="search a parameter of the step that gives it")
    given: Any = value
    if len(path) > 1:
        before = msgspec.to_builtins(step.parameters.get(path[0]), str_keys=True)
        given = _set(before, path[1:], value)
        if isinstance(given, Problem):
            return given
    converted, problem = convert_given(given, argument.annotation)
    if problem:
        return problem
    found = resolve_paths(located(converted, folder), argument.markers, folder, words=argument.words)
    named, problems = offered_paths(argument, plain(found))
    if problems:
        return problems[0]
    inputs = {name: source for name, source in step.inputs.items() if name != path[0]}
    return replace(step, parameters={**step.parameters, path[0]: named}, inputs=inputs)


def _set(before: Any, path: list[str], value: Any) -> Any:
    """`before` with the entry at a path replaced; a list's entries are counted from 0."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(before, list):
        if not key.isdigit() or int(key) >= len(before):
            return Problem(
                f"there is no entry {key} in the list", remedy=f"there are {len(before)}, from 0 on"
            )
        inner = _set(before[int(key)], rest, value)
        return inner if isinstance(inner, Problem) else [*before[: int(key)], inner, *before[int(key) + 1 :]]
    if before is not None and not isinstance(before, Mapping):
        return Problem(f"there is no entry {key!r} in {before!r}", remedy="search the whole argument")
    inner = _set((before or {}).get(key), rest, value)
    return inner if isinstance(inner, Problem) else {**(before or {}), key: inner}


def search_problems(settings: TuneSettings, bound: BoundPipeline) -> list[Problem]:
    """What is wrong with a search of a pipeline, as far as it can be known before a run.

    Every end of every range and every choice is put into the pipeline and checked as a run would check it.
    """
    problems = []
    step, path = split_name(settings.metric, bound.steps)
    if not step:
        given, available = settings.metric.partition(".")[0], tuple(bound.steps)
        what = f"the metric {settings.metric} is of no step of the pipeline"
        problems.append(Problem(what, argument="metric", given=given, available=available))
    for values in probes(settings.over):
        try:
            changed = with_values(bound, values)
        except PipelineError as error:
            problems += error.problems
        else:
            wrong, known = check_components(changed.steps, lambda name, problem: problem.at(step=name))
            problems += wrong + (_metric_problems(step, path, known) if step else [])
    if step and not problems:
        used = upstream(bound, step)
        for name in settings.over:
            owner, _ = split_name(name, bound.steps)
            if owner not in used:
                what = f"{name} can't change {settings.metric}: {step} doesn't depend on {owner}"
                problems.append(Problem(what, argument="over", available=tuple(used)))
    return list(dict.fromkeys(problems))


def _metric_problems(step: str, path: list[str], known: Mapping[StepOutput, Known]) -> list[Problem]:
    """The problem that a step gives no such metric, where its component's check tells which it gives."""
    facts = known.get(StepOutput(step), Known()).facts.get("metrics")
    name = ".".join(path[1:] if path[0] == "metrics" else path)
    if facts is None or name in facts or (len(path) > 1 and path[0] != "metrics"):
        return []
    what = f"{step} gives no metric {name!r}"
    return [Problem(what, step=step, argument="metric", given=name, available=tuple(facts))]


def upstream(bound: BoundPipeline, step: str) -> tuple[str, ...]:
    """A step and all that it needs, in topological order."""
    found = Selection(end=step).steps(bound)
    return tuple(name for name in bound.steps if name in found)


def only(bound: BoundPipeline, names: tuple[str, ...]) -> BoundPipeline:
    """The pipeline with these steps alone, which have to hold all that they need."""
    return replace(bound, steps={name: bound.steps[name] for name in names}, outputs={})


def shared_steps(bound: BoundPipeline, settings: TuneSettings) -> tuple[str, ...]:
    """The steps that the objective needs and that no trial changes, in topological order."""
    step, _ = split_name(settings.metric, bound.steps)
    changed = {split_name(name, bound.steps)[0] for name in settings.over}
    kept: list[str] = []
    for name in upstream(bound, step):
        if name not in changed and all(source in kept for source in bound.steps[name].upstream):
            kept.append(name)
    return tuple(kept)
