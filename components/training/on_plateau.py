"""Lowers the learning rate in the course of a training when the loss has stopped to sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .optimizer_making import planned_rate
from .plateau import Plateau, PlateauState

if TYPE_CHECKING:
    from .rates import PlannedRate
    from .settings import Settings
    from .steps import Stepper


class OnPlateau:
    """A `Follower` for the schedule `plateau`; it does nothing with any other."""

    name = "plateau"

    def __init__(self) -> None:
        self._state = PlateauState()
        self._rate: PlannedRate | None = None

    def begin_stage(self, settings: Settings, stepper: Stepper) -> None:
        """Begins anew: a stage has an optimizer of its own."""
        rate = planned_rate(stepper.network.optimizer)
        self._rate = rate if rate is not None and rate.scale is not None else None
        self._state = PlateauState()

    def after_epoch(self, row: Mapping[str, float], stepper: Stepper) -> None:
        """Looks at the validation loss, or at the loss where there is none."""
        if self._rate is None:
            return
        schedule = self._rate.plan.schedule
        assert isinstance(schedule, Plateau)
        before, loss = self._state.scale, row.get("val_loss", row["loss"])
        self._state = self._state.after(schedule, loss, self._rate.warmup_epochs)
        if self._state.scale != before:
            self._rate.scale.assign(self._state.scale)

    def state(self) -> dict[str, Any]:
        """The losses' state; the scale itself is a variable of the optimizer, too."""
        return self._state.to_json()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave."""
        self._state = PlateauState.from_json(state)
