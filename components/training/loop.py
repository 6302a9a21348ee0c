"""Builds a network and trains it: the stages, their compilation, and what the course of them needs.

What happens within a stage is in `course`, what runs its steps in `steps`.

Equal settings, data and seed give equal bits on a CPU: the seed is set before the model is built, the
operations are the deterministic ones, and the order of the examples is a function of (seed, epoch). Of
networks with convolutions they do on as many cores: TensorFlow adds the gradient of a kernel up by threads,
of which it has one a core unless `TF_NUM_INTRAOP_THREADS` says how many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.beam import cores
from ...pipelines.errors import DataError, InvalidRequestError
from ..input.order import Only
from ..strategies.batches import rate_factor
from ..strategies.choosing import ONE, Chosen
from ..strategies.precision import precise, require_float32
from ..strategies.replicas import ReplicaStepper, mirrored_layers
from ..tfrecords.layout import Layout, OutputFeature
from .augmenting import TrainAugmentation, finish_in_step, train_augmentation
from .building import build_network, compile_network, is_sparse
from .course import Course, Follower
from .epoch_steps import EpochSteps
from .failures import Subject, Watch
from .feed import Feed
from .freezing import Freezer
from .live import Tell
from .logs.log import TrainingLog
from .logs.pace import Input, Pace
from .on_plateau import OnPlateau
from .pretrained import load_weights, look_at_scale
from .settings import Settings
from .stages import Stage
from .steps import Stepper, TensorFlowStepper
from .stream import IN_MEMORY_BYTES, Stream
from .targets import Targets
from .tasks import Task, output_keys

if TYPE_CHECKING:
    from .checkpoints import Checkpoints

Progress = Tell
HELD_OUT_BYTES = 32 << 20
"""Of images as floats that go through the network at once in validation."""


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
        pace: how fast it was.
    """

    network: keras.Model
    feed: Feed
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    augmentation: TrainAugmentation | None = None
    pace: Pace = field(default_factory=Pace)


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
    *,
    checkpoints: Checkpoints | None = None,
    followers: Sequence[Follower] = (),
    chosen: Chosen = ONE,
    log: TrainingLog | None = None,
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
        checkpoints: keeps what a killed training needs to go on, and goes on from what is kept; None for
            nothing.
        followers: are told of every epoch.
        chosen: what is computed on.
        log: writes down what is seen of the training.

    Raises:
        InvalidRequestError: Keras refuses the model, the optimizer, the loss or a metric; or a stage freezes
            what isn't there, or everything.
        DataError: the weights can't be had, or don't fit.
        DataError, StepError: the loss is no longer a finite number.
    """
    make_deterministic(settings.seed)
    with precise(settings.execution.precision), mirrored_layers(chosen.strategy):
        network, feed = _begun(settings, features, tasks, warn)
    trained = Trained(network, feed)
    augmentation = trained.augmentation = train_augmentation(settings.augment, feed.images, settings.seed)

    def shape(tensors: Any, *rest: Any) -> tuple[Any, ...]:
        return feed.network_input(tensors), *targets(*rest)

    source = Stream(
        examples, train, feed, settings.batch_size, shape, settings.seed, only, augmentation,
        cache=settings.execution.cache,
    )  # fmt: skip
    held_out = validation and Stream(examples, validation, feed, _held_out_batch(settings, feed), shape)
    _require_a_batch(settings.batch_size, source.rows, train)
    stages = settings.stages or (Stage(),)
    _compile(network, settings, stages[0], tasks, source.rows, chosen)
    targets = Targets(
        tasks, {t.label: is_sparse(network, output_keys(tasks)[t.label]) for t in tasks}, class_weights
    )
    stepper = _stepper(network, settings, chosen)
    if log is not None:
        log.running = type(network).train_step is keras.Model.train_step
    subject = Subject(
        network, feed, tasks, examples, train, validation, only,
        lambda step: _finished(source, settings.batch_size, course.state.first, step),
        lambda: (_first_weights(settings, features, tasks), "its first weights"),
        lambda: checkpoints.kept() if checkpoints else "",
    )  # fmt: skip
    watch = Watch(subject, warn)
    followers = (OnPlateau(), *followers, watch)
    course = Course(stepper, source, held_out or None, tell, checkpoints, followers, log, watch)
    course.resume()
    freezer = Freezer(network)
    try:
        for number, stage in enumerate(stages):
            if number < course.state.stage:
                continue
            if settings.stages:
                freezer.freeze(stage, number + 1)
                _compile(network, settings, stage, tasks, source.rows, chosen, again=True)
            if source.in_step:
                finish_in_step(network, source.finish, source.batches())
            course.run(settings.of_stage(stage), number)
    finally:
        if checkpoints is not None:
            checkpoints.close()
    freezer.thaw()
    trained.history, trained.best_epoch = course.state.history, course.state.best_epoch
    trained.pace = course.pace
    return trained


def input_of(examples: Examples, split: str, settings: Settings, trained: Trained) -> Input:
    """Where a training has its examples from."""
    layout = Layout.from_json(examples.properties)
    stored = {feature.stored for feature in layout.features if feature.is_image}
    small = examples.rows(split) * trained.feed.row_bytes <= IN_MEMORY_BYTES
    cache = settings.execution.cache
    return Input(
        images=next(iter(sorted(stored)), "").replace("dense", "float32"),
        compressed=bool(layout.compression),
        augmented=bool(settings.augment),
        kept=cache in ("memory", "disk") or (cache == "auto" and small),
        batch_size=settings.batch_size,
        cores=cores(),
    )


def _first_weights(
    settings: Settings, features: Sequence[OutputFeature], tasks: Sequence[Task]
) -> list[Any]:
    """The weights that the training began with, made once more."""
    make_deterministic(settings.seed)
    with precise(settings.execution.precision):
        weights: list[Any] = _begun(settings, features, tasks, lambda _: None)[0].get_weights()
    return weights


def _finished(source: Stream, batch_size: int, first: int, step: int) -> tf.data.Dataset:
    """The batches after a step of the stage that began with an epoch, also where the step finishes them."""
    batches = source.batches(EpochSteps(source.rows, batch_size, 1, first).position(step))
    return batches.map(source.finish) if source.in_step else batches


def _compile(
    network: keras.Model,
    settings: Settings,
    stage: Stage,
    tasks: Sequence[Task],
    rows: int,
    chosen: Chosen,
    **again: bool,
) -> None:
    """Compiles the network for a stage over so many examples an epoch."""
    told = settings.of_stage(stage)
    steps = EpochSteps(rows, told.batch_size, told.epochs)
    factor = rate_factor(settings.execution.scale_learning_rate, chosen.replicas)
    with chosen.scope():
        compile_network(network, told, tasks, steps, factor=factor, **again)
    if settings.execution.xla:
        network.jit_compile = True


def _require_a_batch(batch_size: int, rows: int, split: str) -> None:
    if batch_size > rows:
        raise DataError(
            f"batch_size is {batch_size:,}, and the split {split!r} has {rows:,} examples",
            argument="batch_size",
            remedy=f"take {rows:,} at most, or leave batch_size out",
        )


def _stepper(network: keras.Model, settings: Settings, chosen: Chosen) -> Stepper:
    """What runs the steps: strategies have their own."""
    together = settings.execution.steps_per_execution
    if chosen.strategy is not None and chosen.replicas > 1:
        return ReplicaStepper(network, chosen.strategy, together)
    return TensorFlowStepper(network, together)


def _begun(
    settings: Settings, features: Sequence[OutputFeature], tasks: Sequence[Task], warn: Callable[[str], None]
) -> tuple[keras.Model, Feed]:
    """The network with its first weights, which a seed or a file tells."""
    network, feed = build_network(settings, features, tasks)
    require_float32(network, settings.model)
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
