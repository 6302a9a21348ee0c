"""The hyperparameters of a training. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

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
class Execution:
    """How and on what a training is executed; see the component `train`.

    Attributes:
        strategy: "auto", "one", "mirrored", "tpu" or "jax".
        virtual_devices: how many devices the CPU is split into; None to leave it whole.
        strategy_args: the strategy's own arguments.
        replica_batch_size: examples a step and replica, in place of `Settings.batch_size`; None for that.
        scale_learning_rate: "none", "linear" or "sqrt", by the number of replicas.
        precision: "float32", "float16" or "bfloat16".
        xla: whether the step is compiled by XLA.
        steps_per_execution: steps that the backend runs in one go.
        checkpoints: the argument `checkpoints`.
        cache: where examples are kept once they are read.
    """

    strategy: str = "auto"
    virtual_devices: int | None = None
    strategy_args: Mapping[str, Any] = field(default_factory=dict)
    replica_batch_size: int | None = None
    scale_learning_rate: str = "none"
    precision: str = "float32"
    xla: bool = False
    steps_per_execution: int = 1
    checkpoints: Mapping[str, Any] | None = None
    cache: Literal["auto", "memory", "disk", "none"] = "auto"

    def told(self) -> dict[str, Any]:
        """What decides the result and isn't as it is by default, as JSON values."""
        plain = asdict(Execution())
        given = {key: value for key, value in asdict(self).items() if value != plain[key]}
        return {key: value for key, value in given.items() if key not in OPERATIONAL}


OPERATIONAL = ("steps_per_execution", "checkpoints", "cache")
"""What doesn't decide the result."""


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of a training; see the component `train`.

    Attributes:
        optimizer: a Keras name, or a mapping of one to its arguments.
        learning_rate_schedule: a name, or a mapping of one to its arguments.
        loss: a name for every label, or names by label.
        metrics: names for every label, or by label; those that aren't named have the task's own.
        stages: what the training consists of; none for one over all epochs.
        weights: what the network begins with; None for random weights.
        augment: the list of augmentations, as the component's argument has it.
        sampling: "natural", or "balanced" for every class equally often.
        execution: how and on what.
    """

    model: str
    model_args: Mapping[str, Any]
    epochs: int
    batch_size: int
    optimizer: str | Mapping[str, Any]
    learning_rate: float | None
    learning_rate_schedule: str | Mapping[str, Any]
    loss: str | Mapping[str, str] | None
    loss_weights: Mapping[str, float]
    metrics: Sequence[str] | Mapping[str, Sequence[str]]
    patience: int | None
    seed: int
    augment: Sequence[Any] = ()
    stages: tuple[Stage, ...] = ()
    weights: InitialWeights | None = None
    sampling: str = "natural"
    execution: Execution = Execution()

    @property
    def all_epochs(self) -> int:
        """The most epochs of all stages together."""
        return sum(self.of_stage(stage).epochs for stage in self.stages) if self.stages else self.epochs

    def of_stage(self, stage: Stage) -> Settings:
        """The hyperparameters in a stage: what it says itself, and these else."""
        return replace(
            self,
            epochs=stage.epochs or self.epochs,
            batch_size=stage.batch_size or self.batch_size,
            optimizer=stage.optimizer or self.optimizer,
            learning_rate=self.learning_rate if stage.learning_rate is None else stage.learning_rate,
            learning_rate_schedule=stage.learning_rate_schedule or self.learning_rate_schedule,
            patience=stage.patience or self.patience,
        )

    def told(self) -> dict[str, Any]:
        """As JSON values, without the place of the user's code, which is no part of the content."""
        values = asdict(self)
        values |= self.execution.told()
        del values["execution"]
        values["sampling"] = "" if self.sampling == "natural" else self.sampling
        values["stages"] = [stage.told() for stage in self.stages]
        values["weights"] = self.weights.name if self.weights else ""
        values = {
            key: value
            for key, value in values.items()
            if value or key not in ("augment", "stages", "weights", "sampling")
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
