"""Components and pipelines that are called outside a pipeline: they run at once, in the default store.

So a component works in a test, a notebook or a task of another scheduler as it stands, with the cache.
"""

from __future__ import annotations

import os
import time
import typing
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import Artifact
from .bound import BoundPipeline, BoundStep
from .component import Argument, Component, Known
from .context import Context, RunnerSettings
from .entry_points import offered_paths
from .errors import PipelineError, Problem
from .executor import Request, in_process, in_worker, resumables_of, reuse_of, run_pipeline
from .planning import Planner
from .records import StepRecord, begin_record, new_run_id
from .resumable import end_resumables
from .reuse import keep_notes
from .runners.jobs import StepJobs
from .runners.needs import problems_before
from .runners.opened import OpenRunners
from .runners.settings import is_local
from .store import Store
from .stores import open_store
from .worker_kinds import WorkerKind

if TYPE_CHECKING:
    from .tracing import PipelineFunction


def default_store() -> Store:
    """The store named by HEADRACE_STORE, or `.headrace` in the current folder.

    Raises:
        InvalidRequestError: the URI can't be a store's.
        StoreError: it can't be used.
    """
    return open_store()


def run_alone(
    component: Component[..., Any],
    arguments: Mapping[str, Any],
    store: Store | None = None,
    runner: RunnerSettings | None = None,
) -> Any:
    """Runs one component, or takes its output from the cache.

    It runs in this process, or in one of its own where it needs another backend of Keras or logical devices,
    for which it is too late here.

    Args:
        component: what to run.
        arguments: artifacts and values by argument; relative paths are relative to the current folder.
        store: the default store if None.
        runner: the Beam runner; `direct` if None.

    Returns:
        The output artifact, or the NamedTuple of several.

    Raises:
        PipelineError: an argument doesn't fit, or the runner lacks something.
        StepError, StoreError: what the component or the store raised.
    """
    step, inputs = bind_call(component, arguments)
    store = store or default_store()
    bound = BoundPipeline(component.name, {}, {step.name: step})
    decision = Planner(bound, store).decide(step, inputs)
    outputs = dict(decision.outputs)
    if decision.action == "run":
        settings = runner or RunnerSettings()
        if problems := problems_before([settings] if component.beam else [], store):
            raise PipelineError(problems)
        run, started = new_run_id(), time.time()
        with store.running(run) as staging, store.computing(decision.fingerprint):
            log = store.run_folder(run) / "log.txt"
            folder = staging / step.name  # workers elsewhere see all of it, and nothing of the runner's own
            folder.mkdir()
            ctx = Context(
                step.name, folder, settings, reuse=reuse_of(decision, store, folder),
                resumables=resumables_of(decision, store, folder, run),
                exchange=None if is_local(settings) else store.exchange(folder),
            )  # fmt: skip
            inputs = {name: store.fetch(artifact) for name, artifact in inputs.items()}
            with closing(OpenRunners(bound, staging, log)) as runners:
                ctx.opener = runners.open
                jobs = StepJobs(partial(runners.open, settings))
                ctx.listener = jobs.listener(ctx.listener)
                with jobs.cancelled_after(ctx.warn):
                    drafts = _drafts(step, inputs, ctx, log)
            outputs = {name: store.publish(artifact) for name, artifact in drafts.items()}
            keep_notes(store.folder, folder)
            end_resumables(store.folder, folder)
            record = StepRecord.of(step.name, "ran", decision, outputs, time.time() - started)
            begun = begin_record(run, bound, Request(runner=settings), started)
            ended = {"status": "done", "seconds": round(time.time() - started, 3)}
            store.write_step(record.to_json(run, bound.name, started))
            store.write_run(run, {**begun, **ended, "runners": runners.to_json()})
    outputs = {name: store.fetch(artifact) for name, artifact in outputs.items()}
    if component.output_tuple is None:
        return outputs["output"]
    return component.output_tuple(**outputs)


def _drafts(step: BoundStep, inputs: Mapping[str, Artifact], ctx: Context, log: Path) -> dict[str, Artifact]:
    kind = step.component.process_for({**step.parameters, **inputs})
    if WorkerKind.of(kind).is_here:
        return in_process(step, inputs, ctx)
    from .processes import WorkerPool

    log.parent.mkdir(parents=True, exist_ok=True)
    pool = WorkerPool(ctx.staging.parent / "tmp")
    try:
        return in_worker(pool.lease(log), kind, step, inputs, ctx)
    finally:
        pool.close()


