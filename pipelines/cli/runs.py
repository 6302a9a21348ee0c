"""`headrace runs`: list, show, compare runs, and read their logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from ..contents import is_content, other_files
from ..errors import InvalidRequestError
from ..fingerprint import canonical
from ..tuning.trials import short_names, value_text
from .common import (
    brief,
    clock,
    counted,
    duration,
    echo_json,
    json_option,
    store_option,
    store_to_read,
    table,
)
from .naming import run_id, run_record, with_state

if TYPE_CHECKING:
    from ..store import Store

_name = click.argument("name", metavar="[RUN]", default="")


@click.group()
def runs() -> None:
    """List, show and compare runs.

    RUN is the beginning of a run's id, or its last part; the newest run if it is left out.
    """


@runs.command("list")
@click.option("--pipeline", default="", metavar="NAME", help="Only runs of this pipeline.")
@click.option(
    "-n", "most", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@click.option("--trials", is_flag=True, help="The trials of searches too.")
@store_option
@json_option
def list_runs(pipeline: str, most: int, trials: bool, uri: str, as_json: bool) -> int:
    """List the newest runs; the trials of searches on request only."""
    store = store_to_read(uri)
    found: list[dict[str, Any]] = []
    hidden = 0
    for run in store.runs():
        record = with_state(store, store.run_record(run))
        if pipeline in ("", record["pipeline"]):
            if "trial" in record and not trials:
                hidden += 1
                continue
            found.append(record)
        if len(found) == most:
            break
    if as_json:
        echo_json([_short(record) for record in found])
    elif found:
        rows = [_row(record) for record in found]
        click.echo(table([("RUN", "PIPELINE", "STATUS", "STARTED", "TOOK", "STEPS"), *rows]))
    else:
        click.echo("there are no runs")
    if hidden and not as_json:
        click.echo(f"and {counted(hidden, 'run')} of searches; --trials shows them")
    return 0


def _short(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: record.get(key) for key in ("run", "pipeline", "status", "started", "seconds")}
    kept |= {key: record[key] for key in ("trial", "tune", "best_of") if key in record}
    return {**kept, "steps": {name: step["status"] for name, step in record["steps"].items()}}


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for step in record["steps"].values():
        counts[step["status"]] = counts.get(step["status"], 0) + 1
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    took = duration(record["seconds"]) if "seconds" in record else ""
    started = clock(record["started"])
    return record["run"], record["pipeline"], record["status"], started, took, _role(record) or told


def _role(record: Mapping[str, Any]) -> str:
    """What a run is to a search; empty for one that isn't of any."""
    if "trial" in record:
        number, values = record["trial"]["number"], record["trial"]["values"]
        shorts = short_names(list(values))
        told = ", ".join(f"{shorts[name]} {value_text(value)}" for name, value in values.items())
        return brief(f"trial {number}: {told}", 60) if number is not None else "what all trials share"
    if "tune" in record:
        return f"search of {record['tune']['settings']['metric']}"
    return ""


@runs.command()
@_name
@store_option
@json_option
def show(name: str, uri: str, as_json: bool) -> int:
    """Show a run: its steps, what they gave and said, and its parameters."""
    record = run_record(store_to_read(uri), name)
    if as_json:
        echo_json(record)
    else:
        click.echo("\n".join(_shown(record)))
    return 0


def _shown(record: Mapping[str, Any]) -> Iterator[str]:
    took = f" in {duration(record['seconds'])}" if "seconds" in record else ""
    yield f"run {record['run']} of {record['pipeline']}: {record['status']}{took}"
    yield f"started {clock(record['started'])}, Python {record['python']}"
    if role := _role(record):
        yield role
    if "best_of" in record:
        best = record["best_of"]
        yield f"with the best setting of search {best['run']}, trial {best['number']}"
    if record["request"].get("resumes"):
        yield f"resumes {record['request']['resumes']}"
    for told in record.get("runners", ()):
        facts = {key: value for key, value in told.items() if key not in ("name", "options", "seconds")}
        shown = ", ".join(f"{key} {value_text(value)}" for key, value in {**facts, **told["options"]}.items())
        yield f"runner {told['name']}: {brief(shown, 200)}"
    for key, value in record["document"]["params"].items():
        yield f"param {key} = {brief(value)}"
    yield ""
    steps = record["steps"]
    width = max((len(step) for step in steps), default=0)
    for step, told in steps.items():
        took = duration(told["seconds"]) if told["status"] in ("ran", "failed") else ""
        yield f"{step.ljust(width)}  {told['status']:11}  {took:>7}  {told['reason']}".rstrip()
        yield from _details(told)


