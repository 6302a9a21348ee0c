"""`headrace plan`, `headrace validate` and `headrace graph`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidRequestError, PipelineError, error_to_json
from .common import (
    counted,
    echo_json,
    json_option,
    load,
    pipeline_options,
    selection,
    selection_options,
    store_option,
    store_to_plan,
    table,
)

if TYPE_CHECKING:
    from ..bound import BoundPipeline
    from ..graph import Target
    from ..planning import Decision

FORMATS = ("ascii", "mermaid", "dot", "svg", "yaml", "python")


@click.command()
@pipeline_options
@selection_options
@store_option
@json_option
def plan(
    target: str,
    params: Sequence[str],
    sets: Sequence[str],
    start: str,
    end: str,
    only: str,
    force: Sequence[str],
    sample: int | None,
    uri: str,
    as_json: bool,
) -> int:
    """Say for each step whether it would run, and why."""
    from ..planning import Planner

    bound = load(target, params, sets, sample)
    with store_to_plan(uri) as store:
        planner = Planner(bound, store, selection(start, end, only, force))
        decisions = planner.plan()
        if as_json:
            echo_json({"pipeline": bound.name, "steps": {n: decision_json(d) for n, d in decisions.items()}})
        else:
            click.echo(_plan_table(decisions))
        if problems := planner.missing(decisions):
            raise PipelineError(problems)
    return 0


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as JSON values."""
    return {
        "action": decision.action,
        "reason": decision.reason,
        "provisional": decision.provisional,
        "pending": decision.pending,
        "conditions": [verdict.to_json() for verdict in decision.verdicts],
        "fingerprint": decision.fingerprint,
        "outputs": {n: {"type": a.type, "digest": a.digest} for n, a in decision.outputs.items()},
    }


def _plan_table(decisions: Mapping[str, Decision]) -> str:
    rows = [(name, _action(decision), decision.reason) for name, decision in decisions.items()]
    runs = [decision for decision in decisions.values() if decision.action == "run"]
    pending = sum(decision.pending for decision in runs)
    unsure = sum(decision.provisional and not decision.pending for decision in runs)
    maybe = f", {unsure} of them only if what they read changes" if unsure else ""
    maybe += f", {pending}{'' if unsure else ' of them'} only if conditions hold" if pending else ""
    return f"{table(rows)}\n{len(runs)} of {counted(len(decisions), 'step')} would run{maybe}"


def _action(decision: Decision) -> str:
    return "run?" if decision.action == "run" and decision.provisional else decision.action


@click.command()
@pipeline_options
@json_option
def validate(target: str, params: Sequence[str], sets: Sequence[str], as_json: bool) -> int:
    """Check a pipeline without running anything."""
    try:
        bound = load(target, params, sets)
    except InvalidRequestError as error:
        if not as_json:
            raise
        echo_json({"valid": False, **error_to_json(error)})
        return error.exit_code
    if as_json:
        echo_json({"valid": True, "pipeline": bound.name, "steps": list(bound.steps)})
    else:
        click.echo(f"{bound.name}: {_nothing_wrong(len(bound.steps))}")
    return 0


def _nothing_wrong(steps: int) -> str:
    return f"{counted(steps, 'step')}, nothing wrong with {'it' if steps == 1 else 'them'}"


@click.command()
@pipeline_options
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="ascii", help="How to draw or write it."
)
@json_option
def graph(target: str, params: Sequence[str], sets: Sequence[str], form: str, as_json: bool) -> int:
    """Draw a pipeline, or write it as YAML or Python."""
    if as_json:
        echo_json(graph_json(load(target, params, sets)))
        return 0
    from ..graph import render

    click.echo(render(_to_draw(target, params, sets, form), form).rstrip("\n"))
    return 0


def _to_draw(target: str, params: Sequence[str], sets: Sequence[str], form: str) -> Target:
    """The pipeline as it was declared, so that a text keeps its references; bound if values were given."""
    if params or sets or form not in ("yaml", "python"):
        return load(target, params, sets)
    from ..resolve import load_pipeline

    return load_pipeline(target)


def graph_json(bound: BoundPipeline) -> dict[str, Any]:
    """The DAG as JSON values."""
    steps = {
        name: {
            "uses": step.uses,
            "inputs": {argument: [source.step, source.output] for argument, source in step.inputs.items()},
            "outputs": {output: kind.__name__ for output, kind in step.component.outputs.items()},
            "when": [condition.text for condition in step.when],
            "file": step.file,
            "line": step.line,
        }
        for name, step in bound.steps.items()
    }
    return {"pipeline": bound.name, "steps": steps}
