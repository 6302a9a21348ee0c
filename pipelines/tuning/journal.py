"""The journal of a search: one JSON line for each thing that happened, so that a kill loses at most a line.

    {"begun": 3, "values": {…}, "mark": …}             a trial was started
    {"report": 3, "epoch": 5, "value": 0.4, "of": 25}  what it told while it ran, for pruning
    {"ended": 3, "trial": {…}}                         what became of it

The cache knows the results; the journal knows what it can't tell: what was pruned or failed, and what the
trials had told by then. Trials whose code, parameters or data have changed since are forgotten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .trials import Trial

Event = Mapping[str, Any]


class Journal:
    """A file of events, in the order in which they happened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.events: list[Event] = list(_read(path))

    def write(self, event: Event, *, sure: bool = False) -> None:
        """Adds an event; `sure` waits until it is on the disk."""
        self.events.append(event)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event, allow_nan=False) + "\n")
            if sure:
                stream.flush()
                os.fsync(stream.fileno())

    def ended(self) -> dict[int, Trial]:
        """The trials that have ended, by number."""
        return {event["ended"]: Trial(**event["trial"]) for event in self.events if "ended" in event}

    def marks(self) -> dict[int, str]:
        """The mark that each trial began with, by number."""
        return {event["begun"]: event["mark"] for event in self.events if "begun" in event}

    def keep(self, good: Callable[[int], bool]) -> None:
        """Forgets the trials that aren't good any more, and what of a line a kill has left."""
        self.events = [event for event in self.events if good(_number(event))]
        partly = self._path.with_name(f".{self._path.name}")
        with partly.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(event) + "\n" for event in self.events)
            stream.flush()
            os.fsync(stream.fileno())
        partly.replace(self._path)


def _number(event: Event) -> int:
    return int(next(event[key] for key in ("begun", "report", "ended") if key in event))


def _read(path: Path) -> Iterator[Event]:
    """The events that can be read; the last line may have been cut off."""
    if not path.exists():
        return
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            event = json.loads(line)
            _number(event)
        except (ValueError, TypeError, StopIteration):
            continue
        yield event
