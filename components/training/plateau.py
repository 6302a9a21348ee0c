"""The schedule that follows the losses: reduce on plateau. No array library here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from .schedule_base import Pace, Schedule, not_a_share


@dataclass(frozen=True, kw_only=True)
class Plateau(Schedule):
    """The rate is multiplied by `factor` when the loss has stopped to sink; see `PlateauState`.

    What is looked at is the loss of the validation split after each epoch, or that of the train split where
    there is nothing to validate on. Rules and defaults are those of Keras' `ReduceLROnPlateau`.

    Attributes:
        factor: above 0, below 1.
        patience: epochs without a better loss until the rate sinks, 1 or more.
        min_delta: by how much a loss has to be smaller to be better, at least 0.
        cooldown: epochs after the rate has sunk that aren't counted, at least 0.
        final: the least share of the learning rate, from 0 to 1.
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    final: float = 0.0
    name: ClassVar[str] = "plateau"
    first: ClassVar[tuple[str, ...]] = ("factor",)

    def wrong(self) -> str:
        """See the class `Schedule`."""
        if not 0 < self.factor < 1:
            return f"factor has to be above 0 and below 1, not {self.factor:g}"
        if self.patience < 1:
            return f"patience is a number of epochs, 1 or more, not {self.patience}"
        for name in ("min_delta", "cooldown"):
            if getattr(self, name) < 0:
                return f"{name} can't be below 0, as {getattr(self, name):g}"
        return not_a_share("final", self.final)

    def share(self, ops: Any, step: Any, pace: Pace) -> Any:
        """1: what the losses have made of it is multiplied behind."""
        return ops.ones(())


@dataclass(frozen=True)
class PlateauState:
    """What the losses have made of the learning rate so far.

    Attributes:
        scale: the share of the learning rate that is left.
        best: the least loss; None before the first epoch.
        waited: epochs since then, or since the rate has sunk.
        resting: epochs that aren't counted yet.
        epochs: that were looked at.
    """

    scale: float = 1.0
    best: float | None = None
    waited: int = 0
    resting: int = 0
    epochs: int = 0

    def after(self, schedule: Plateau, loss: float, warmup: float = 0.0) -> PlateauState:
        """The state after one more epoch.

        Args:
            schedule: the rules.
            loss: that of the epoch; NaN is no better than any.
            warmup: the epochs of the warm-up, which aren't waited for.
        """
        one = replace(self, epochs=self.epochs + 1, resting=max(0, self.resting - 1))
        if self.best is None or loss < self.best - schedule.min_delta:
            return replace(one, best=None if math.isnan(loss) else loss, waited=0)
        if self.epochs < warmup or one.resting:
            return replace(one, waited=0)
        if self.waited + 1 < schedule.patience or self.scale <= schedule.final:
            return replace(one, waited=self.waited + 1)
        scale = max(self.scale * schedule.factor, schedule.final)
        return replace(one, scale=scale, waited=0, resting=schedule.cooldown)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, from which the very same state is made again."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PlateauState:
        """Reads what `to_json` gave."""
        return cls(**value)
