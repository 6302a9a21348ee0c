"""What a search says while it goes on, and its table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from ..tuning.trials import rows, short_names, value_text
from .common import brief, duration, table
from .console import Console, message_lines

if TYPE_CHECKING:
    from ..tuning.settings import TuneSettings
    from ..tuning.tune import Tuned

_SHOWN = 30
"""Trials in the table on the terminal; the artifact has all."""


class TuneConsole(Console):
    """A listener that writes a line as a trial begins and ends, and some on the way."""

    def __init__(self, settings: TuneSettings, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self.settings = settings
        self.search = ""
        self.names = short_names(list(settings.over))
        self.course = Course(settings)
        self.tuned = False

    @property
    def unfinished(self) -> str:
        """The run that an interrupt leaves to go on with: the search's, or behind it the best setting's."""
        return self.run if self.tuned else self.search

    def take(self, event: Mapping[str, Any]) -> None:
        """Shows an event."""
        if "search" in event:
            self.course.begin(event)
            self.line(begin_line(event, self.settings))
        elif "tuned" in event:
            self.tuned = True
            self.line(
                f"the best setting, of trial {event['best']['number']}, is run through the whole pipeline"
            )
        elif "trial" in event:
            self._take_trial(event)
        else:
            if "run" in event and not self.search:
                self.search = event["run"]
            super().take(event)

    def _take_trial(self, event: Mapping[str, Any]) -> None:
        number = event["trial"]
        if "values" in event:
            self.course.take(event)
            if event["status"] == "running":
                self.line(f"trial {number}  {setting_text(event['values'], self.names)}")
            else:
                self.line(f"trial {number}  {end_text(event, self.settings)}; {self.course.text()}")
        elif "progress" in event:
            self._tell_progress(f"trial {number}: {event.get('step', '')}", event["progress"])
        elif "warn" in event:
            self.line(f"trial {number}: {message_lines(event)}")


class Course:
    """How far a search is: how many trials are known, the best, and how long the rest takes."""

    def __init__(self, settings: TuneSettings) -> None:
        self.settings = settings
        self.total = settings.trials
        self.known = self.before = 0
        self.best: Mapping[str, Any] | None = None
        self.since = 0.0

    def begin(self, event: Mapping[str, Any]) -> None:
        """Takes the search's first event."""
        self.known = self.before = event["known"]
        self.best, self.since = event["best"], time.monotonic()

    def take(self, event: Mapping[str, Any]) -> None:
        """Takes a trial's begin or end."""
        if event["status"] != "running":
            self.known += 1
            self.best = event["best"]

    def text(self) -> str:
        """`best 0.97 (trial 3), 5 of 20, 2 min 3 s left`."""
        parts = []
        if self.best:
            parts.append(f"best {self.best['metric']:.5g} (trial {self.best['number']})")
        parts.append(f"{self.known} of {self.total}")
        done = self.known - self.before
        if done and self.known < self.total:
            left = (time.monotonic() - self.since) / done * (self.total - self.known)
            parts.append(f"{duration(left)} left")
        return ", ".join(parts)


def begin_line(event: Mapping[str, Any], settings: TuneSettings) -> str:
    """What is going to be searched."""
    known = f", {event['known']} of them known already" if event["known"] else ""
    side = f", {event['parallel']} at once" if event["parallel"] > 1 else ""
    what = f"{settings.method} search, {settings.direction} {settings.metric}"
    return f"{what}: {event['trials']} trials{known}{side}"


def setting_text(values: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """`learning_rate 0.003, width 2`."""
    return brief(", ".join(f"{names[name]} {value_text(value)}" for name, value in values.items()), 100)


def end_text(event: Mapping[str, Any], settings: TuneSettings) -> str:
    """What became of a trial, in short."""
    if event["status"] == "failed":
        return f"failed: {brief(event['error'], 200)}"
    if event["status"] == "pruned":
        return f"ended early, after epoch {event['epochs']}"
    name = settings.metric.partition(".")[2]
    return f"{name} {event['metric']:.5g} in {duration(event['seconds'])}"


def outcome(tuned: Tuned, settings: TuneSettings) -> str:
    """The table of the trials, and where the rest is."""
    found = rows(tuned.trials, list(settings.over), settings.metric, settings.direction)
    shown = [[brief(cell, 60) for cell in row] for row in found[: _SHOWN + 1]]
    lines = [table(shown)]
    if len(found) > len(shown):
        lines.append(f"and {len(found) - len(shown)} more")
    best = ", ".join(f"{name}={value_text(value)}" for name, value in tuned.best.values.items())
    lines.append(f"best: trial {tuned.best.number}, {best}")
    lines += [f"look at {path}" for path in tuned.artifact.pictures]
    return "\n".join(lines)


def open_tune_console(settings: TuneSettings) -> TuneConsole:
    """A live table of the trials if standard error is a terminal, else plain lines."""
    if not sys.stderr.isatty():
        return TuneConsole(settings)
    from .live_trials import LiveTuneConsole

    return LiveTuneConsole(settings)
