"""Learning-rate schedules: how the rate changes while a network learns. No array library here.

    learning_rate_schedule: cosine
    learning_rate_schedule: {step: {at: [30, 60, 80], factor: 0.1}, warmup: 5}

Each is a small frozen class whose fields are its arguments, and whose `share` is what the learning rate is
multiplied with, as a function of the step. All are counted from the end of the warm-up, in epochs, of which
there may be fractions; a rate is computed anew for each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .plateau import Plateau
from .schedule_base import (
    Pace,
    Schedule,
    as_float,
    down_to,
    epochs_gone,
    hill,
    left_of,
    not_a_share,
    passed,
)
from .schedule_cycles import CosineRestarts, OneCycle


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The rate stays as it is."""

    name: ClassVar[str] = "constant"

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """1."""
        return ops.ones(())


@dataclass(frozen=True, kw_only=True)
class Time(Schedule):
    """Time-based decay, `1 / (1 + decay · t)` after t epochs.

    The sum of the rates is infinite and that of their squares isn't, which is what stochastic approximation
    needs to arrive (Robbins and Monro, "A Stochastic Approximation Method", 1951). Keras: `InverseTimeDecay`.

    Attributes:
        decay: an epoch, above 0; 1 halves the rate in the first epoch.
    """

    decay: float
    name: ClassVar[str] = "time"
    first: ClassVar[tuple[str, ...]] = ("decay",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        return "" if self.decay > 0 else f"decay has to be above 0, not {self.decay:g}"

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        return 1.0 / (1.0 + self.decay * epochs_gone(ops, step, pace))


@dataclass(frozen=True, kw_only=True)
class Step(Schedule):
    """Step decay: the rate is multiplied by `factor` at once, again and again.

    As in He et al., "Deep Residual Learning for Image Recognition", 2015, who divide by 10 at plateaus.
    Keras: `PiecewiseConstantDecay`.

    Attributes:
        every: after so many epochs each time, above 0.
        at: or after each of these numbers of epochs, growing.
        factor: above 0, below 1 for a rate that sinks.
    """

    every: float | None = None
    at: tuple[float, ...] = ()
    factor: float = 0.5
    name: ClassVar[str] = "step"
    first: ClassVar[tuple[str, ...]] = ("every",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        if (self.every is None) == (not self.at):
            return "give either every, a number of epochs, or at, a list of them"
        if self.every is not None and self.every <= 0:
            return f"every is a number of epochs above 0, not {self.every:g}"
        if any(late <= early for early, late in zip((0.0, *self.at), self.at, strict=False)):
            return f"at has to grow from above 0 on, not {list(self.at)}"
        return "" if self.factor > 0 else f"factor has to be above 0, not {self.factor:g}"

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        places = [pace.until(epochs) for epochs in self.at]
        if self.every is not None:
            count = math.floor(pace.steps / (self.every * pace.steps_per_epoch))
            places = [pace.until(self.every * number) for number in range(1, count + 1)]
        if not places:
            return ops.ones(())
        return ops.power(as_float(ops, self.factor), as_float(ops, passed(ops, step, places)))


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """Exponential decay, `factor ^ (t / every)` after t epochs. Keras: `ExponentialDecay`.

    Attributes:
        factor: what the rate is multiplied with in the course of `every` epochs, above 0.
        every: a number of epochs above 0.
    """

    factor: float
    every: float = 1.0
    name: ClassVar[str] = "exponential"
    first: ClassVar[tuple[str, ...]] = ("factor",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        for name in ("factor", "every"):
            if getattr(self, name) <= 0:
                return f"{name} has to be above 0, not {getattr(self, name):g}"
        return ""

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        return ops.exp(math.log(self.factor) / self.every * epochs_gone(ops, step, pace))


@dataclass(frozen=True, kw_only=True)
class Sinking(Schedule):
    """What sinks from 1 to a final share.

    Attributes:
        final: the share that is left at the end, from 0 to 1.
        epochs: how many it takes, above 0; all by default. Afterwards the rate stays.
    """

    final: float = 0.0
    epochs: float | None = None
    first: ClassVar[tuple[str, ...]] = ("final",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        if self.epochs is not None and self.epochs <= 0:
            return f"epochs has to be above 0, not {self.epochs:g}"
        return not_a_share("final", self.final)


@dataclass(frozen=True, kw_only=True)
class Cosine(Sinking):
    """Half a cosine from 1 to `final`: `final + (1 - final) · (1 + cos(π · t)) / 2`, t from 0 to 1.

    From Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016, formula 5,
    without restarts. Keras: `CosineDecay`.
    """

    name: ClassVar[str] = "cosine"

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        return down_to(self.final, hill(ops, left_of(ops, step, pace.length(self.epochs))))


@dataclass(frozen=True, kw_only=True)
class Polynomial(Sinking):
    """A power of what is left: `final + (1 - final) · (1 - t) ^ power`, t from 0 to 1; 1 is linear.

    As "poly" in Chen et al., "DeepLab", 2016, with the power 0.9. Keras: `PolynomialDecay`.

    Attributes:
        power: above 0.
    """

    power: float = 1.0
    name: ClassVar[str] = "polynomial"
    first: ClassVar[tuple[str, ...]] = ("power",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        return super().wrong() if self.power > 0 else f"power has to be above 0, not {self.power:g}"

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        return down_to(self.final, ops.power(left_of(ops, step, pace.length(self.epochs)), self.power))


_ALL: tuple[type[Schedule], ...] = (
    Constant, Time, Step, Exponential, Cosine, CosineRestarts, Polynomial, OneCycle, Plateau,
)  # fmt: skip
SCHEDULES: dict[str, type[Schedule]] = {cls.name: cls for cls in _ALL}
"""By name."""
Name = Literal[
    "constant", "time", "step", "exponential", "cosine", "cosine_restarts", "polynomial", "one_cycle",
    "plateau",
]  # fmt: skip
"""The names; those that need an argument say so when they stand alone."""
