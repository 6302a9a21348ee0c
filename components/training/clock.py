"""Runs the steps of a stage, and measures how fast they were and how long they waited for examples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .logs.pace import Pace

if TYPE_CHECKING:
    from .steps import Stepper


class Clock:
    """Runs steps and takes the time, all but that of the first, in which the step is compiled.

    Args:
        stepper: runs them.
        batch_size: examples a step.
    """

    def __init__(self, stepper: Stepper, batch_size: int) -> None:
        self._stepper = stepper
        self._batch_size = batch_size
        self._steps = 0
        self._seconds = 0.0
        self._before: float | None = None

    def run(self, count: int) -> None:
        """Runs so many steps."""
        started = time.perf_counter()
        self._stepper.run(count)
        if self._before is None:
            self._before = self._stepper.waited
            return
        self._seconds += time.perf_counter() - started
        self._steps += count

    @property
    def pace(self) -> Pace:
        """What was measured."""
        waited = self._stepper.waited - (self._before or 0.0)
        return Pace(self._steps * self._batch_size, self._seconds, waited)
