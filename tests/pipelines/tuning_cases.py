"""A small pipeline to search over, and ways to search it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.pipelines import Pipeline, Tuned, tune
from headrace.pipelines.document import parse_pipeline
from headrace.pipelines.store import Store

COMPONENTS = Path(__file__).with_name("tuning_components.py")
DOCUMENT = f"""
pipeline: small
params: {{log: "", pause: 0.0}}
steps:
  data: {{uses: '{COMPONENTS}:data', with: {{log: '${{params.log}}'}}}}
  fit:
    uses: '{COMPONENTS}:fit'
    with: {{files: '${{steps.data}}', log: '${{params.log}}', pause: '${{params.pause}}'}}
  judge: {{uses: '{COMPONENTS}:judge', with: {{model: '${{steps.fit}}'}}}}
tune:
  over: {{fit.rate: 1e-4..1:log, fit.args.width: [1, 2, 3]}}
  metric: judge.accuracy
  trials: 6
"""


def small() -> Pipeline:
    return parse_pipeline(DOCUMENT, "small.yaml")


def search(store: Store, **given: Any) -> Tuned:
    """A search of the small pipeline; `events` collects what it tells."""
    events: list[Mapping[str, Any]] = given.pop("events", [])
    return tune(small(), store=store, listen=events.append, **given)


def statuses(store: Store) -> dict[str, int]:
    """How often each step really ran."""
    found: dict[str, int] = {}
    for run in store.runs():
        for name, step in store.run_record(run)["steps"].items():
            found[name] = found.get(name, 0) + (step["status"] == "ran")
    return found
