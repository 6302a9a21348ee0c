"""The training loop: one `fit` of Keras an epoch, so that order, stopping and best weights are ours.

Equal settings, data and seed give equal bits on a CPU: the seed is set before the model is built, the
operations are the deterministic ones, and the order of the examples is a function of (seed, epoch).
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, InvalidRequestError, StepError
from ..models import model_function
from ..models.user import fed_by
from ..tfrecords.layout import OutputFeature
from .augmenting import TrainAugmentation, finish_in_step, train_augmentation
from .epochs import Epochs, Only
from .feed import Feed
from .probe import probe
from .settings import Settings
from .targets import Targets
from .tasks import LOSSES, METRICS, Task, output_keys

Progress = Callable[..., None]
STEPS = 16
"""The least steps in an epoch that the default batch size aims at: a small table needs updates too."""
SECONDS = 0.25
"""The least time between two reports within an epoch."""


@dataclass
class Trained:
    """A trained network.

    Attributes:
        network: with the best weights if there were examples to validate on, else the last.
        feed: how it is fed.
        history: for each epoch `epoch` (from 1), `loss`, the metrics, and `val_…` of each.
        best_epoch: the epoch, from 1, whose weights these are.
        augmentation: what was done to the images of the train split, if anything.
    """

    network: keras.Model
    feed: Feed
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    augmentation: TrainAugmentation | None = None


def train_network(
    examples: Examples,
    train: str,
    validation: str | None,
    features: Sequence[OutputFeature],
    tasks: Sequence[Task],
    class_weights: Mapping[str, tuple[float, ...]],
    settings: Settings,
    tell: Progress,
    only: Only = None,
) -> Trained:
    """Builds, compiles and trains a network.

    Args:
        examples: transformed examples.
        train: the split to learn from.
        validation: the split that chooses the epoch, or None to take the last one.
        features: the transform's.
        tasks: what to learn.
        class_weights: by label the weight of each class, for those that have some.
        settings: the hyperparameters.
        tell: takes `epoch`, `epochs`, `loss`, `rows` and so on as keyword arguments.
        only: which rows of the split to learn from, see `dataset()`; all by default.

    Raises:
        InvalidRequestError: Keras refuses the model, the optimizer, the loss or a metric.
        DataError, StepError: the loss is no longer a finite number.
    """
    make_deterministic(settings.seed)
    network, feed = build_network(settings, features, tasks)
    rows = examples.rows(train) if only is None else int(only.sum())
    steps = math.ceil(rows / settings.batch_size)
    compile_network(network, settings, tasks, steps)
    targets = Targets(
        tasks, {t.label: _is_sparse(network, output_keys(tasks)[t.label]) for t in tasks}, class_weights
    )

    def shape(tensors: Any, *rest: Any) -> tuple[Any, ...]:
        return feed.network_input(tensors), *targets(*rest)

    trained = Trained(network, feed)
    live = _Live(tell, settings, rows)
    augmentation = trained.augmentation = train_augmentation(settings.augment, feed.images, settings.seed)
    source = Epochs(examples, train, feed, settings.batch_size, shape, settings.seed, only, augmentation)
    held_out = validation and Epochs(examples, validation, feed, max(settings.batch_size, 1024), shape)
    if source.in_step:
        finish_in_step(network, source.finish, source(0))
    best, best_weights = math.inf, None
    for epoch in range(settings.epochs):
        live.epoch = epoch
        row = {"epoch": epoch + 1, **_fit_epoch(network, source(epoch), epoch, live)}
        if held_out:
            checked = network.evaluate(held_out(epoch), verbose=0, return_dict=True)
            row.update({f"val_{key}": float(value) for key, value in checked.items()})
        trained.history.append(row)
        live.after_epoch(row)
        _require_finite(row, settings)
        if not held_out:
            trained.best_epoch = epoch + 1
        elif row["val_loss"] < best:
            best, best_weights, trained.best_epoch = row["val_loss"], network.get_weights(), epoch + 1
        elif settings.patience is not None and epoch + 1 - trained.best_epoch >= settings.patience:
            break
    if best_weights is not None:
        network.set_weights(best_weights)
    return trained


def default_batch_size(rows: int) -> int:
    """64, or for fewer than 1,024 examples the power of two that makes 16 steps an epoch, 8 at the least."""
    return min(64, 1 << max(3, (rows // STEPS).bit_length() - 1))


def make_deterministic(seed: int) -> None:
    """Sets every seed that Keras draws from, and has TensorFlow choose deterministic operations."""
    keras.utils.clear_session()  # layers are numbered from the start again, as their names are in the digest
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


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


def compile_network(network: keras.Model, settings: Settings, tasks: Sequence[Task], steps: int) -> None:
    """Gives a network that doesn't come compiled its optimizer, losses and metrics.

    Raises:
        InvalidRequestError: Keras refuses one of them.
    """
    if network.compiled:
        return
    try:
        optimizer = keras.optimizers.get(settings.optimizer)
        rate: Any = settings.learning_rate
        if settings.learning_rate_schedule == "cosine":
            start = float(optimizer.learning_rate) if rate is None else rate
            rate = keras.optimizers.schedules.CosineDecay(start, steps * settings.epochs)
        if rate is not None:
            optimizer = type(optimizer).from_config({**optimizer.get_config(), "learning_rate": rate})
        network.compile(optimizer=optimizer, **_losses(settings, tasks))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"Keras refuses the optimizer, loss or metrics: {error}") from error


def _losses(settings: Settings, tasks: Sequence[Task]) -> dict[str, Any]:
    """`loss`, `loss_weights` and `metrics` as Keras' compile takes them."""
    told = settings.loss or {}
    each = {t.label: told if isinstance(told, str) else told.get(t.label, LOSSES[t.name]) for t in tasks}
    metrics = {t.label: _metrics(settings, t) for t in tasks}
    if len(tasks) == 1:
        return {"loss": each[tasks[0].label], "metrics": metrics[tasks[0].label]}
    keys = output_keys(tasks)
    return {
        "loss": {keys[label]: loss for label, loss in each.items()},
        "loss_weights": {keys[label]: settings.loss_weights.get(label, 1.0) for label in each},
        "metrics": {keys[label]: names for label, names in metrics.items()},
    }


