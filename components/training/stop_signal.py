"""SIGTERM while a training runs: sent by machines that are taken back, and when a run is interrupted."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any


class StopSignal:
    """Within a `with` block, notes a SIGTERM instead of dying of it.

    Signals reach the main thread alone; in another one, nothing is noted, and the process dies as ever.

    Attributes:
        asked: whether there was one.
    """

    def __init__(self) -> None:
        self.asked = False
        self._installed = False
        self._before: Any = None

    def __enter__(self) -> StopSignal:
        """Begins to take notes."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._note)
            self._installed = True
        return self

    def __exit__(self, *error: object) -> None:
        """Puts things back as they were; one that came too late for `obey` counts now."""
        if self._installed:
            self.obey()

    def obey(self) -> None:
        """Ends the process, or does what else was to be done at a SIGTERM, if there was one."""
        if self._installed:
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)
            self._installed = False
        if self.asked:
            self.asked = False
            os.kill(os.getpid(), signal.SIGTERM)

    def _note(self, number: int, frame: Any) -> None:
        self.asked = True
