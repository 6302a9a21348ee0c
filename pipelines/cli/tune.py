"""`headrace tune`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .common import echo_json, load, pairs, pipeline_options, store_option, store_to_write
from .run import RUNNER, RUNNER_OPTIONS, runner_settings

if TYPE_CHECKING:
    from ..bound import BoundPipeline
    from ..context import RunnerSettings
    from ..store import Store
    from ..tuning.settings import TuneSettings

_METHODS = ("random", "grid", "hyperband")


@click.command()
@pipeline_options
@click.option(
    "--over",
    multiple=True,
    metavar="STEP.ARG=VALUES",
    help="What to try: 1e-4..1e-1:log, 16..128, or 0.5,1,2.",
)
@click.option("--metric", default=None, metavar="STEP.NAME", help="As evaluate.accuracy or train.val_loss.")
@click.option("--maximize", "direction", flag_value="maximize", default=None, help="More of it is better.")
@click.option("--minimize", "direction", flag_value="minimize", help="Less is; told by its name by default.")
@click.option("--method", type=click.Choice(_METHODS), default=None, help="How settings are chosen.")
@click.option("--trials", type=click.IntRange(min=1), default=None, metavar="N", help="How many at most.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=None, metavar="N", help="Run N trials side by side."
)
@click.option("--seed", type=click.IntRange(min=0), default=None, metavar="N", help="Of what is drawn.")
@click.option("--retry-failed", is_flag=True, help="Run trials once more that failed in an earlier call.")
@RUNNER
@RUNNER_OPTIONS
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON at the end.")
def tune(
    target: str,
    params: Sequence[str],
    sets: Sequence[str],
    over: Sequence[str],
    metric: str | None,
    direction: str | None,
    method: str | None,
    trials: int | None,
    jobs: int | None,
    seed: int | None,
    retry_failed: bool,
    runner: str,
    runner_options: Sequence[str],
    uri: str,
    as_json: bool,
) -> int:
    """Search for the best values of parameters, and run the pipeline with them.

    What no trial changes is computed once. The same command goes on where it was interrupted. A pipeline's
    own section `tune` says what isn't said here.
    """
    from ..tuning.study import require_optuna
    from ..tuning.tune import settings_for

    require_optuna()
    settings = runner_settings(runner, runner_options)
    bound = load(target, params, sets)
    given = {
        "over": pairs("--over", over) or None, "metric": metric, "direction": direction, "method": method,
        "trials": trials, "parallel": jobs, "seed": seed,
    }  # fmt: skip
    search = settings_for(bound, given)
    return run_search(bound, search, store_to_write(uri), settings, retry_failed, as_json, uri)


def run_search(
    bound: BoundPipeline,
    settings: TuneSettings,
    store: Store,
    runner: RunnerSettings,
    retry_failed: bool,
    as_json: bool,
    uri: str,
    resumes: str = "",
) -> int:
    """Makes a search and shows it; gives the exit code."""
    from ..tuning.tune import tune_bound
    from .console import ending
    from .run import ignore_interrupts
    from .tune_view import open_tune_console, outcome

    console = open_tune_console(settings)
    try:
        with console:
            tuned = tune_bound(bound, settings, store, runner, retry_failed, console, resumes)
    except KeyboardInterrupt:
        ignore_interrupts()
        if console.run:
            where = f" --store {uri}" if uri else ""
            resume = f"headrace resume {console.unfinished}{where}"
            click.echo(f"interrupted; to go on: the same command again, or {resume}", err=True)
        return 130
    click.echo(outcome(tuned, settings), err=as_json)
    click.echo(ending(tuned.result, uri), err=as_json or tuned.result.status != "done")
    if as_json:
        echo_json(tuned.to_json())
    return 0 if tuned.result.status == "done" else 1


def resume_search(
    store: Store, record: dict[str, Any], runner: RunnerSettings, jobs: int | None, as_json: bool, uri: str
) -> int:
    """Goes on with a search from its run's record."""
    from dataclasses import replace

    from ..bound import BoundPipeline
    from ..tuning.settings import tune_settings

    settings = tune_settings(record["tune"]["settings"])
    settings = replace(settings, parallel=jobs or settings.parallel)
    bound = BoundPipeline.from_json(record["document"])
    return run_search(bound, settings, store, runner, False, as_json, uri, record["run"])
