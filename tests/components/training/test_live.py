"""What a training tells while it runs."""

from __future__ import annotations

from typing import Any

from headrace.components.training.course import CourseState
from headrace.components.training.epoch_steps import EpochSteps
from headrace.components.training.live import Live


def test_the_last_validation_is_told_with_the_epoch_that_it_is_of():
    told: list[dict[str, Any]] = []
    live = Live(lambda **values: told.append(values), 3, EpochSteps(rows=10, batch_size=5, epochs=3))
    state = CourseState(step=1)
    live.report(state, {"loss": 3.0}, None)
    state.step = 2
    row = {"epoch": 1, "loss": 2.0, "val_loss": 1.5}
    live.report(state, row, None)
    state.history.append(row)
    state.epoch, state.step = 1, 3
    live.report(state, {"loss": 1.0}, None)
    assert [(one["epoch"], one.get("val_loss"), one.get("validated")) for one in told] == [
        (1, None, None),
        (1, 1.5, 1),
        (2, 1.5, 1),
    ]
