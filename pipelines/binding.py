"""From a pipeline as it was declared to one that can run: `bind`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .bound import BoundPipeline
from .checks import check_components, check_runners, check_steps, in_order
from .errors import PipelineError, Problem
from .expanding import Expansion, Used
from .pipeline import Pipeline, unkeyed
from .tracing import PipelineFunction
from .values import located, parsed, plain


def bind(
    pipeline: Pipeline | PipelineFunction[..., Any],
    params: Mapping[str, Any] | None = None,
    sets: Mapping[str, Any] | None = None,
    target: str = "",
) -> BoundPipeline:
    """The pipeline with every name resolved and every value converted, checked as far as can be.

    Args:
        pipeline: from `load_pipeline`.
        params: values of its parameters. `values.command_text` makes one of what was typed; paths in
            them are relative to the working folder.
        sets: values of arguments by `step.argument`, or `step.argument.key` for one entry of a mapping.
        target: what `load_pipeline` was asked for, for the record.

    Raises:
        PipelineError: something doesn't fit; every problem is listed, in the order of the document.
    """
    given = located(dict(params or {}), str(Path.cwd()))
    declared = pipeline
    if isinstance(pipeline, PipelineFunction):
        declared = pipeline.trace_params(given)
        values = {**pipeline.params, **given}
        given = {}
    assert isinstance(declared, Pipeline)
    expansion = Expansion(declared, given)
    values = values if isinstance(pipeline, PipelineFunction) else expansion.params
    used, found = _override(expansion.used, sets or {})
    steps, wrong = check_steps(used, expansion.names)
    order, cycles = in_order(used)
    problems = [*expansion.problems, *found, *wrong, *check_runners(declared, used), *cycles]
    problems += _wrong_outputs(declared, expansion)
    if not cycles:
        in_turn = {name: steps[name] for name in order if name in steps}
        problems += check_components(in_turn, lambda name, problem: used[name].place(problem))[0]
    if problems:
        raise PipelineError(sorted(_once(problems), key=lambda problem: (problem.file, problem.line)))
    bound = BoundPipeline(
        name=declared.name,
        params={name: plain(parsed(value)) for name, value in values.items()},
        steps={name: steps[name] for name in order},
        outputs=expansion.outputs,
        folder=declared.folder,
        file=declared.file,
        runner=declared.runner,
        tune=declared.tune,
        target=target,
    )
    if declared.tune is not None:
        _check_search(declared, bound)
    return bound


def _once(problems: list[Problem]) -> list[Problem]:
    """The problems, each once; one that all twins of a map have is told of the first."""
    told: dict[Any, Problem] = {}
    for problem in problems:
        place = (problem.file, problem.line, problem.argument)
        told.setdefault((*place, unkeyed(problem.step), unkeyed(problem.what), problem.given), problem)
    return list(told.values())


def _check_search(declared: Pipeline, bound: BoundPipeline) -> None:
    """Raises PipelineError if the section `tune` doesn't fit the pipeline."""
    from .tuning.settings import tune_settings
    from .tuning.values import search_problems

    try:
        problems: list[Problem] = search_problems(tune_settings(declared.tune or {}), bound)
    except PipelineError as error:
        problems = list(error.problems)
    if problems:
        line = declared.tune_line
        raise PipelineError([p.at(file=declared.file, line=line) if not p.file else p for p in problems])


def _override(used: Mapping[str, Used], sets: Mapping[str, Any]) -> tuple[dict[str, Used], list[Problem]]:
    """The steps with `--set` values in place of what was declared."""
    changed = dict(used)
    problems: list[Problem] = []
    # What is said of one twin alone comes after what is said of all of them.
    for key, value in sorted(located(dict(sets), str(Path.cwd())).items(), key=lambda pair: "[" in pair[0]):
        # The longest name wins: a step of a sub-pipeline has a dot in its own.
        names = (name for step in used for name in (step, unkeyed(step)))
        named = max((name for name in names if key.startswith(f"{name}.")), key=len, default="")
        if not named:
            what = f"--set {key}: there is no such step" if "." in key else f"--set {key} names no argument"
            remedy = "write --set STEP.ARGUMENT=VALUE"
            given = key.rpartition(".")[0]
            problems.append(Problem(what, given=given, available=tuple(used), remedy=remedy))
            continue
        path = key.removeprefix(f"{named}.").split(".")
        for step in [named] if named in used else [step for step in used if unkeyed(step) == named]:
            one = changed[step]
            arguments = _set(dict(one.step.arguments), path, value)
            changed[step] = replace(one, step=replace(one.step, arguments=arguments))
    return changed, problems


def _set(arguments: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**arguments, path[0]: value}
    inner = arguments.get(path[0])
    return {
        **arguments,
        path[0]: _set(dict(inner) if isinstance(inner, Mapping) else {}, path[1:], parsed(value)),
    }


def _wrong_outputs(declared: Pipeline, expansion: Expansion) -> list[Problem]:
    problems = []
    for name, source in expansion.outputs.items():
        line = declared.output_lines.get(name, 0)
        used = expansion.used.get(source.step)
        if used is None:
            outputs = expansion.gives(source.step)
            available, given = (
                (expansion.names, source.step) if outputs is None else (tuple(outputs), source.output)
            )
            what = f"outputs.{name}: there is no {source}"
        elif used.component is None or source.output in used.component.outputs:
            continue
        else:
            available, given = tuple(used.component.outputs), source.output
            what = f"outputs.{name}: {source.step} has no output {source.output!r}"
        problems.append(Problem(what, file=declared.file, line=line, given=given, available=available))
    return problems
