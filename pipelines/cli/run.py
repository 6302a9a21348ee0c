"""`headrace run` and `headrace resume`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidRequestError
from .common import (
    echo_json,
    load,
    pairs,
    pipeline_options,
    selection,
    selection_options,
    store_option,
    store_to_read,
    store_to_write,
)
from .naming import run_id, run_record, with_state

if TYPE_CHECKING:
    from ..bound import BoundPipeline
    from ..context import RunnerSettings
    from ..executor import Request, RunResult
    from ..store import Store

RUNNER = click.option("--runner", default="", metavar="R", help="The Beam runner; direct if none is named.")
RUNNER_OPTIONS = click.option(
    "--runner-option", "runner_options", multiple=True, metavar="K=V", help="An option of the runner."
)
_jobs = click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=None, metavar="N", help="Run N steps side by side."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON at the end.")


@click.command()
@pipeline_options
@selection_options
@RUNNER
@RUNNER_OPTIONS
@store_option
@_jobs
@_json
def run(
    target: str,
    params: Sequence[str],
    sets: Sequence[str],
    start: str,
    end: str,
    only: str,
    force: Sequence[str],
    sample: int | None,
    runner: str,
    runner_options: Sequence[str],
    uri: str,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Run a pipeline; what is in the store already is not computed again."""
    settings = runner_settings(runner, runner_options)
    chosen = selection(start, end, only, force)
    bound = load(target, params, sets, sample)
    from ..executor import Request
    from ..runners.settings import settings_by_step

    # An unknown step or runner is reported before a store is made.
    chosen.steps(bound)
    settings_by_step(bound, settings)
    return execute(bound, store_to_write(uri), Request(chosen, settings, jobs or 1), as_json, uri)


@click.command()
@click.argument("name", metavar="[RUN]", default="")
@RUNNER
@RUNNER_OPTIONS
@store_option
@_jobs
@_json
def resume(
    name: str, runner: str, runner_options: Sequence[str], uri: str, jobs: int | None, as_json: bool
) -> int:
    """Go on with a run that failed, was interrupted or was killed: the newest such run, or RUN.

    What it finished is taken from the store; the rest runs as it was asked for then.
    """
    settings = runner_settings(runner, runner_options)
    store = store_to_read(uri)
    record = run_record(store, name) if name else _unfinished(store)
    if record["status"] == "running":
        raise InvalidRequestError(f"run {record['run']} is still running")
    if record["status"] == "done":
        raise InvalidRequestError(
            f"run {record['run']} is done; there is nothing to resume",
            remedy="run the pipeline again by `headrace run`",
        )
    from ..bound import BoundPipeline

    folder = record["document"].get("folder", "")
    if folder and folder not in sys.path:
        sys.path.append(folder)  # where the document's modules were found
    asked = _request_of(record, settings, jobs)
    if "tune" in record:
        from .tune import resume_search

        return resume_search(store, record, asked.runner, jobs, as_json, uri)
    bound = BoundPipeline.from_json(record["document"])
    return execute(bound, store, asked, as_json, uri)


def runner_settings(runner: str, options: Sequence[str]) -> RunnerSettings:
    """The Beam runner that was asked for; raises InvalidRequestError for one that isn't there."""
    from ..context import RunnerSettings
    from ..runners.settings import check_runner

    settings = RunnerSettings(runner, pairs("--runner-option", options))
    if runner:
        check_runner(settings)
    return settings


def execute(
    bound: BoundPipeline,
    store: Store,
    request: Request,
    as_json: bool,
    uri: str,
    tell: Callable[[RunResult], None] | None = None,
) -> int:
    """Runs a pipeline and tells what became of it.

    Args:
        bound: the pipeline.
        store: where it runs.
        request: how.
        as_json: print the result as JSON.
        uri: the --store that was given, for what is told to go on with.
        tell: prints what is asked for on standard output, which has nothing else on it then.

    Returns:
        The exit code.
    """
    from ..executor import run_pipeline
    from .console import ending, open_console

    console = open_console()
    try:
        with console:
            result = run_pipeline(bound, store, request, console)
    except KeyboardInterrupt:
        ignore_interrupts()
        if console.run:
            where = f" --store {uri}" if uri else ""
            click.echo(f"interrupted; to go on: headrace resume {console.run}{where}", err=True)
            if as_json:
                echo_json(_recorded(store, console.run))
        return 130
    click.echo(ending(result, uri), err=as_json or tell is not None or result.status != "done")
    if as_json:
        echo_json(result.to_json())
    elif tell is not None:
        tell(result)
    return 0 if result.status == "done" else 1


def _recorded(store: Store, run: str) -> dict[str, Any]:
    """What became of an interrupted run, in the form of `RunResult.to_json`."""
    from ..records import StepRecord

    record = store.run_record(run)
    steps = {}
    for name, told in record["steps"].items():
        step = StepRecord(name, told["status"], told["reason"], told["seconds"], outputs=told["outputs"])
        places = {key: str(store.place(o["type"], o["digest"])) for key, o in told["outputs"].items()}
        steps[name] = step.summary(places)
    return {"run": run, "status": record["status"], "seconds": record.get("seconds", 0.0), "steps": steps}


def ignore_interrupts() -> None:
    """The run is over: a second Ctrl-C would only garble its last words."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _unfinished(store: Store) -> dict[str, Any]:
    """The newest run that isn't done, and that no later run has resumed and finished."""
    finished: set[str] = set()
    for run in store.runs():
        record = with_state(store, store.run_record(run))
        resumed = record.get("request", {}).get("resumes", "")
        search = record.get("tune", {}).get("search", "")
        if record["status"] == "done" or run in finished or search in finished:
            finished |= {resumed, search} - {""}
        elif "trial" in record:  # its search goes on with it
            continue
        elif record["status"] != "running":
            return record
    latest = run_id(store, "")
    raise InvalidRequestError(
        f"there is nothing to resume: the last run, {latest}, is done or still at work",
        remedy="run a pipeline by `headrace run`",
    )


def _request_of(record: dict[str, Any], settings: RunnerSettings, jobs: int | None) -> Request:
    """The request that a run was started with; a step that it forced and finished is not forced again."""
    from ..context import RunnerSettings
    from ..executor import Request
    from ..pipeline import unkeyed
    from ..planning import Selection

    asked = record["request"]
    ran = {name for name, step in record["steps"].items() if step["status"] == "ran"}
    forced = {name for name in record["order"] if {name, unkeyed(name)} & set(asked["force"])} - ran
    chosen = Selection(asked["from"], asked["to"], asked["only"], frozenset(forced))
    if settings.name in ("", asked["runner"]):  # what was asked for then, but for what is said now
        settings = RunnerSettings(asked["runner"], {**asked["runner_options"], **settings.options})
    return Request(chosen, settings, jobs or asked["jobs"], record["run"])
