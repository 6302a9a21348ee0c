"""The course of a training: stages and epochs, what is best so far, when it ends, and what is told of it.

Nothing in here knows of a backend: steps are run by a `Stepper`, batches come from a `Source`. What the
course has to know to go on is one value that is JSON, `CourseState`; with the variables that the stepper
copies it makes a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ...pipelines.errors import InvalidRequestError, StepError
from ...pipelines.tracebacks import own_trace
from ..input.position import Position
from .clock import Clock
from .epoch_steps import EpochSteps
from .live import Live, Tell
from .logs.log import TrainingLog, learning_rate
from .logs.pace import Pace
from .logs.record import NO_METRICS, RATE
from .optimizer_making import averaged
from .settings import Settings

if TYPE_CHECKING:
    from .checkpoints import Checkpoint, Checkpoints
    from .failures import Watch
    from .steps import Stepper


class Source(Protocol):
    """What the course needs of a `Stream`."""

    rows: int

    def batches(self, position: Position = ...) -> Any:
        """Endless batches from a position on."""

    def once(self) -> Any:
        """Batches of one pass."""


class Follower(Protocol):
    """Is told of every epoch, and may change something then; what it remembers travels with checkpoints.

    Attributes:
        name: by which its state is found again, one of its own.
    """

    name: str

    def begin_stage(self, settings: Settings, stepper: Stepper) -> None:
        """A stage begins, or goes on after a resume (`restore` follows then).

        Args:
            settings: the stage's.
            stepper: runs its steps.
        """

    def after_epoch(self, row: Mapping[str, float], stepper: Stepper) -> None:
        """An epoch ended.

        Args:
            row: `epoch` (from 1), `stage`, `loss`, the metrics and `val_…` of each; a follower may not
                change it.
            stepper: whose learning rate it may change.
        """

    def state(self) -> dict[str, Any]:
        """What it remembers, as JSON values."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave."""


@dataclass
class CourseState:
    """Where a training is, as JSON values.

    Attributes:
        stage: counted from 0.
        first: the number of the stage's first epoch, from 0.
        step: steps of the stage that were run.
        epoch: the stage's epoch that is at work, from 0; as many as it had if it is over.
        over: whether patience ended the stage.
        history: see `Trained`.
        best: the least validation loss so far; None while there is none.
        best_epoch: the epoch, from 1, of the best weights.
        followers: the state of each by name.
    """

    stage: int = 0
    first: int = 0
    step: int = 0
    epoch: int = 0
    over: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    followers: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CourseState:
        """Reads what `to_json` gave."""
        return cls(**value)