def _details(told: Mapping[str, Any]) -> Iterator[str]:
    for output, facts in told["outputs"].items():
        summary = f"  {brief(facts['summary'])}" if facts["summary"] else ""
        yield f"    {output}: {facts['type']} {facts['digest'][:12]}{summary}"
    for message in told.get("messages", ()):
        for kind in ("say", "warn"):
            if kind in message:
                yield f"    {'warning: ' * (kind == 'warn')}{brief(message[kind])}"
    if told.get("error"):
        for problem in told["error"]["problems"]:
            place = f"{problem['file']}:{problem['line']}: " if problem["file"] else ""
            yield f"    error: {place}{problem['what']}"


@runs.command()
@click.argument("before", metavar="[A]", default="")
@click.argument("after", metavar="[B]", default="")
@store_option
@json_option
def diff(before: str, after: str, uri: str, as_json: bool) -> int:
    """Show the parameters, digests and metrics that differ between two runs.

    B is the newest run if left out, and A the one before it of the same pipeline.
    """
    store = store_to_read(uri)
    other = run_record(store, after)
    one = run_record(store, before) if before else _one_before(store, other)
    told = compare(one, other)
    if as_json:
        echo_json({"before": one["run"], "after": other["run"], **told})
        return 0
    click.echo(f"{one['run']} → {other['run']}")
    for kind, changes in told.items():
        if changes:
            rows = [(name, _cell(a), "→", _cell(b)) for name, (a, b) in changes.items()]
            click.echo(f"{kind}\n{table(rows, '  ')}")
    if not any(told.values()):
        click.echo("nothing differs")
    return 0


def _one_before(store: Store, after: Mapping[str, Any]) -> dict[str, Any]:
    """The newest run of the same pipeline before a run."""
    for run in store.runs():
        if run < after["run"]:
            record = run_record(store, run)
            if record["pipeline"] == after["pipeline"] and not {"trial", "tune"} & record.keys():
                return record
    raise InvalidRequestError(
        f"{after['run']} is the only run of {after['pipeline']}: there is none to compare it with",
        argument="A",
        remedy="run the pipeline again, or name two runs; see `headrace runs list`",
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else brief(value, 40)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """What differs between two run records: pairs by name, None where one run doesn't have it."""
    return {
        "parameters": _changes(_parameters(before), _parameters(after)) | _contents(before, after),
        "digests": _changes(_digests(before), _digests(after)),
        "metrics": _changes(_metrics(before), _metrics(after)),
        "statuses": _changes(_statuses(before), _statuses(after)),
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*before, *after])
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if canonical(pair[0]) != canonical(pair[1])}


def _parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{step}.{name}": value
        for step, told in record["document"]["steps"].items()
        for name, value in _leaves(told["parameters"])
    }


def _contents(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The files that differ, since a path stays the same when a file's content changes."""
    old, new = (
        {
            f"{step}.{name} (content)": value
            for step, told in record["steps"].items()
            for name, value in told.get("parts", {}).get("parameters", {}).items()
            if is_content(value)
        }
        for record in (before, after)
    )
    pairs = {name: other_files(old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])}
    return {name: pair for name, pair in pairs.items() if pair != (None, None)}


def _digests(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        step if name == "output" else f"{step}.{name}": output["digest"][:12]
        for step, told in record["steps"].items()
        for name, output in told["outputs"].items()
    }


def _metrics(record: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{step}.{name}": value
        for step, told in record["steps"].items()
        for output in told["outputs"].values()
        for name, value in _leaves(output["summary"].get("metrics") or {})
        if isinstance(value, int | float)
    }


def _statuses(record: Mapping[str, Any]) -> dict[str, str]:
    return {step: told["status"] for step, told in record["steps"].items()}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


@runs.command()
@_name
@store_option
@json_option
def logs(name: str, uri: str, as_json: bool) -> int:
    """Print the log of a run: what its steps and their libraries wrote."""
    store = store_to_read(uri)
    run = run_id(store, name)
    text = store.run_log(run)
    if as_json:
        echo_json({"run": run, "log": text})
    elif text:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        click.echo(f"run {run} has no log: no step had to run, or none wrote anything", err=True)
    return 0
