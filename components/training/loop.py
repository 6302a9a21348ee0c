"""The training loop: one `fit` of Keras an epoch, so that order, stopping and best weights are ours.

Equal settings, data and seed give equal bits on a CPU: the seed is set before the model is built, the
operations are the deterministic ones, and the order of the examples is a function of (seed, epoch). Of
networks with convolutions they do on as many cores: TensorFlow adds the gradient of a kernel up by threads,
of which it has one a core unless `TF_NUM_INTRAOP_THREADS` says how many.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, InvalidRequestError, StepError
from ..tfrecords.layout import OutputFeature
from .augmenting import TrainAugmentation, finish_in_step, train_augmentation
from .building import build_network, compile_network, is_sparse
from .epochs import Epochs, Only
from .feed import Feed
from .freezing import Freezer
from .pretrained import load_weights, look_at_scale
from .settings import Settings
from .stages import Stage
from .targets import Targets
from .tasks import Task, output_keys

Progress = Callable[..., None]
STEPS = 16
"""The least steps in an epoch that the default batch size aims at: a small table needs updates too."""
HELD_OUT_BYTES = 32 << 20
"""Of images as floats that go through the network at once in validation."""
SECONDS = 0.25
"""The least time between two reports within an epoch."""


@dataclass
class Trained:
    """A trained network.

    Attributes:
        network: with the best weights if there were examples to validate on, else the last.
        feed: how it is fed.
        history: for each epoch `epoch` (from 1), `stage` (from 1) if there are stages, `loss`, the metrics,
            and `val_…` of each.
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
    warn: Callable[[str], None] = lambda _: None,
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
        warn: takes a text that people should see.

    Raises:
        InvalidRequestError: Keras refuses the model, the optimizer, the loss or a metric; or a stage freezes
            what isn't there, or everything.
        DataError: the weights can't be had, or don't fit.
        DataError, StepError: the loss is no longer a finite number.
    """
    network, feed = _begun(settings, features, tasks, warn)
    stages = settings.stages or (Stage(),)
    rows = examples.rows(train) if only is None else int(only.sum())
    steps = math.ceil(rows / settings.batch_size)
    compile_network(network, settings.of_stage(stages[0]), tasks, steps)
    targets = Targets(
        tasks, {t.label: is_sparse(network, output_keys(tasks)[t.label]) for t in tasks}, class_weights
    )

    def shape(tensors: Any, *rest: Any) -> tuple[Any, ...]:
        return feed.network_input(tensors), *targets(*rest)

    trained = Trained(network, feed)
    augmentation = trained.augmentation = train_augmentation(settings.augment, feed.images, settings.seed)
    source = Epochs(examples, train, feed, settings.batch_size, shape, settings.seed, only, augmentation)
    held_out = validation and Epochs(examples, validation, feed, _held_out_batch(settings, feed), shape)
    live = _Live(tell, settings, rows)
    course = _Course(trained, source, held_out or None, live)
    freezer = Freezer(network)
    for number, stage in enumerate(stages, start=1):
        told = settings.of_stage(stage)
        if settings.stages:
            freezer.freeze(stage, number)
            compile_network(network, told, tasks, steps, again=True)
        course.run(told, number if settings.stages else 0)
    freezer.thaw()
    return trained


def _begun(
    settings: Settings, features: Sequence[OutputFeature], tasks: Sequence[Task], warn: Callable[[str], None]
) -> tuple[keras.Model, Feed]:
    """The network with its first weights, which a seed or a file tells."""
    make_deterministic(settings.seed)
    network, feed = build_network(settings, features, tasks)
    if settings.weights is None:
        look_at_scale(feed, settings, warn, of_keras=False)
    else:
        load_weights(network, feed, settings, settings.weights, warn)
    if settings.stages and network.compiled:
        raise InvalidRequestError(
            f"the model of {settings.model} comes compiled, and each stage compiles it anew",
            argument="stages",
            remedy="leave compile() out of the model function, or stages out of the step",
        )
    return network, feed


def default_batch_size(rows: int) -> int:
    """64, or for fewer than 1,024 examples the power of two that makes 16 steps an epoch, 8 at the least."""
    return min(64, 1 << max(3, (rows // STEPS).bit_length() - 1))


def make_deterministic(seed: int) -> None:
    """Sets every seed that Keras draws from, and has TensorFlow choose deterministic operations."""
    keras.utils.clear_session()  # layers are numbered from the start again, as their names are in the digest
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def _held_out_batch(settings: Settings, feed: Feed) -> int:
    """Examples at once where nothing is learned: many, but not of large images."""
    pixels = sum(math.prod(image.shape) for image in feed.images.values())
    most = max(1, HELD_OUT_BYTES // (4 * pixels)) if pixels else 1024
    return max(settings.batch_size, min(1024, most))


class _Course:
    """The epochs of a training, over all of its stages, with the best weights so far.

    Args:
        trained: the network, compiled; its history and best epoch are filled in.
        source: the batches to learn from.
        held_out: the batches that choose the epoch; None to take the last one.
        live: reports what goes on.
    """

    def __init__(self, trained: Trained, source: Epochs, held_out: Epochs | None, live: _Live) -> None:
        self._trained = trained
        self._source = source
        self._held_out = held_out
        self._live = live
        self._best = math.inf
        self._best_weights: list[Any] | None = None

    def run(self, settings: Settings, stage: int) -> None:
        """Trains up to `settings.epochs` epochs more, and leaves the best weights so far in the network.

        Args:
            settings: the hyperparameters of the stage.
            stage: its number, from 1; 0 where there are none.

        Raises:
            InvalidRequestError, DataError, StepError: see `train_network`.
        """
        network, history = self._trained.network, self._trained.history
        if self._source.in_step:
            finish_in_step(network, self._source.finish, self._source(len(history)))
        since = len(history)
        for epoch in range(since, since + settings.epochs):
            self._live.epoch = epoch
            row: dict[str, float] = {"epoch": epoch + 1, **({"stage": stage} if stage else {})}
            row |= _fit_epoch(network, self._source(epoch), epoch, self._live)
            if self._held_out:
                checked = network.evaluate(self._held_out(epoch), verbose=0, return_dict=True)
                row |= {f"val_{key}": float(value) for key, value in checked.items()}
            history.append(row)
            self._live.after_epoch(row)
            _require_finite(row, settings)
            if not self._better(row) and self._stale(since, settings):
                break
        if self._best_weights is not None:
            network.set_weights(self._best_weights)

    def _better(self, row: Mapping[str, float]) -> bool:
        """Whether an epoch is the best so far; it is then remembered."""
        if self._held_out and not row["val_loss"] < self._best:
            return False
        self._trained.best_epoch = int(row["epoch"])
        if self._held_out:
            self._best, self._best_weights = row["val_loss"], self._trained.network.get_weights()
        return True

    def _stale(self, since: int, settings: Settings) -> bool:
        """Whether the patience is over; it begins anew with each stage."""
        waited = len(self._trained.history) - max(self._trained.best_epoch, since)
        return settings.patience is not None and waited >= settings.patience


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
        told = {key: value for key, value in row.items() if key not in ("epoch", "stage")}
        self._report(self._rows, told)

    def _report(self, seen: int, values: Mapping[str, float]) -> None:
        rows = self.epoch * self._rows + seen
        self._tell(epoch=self.epoch + 1, epochs=self._settings.all_epochs, rows=rows, **values)