class Course:
    """Runs the stages of a training, one after another.

    Args:
        stepper: runs the steps.
        source: the examples to learn from.
        held_out: those that choose the epoch; None to take the last one.
        tell: takes `epoch`, `epochs`, `loss`, `rows` and so on as keyword arguments.
        checkpoints: keeps what a killed training needs to go on; None for nothing.
        followers: are told of every epoch.
        log: is told of every epoch too, and of the steps within.
        watch: looks at the loss; None for nothing.

    Attributes:
        state: where it is.
        pace: of the steps that this process ran.
    """

    def __init__(
        self,
        stepper: Stepper,
        source: Source,
        held_out: Source | None,
        tell: Tell,
        checkpoints: Checkpoints | None = None,
        followers: Sequence[Follower] = (),
        log: TrainingLog | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.state = CourseState()
        self.pace = Pace()
        self._resumed: Checkpoint | None = None
        self._stepper = stepper
        self._source = source
        self._held_out = held_out
        self._tell = tell
        self._checkpoints = checkpoints
        self._followers = (*followers, log) if log else followers
        self._log = log
        self._watch = watch
        self._best_weights: list[Any] | None = None
        self._anew = False

    def learn_from(self, source: Source, held_out: Source | None, *, anew: bool) -> None:
        """Takes other examples, for the stages to come.

        Args:
            source: the examples to learn from.
            held_out: those that choose the epoch; None to take the last one.
            anew: whether the losses on them can't be compared with those of the stage before, so that the
                best epoch is one of those to come.
        """
        self._source, self._held_out, self._anew = source, held_out, anew

    def resume(self) -> bool:
        """Goes on from the last checkpoint, if there is one; before the first stage is run."""
        found = self._checkpoints.latest() if self._checkpoints else None
        if found is None:
            return False
        self.state = CourseState.from_json(found.course)
        self._resumed = found
        self._best_weights = None if found.best is None else list(found.best)
        return True

    def run(self, settings: Settings, number: int) -> None:
        """Runs a stage, or what is left of it, and leaves the best weights so far in the network.

        The network was compiled for it.

        Args:
            settings: the hyperparameters of the stage.
            number: of the stage, from 0.

        Raises:
            InvalidRequestError, DataError, StepError: see `train_network`.
        """
        state = self._entered(number)
        steps = EpochSteps(self._source.rows, settings.batch_size, settings.epochs, state.first)
        live = Live(self._tell, settings.all_epochs, steps)
        self._begin(settings, steps)
        clock = Clock(self._stepper, settings.batch_size)
        while state.step < steps.total and not state.over:
            self._epoch(settings, steps, live, clock)
        self.pace += clock.pace
        with averaged(self._stepper.network):
            last = self._stepper.weights()
        self._stepper.set_weights(last if self._best_weights is None else self._best_weights)

    def _entered(self, number: int) -> CourseState:
        """The state, in the stage that begins or goes on."""
        state = self.state
        if state.stage != number:
            state.stage, state.first = number, len(state.history)
            state.step, state.epoch, state.over = 0, 0, False
            if self._anew:
                state.best = self._best_weights = None
        return state

    def _begin(self, settings: Settings, steps: EpochSteps) -> None:
        state = self.state
        with _keras_errors(not state.history):
            self._stepper.begin(self._source.batches(steps.position(state.step)))
        for follower in self._followers:
            follower.begin_stage(settings, self._stepper)
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            self._restore(resumed, steps)
        elif not state.step:
            self._stepper.reset()

    def _restore(self, resumed: Checkpoint, steps: EpochSteps) -> None:
        """Puts everything back as the checkpoint has it."""
        state = self.state
        try:
            self._stepper.restore(resumed.variables)
        except ValueError as error:
            raise StepError(
                f"can't go on from the last checkpoint: {error}",
                remedy="begin anew, by `headrace run --force STEP`",
            ) from error
        for follower in self._followers:
            follower.restore(state.followers[follower.name])
        if self._checkpoints:
            self._checkpoints.say(_resumed_text(resumed, steps.position(state.step), self._checkpoints.place))

    def _epoch(self, settings: Settings, steps: EpochSteps, live: Live, clock: Clock) -> None:
        """Runs an epoch, or what is left of it."""
        state, stepper = self.state, self._stepper
        row = self._row(settings)
        self._steps(settings, steps, live, clock)
        row |= {key: value for key, value in stepper.metrics().items() if key not in row}
        rate = learning_rate(stepper)
        row |= {} if rate is None else {RATE: rate}
        with averaged(stepper.network):
            if self._held_out:
                row |= {f"val_{key}": value for key, value in stepper.evaluate(self._held_out.once()).items()}
            stepper.reset()
            require_loss(row, bool(self._held_out))
            live.report(state, row, rate)
            state.history.append(row)
            self._look(row, settings, weights=stepper.weights)
            if not self._better(row):
                state.over = self._stale(settings)
        for follower in self._followers:
            follower.after_epoch(row, stepper)
        state.epoch += 1
        self._keep()

    def _row(self, settings: Settings) -> dict[str, float]:
        state = self.state
        row: dict[str, float] = {"epoch": state.first + state.epoch + 1}
        return {**row, "stage": state.stage + 1} if settings.stages else row

    def _steps(self, settings: Settings, steps: EpochSteps, live: Live, clock: Clock) -> None:
        """The steps that are left of an epoch."""
        state, stepper = self.state, self._stepper
        end, together = steps.end(state.epoch), settings.execution.steps_per_execution
        while state.step < end:
            count = min(together, end - state.step)
            with _keras_errors(not state.history):
                clock.run(count)
            state.step += count
            if self._log is not None:
                self._log.after_steps(state, steps, settings.all_epochs, stepper)
            if state.step < end:  # at the end of an epoch there is more to remember, see `_epoch`
                self._keep()
            if live.due():
                values = stepper.metrics()
                live.report(state, values, learning_rate(stepper))
                self._look({**values, **self._row(settings)}, settings)

    def _look(self, row: Mapping[str, float], settings: Settings, **weights: Any) -> None:
        """Refuses to go on with a loss that is no number, or such weights."""
        if self._watch is not None:
            self._watch.look(row, settings, int(row["epoch"]), self.state.step, **weights)

    def _keep(self) -> None:
        """Makes a checkpoint if it is time for one."""
        kept = self._checkpoints
        if kept is None or not kept.are_due(self.state.stage, self.state.step) or not self._is_finite():
            return
        self.state.followers = {follower.name: follower.state() for follower in self._followers}
        kept.write(self.state.to_json(), self._stepper.state, self._best_weights)

    def _is_finite(self) -> bool:
        """Whether the loss is a number; that of an epoch that has just begun is none yet, and 0."""
        return math.isfinite(self._stepper.metrics().get("loss", 0.0))

    def _better(self, row: Mapping[str, float]) -> bool:
        """Whether an epoch is the best so far; it is then remembered."""
        state = self.state
        if self._held_out:
            if not row["val_loss"] < (math.inf if state.best is None else state.best):
                return False
            state.best, self._best_weights = row["val_loss"], self._stepper.weights()
        state.best_epoch = int(row["epoch"])
        return True

    def _stale(self, settings: Settings) -> bool:
        """Whether the patience is over; it begins anew with each stage."""
        waited = len(self.state.history) - max(self.state.best_epoch, self.state.first)
        return settings.patience is not None and waited >= settings.patience


def _resumed_text(resumed: Checkpoint, position: Position, place: str) -> str:
    """Where a training goes on, and on what it was until then if that was something else."""
    told = f"goes on from epoch {position.epoch + 1}, example {position.examples:,}"
    return told if resumed.place == place else f"{told}; until then it was trained on {resumed.place}"


class _keras_errors:  # noqa: N801 - used as a function
    """Names Keras' refusals of model, loss and metrics, which come with the first step."""

    def __init__(self, first: bool) -> None:
        self._first = first

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        own = error is not None and own_trace(error.__traceback__) is not None  # it tells more as it is
        if self._first and isinstance(error, TypeError | ValueError) and not own:
            raise InvalidRequestError(
                f"Keras can't train this model with this loss and these metrics: {error}", argument="loss"
            ) from error


def require_loss(row: Mapping[str, float], validated: bool) -> None:
    """Refuses what a `train_step` or `test_step` of one's own told, if there is no loss in it.

    Raises:
        InvalidRequestError: says what was there.
    """
    for key, function in (("loss", "train_step"), *([("val_loss", "test_step")] if validated else [])):
        if key not in row:
            given = [name for name in row if name.startswith("val_") == (key == "val_loss")]
            raise InvalidRequestError(
                f"the model's own {function} gives no 'loss', by which a training is followed",
                argument="model",
                available=tuple(name.removeprefix("val_") for name in given if name not in NO_METRICS),
                remedy='return {"loss": …, **the other metrics} from it',
            )
