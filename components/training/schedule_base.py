"""What a learning-rate schedule is, and what schedules are made of. No array library here.

Lengths are epochs and may be fractions; they become steps once, so that no batch size changes what is meant,
also where an epoch ends in the middle of a batch. Places in time are compared as whole steps, and what is
left until the end is a difference of whole steps: float32, which doesn't hold each step of a long training,
is used for shares alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

NEAR = 1e-6
"""Of a step; a length that is so close to a whole number of steps is that number."""


@dataclass(frozen=True)
class Pace:
    """How epochs become steps.

    Attributes:
        steps_per_epoch: examples an epoch by examples a batch, mostly no whole number.
        steps: how long the schedule goes on, without what is before.
        before: how many epochs were before, the warm-up.
        begun: the first step that began after them, which is step 0 here.
    """

    steps_per_epoch: float
    steps: int
    before: float = 0.0
    begun: int = 0

    def until(self, epochs: float) -> int:
        """The first step that begins after so many epochs."""
        steps = (self.before + epochs) * self.steps_per_epoch
        whole = round(steps) if abs(steps - round(steps)) < NEAR else math.ceil(steps)
        return whole - self.begun

    def after(self, epochs: float) -> Pace:
        """What is left after so many epochs; not less than nothing."""
        steps = min(self.until(epochs), self.steps)
        return Pace(self.steps_per_epoch, self.steps - steps, self.before + epochs, self.begun + steps)

    def length(self, epochs: float | None) -> int:
        """So many epochs in steps, all that there are if None; 1 at the least."""
        return max(1, self.steps if epochs is None else min(self.steps, self.until(epochs)))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The contract; subclasses are the schedules.

    Attributes:
        name: what a step calls it.
        first: the argument that `{name: value}` sets.
    """

    name: ClassVar[str]
    first: ClassVar[tuple[str, ...]] = ()

    def problem(self) -> str:
        """What is wrong with the arguments; empty if nothing is."""
        for field in fields(self):
            value = getattr(self, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, float) and not math.isfinite(number):
                    return f"{field.name} has to be finite, not {number!r}"
        return self.wrong()

    def wrong(self) -> str:
        """`problem` of the subclass's own arguments, which are finite."""
        return ""

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """What the learning rate is multiplied with, a float32 scalar.

        Args:
            ops: `keras.ops`.
            step: a scalar of whole numbers, from 0; the steps since the warm-up.
            pace: how epochs become steps.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """The rate grows to what the schedule begins with, along a straight line.

    From Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017.

    Attributes:
        epochs: how long, at least 0.
        share: or how long as a share of all epochs, from 0 to below 1.
        start: the share of the first rate that it begins with, from 0 to 1. With 0 the very first step
            changes nothing.
    """

    epochs: float = 0.0
    share: float = 0.0
    start: float = 0.0
    name: ClassVar[str] = "warmup"
    first: ClassVar[tuple[str, ...]] = ("epochs",)

    def problem(self) -> str:
        """What is wrong with the arguments; empty if nothing is."""
        if not (math.isfinite(self.epochs) and self.epochs >= 0):
            return f"epochs can't be {self.epochs:g}: it is a number from 0 on"
        if not 0 <= self.share < 1:
            return f"share has to lie between 0 and below 1, not {self.share:g}"
        if self.epochs and self.share:
            return "give either epochs or share, the share of all epochs"
        return not_a_share("start", self.start)

    def length(self, pace: Pace) -> float:
        """How many epochs it takes.

        Args:
            pace: that of warm-up and schedule together.
        """
        return self.epochs or self.share * pace.steps / pace.steps_per_epoch


def epochs_gone(ops: Any, step: Any, pace: Pace) -> Any:
    """The epochs that are gone, float32; not more than there are."""
    return as_float(ops, ops.minimum(step, pace.steps)) / pace.steps_per_epoch


def left_of(ops: Any, step: Any, steps: int) -> Any:
    """The share of so many steps that is left, from 1 to 0; float32, but exact where it is small."""
    return as_float(ops, steps - ops.clip(step, 0, steps)) / float(steps)


def passed(ops: Any, step: Any, places: Sequence[int]) -> Any:
    """How many of the places, which are first steps, have been reached."""
    reached = step >= ops.convert_to_tensor(places, dtype=step.dtype)
    return ops.sum(ops.cast(reached, "int32"))


def hill(ops: Any, left: Any) -> Any:
    """`(1 - cos(π · left)) / 2`, without the cancellation that eats a small `left`."""
    return ops.square(ops.sin((0.5 * math.pi) * left))


def straight(ops: Any, left: Any) -> Any:
    """What is left itself; a line where `hill` is a curve."""
    return left


def down_to(final: float, share: Any) -> Any:
    """A share from 1 to 0 as one from 1 to `final`."""
    return final + (1.0 - final) * share


def as_float(ops: Any, value: Any) -> Any:
    """As float32."""
    return ops.cast(value, "float32")


def not_a_share(name: str, value: float) -> str:
    """What is wrong with an argument that is a share; empty if nothing is."""
    return "" if 0 <= value <= 1 else f"{name} is a share, from 0 to 1, and not {value:g}"
