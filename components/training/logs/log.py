"""The log of a training while it runs; see `record` for what it holds, and `event_files` for who reads it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .event_files import EventFiles
from .record import EpochTime, Point, Record, steps_between

if TYPE_CHECKING:
    from ..course import CourseState
    from ..epoch_steps import EpochSteps
    from ..settings import Settings
    from ..steps import Stepper


LONG = 60.0
"""Seconds from which on it is worth while to watch a training in TensorBoard."""


class TrainingLog:
    """Follows a training and writes down what is seen of it; see `Follower`.

    Args:
        live: a folder in which event files are kept up to date for TensorBoard; None for none.
        say: takes a text for people: where that folder is, of a training that isn't over at once.

    Attributes:
        record: what was seen so far.
        running: whether the loss that the stepper tells is the mean since the epoch began, as that of Keras'
            own `train_step` is; one of somebody else's is taken as it is.
    """

    name = "log"

    def __init__(self, live: Path | None = None, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._told = False
        self._made = time.monotonic()
        self.record = Record(time.time())
        self.running = True
        self._live = live
        self._files: EventFiles | None = None
        self._begin(0)

    def _begin(self, step: int) -> None:
        """Takes the time from a step of a stage on."""
        self._step = step
        self._between = 0
        self._mean = 0, 0.0
        self._now = time.monotonic()
        self._since = self._epoch_since = step, self._now
        self._files = None

    def begin_stage(self, settings: Settings, stepper: Stepper) -> None:
        """A stage begins; see `Follower`."""
        self._begin(0)

    def after_steps(self, state: CourseState, steps: EpochSteps, epochs: int, stepper: Stepper) -> None:
        """Steps were run; takes a point if it is time for one.

        Args:
            state: of the course, these steps among those that were run.
            steps: of the stage.
            epochs: of all stages.
            stepper: that ran them.
        """
        before, self._step, self._now = self._step, state.step, time.monotonic()
        self._batch_size = steps.batch_size
        self._stage_step = self.record.epochs[state.first - 1].step if state.first else 0
        self._between = self._between or steps_between(steps.each, epochs * steps.each)
        if state.step // self._between == before // self._between:
            return
        in_epoch = state.step - (steps.end(state.epoch - 1) if state.epoch else 0)
        point = Point(
            self._stage_step + state.step,
            state.first + state.step * steps.batch_size / steps.rows,
            self._loss(stepper.metrics().get("loss", math.nan), in_epoch),
            learning_rate(stepper),
            self._speed(self._since),
            time.time(),
        )
        self._since = self._step, self._now
        if self._live is not None and math.isfinite(point.loss):
            self._event_files(self._live, state).add_point(point)
            self._tell(self._live)
        self.record.points.append(point)

    def after_epoch(self, row: Mapping[str, float], stepper: Stepper) -> None:
        """An epoch and its validation ended; see `Follower`."""
        ended = EpochTime(self._stage_step + self._step, self._speed(self._epoch_since), time.time())
        self.record.epochs.append(ended)
        if self._files is not None:
            self._files.add_epoch(row, ended)
        self._mean = 0, 0.0
        self._since = self._epoch_since = self._step, time.monotonic()

    def state(self) -> dict[str, Any]:
        """See `Follower`."""
        return {"record": self.record.to_json(), "step": self._step, "mean": list(self._mean)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Follower`."""
        self.record = Record.from_json(state["record"])
        self._begin(state["step"])
        steps, mean = state["mean"]
        self._mean = steps, mean

    def _loss(self, told: float, steps: int) -> float:
        """The mean loss since the point before, of a mean over so many steps since the epoch began."""
        if not self.running or not math.isfinite(told):
            return told
        (before, mean), self._mean = self._mean, (steps, told)
        return (told * steps - mean * before) / (steps - before) if steps > before else told

    def _speed(self, since: tuple[int, float]) -> float:
        """Examples a second since a step and its time."""
        seconds = self._now - since[1]
        return (self._step - since[0]) * self._batch_size / seconds if seconds > 0 else 0.0

    def _tell(self, folder: Path) -> None:
        if not self._told and self._now - self._made > LONG:
            self._told = True
            self._say(f"to watch it: tensorboard --logdir {folder}")

    def _event_files(self, folder: Path, state: CourseState) -> EventFiles:
        """The event files, begun with all that is known where a training goes on."""
        if self._files is None:
            self._files = EventFiles(folder, self.record, state.history)
        return self._files


def learning_rate(stepper: Stepper) -> float | None:
    """The optimizer's; None where a model of one's own has no such optimizer."""
    try:
        return stepper.learning_rate()
    except AttributeError:
        return None