def bind_call(
    component: Component[..., Any], arguments: Mapping[str, Any]
) -> tuple[BoundStep, dict[str, Artifact]]:
    """A step and its input artifacts, for arguments as a caller gave them.

    Raises:
        PipelineError: arguments are missing or don't fit; all problems are listed.
    """
    inputs: dict[str, Artifact] = {}
    parameters: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, argument in component.arguments.items():
        value = arguments.get(name, argument.default)
        if name not in arguments and argument.required:
            problems.append(Problem(f"{component.name} needs the argument {name!r}", argument=name))
        elif isinstance(value, Artifact):
            inputs[name] = value
            problems += _wrong_artifact(component, argument, value)
        else:
            told, found = _parameter(argument, value, name in arguments)
            parameters[name], unnamed = (told, []) if found else offered_paths(argument, told)
            problems += [found.at(argument=name)] if found else unnamed
    if not problems and component.checker is not None:
        problems = component.checker(parameters, {name: known_of(made) for name, made in inputs.items()})[0]
    if problems:
        raise PipelineError([problem.at(step=component.name) for problem in problems])
    return BoundStep(component.name, "", component, parameters, {}), inputs


def known_of(artifact: Artifact) -> Known:
    """What a component's check can know of an artifact that is there already."""
    columns, splits = artifact.properties.get("columns"), artifact.properties.get("splits")
    types = columns if isinstance(columns, Mapping) else None
    facts = {"types": dict(types)} if types is not None else {}
    if form := artifact.properties.get("format"):
        facts["format"] = form
    return Known(
        tuple(types) if types is not None else None,
        tuple(splits) if isinstance(splits, Mapping) else None,
        facts,
    )


def _wrong_artifact(component: Component[..., Any], argument: Argument, value: Artifact) -> list[Problem]:
    if isinstance(value, argument.artifacts):
        return []
    accepted = tuple(kind.__name__ for kind in argument.artifacts)
    return [
        Problem(
            f"{component.name} can't take an artifact of type {value.type}",
            "",
            argument.name,
            available=accepted,
        )
    ]


def _parameter(argument: Argument, value: Any, given: bool) -> tuple[Any, Problem | None]:
    from .values import convert_given, located, plain, resolve_paths

    if not given or (value is None and argument.artifacts):
        return value, None
    if argument.annotation is None:
        accepted = tuple(kind.__name__ for kind in argument.artifacts)
        return None, Problem(f"has to be an artifact, not {type(value).__name__}", available=accepted)
    here = str(Path.cwd())
    converted, problem = convert_given(
        os.fspath(value) if isinstance(value, Path) else value, argument.annotation
    )
    if problem:
        return None, problem
    resolved = resolve_paths(located(converted, here), argument.markers, here, words=argument.words)
    return plain(resolved), None


def run_function(
    function: PipelineFunction[..., Any], params: Mapping[str, Any], store: Store | None = None
) -> Any:
    """Runs a `@pipeline` function's pipeline.

    Returns:
        What the function returns, with artifacts in place of promises: one artifact, a mapping or
        NamedTuple of them, or None. None stands for what a condition kept from being made.

    Raises:
        PipelineError: the pipeline doesn't fit together.
        StepError, StoreError: what the first step that failed raised.
    """
    from .binding import bind

    bound = bind(function, params)
    result = run_pipeline(bound, store or default_store())
    for error in result.errors.values():
        raise error
    made = {n: result.artifacts[s.step].get(s.output) for n, s in bound.outputs.items()}
    return _as_returned(function, made)


def _as_returned(function: PipelineFunction[..., Any], artifacts: dict[str, Artifact | None]) -> Any:
    """The artifacts in the shape that the function's return annotation promises."""
    returned = typing.get_type_hints(function.function).get("return")
    if isinstance(returned, type) and issubclass(returned, tuple):
        return returned(**artifacts)
    if not artifacts:
        return None
    return artifacts["output"] if list(artifacts) == ["output"] else artifacts
