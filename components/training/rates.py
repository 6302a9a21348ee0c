"""The learning rate of a training as Keras takes it: a function of the step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ...pipelines.errors import InvalidRequestError
from .schedule_base import Pace
from .schedule_grammar import parse_schedule


@keras.saving.register_keras_serializable("headrace")
class PlannedRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at each step, float32.

    A pure function of the step, but for `scale`, and made of `keras.ops` alone, so that it is part of the
    compiled step under TensorFlow, XLA and JAX. The step is the number of batches, also where an optimizer
    adds up the gradients of several before it changes a weight.

    Args:
        learning_rate: what the shares of the schedule are shares of.
        told: the schedule as `learning_rate_schedule` has it.
        steps_per_epoch: batches an epoch; mostly no whole number.
        steps: of the whole training, or of the stage.

    Attributes:
        plan: what `told` says.
        warmup_epochs, warmup_steps: how long the warm-up is.
        scale: a variable that the rate is multiplied with, if something sets it; see `make_optimizer`.

    Raises:
        InvalidRequestError: there is no such schedule.
    """

    def __init__(self, learning_rate: float, told: Any, steps_per_epoch: float, steps: int) -> None:
        self.plan, problems = parse_schedule(told)
        if problems:
            raise InvalidRequestError(problems)
        self._told = told
        self._learning_rate = float(learning_rate)
        self._whole = Pace(float(steps_per_epoch), int(steps))
        self.warmup_epochs = self.plan.warmup.length(self._whole)
        self._pace = self._whole.after(self.warmup_epochs)
        self.warmup_steps = self._pace.begun
        self.scale: Any = None

    def __call__(self, step: Any) -> Any:
        """The rate at a step, a float32 scalar.

        Args:
            step: a scalar of whole numbers, from 0.
        """
        step = ops.cast(step, "int32")
        since = ops.maximum(step - self.warmup_steps, 0)
        rate = self._learning_rate * self.plan.schedule.share(ops, since, self._pace)
        if self.warmup_steps:
            start = self.plan.warmup.start
            gone = ops.cast(ops.minimum(step, self.warmup_steps), "float32") / float(self.warmup_steps)
            rate = rate * (start + (1.0 - start) * gone)
        return rate if self.scale is None else rate * ops.cast(self.scale, "float32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            "learning_rate": self._learning_rate,
            "told": self._told,
            "steps_per_epoch": self._whole.steps_per_epoch,
            "steps": self._whole.steps,
        }
