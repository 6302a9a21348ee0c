"""The hyperparameters of a training. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...pipelines.artifact import Model
from ...pipelines.import_path import short_names
from .own_code import own_paths
from .stages import Stage

IMAGENET = "imagenet"


@dataclass(frozen=True)
class InitialWeights:
    """Where the weights come from that a network begins with.

    Attributes:
        place: "imagenet", a file, or the folder of a Model.
        name: as they are told of: without the place.
    """

    place: str
    name: str

    @classmethod
    def of(cls, told: Model | str | None) -> InitialWeights | None:
        """Of the argument `weights`."""
        if told is None:
            return None
        if isinstance(told, Model):
            return cls(str(told.path), str(told))
        return cls(told, told if told == IMAGENET else Path(told).name)


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a training; see the component `train`.

    Attributes:
        loss: a name for every label, or names by label.
        metrics: names for every label, or by label; those that aren't named have the task's own.
        stages: what the training consists of; none for one over all epochs.
        weights: what the network begins with; None for random weights.
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
    stages: tuple[Stage, ...] = ()
    weights: InitialWeights | None = None

    @property
    def all_epochs(self) -> int:
        """The most epochs of all stages together."""
        return sum(self.of_stage(stage).epochs for stage in self.stages) if self.stages else self.epochs

    def of_stage(self, stage: Stage) -> Settings:
        """The hyperparameters in a stage: what it says itself, and these else."""
        return replace(
            self,
            epochs=stage.epochs or self.epochs,
            learning_rate=self.learning_rate if stage.learning_rate is None else stage.learning_rate,
            learning_rate_schedule=stage.learning_rate_schedule or self.learning_rate_schedule,
            patience=stage.patience or self.patience,
        )

    def told(self) -> dict[str, Any]:
        """As JSON values, without the place of the user's code, which is no part of the content."""
        values = asdict(self)
        values["stages"] = [stage.told() for stage in self.stages]
        values["weights"] = self.weights.name if self.weights else ""
        values = {
            key: value
            for key, value in values.items()
            if value or key not in ("augment", "stages", "weights")
        }
        code = [self.model, *own_paths(self.loss), *own_paths(self.metrics)]
        short = short_names(path for path in code if ":" in path)
        return {**values, **{key: _renamed(values[key], short) for key in ("model", "loss", "metrics")}}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A name, or names in a list or by label, with other ones in place of some."""
    if isinstance(value, Mapping):
        return {key: _renamed(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    return names.get(value, value)
