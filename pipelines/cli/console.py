"""What a run says while it goes on: plain lines, or a live tree on a terminal. All on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from .common import brief, duration
from .progress import Progress

if TYPE_CHECKING:
    from ..executor import RunResult

_EVERY = 10.0
"""Seconds between two progress lines of a step."""
_METRICS = 6
_REASON = 120
"""Characters of a reason in a line; `headrace explain` tells it whole."""


class Console:
    """A listener that writes plain lines; the events are those of `executor.py`."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.run = ""
        self.width = 0
        self._lock = threading.Lock()
        self._progress: dict[str, tuple[Progress, float]] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Takes an event; steps that run side by side call from threads of their own."""
        with self._lock:
            self.take(event)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def take(self, event: Mapping[str, Any]) -> None:
        """Shows an event."""
        step = event.get("step", "")
        if "progress" in event:
            self._tell_progress(step, event["progress"])
        elif "status" in event and step:
            self.line(status_line(event, self.width))
        elif "run" in event:
            self.run, self.width = event["run"], max((len(name) for name in event["steps"]), default=0)
            self.line(f"run {self.run} of {event['pipeline']}")
        elif message := message_lines(event):
            self.line(message)

    def line(self, text: str) -> None:
        """Writes a line."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Ends the display."""

    def _tell_progress(self, step: str, values: Mapping[str, Any]) -> None:
        now = time.monotonic()
        progress, told = self._progress.get(step, (Progress(), now))
        progress.update(values, now)
        if now - told >= _EVERY:
            self.line(f"{step.ljust(self.width)}  {' · '.join(progress.parts())}")
            told = now
        self._progress[step] = progress, told


def open_console() -> Console:
    """The live tree if standard error is a terminal, else plain lines."""
    if not sys.stderr.isatty():
        return Console()
    from .live import LiveConsole

    return LiveConsole()


def status_line(event: Mapping[str, Any], width: int = 0) -> str:
    """`transform  running               first run`; the line that it ran doesn't repeat the reason."""
    status = event["status"]
    took = duration(event["seconds"]) if status in ("ran", "failed") else ""
    reason = "" if status == "ran" else brief(short_reason(event), _REASON)
    return f"{event['step'].ljust(width)}  {status:11}  {took:>7}  {reason}".rstrip()


def short_reason(event: Mapping[str, Any]) -> str:
    """Why a step has its status, on one line; the whole error is told at the end of the run."""
    error: str = event.get("error", "")
    if not error:
        return str(event.get("reason", ""))
    return error.partition("\n")[0].rpartition(f"{event['step']}: ")[2]


def message_lines(event: Mapping[str, Any]) -> str:
    """What a step says or warns of, with its name; the further lines of a long message are indented."""
    kind = next((kind for kind in ("say", "warn") if kind in event), "")
    if not kind:
        return ""
    head = f"{event.get('step', '')}: {'warning: ' if kind == 'warn' else ''}"
    return head + str(event[kind]).rstrip("\n").replace("\n", "\n    ")


def ending(result: RunResult, uri: str = "") -> str:
    """The errors of a run in full, and in one line what was made; `uri` is the --store that was given."""
    lines = []
    for step, error in result.errors.items():
        lines.append(f"error: {error}" if step in str(error) else f"error: {step}: {error}")
        lines += [note.rstrip() for note in getattr(error, "__notes__", [])]
    took = duration(result.seconds)
    counts: dict[str, int] = {}
    for record in result.steps.values():
        counts[record.status] = counts.get(record.status, 0) + 1
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    made = made_by(result)
    lines.append(f"{result.status} in {took}: {told}" + (f" · {' · '.join(made)}" if made else ""))
    if result.status == "failed":
        where = f" --store {uri}" if uri else ""
        lines.append(f"the log: headrace runs logs {result.run}{where}")
        lines.append(f"to go on: headrace resume {result.run}{where}")
    return "\n".join(lines)


def made_by(result: RunResult) -> list[str]:
    """The metrics of the evaluations of a run, and where its exported models are; not of skipped steps."""
    found = []
    for step, record in result.steps.items():
        if record.status == "skipped":  # what it has is of an earlier run
            continue
        for name, output in record.outputs.items():
            artifact = result.artifacts.get(step, {}).get(name)
            metrics = output["summary"].get("metrics")
            if isinstance(metrics, Mapping):
                found.append(_metrics(metrics, output["summary"].get("split", "")))
            if output["type"] == "ExportedModel" and artifact is not None:
                there = artifact.path.is_dir()  # not yet where a remote store had it in its cache
                found.append(
                    f"exported to {artifact.path}" if there else f"fetch it: headrace artifacts path {step}"
                )
    return found


def _metrics(metrics: Mapping[str, Any], split: str) -> str:
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    by_output: dict[str, list[str]] = {}
    for name in numbers:  # of several labels the first metrics of each, `price/rmse`
        by_output.setdefault(name.rpartition("/")[0], []).append(name)
    most = max(_METRICS // max(len(by_output), 1), 1)
    names = [name for each in by_output.values() for name in each[:most]]
    told = ", ".join(f"{name} {_metric(numbers[name])}" for name in names)
    return f"{split}: {told}" if split else told


def _metric(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
