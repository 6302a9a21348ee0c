"""The live tree of a run's steps on a terminal. The only module that imports rich."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .common import duration
from .console import Console, message_lines, short_reason
from .progress import Progress

_MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "bold cyan"),
    "ran": ("✓", "green"),
    "cached": ("=", "blue"),
    "skipped": ("-", "dim"),
    "failed": ("✗", "bold red"),
    "not reached": ("·", "dim"),
    "stopped": ("✗", "yellow"),
}
_BAR = 12
_NARROW = 72
"""Columns below which the mark alone tells the status, and no bar is drawn."""


@dataclass
class _Row:
    status: str = "waiting"
    reason: str = ""
    since: float = 0.0
    seconds: float = 0.0
    progress: Progress = field(default_factory=Progress)


class LiveConsole(Console):
    """A listener that draws every step on a line of its own; messages go above the tree."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        super().__init__()
        self.terminal = terminal or Terminal(file=sys.stderr, highlight=False)
        self.rows: dict[str, _Row] = {}
        self.started = time.monotonic()
        self.live: Live | None = None
        self.ended = False

    def take(self, event: Mapping[str, Any]) -> None:
        """Shows an event."""
        step = event.get("step", "")
        if "progress" in event:
            self._row(step).progress.update(event["progress"], time.monotonic())
        elif "status" in event and step:
            self._settle(step, event)
        elif "run" in event:
            self.run = event["run"]
            self.terminal.print(Text(f"run {self.run} of {event['pipeline']}"))
            self.rows = {name: _Row() for name in event["steps"]}
            self.live = Live(self, console=self.terminal, refresh_per_second=5, redirect_stdout=False)
            self.live.start()
        elif message := message_lines(event):
            self.line(message)

    def line(self, text: str) -> None:
        """Writes a line above the tree."""
        self.terminal.print(Text(text))

    def close(self) -> None:
        """Leaves the tree as it is at the end."""
        self.ended = True
        for row in self.rows.values():
            if row.status == "running":
                row.status, row.seconds = "stopped", time.monotonic() - row.since
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _row(self, step: str) -> _Row:
        return self.rows.setdefault(step, _Row())

    def _settle(self, step: str, event: Mapping[str, Any]) -> None:
        row = self._row(step)
        row.status, row.reason = event["status"], short_reason(event)
        row.seconds = event.get("seconds", 0.0)
        row.since = time.monotonic()

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        # The lock of the events isn't taken: rich holds its own while it draws, and a listener that
        # prints takes rich's while it holds ours.
        shown = list(self.rows.items())
        room = max(options.max_height - 2, 3)
        if len(shown) > room and not self.ended:
            shown = _most_telling(shown, room - 1)
        narrow = options.max_width < _NARROW
        widest = max((len(name) + 2 for name, _ in shown), default=0)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=min(widest, options.max_width // 3))
        if not narrow:
            table.add_column(no_wrap=True, min_width=11)
        table.add_column(no_wrap=True, justify="right", min_width=6)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name, row in shown:
            cells = _cells(name, row, 0 if narrow else _BAR)
            table.add_row(*(cells[:1] + cells[2:] if narrow else cells))
        yield table
        if len(shown) < len(self.rows):
            yield Text(f"… and {len(self.rows) - len(shown)} more steps", style="dim")


def _most_telling(rows: list[tuple[str, _Row]], room: int) -> list[tuple[str, _Row]]:
    """As many rows as fit, in their order: running and failed ones first, then the last that ended."""
    urgent = {"running": 0, "failed": 1, "ran": 2, "waiting": 3}
    order = sorted(range(len(rows)), key=lambda i: (urgent.get(rows[i][1].status, 4), -rows[i][1].since))
    return [rows[i] for i in sorted(order[:room])]


def _cells(name: str, row: _Row, bar: int) -> tuple[Text, Text, Text, Text]:
    mark, style = _MARKS.get(row.status, ("·", ""))
    seconds = time.monotonic() - row.since if row.status == "running" else row.seconds
    took = duration(seconds) if row.status in ("running", "ran", "failed", "stopped") else ""
    detail = Text(row.reason, style="dim")
    if row.status == "running":
        parts = row.progress.parts()
        if row.progress.share and bar:
            full = round(row.progress.share * bar)
            detail = Text.assemble(("━" * full, "cyan"), ("━" * (bar - full), "dim"), " ")
            detail.append(" · ".join(parts))
        elif parts:
            detail = Text(" · ".join(parts))
    return Text.assemble((mark, style), " ", name), Text(row.status, style=style), Text(took), detail
