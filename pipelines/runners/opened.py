"""The runners of one run: each is opened when the first step needs it, and all are closed with the run."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..context import RunnerSettings
from ..errors import StepError
from .settings import key_of


class OpenRunners:
    """Opens runners once, for steps in several threads."""

    def __init__(self, staging: Path, log: Path) -> None:
        self._staging = staging
        self._log = log
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._opened: dict[Any, RunnerSettings] = {}
        self._closed = False

    def open(self, settings: RunnerSettings) -> RunnerSettings:
        """The settings with what leads to the opened runner; one that two steps want is opened once.

        Raises:
            HeadraceError: it can't be opened, or the run has ended.
        """
        if settings.name == "direct":
            return settings
        key = key_of(settings)
        with self._lock:
            if self._closed:
                raise StepError("the run was interrupted")
            if key not in self._opened:
                from .services import open_runner

                context = open_runner(settings, self._staging, self._log)
                self._opened[key] = self._stack.enter_context(context)
            return self._opened[key]

    def close(self) -> None:
        """Ends the services that were started."""
        with self._lock:
            self._closed = True
            self._stack.close()
