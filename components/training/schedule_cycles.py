"""Learning-rate schedules that go up again: warm restarts and one cycle. No array library here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

from .schedule_base import Pace, Schedule, as_float, down_to, hill, left_of, not_a_share, passed, straight


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Schedule):
    """Cosines one behind the other, each beginning anew at the top: warm restarts.

    From Loshchilov and Hutter, "SGDR", 2016, formula 5 and the paragraph behind it. Keras:
    `CosineDecayRestarts`.

    Attributes:
        epochs: of the first cycle, above 0.
        t_mul: each cycle is so many times as long as the one before, 1 or more.
        m_mul: each begins at so many times the rate at which the one before began, above 0 up to 1.
        final: the share of the first rate that is left at the end of each cycle, from 0 to 1.
    """

    epochs: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    final: float = 0.0
    name: ClassVar[str] = "cosine_restarts"
    first: ClassVar[tuple[str, ...]] = ("epochs",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        if self.epochs <= 0:
            return f"epochs, those of the first cycle, have to be above 0, not {self.epochs:g}"
        if self.t_mul < 1:
            return f"t_mul has to be 1 or more, not {self.t_mul:g}"
        if not 0 < self.m_mul <= 1:
            return f"m_mul has to be above 0 and up to 1, not {self.m_mul:g}"
        return not_a_share("final", self.final)

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        starts = self._starts(pace)
        lengths = [late - early for early, late in pairwise(starts)]
        cycle = passed(ops, ops.minimum(step, starts[-1] - 1), starts[1:-1]) if lengths[1:] else 0
        gone = step - ops.take(ops.convert_to_tensor(starts, dtype=step.dtype), cycle)
        length = ops.take(ops.convert_to_tensor(lengths, dtype=step.dtype), cycle)
        left = as_float(ops, ops.maximum(length - gone, 0)) / as_float(ops, length)
        top = ops.power(as_float(ops, self.m_mul), as_float(ops, cycle))
        return down_to(self.final, top * hill(ops, left))

    def _starts(self, pace: Pace) -> list[int]:
        """The first step of each cycle, and of the one after the last."""
        starts, epochs, cycle = [0], 0.0, self.epochs
        while starts[-1] < pace.steps:
            epochs += cycle
            starts.append(max(starts[-1] + 1, pace.until(epochs)))
            cycle *= self.t_mul
        return starts if starts[1:] else [0, 1]


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """One cycle: up to the learning rate, which can be a large one, and down to far below the beginning.

    From Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", 2017; the defaults are those of PyTorch's `OneCycleLR`. The momentum stays as it is.

    Attributes:
        rise: the share of the training in which the rate goes up, from 0 to 1.
        initial: the share of the learning rate that it begins with, from 0 to 1.
        final: the share that it ends with, from 0 to 1.
        anneal: `cosine` or `linear`, both up and down.
    """

    rise: float = 0.3
    initial: float = 0.04
    final: float = 4e-6
    anneal: Literal["cosine", "linear"] = "cosine"
    name: ClassVar[str] = "one_cycle"
    first: ClassVar[tuple[str, ...]] = ("rise",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        told = (not_a_share(name, getattr(self, name)) for name in ("rise", "initial", "final"))
        return next(filter(None, told), "")

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """See the class."""
        top = min(max(0, round(self.rise * pace.steps)), max(0, pace.steps - 1))
        shape = hill if self.anneal == "cosine" else straight
        up = down_to(self.initial, shape(ops, 1.0 - left_of(ops, step, max(1, top))))
        down = down_to(self.final, shape(ops, left_of(ops, step - top, max(1, pace.steps - top))))
        return ops.where(step < top, up, down)
