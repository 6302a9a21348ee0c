"""What is written down of a training while it runs: some points within epochs, and the time of each epoch.

It is part of a checkpoint's state, so that the logs of a training that was stopped and went on are those of
one that wasn't: what came after the checkpoint is forgotten, and nothing is there twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

RATE = "learning_rate"
"""The learning rate in a row of the history."""
NO_METRICS = ("epoch", "stage", RATE)
AN_EPOCH, IN_ALL, APART = 20, 1000, 16
"""Points within an epoch at most, of a training about, and the least number of steps between two."""


@dataclass(frozen=True)
class Point:
    """What was seen within an epoch.

    Attributes:
        step: steps of training so far.
        epoch: epochs so far; 1.25 is a quarter into the second.
        loss: the mean since the point before, or since the epoch began.
        rate: the learning rate; None where the optimizer has none.
        examples_per_second: since the point before.
        time: seconds since 1970.
    """

    step: int
    epoch: float
    loss: float
    rate: float | None
    examples_per_second: float
    time: float


@dataclass(frozen=True)
class EpochTime:
    """When an epoch ended.

    Attributes:
        step: steps of training so far.
        examples_per_second: of the training in it, without validation.
        time: seconds since 1970.
    """

    step: int
    examples_per_second: float
    time: float


@dataclass
class Record:
    """What was seen of a training so far.

    Attributes:
        started: seconds since 1970.
        points: within epochs, by step.
        epochs: one for each row of the history.
    """

    started: float = 0.0
    points: list[Point] = field(default_factory=list)
    epochs: list[EpochTime] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; a loss that isn't finite as None."""
        return {
            "started": self.started,
            "points": [list(_finite(asdict(one)).values()) for one in self.points],
            "epochs": [list(asdict(one).values()) for one in self.epochs],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        """Reads what `to_json` gave."""
        points = [
            Point(step, epoch, math.nan if loss is None else loss, *rest)
            for step, epoch, loss, *rest in value["points"]
        ]
        return cls(value["started"], points, [EpochTime(*one) for one in value["epochs"]])


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def steps_between(epoch_steps: int, all_steps: int) -> int:
    """How many steps lie between two points within an epoch.

    Args:
        epoch_steps: steps of an epoch.
        all_steps: steps of all epochs of the training.
    """
    return max(APART, -(-epoch_steps // AN_EPOCH), -(-all_steps // IN_ALL))


def metric_names(history: Sequence[Mapping[str, float]]) -> list[str]:
    """The loss and the metrics in a history, in their order, without those of validation."""
    names = dict.fromkeys(key for row in history for key in row)
    own = [name for name in names if name not in NO_METRICS and not name.startswith("val_")]
    # What a test_step of one's own alone gives.
    only = [name.removeprefix("val_") for name in names if name.startswith("val_")]
    return list(dict.fromkeys([*own, *only]))
