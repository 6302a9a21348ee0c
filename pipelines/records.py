"""Run records: what was asked, what was done with it, and what came of it, as JSON."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .artifact import Artifact
from .bound import BoundPipeline
from .runners.settings import shown_options

if TYPE_CHECKING:
    from .executor import Request
    from .planning import Decision


def new_run_id() -> str:
    """A run id that sorts by time: `20260131-120000-1b33f2a`; the last part begins with the milliseconds."""
    now = time.time()
    milliseconds = int(now % 1 * 1000)
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{milliseconds:03x}{os.urandom(2).hex()}"


def begin_record(run: str, bound: BoundPipeline, request: Request, started: float) -> dict[str, Any]:
    """A run's record at its start; it holds the whole pipeline, so that `resume` needs nothing else."""
    selection = request.selection
    return {
        "run": run,
        "pipeline": bound.name,
        "status": "running",
        "started": started,
        "document": _without_secrets(bound.to_json()),
        "order": list(bound.steps),
        "request": {
            "from": selection.start,
            "to": selection.end,
            "only": selection.only,
            "force": sorted(selection.force),
            "runner": request.runner.name,
            "runner_options": shown_options(request.runner.options),
            "jobs": request.jobs,
            "resumes": request.resumes,
        },
        "python": platform.python_version(),
        "platform": sys.platform,
        **request.about,
    }


def _without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """A pipeline's document with the secrets among its runners' options masked."""
    sections = [document, *document["steps"].values()]
    for section in sections:
        if section["runner"]:
            section["runner"] = shown_options(section["runner"])
    return document


@dataclass(frozen=True)
class StepRecord:
    """What became of one step in one run.

    Attributes:
        step: its name.
        status: "ran", "cached", "skipped", "failed" or "not reached".
        reason: why, as a phrase.
        seconds: wall clock.
        fingerprint, parts: what decided; empty where it never got as far.
        outputs: `{"type", "digest", "summary"}` by output.
        messages: what the step said, warned of and told of its work.
        conditions: what became of the step's conditions, `{"when", "seen", "met"}` each.
        error: the error as JSON values, of a step that failed.
    """

    step: str
    status: str
    reason: str
    seconds: float = 0.0
    fingerprint: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    messages: Sequence[Any] = ()
    error: Mapping[str, Any] | None = None
    conditions: Sequence[Any] = ()

    @classmethod
    def of(
        cls,
        step: str,
        status: str,
        decision: Decision,
        outputs: Mapping[str, Artifact],
        seconds: float = 0.0,
        messages: Sequence[Any] = (),
    ) -> StepRecord:
        """The record of a step on which `decision` was made."""
        return cls(
            step,
            status,
            decision.reason,
            round(seconds, 3),
            decision.fingerprint,
            decision.parts.to_json() if decision.parts else {},
            {n: {"type": a.type, "digest": a.digest, "summary": dict(a.summary)} for n, a in outputs.items()},
            tuple(messages),
            conditions=tuple(verdict.to_json() for verdict in decision.verdicts),
        )

    def to_json(self, run: str, pipeline: str, started: float) -> dict[str, Any]:
        """The record as it is written to the store."""
        written: dict[str, Any] = {
            "run": run,
            "pipeline": pipeline,
            "step": self.step,
            "status": self.status,
            "reason": self.reason,
            "started": started,
            "seconds": self.seconds,
            "fingerprint": self.fingerprint,
            "parts": dict(self.parts),
            "outputs": dict(self.outputs),
            "messages": list(self.messages),
        }
        if self.conditions:
            written["conditions"] = list(self.conditions)
        return written | ({"error": dict(self.error)} if self.error else {})

    def summary(self, paths: Mapping[str, str]) -> dict[str, Any]:
        """The step in the summary of a run."""
        outputs = {
            name: {
                "type": o["type"],
                "digest": o["digest"],
                "path": paths.get(name, ""),
                "summary": o["summary"],
            }
            for name, o in self.outputs.items()
        }
        shown: dict[str, Any] = {
            "status": self.status, "reason": self.reason, "seconds": self.seconds, "outputs": outputs,
        }  # fmt: skip
        return shown | ({"error": dict(self.error)} if self.error else {})
