"""An optimizer of Keras with its arguments and its learning rate, and what a training does with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from ...pipelines.errors import InvalidRequestError
from .optimizers import EXCLUDE, parse_optimizer
from .plateau import Plateau
from .rates import PlannedRate
from .schedule_grammar import RatePlan, parse_schedule

Optimizer = Any
"""`keras.optimizers.Optimizer`, of which no type checker knows."""


def make_optimizer(
    told: Any,
    learning_rate: float | None,
    schedule: Any,
    steps_per_epoch: float,
    steps: int,
    factor: float = 1.0,
) -> Optimizer:
    """The optimizer of a training, or of a stage; not built yet.

    Args:
        told: the argument `optimizer`: a name, or `{name: {argument: value}}`.
        learning_rate: None for the optimizer's own default.
        schedule: the argument `learning_rate_schedule`.
        steps_per_epoch: batches an epoch; mostly no whole number.
        steps: of the whole training, or of the stage.
        factor: what the learning rate is multiplied with.

    Raises:
        InvalidRequestError: there is no such optimizer, argument or schedule.
    """
    name, arguments, problems = parse_optimizer(told)
    plan, wrong = parse_schedule(schedule)
    if problems or wrong:
        raise InvalidRequestError([*problems, *wrong])
    excluded = arguments.pop(EXCLUDE, ())
    kind = type(keras.optimizers.get(name))
    start = factor * (kind().get_config()["learning_rate"] if learning_rate is None else learning_rate)
    rate = None if plan == RatePlan() else PlannedRate(start, schedule, steps_per_epoch, steps)
    try:
        made = kind(**arguments, learning_rate=start if rate is None else rate)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"Keras refuses the optimizer: {error}", argument="optimizer") from error
    if excluded:
        made.exclude_from_weight_decay(var_names=list(excluded))
    if rate is not None and isinstance(plan.schedule, Plateau):
        # As a variable of the optimizer it is saved, restored and mirrored with the others, and known to a
        # step that JAX has compiled.
        rate.scale = made.add_variable(
            (), initializer="ones", dtype="float32", aggregation="only_first_replica", name="rate_scale"
        )
    return made


def planned_rate(optimizer: Optimizer) -> PlannedRate | None:
    """The learning rate of an optimizer if it follows a schedule; of one that scales losses, the inner's."""
    inner: Any = getattr(optimizer, "inner_optimizer", optimizer)
    rate = None if inner is None else inner._learning_rate
    return rate if isinstance(rate, PlannedRate) else None


@contextmanager
def averaged(network: keras.Model) -> Iterator[None]:
    """Has a network use the moving averages of its weights for a while, where its optimizer keeps them.

    Training goes on from the weights themselves, so they are put back.

    Args:
        network: compiled.
    """
    inner = getattr(network.optimizer, "inner_optimizer", network.optimizer)
    if inner is None or not inner.use_ema or not inner.built:
        yield
        return
    pairs = zip(inner._trainable_variables, inner._model_variables_moving_average, strict=True)
    # Copies: in JAX, variable and average would share a buffer, which a compiled step then takes for its own.
    changed = [(v, v.numpy().copy(), average.numpy().copy()) for v, average in pairs if average is not None]
    for variable, _, average in changed:
        variable.assign(average)
    try:
        yield
    finally:
        for variable, value, _ in changed:
            variable.assign(value)
