"""The artifact of a search, and its run: what makes `artifacts`, `lineage` and `runs` know it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ..artifact import Artifact, Draft, Trials
from ..bound import BoundPipeline
from ..executor import Request
from ..fingerprint import Parts, fingerprint
from ..records import StepRecord, begin_record
from .plot import trials_plot
from .settings import TuneSettings
from .trials import Trial, best_of, csv_text

STEP = "tune"
"""What the only step of a search's run is called."""
TABLE, DATA, PLOT = "trials.csv", "trials.json", "trials.png"


def begun(
    run: str, bound: BoundPipeline, settings: TuneSettings, key: str, request: Request
) -> dict[str, Any]:
    """The record of a search's run at its start; `headrace resume` needs nothing else."""
    record = begin_record(run, bound, request, time.time())
    return {**record, "order": [STEP], "tune": {"search": key, "settings": settings.to_json()}}


def write_trials(draft: Draft[Trials], settings: TuneSettings, trials: list[Trial]) -> Trials:
    """Fills the artifact.

    Equal results make an equal artifact: times and runs stand in the table, which is volatile.
    """
    best = best_of(trials, settings.direction)
    assert best is not None
    names = list(settings.over)
    stable = [
        {"number": t.number, "values": t.values, "state": t.state, "metric": t.metric, "epochs": t.epochs}
        | ({"error": t.error} if t.error else {})
        for t in trials
    ]
    told = _told(settings)
    (draft.path / DATA).write_text(json.dumps({"search": told, "trials": stable}, indent=1) + "\n", "utf-8")
    table = csv_text(trials, names, settings.metric, settings.direction)
    (draft.path / TABLE).write_text(table, "utf-8", newline="")
    (draft.path / PLOT).write_bytes(trials_plot(trials, settings))
    states = [trial.state for trial in trials]
    return draft.finish(
        properties={
            "search": told,
            "best": {"number": best.number, "values": best.values, "metric": best.metric},
        },
        summary={
            "metric": settings.metric,
            "best": {settings.metric: best.metric, **best.values},
            "trials": {state: states.count(state) for state in dict.fromkeys(states)},
            "pictures": [PLOT],
        },
        volatile=[TABLE, PLOT],
    )


def _told(settings: TuneSettings) -> dict[str, Any]:
    """The settings that decide the result."""
    return {key: value for key, value in settings.to_json().items() if key != "parallel"}


def step_record(
    artifact: Artifact, settings: TuneSettings, trials: list[Trial], seconds: float
) -> StepRecord:
    """The record of the search as a step that read what its trials gave."""
    parts = Parts(
        STEP,
        parameters=_told(settings),
        inputs={
            f"trial {trial.number}{'' if name == 'output' else f' {name}'}": digest
            for trial in trials
            for name, digest in trial.inputs.items()
        },
    )
    outputs: Mapping[str, Any] = {
        "output": {"type": artifact.type, "digest": artifact.digest, "summary": dict(artifact.summary)}
    }
    reason = f"{len(trials)} trials"
    return StepRecord(STEP, "ran", reason, round(seconds, 3), fingerprint(parts), parts.to_json(), outputs)