def _metrics(settings: Settings, task: Task) -> list[str]:
    told = settings.metrics
    named = told.get(task.label, ()) if isinstance(told, Mapping) else told
    return list(named) or list(METRICS[task.name])


def _is_sparse(network: keras.Model, key: str) -> bool:
    """Whether the loss of an output takes class numbers."""
    loss = network.loss
    if isinstance(loss, Mapping):
        loss = loss.get(key, "")
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name).lower().startswith("sparse")


def _fit_epoch(network: keras.Model, batches: Any, epoch: int, live: _Live) -> dict[str, float]:
    try:
        fitted = network.fit(
            batches, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[live], shuffle=False
        )
    except (TypeError, ValueError) as error:
        if epoch:
            raise
        raise InvalidRequestError(
            f"Keras can't train this model with this loss and these metrics: {error}", argument="loss"
        ) from error
    return {key: float(values[-1]) for key, values in fitted.history.items()}


def _require_finite(row: Mapping[str, float], settings: Settings) -> None:
    wrong = [key for key in ("loss", "val_loss") if key in row and not math.isfinite(row[key])]
    if not wrong:
        return
    if row["epoch"] == 1 and wrong == ["val_loss"]:
        raise DataError(
            "the loss on the validation split is not a finite number",
            remedy="look for infinities in its features",
        )
    rate = "the optimizer's default" if settings.learning_rate is None else f"{settings.learning_rate:g}"
    raise StepError(
        f"{wrong[0]} is {row[wrong[0]]} in epoch {row['epoch']:.0f}: the training has diverged, or the "
        "features or labels hold NaN or infinity",
        argument="learning_rate",
        remedy=f"take a smaller learning_rate (it is {rate}), scale the features (z_score), or impute what "
        "is missing",
    )


class _Live(keras.callbacks.Callback):
    """Reports loss, epoch and examples per second while an epoch runs, a few times a second at most."""

    def __init__(self, tell: Progress, settings: Settings, rows: int) -> None:
        super().__init__()
        self.epoch = 0
        self._tell = tell
        self._settings = settings
        self._rows = rows
        self._last = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS:
            return
        self._last = now
        seen = min((batch + 1) * self._settings.batch_size, self._rows)
        self._report(seen, {key: float(value) for key, value in (logs or {}).items()})

    def after_epoch(self, row: Mapping[str, float]) -> None:
        """Reports the finished epoch."""
        self._report(self._rows, {key: value for key, value in row.items() if key != "epoch"})

    def _report(self, seen: int, values: Mapping[str, float]) -> None:
        rows = self.epoch * self._rows + seen
        self._tell(epoch=self.epoch + 1, epochs=self._settings.epochs, rows=rows, **values)
