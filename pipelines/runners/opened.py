"""The runners of one run: each is opened when the first step needs it, and all are closed with the run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..context import RunnerSettings
from .dataflow import FOLDER
from .job_clients import logged
from .settings import is_dry_run, key_of, shown_options

if TYPE_CHECKING:
    from ..bound import BoundPipeline
    from .packages import Packages


class OpenRunners:
    """Opens runners once, for steps in several threads."""

    def __init__(self, bound: BoundPipeline, staging: Path, log: Path) -> None:
        """Opens nothing yet.

        Args:
            bound: whose steps' code the workers need.
            staging: the run's folder, for the files of services and workers.
            log: where the services write to.
        """
        self._bound = bound
        self._staging = staging
        self._log = log
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._opened: dict[Any, RunnerSettings] = {}
        self._packages: Packages | None = None
        self._records: list[Mapping[str, Any]] = []
        self._ended = threading.Event()

    def open(self, settings: RunnerSettings, say: Callable[[str], None] | None = None) -> RunnerSettings:
        """The settings with what leads to the opened runner; one that two steps want is opened once.

        Args:
            settings: what was asked for.
            say: is told what was started.

        Raises:
            HeadraceError: it can't be opened, or isn't yet and the run has ended.
        """
        if settings.name == "direct":
            return settings
        with self._lock:
            key = key_of(settings)
            if key not in self._opened:
                if self._ended.is_set():
                    from ..processes import interrupted

                    raise interrupted()
                self._opened[key] = self._open(settings, say)
            return self._opened[key]  # also at the end: the jobs that are left there have to be cancelled

    def _open(self, settings: RunnerSettings, say: Callable[[str], None] | None) -> RunnerSettings:
        from .packages import build_packages
        from .services import open_runner, versions_of

        started = time.monotonic()
        if not self._opened:  # of jobs that this process waits for itself
            self._stack.enter_context(logged(logging.FileHandler(self._log, delay=True)))
        if self._packages is None:
            self._packages = build_packages(self._bound, self._staging / "packages")
        files = self._packages.files
        opened = self._stack.enter_context(
            open_runner(settings, self._staging, self._log, files, self._ended)
        )
        seconds = round(time.monotonic() - started, 3)
        told = {"name": settings.name, "options": shown_options(settings.options), **versions_of(settings)}
        self._records.append({**told, "packages": self._packages.digest, "seconds": seconds})
        if say is not None and is_dry_run(settings):
            say(f"a dry run: jobs are written to {self._log.parent / FOLDER}, and their work is done here")
        elif say is not None:
            say(f"the runner {settings.name} is ready after {seconds:.1f} s")
        return opened

    def to_json(self) -> list[Mapping[str, Any]]:
        """What was opened, for the run record: options, versions, the digest of what the workers got."""
        return list(self._records)

    def end(self) -> None:
        """Opens nothing more, and nobody waits for what is being opened."""
        self._ended.set()

    def close(self) -> None:
        """Ends the services that were started."""
        self.end()
        with self._lock:
            self._stack.close()
