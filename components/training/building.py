"""A network from a model function, checked, and compiled with what is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ...pipelines.errors import InvalidRequestError, Problem
from ..models import model_function
from ..models.user import fed_by
from ..tfrecords.layout import OutputFeature
from .epoch_steps import EpochSteps
from .feed import Feed
from .optimizer_making import make_optimizer
from .own_objects import is_sparse_loss, loss_of, metric_of
from .probe import probe
from .settings import Settings
from .tasks import LOSSES, METRICS, Task, output_keys


def build_network(
    settings: Settings, features: Sequence[OutputFeature], tasks: Sequence[Task]
) -> tuple[keras.Model, Feed]:
    """Calls the model function and checks what it returns: type, output shape, and range of the outputs.

    Raises:
        InvalidRequestError: it can't be called so, or what it returns doesn't do the task.
        DataError: it can't take features of ids, and there are some.
    """
    function = model_function(settings.model)
    keyword = fed_by(inspect.signature(function).parameters)
    feed = Feed.of(keyword, features)
    arguments = {**_called_with(keyword, feed, tasks), **settings.model_args}
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise InvalidRequestError(
            f"the model function {settings.model} can't be called with {', '.join(arguments)}: {error}",
            argument="model_args",
            available=tuple(inspect.signature(function).parameters),
            remedy="it takes inputs (or features), outputs and task, and then what model_args names",
        ) from error
    try:
        network = function(**arguments)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"the model function {settings.model} failed: {error}", argument="model"
        ) from error
    if not isinstance(network, keras.Model):
        raise InvalidRequestError(
            f"the model function {settings.model} returned a {type(network).__name__}, not a keras.Model",
            argument="model",
            remedy="return the model, for example keras.Sequential([...])",
        )
    probe(network, feed, tasks, settings.model)
    if not network.trainable_weights:
        raise InvalidRequestError(
            f"the model of {settings.model} has no weights that learn",
            argument="model",
            remedy="leave the layers that are to learn trainable (layer.trainable = True)",
        )
    return network, feed


def _called_with(keyword: str, feed: Feed, tasks: Sequence[Task]) -> dict[str, Any]:
    keys = output_keys(tasks)
    several = len(tasks) > 1
    given: dict[str, Any] = {"inputs": sum(feed.widths.values())}
    if keyword != "inputs":
        given = {"packed": feed.packed, "features": feed.packed.features}
    return {
        keyword: given[keyword],
        "outputs": {keys[t.label]: t.outputs for t in tasks} if several else tasks[0].outputs,
        "task": {keys[t.label]: t.name for t in tasks} if several else tasks[0].name,
    }


def compile_network(
    network: keras.Model,
    settings: Settings,
    tasks: Sequence[Task],
    steps: EpochSteps,
    *,
    factor: float = 1.0,
    again: bool = False,
) -> None:
    """Gives a network that doesn't come compiled its optimizer, losses and metrics.

    Args:
        network: what is to be trained.
        settings: the hyperparameters, those of the stage where there are several.
        tasks: what it is to learn.
        steps: of the stage.
        factor: what the learning rate is multiplied with.
        again: whether to do so though it is compiled, as a new stage needs.

    Raises:
        InvalidRequestError: Keras refuses one of them.
    """
    if network.compiled and not again:
        return
    optimizer = make_optimizer(
        settings.optimizer, settings.learning_rate, settings.learning_rate_schedule,
        steps.rows / steps.batch_size, steps.total, factor,
    )  # fmt: skip
    try:
        network.compile(optimizer=optimizer, **_losses(settings, tasks))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"Keras refuses the loss or metrics: {error}") from error


def require_nothing_for_compile(settings: Settings) -> None:
    """Refuses what is told for `compile` beside a model that comes compiled, and so keeps what it has.

    What is told as it is by default can't be told from what isn't told.

    Raises:
        InvalidRequestError: names each argument.
    """
    name = settings.told()["model"]
    given = {key: getattr(settings, key) for key in _COMPILED if key != "scale_learning_rate"}
    given["scale_learning_rate"] = settings.execution.scale_learning_rate
    problems = [
        Problem(
            f"the model of {name} comes compiled, and so {key} would not be used",
            argument=key,
            remedy=f"leave compile() out of the model function, or {key} out of the step",
        )
        for key, default in _COMPILED.items()
        if (given[key] or None) != default
    ]
    if settings.stages:
        what = f"the model of {name} comes compiled, and each stage compiles it anew"
        remedy = "leave compile() out of the model function, or stages out of the step"
        problems.append(Problem(what, argument="stages", remedy=remedy))
    if problems:
        raise InvalidRequestError(problems)


_COMPILED: Mapping[str, Any] = {
    "optimizer": "adam", "learning_rate": None, "learning_rate_schedule": "cosine", "loss": None,
    "loss_weights": None, "metrics": None, "scale_learning_rate": "none",
}  # fmt: skip
"""What `compile` is told, with the defaults of `train`."""


def _losses(settings: Settings, tasks: Sequence[Task]) -> dict[str, Any]:
    """`loss`, `loss_weights` and `metrics` as Keras' compile takes them."""
    told = settings.loss or {}
    named = {t.label: told if isinstance(told, str) else told.get(t.label, LOSSES[t.name]) for t in tasks}
    each = {label: loss_of(name) for label, name in named.items()}
    metrics = {t.label: _metrics(settings, t) for t in tasks}
    if len(tasks) == 1:
        return {"loss": each[tasks[0].label], "metrics": metrics[tasks[0].label]}
    keys = output_keys(tasks)
    return {
        "loss": {keys[label]: loss for label, loss in each.items()},
        "loss_weights": {keys[label]: settings.loss_weights.get(label, 1.0) for label in each},
        "metrics": {keys[label]: names for label, names in metrics.items()},
    }


def _metrics(settings: Settings, task: Task) -> list[Any]:
    told = settings.metrics
    named = told.get(task.label, ()) if isinstance(told, Mapping) else told
    return [metric_of(name) for name in named or METRICS[task.name]]


def is_sparse(network: keras.Model, key: str) -> bool:
    """Whether the loss of an output takes class numbers."""
    loss = network.loss
    if isinstance(loss, Mapping):
        loss = loss.get(key, "")
    return is_sparse_loss(loss)
