"""What a training tells while it runs: where it is, loss and metrics, a few times a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from .epoch_steps import EpochSteps
from .logs.record import RATE

if TYPE_CHECKING:
    from .course import CourseState

Tell = Callable[..., None]
SECONDS = 0.25
"""The least time between two reports within an epoch."""


class Live:
    """Reports of a stage.

    Args:
        tell: takes `epoch`, `epochs`, `done`, `total`, `rows`, `loss` and the metrics as keyword arguments;
            those of the last validation too, with the epoch that it was after as `validated`, and the
            learning rate where it changes.
        epochs: of all stages.
        steps: of the stage.
    """

    def __init__(self, tell: Tell, epochs: int, steps: EpochSteps) -> None:
        self._tell = tell
        self._epochs = epochs
        self._steps = steps
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time for a report."""
        return time.monotonic() - self._last >= SECONDS

    def report(self, state: CourseState, values: Mapping[str, float], rate: float | None) -> None:
        """Reports where the training is.

        Args:
            state: of the course.
            values: the loss and the metrics so far.
            rate: the learning rate; None where there is none.
        """
        self._last = time.monotonic()
        steps, before = self._steps, state.history[-1:]
        told = {key: value for key, value in values.items() if key not in ("epoch", "stage", RATE)}
        epoch = state.first + state.epoch + 1
        validated = {"validated": epoch} if _of_validation(values) else {}
        for row in before:
            if _of_validation(row) and not validated:
                validated = {"validated": int(row["epoch"])}
            told = {**_of_validation(row), **told}
        if rate is not None and any(row.get(RATE, rate) != rate for row in (state.history[:1] or before)):
            told[RATE] = rate
        rows = steps.first * steps.rows + state.step * steps.batch_size
        place = {
            "epoch": epoch, "epochs": self._epochs, "rows": rows, "done": rows,
            "total": self._epochs * steps.rows, **validated,
        }  # fmt: skip
        # A metric of somebody's own may be called like one of these, and is then not shown.
        self._tell(**{**place, **_in_order(told), **place})


def _of_validation(values: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if key.startswith("val_")}


def _in_order(values: Mapping[str, float]) -> dict[str, float]:
    """Loss and validation loss before all metrics, of which a narrow terminal shows none."""
    first = {key: values[key] for key in ("loss", "val_loss") if key in values}
    return {**first, **values}
