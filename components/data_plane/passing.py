"""One pass over units of work: how far it is, what is done of it, why it failed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...pipelines.context import Context
from ...pipelines.errors import HeadraceError, error_from_json
from ...pipelines.runners.jobs import JobError
from ...pipelines.runners.probe import unfit
from ...pipelines.runners.remote_errors import is_lasting, remote_error
from .spilling import Partial, counted, finished

_LOOKS = 0.5
"""Seconds between two looks at what is done."""


class Pass:
    """A pass as the driver sees it: by the files that the workers leave in the stage's folder."""

    def __init__(self, ctx: Context, folder: Path, total: int) -> None:
        self._ctx = ctx
        self.folder = folder
        self.total = total
        self._state, self._looked = "", 0.0

    def look(self, state: str = "RUNNING", last: bool = False) -> None:
        """Tells how far it is, not more often than twice a second.

        Args:
            state: of the runner's job; it is shown until the job runs.
            last: tell it in any case.

        Raises:
            HeadraceError: a unit failed as it would again, so that nobody has to wait for the others.
        """
        now = time.monotonic()
        if state == self._state and now - self._looked < _LOOKS and not last:
            return
        self._state, self._looked = state, now
        exchange = self._ctx.exchange
        names = list(exchange.names(self.folder) if exchange else (p.name for p in self.folder.iterdir()))
        done, rows = counted(names)
        waiting = {} if state == "RUNNING" else {"job": state.lower()}
        self._ctx.progress(done=done, total=self.total, rows=rows, **waiting)
        if any(name.endswith(".error") for name in names):
            if exchange:
                exchange.collect(self.folder)
            for told in self._errors():
                if told["certain"]:
                    raise _error(told)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Looks from a thread while the block works."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(_LOOKS):
                try:
                    self.look()
                except HeadraceError:  # the runner in this process gets it too
                    return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def done(self) -> dict[int, Partial]:
        """What was finished of a job that failed, by unit: a result's file is whole or not there."""
        return finished(self.folder)

    def failure(self, error: Exception) -> tuple[Exception, bool]:
        """Why a pass failed, for people, and whether another attempt at what is left may do.

        An attempt is worth its while where the machine is to blame: a worker or a host was lost, the disk or
        the network failed. Code that raised would do so again.
        """
        left = set(range(self.total)) - set(self.done())
        told = [told for told in self._errors() if told["unit"] in left]
        if told:
            worst = min(told, key=lambda each: (not each["certain"], each["passing"], each["unit"]))
            return _error(worst), bool(worst["passing"]) and isinstance(error, JobError)
        if not isinstance(error, JobError) or error.state != "FAILED":
            return error, False  # somebody else cancelled it, or it was never begun
        if own := unfit(error.text):
            return own, False
        return remote_error(error.problems[0].what, error.text), not is_lasting(error.text)

    def _errors(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.error"))]


def _error(told: dict[str, Any]) -> HeadraceError:
    """A worker's error as it was raised; one that nobody foresaw is a StepError with its traceback."""
    error = error_from_json(told["failed"])
    if "traceback" in told:
        error.add_note(told["traceback"])
    return error
