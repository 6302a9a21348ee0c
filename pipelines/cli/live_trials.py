"""The live table of a search on a terminal: which trials run, how far they are, and the best so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console as Terminal
from rich.console import ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .common import duration
from .live import LiveConsole
from .progress import Progress
from .tune_view import TuneConsole, begin_line, end_text, setting_text

if TYPE_CHECKING:
    from ..tuning.settings import TuneSettings


@dataclass
class _Row:
    values: str
    since: float
    step: str = ""
    progress: Progress = field(default_factory=Progress)


class LiveTuneConsole(TuneConsole):
    """A listener that draws a line for each trial at work; ended ones go above.

    The runs before and after the trials are drawn as `headrace run` draws them.
    """

    def __init__(self, settings: TuneSettings, terminal: Terminal | None = None) -> None:
        super().__init__(settings)
        self.terminal = terminal or Terminal(file=sys.stderr, highlight=False)
        self.rows: dict[int, _Row] = {}
        self.live: Live | None = None
        self.tree: LiveConsole | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Shows an event."""
        if "search" in event:
            self._close_tree()
            self.course.begin(event)
            self.line(begin_line(event, self.settings))
            self.live = Live(self, console=self.terminal, refresh_per_second=5, redirect_stdout=False)
            self.live.start()
        elif "tuned" in event:
            self.close()
            super().take(event)
        elif "trial" in event:
            self._take_trial(event)
        else:
            self._take_run(event)

    def _take_run(self, event: Mapping[str, Any]) -> None:
        if "run" in event:
            self.search = self.search or event["run"]
            self.run = event["run"]
            if event["run"] == self.search:
                self.line(f"run {self.run} of {event['pipeline']}")
                return
            self._close_tree()
            self.tree = LiveConsole(self.terminal)
        if self.tree is not None:
            self.tree.take(event)

    def _take_trial(self, event: Mapping[str, Any]) -> None:
        number, now = event["trial"], time.monotonic()
        if "values" in event:
            self.course.take(event)
            text = setting_text(event["values"], self.names)
            if event["status"] == "running":
                self.rows[number] = _Row(text, now)
            else:
                self.rows.pop(number, None)
                self.line(f"trial {number}  {text}: {end_text(event, self.settings)}")
        elif number in self.rows:
            row = self.rows[number]
            if (
                event.get("step")
                and event.get("status", "running") == "running"
                and row.step != event["step"]
            ):
                row.step, row.progress = event["step"], Progress()
            if "progress" in event:
                row.progress.update(event["progress"], now)

    def line(self, text: str) -> None:
        """Writes a line above the table."""
        self.terminal.print(Text(text))

    def close(self) -> None:
        """Takes the table away; what is told of ended trials stays."""
        self._close_tree()
        self.rows.clear()
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _close_tree(self) -> None:
        if self.tree is not None:
            self.tree.close()
            self.tree = None

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> RenderResult:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=options.max_width // 2)
        grid.add_column(no_wrap=True, justify="right", min_width=6)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for number, row in list(self.rows.items()):
            parts = [row.step, *row.progress.parts()] if row.step else []
            took = duration(time.monotonic() - row.since)
            title = Text(f"▸ trial {number}", style="bold cyan")
            grid.add_row(title, Text(row.values), Text(took), Text(" · ".join(parts), style="dim"))
        yield grid
        yield Text(self.course.text(), style="bold")
