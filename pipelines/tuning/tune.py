"""`tune`: a search from its settings to the best pipeline's run, in Python as on the command line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifact import Draft, Trials
from ..binding import bind
from ..bound import BoundPipeline
from ..context import Listener, RunnerSettings, print_event
from ..errors import PipelineError
from ..executor import Request, RunResult, run_pipeline
from ..processes import WorkerPool
from ..records import new_run_id
from ..store import Store
from .publish import begun, step_record, write_trials
from .search import SHARED_GPU, Search
from .settings import TuneSettings, tune_settings
from .study import require_optuna
from .trials import Trial, best_of
from .values import search_problems, with_values

if TYPE_CHECKING:
    from ..pipeline import Pipeline
    from ..tracing import PipelineFunction


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        run: the id of the search's run.
        trials: all of them, by number.
        best: the best of them.
        artifact: the published table, data and picture.
        result: the run of the whole pipeline with the best setting.
    """

    run: str
    trials: tuple[Trial, ...]
    best: Trial
    artifact: Trials
    result: RunResult

    def to_json(self) -> dict[str, Any]:
        """The summary that `headrace tune --json` prints."""
        return {
            "run": self.run,
            "best": self.best.to_json(),
            "trials": [trial.to_json() for trial in self.trials],
            "artifact": {"digest": self.artifact.digest, "path": str(self.artifact.path)},
            "result": self.result.to_json(),
        }


def tune(
    pipeline: str | Pipeline | PipelineFunction[..., Any],
    over: Mapping[str, Any] | None = None,
    metric: str | None = None,
    *,
    direction: str | None = None,
    method: str | None = None,
    trials: int | None = None,
    parallel: int | None = None,
    seed: int | None = None,
    params: Mapping[str, Any] | None = None,
    sets: Mapping[str, Any] | None = None,
    store: Store | None = None,
    runner: RunnerSettings | None = None,
    retry_failed: bool = False,
    listen: Listener = print_event,
) -> Tuned:
    """Searches for the best values of parameters, and runs the pipeline with them.

    Called again with the same arguments it goes on where it was interrupted: what is finished is not
    computed again. What is None is taken from the pipeline's own search, its section `tune`, if it has one.

    Args:
        pipeline: a `@pipeline` function, a Pipeline, or what the command line's PIPELINE may be.
        over: what to try by `step.argument`, or `step.argument.key` for one entry of a mapping: a list of
            values, or a text such as `1e-4..1e-1:log`, see `headrace.pipelines.tuning.space`.
        metric: `step.name` of the number to look at, as `evaluate.accuracy` or `train.val_loss` (of the
            epoch that was kept).
        direction: "minimize" or "maximize"; told from the metric's name if not given.
        method: "random"; "grid" for every combination; "hyperband" for random settings of which those are
            ended early that are behind after 1, 3, 9 … epochs.
        trials: how many at most, 20 by default; all combinations for a grid.
        parallel: how many at once, each in a process of its own; 1 by default.
        seed: of what is drawn, 0 by default.
        params: values of the pipeline's parameters.
        sets: values of arguments by `step.argument`, for all trials.
        store: the default store if None.
        runner: the Beam runner of the steps that don't state their own.
        retry_failed: run the trials once more that failed in an earlier call.
        listen: takes the events, see `search`.

    Raises:
        InvalidRequestError: something doesn't fit, or Optuna isn't installed; nothing was run.
        HeadraceError: a step that all trials need failed, or every trial did.
        KeyboardInterrupt: after all workers were ended.
    """
    from ..alone import default_store
    from ..resolve import load_pipeline

    require_optuna()
    loaded = load_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
    bound = bind(loaded, params, sets, pipeline if isinstance(pipeline, str) else "")
    given = {
        "over": over, "metric": metric, "direction": direction, "method": method, "trials": trials,
        "parallel": parallel, "seed": seed,
    }  # fmt: skip
    settings = settings_for(bound, given)
    return tune_bound(bound, settings, store or default_store(), runner, retry_failed, listen)


def settings_for(bound: BoundPipeline, given: Mapping[str, Any]) -> TuneSettings:
    """The search that was asked for: what was given, and for the rest what the pipeline says.

    Raises:
        PipelineError: it doesn't make sense, or doesn't fit the pipeline; every problem is listed.
    """
    stated = {key: value for key, value in given.items() if value is not None}
    own = dict(bound.tune or {})
    if "metric" in stated:  # another metric may be better the other way
        own.pop("direction", None)
    settings = tune_settings({**own, **stated})
    problems = search_problems(settings, bound)
    if problems:
        raise PipelineError(problems)
    return settings


def tune_bound(
    bound: BoundPipeline,
    settings: TuneSettings,
    store: Store,
    runner: RunnerSettings | None = None,
    retry_failed: bool = False,
    listen: Listener = print_event,
    resumes: str = "",
) -> Tuned:
    """Makes a search whose settings fit the pipeline; see `tune`."""
    require_optuna()
    bound = replace(bound, tune=None)
    run, started = new_run_id(), time.time()
    request = Request(runner=runner or RunnerSettings(), jobs=settings.parallel, resumes=resumes)
    with store.running(run) as staging:
        pool = WorkerPool(staging / "tmp", SHARED_GPU if settings.parallel > 1 else {})
        try:
            search = Search(bound, settings, store, pool, listen, request.runner, retry_failed)
            record = begun(run, bound, settings, search.key, request)
            store.write_run(run, record)
            status = "interrupted"
            try:
                listen({"run": run, "pipeline": bound.name, "steps": list(bound.steps)})
                trials = search.run()
                artifact = _published(store, staging, run, bound.name, settings, trials, started)
                status = "done"
            except Exception:
                status = "failed"
                raise
            finally:
                seconds = round(time.time() - started, 3)
                store.write_run(run, {**record, "status": status, "seconds": seconds})
            best = best_of(trials, settings.direction)
            assert best is not None
            listen({"tuned": run, "best": best.to_json(), "artifact": str(artifact.path)})
            about = {"best_of": {"search": search.key, "run": run, "number": best.number}}
            whole = with_values(bound, best.values)
            result = run_pipeline(whole, store, Request(runner=request.runner, about=about), listen, pool)
        finally:
            pool.close()
    return Tuned(run, tuple(trials), best, artifact, result)


def _published(
    store: Store,
    staging: Path,
    run: str,
    pipeline: str,
    settings: TuneSettings,
    trials: list[Trial],
    started: float,
) -> Trials:
    """Makes and publishes the artifact, with the record of the step that it is of."""
    draft = write_trials(Draft(Trials, staging / "trials"), settings, trials)
    artifact = store.publish(draft)
    record = step_record(artifact, settings, trials, time.time() - started)
    store.write_step(record.to_json(run, pipeline, started))
    assert isinstance(artifact, Trials)
    return artifact
