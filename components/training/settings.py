"""The hyperparameters of a training. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a training; see the component `train`.

    Attributes:
        loss: a name for every label, or names by label.
        metrics: names for every label, or by label; those that aren't named have the task's own.
        augment: the list of augmentations, as the component's argument has it.
    """

    model: str
    model_args: Mapping[str, Any]
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float | None
    learning_rate_schedule: str
    loss: str | Mapping[str, str] | None
    loss_weights: Mapping[str, float]
    metrics: Sequence[str] | Mapping[str, Sequence[str]]
    patience: int | None
    seed: int
    augment: Sequence[Any] = ()

    def told(self) -> dict[str, Any]:
        """As JSON values, without the place of the user's code, which is no part of the content."""
        values = asdict(self)
        if not self.augment:
            del values["augment"]
        if ":" in self.model:
            values["model"] = self.model.replace("\\", "/").rpartition("/")[2]
        return values
