"""`headrace explain`: why a step ran, was cached, or would run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..contents import is_content, shown_content
from ..errors import InvalidRequestError
from .common import (
    brief,
    clock,
    counted,
    duration,
    echo_json,
    json_option,
    load,
    selection,
    store_option,
    store_to_plan,
    store_to_read,
    table,
)
from .naming import run_record

if TYPE_CHECKING:
    from ..store import Store


@click.command()
@click.argument("step")
@click.argument("target", metavar="[PIPELINE]", default="")
@click.option(
    "--run", "run_name", default="", metavar="RUN", help="Look at this run; the last one otherwise."
)
@click.option("--param", "params", multiple=True, metavar="K=V", help="Give a parameter of PIPELINE.")
@click.option("--set", "sets", multiple=True, metavar="STEP.ARG=V", help="Give an argument of a step.")
@store_option
@json_option
def explain(
    step: str,
    target: str,
    run_name: str,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    uri: str,
    as_json: bool,
) -> int:
    """Say why STEP ran or was cached in the last run, or what would become of it in PIPELINE now."""
    if target and run_name:
        raise InvalidRequestError("--run and PIPELINE can't be given together", argument="--run")
    if not target and (params or sets):
        raise InvalidRequestError("--param and --set need a PIPELINE", argument="--param")
    told = _now(step, target, params, sets, uri) if target else _then(step, run_name, uri)
    if as_json:
        echo_json(told)
    else:
        click.echo(_text(told))
    return 0


def _then(step: str, run_name: str, uri: str) -> dict[str, Any]:
    """What became of a step in a run."""
    store = store_to_read(uri)
    record = run_record(store, run_name) if run_name else _last_with(store, step)
    if step not in record["steps"]:
        raise InvalidRequestError(
            f"run {record['run']} of {record['pipeline']} has no step {step!r}",
            given=step,
            available=tuple(record["steps"]),
        )
    steps = record["steps"]
    return {key: value for key, value in steps[step].items() if key != "messages"}


def _last_with(store: Store, step: str) -> dict[str, Any]:
    """The newest run that has the step."""
    seen: dict[str, None] = {}
    for run in store.runs():
        record = run_record(store, run)
        if step in record["steps"]:
            return record
        seen.update(dict.fromkeys(record["steps"]))
    raise InvalidRequestError(
        f"no run in the store has a step {step!r}",
        given=step,
        available=tuple(seen),
        remedy="name its pipeline too, to hear what would become of it",
    )


def _now(step: str, target: str, params: tuple[str, ...], sets: tuple[str, ...], uri: str) -> dict[str, Any]:
    """What would become of a step if the pipeline ran now."""
    from ..planning import Planner

    bound = load(target, params, sets)
    if step not in bound.steps:
        raise InvalidRequestError(
            f"{bound.name} has no step {step!r}", given=step, available=tuple(bound.steps)
        )
    with store_to_plan(uri) as store:
        decisions = Planner(bound, store, selection("", "", "", ())).plan()
        decision = decisions[step]
        return {
            "pipeline": bound.name,
            "step": step,
            "status": f"would {'run' if decision.action == 'run' else 'be ' + decision.action}",
            "reason": decision.reason,
            "provisional": decision.provisional,
            "pending": decision.pending,
            "conditions": [verdict.to_json() for verdict in decision.verdicts],
            "because": _causes(step, decisions, bound.steps),
            "fingerprint": decision.fingerprint,
            "parts": decision.parts.to_json() if decision.parts else {},
            "outputs": {n: {"type": a.type, "digest": a.digest} for n, a in decision.outputs.items()},
        }


def _causes(step: str, decisions: Mapping[str, Any], steps: Mapping[str, Any]) -> dict[str, str]:
    """The steps above a provisional one that run for a reason of their own, with it."""
    found: dict[str, str] = {}
    todo = list(steps[step].upstream) if decisions[step].provisional else []
    while todo:
        name = todo.pop(0)
        if decisions[name].action == "run" and name not in found:
            if decisions[name].provisional:
                todo += steps[name].upstream
            else:
                found[name] = decisions[name].reason
    return found


def _text(told: Mapping[str, Any]) -> str:
    where = f" in run {told['run']} of {told['pipeline']}" if "run" in told else f" in {told['pipeline']} now"
    when = f", {clock(told['started'])}" if "started" in told else ""
    took = f", in {duration(told['seconds'])}" if told.get("status") == "ran" else ""
    lines = [f"{told['step']} {told['status']}{where}{when}{took}", f"  reason: {told['reason']}"]
    lines += [f"  {name}: {reason}" for name, reason in told.get("because", {}).items()]
    lines += [
        f"  {'holds' if one['met'] else 'does not hold'}: {one['when']}, it is {brief(one['seen'])}"
        for one in told.get("conditions", ())
    ]
    if told.get("pending"):
        lines.append("  whether its conditions hold, or those of a step above, is known after those steps")
    elif told.get("provisional"):
        lines.append("  if those steps give what they gave before, it will be cached after all")
    if told.get("error"):
        lines += [f"  error: {problem['what']}" for problem in told["error"]["problems"]]
    if told.get("fingerprint"):
        lines += ["", f"fingerprint {told['fingerprint']}", *_parts(told["parts"])]
    if told.get("outputs"):
        lines += ["outputs"]
        lines.append(table([(n, o["type"], o["digest"][:12]) for n, o in told["outputs"].items()], "  "))
    return "\n".join(lines)


def _parts(parts: Mapping[str, Any]) -> list[str]:
    lines = [f"component {parts['component']}"]
    if parts["parameters"]:
        lines += ["parameters", table([(n, _value(v)) for n, v in sorted(parts["parameters"].items())], "  ")]
    if parts["inputs"]:
        lines += ["inputs", table([(n, digest[:12]) for n, digest in parts["inputs"].items()], "  ")]
    if parts["libraries"]:
        lines += ["libraries", table(sorted(parts["libraries"].items()), "  ")]
    if parts["code"]:
        modules: dict[str, int] = {}
        for symbol in parts["code"]:
            module = symbol.partition(":")[0]
            modules[module] = modules.get(module, 0) + 1
        rows = [(module, counted(count, "symbol")) for module, count in sorted(modules.items())]
        lines += ["code", table(rows, "  ")]
    return lines


def _value(value: Any) -> str:
    """A semantic parameter; a file stands as the digest of its content, a function as that of its code."""
    if is_content(value):
        return shown_content(value)
    if isinstance(value, Mapping) and set(value) == {"name", "code"}:
        return f"{value['name']}, {counted(len(value['code']), 'symbol')} of code"
    return brief(value)
