"""Builds a network and trains it: the stages, their compilation, and what the course of them needs.

What happens within a stage is in `course`, what runs its steps in `steps`.

Equal settings, data and seed give equal bits on a CPU: the seed is set before the model is built, the
operations are the deterministic ones, and the order of the examples is a function of (seed, epoch). Of
networks with convolutions they do on as many cores: TensorFlow adds the gradient of a kernel up by threads,
of which it has one a core unless `TF_NUM_INTRAOP_THREADS` says how many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.beam import cores
from ..input.order import Only
from ..strategies.batches import rate_factor
from ..strategies.choosing import ONE, Chosen
from ..strategies.precision import precise, require_float32
from ..strategies.replicas import ReplicaStepper, mirrored_layers
from ..strategies.xla import compile_by_xla
from ..tfrecords.layout import Layout, OutputFeature
from .augmenting import TrainAugmentation, finish_in_step, train_augmentation
from .building import build_network, compile_network, is_sparse, require_nothing_for_compile
from .course import Course, Follower
from .epoch_steps import EpochSteps
from .failures import Subject, Watch
from .feed import Feed
from .freezing import Freezer
from .live import Tell
from .logs.log import TrainingLog
from .logs.pace import Input, Pace
from .memory import memory_errors
from .networks import require_saved_as_it_is
from .on_plateau import OnPlateau
from .pretrained import load_weights, look_at_scale
from .settings import Settings
from .stage_data import StageData, StageStreams, require_a_batch
from .stages import Stage
from .steps import Stepper, TensorFlowStepper
from .stream import IN_MEMORY_BYTES, Stream
from .tasks import Task, output_keys

if TYPE_CHECKING:
    from .checkpoints import Checkpoints

Progress = Tell


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
    data: Sequence[StageData] = (),
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
        data: what each stage learns from, where it isn't the same for all.
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
    if chosen.distribution is not None:  # it is one of the things that a cleared session forgets
        keras.distribution.set_distribution(chosen.distribution)
    with precise(settings.execution.precision), mirrored_layers(chosen.strategy):
        network, feed = _begun(settings, features, tasks, warn)
    trained = Trained(network, feed)
    augmentation = trained.augmentation = train_augmentation(settings.augment, feed.images, settings.seed)
    stages = settings.stages or (Stage(),)
    own = StageData(examples, train, validation, class_weights, only)
    learned = [_masked(one, own) for one in data] or [own] * len(stages)
    for number, (stage, one) in enumerate(zip(stages, learned, strict=True), start=1):
        batch_size = settings.of_stage(stage).batch_size
        require_a_batch(batch_size, one, number if settings.stages else 0, chosen.replicas)
    _compile(network, settings, stages[0], tasks, learned[0].rows, chosen)
    sparse = {label: is_sparse(network, key) for label, key in output_keys(tasks).items()}
    streams = StageStreams(feed, settings, tasks, augmentation, sparse, chosen.share)
    told = settings.of_stage(stages[0])
    source, held_out = streams.of(told, learned[0])
    stepper = _stepper(network, settings, chosen)
    if log is not None:
        log.running = type(network).train_step is keras.Model.train_step
    subject = Subject(
        network, feed, tasks, examples, train, validation, only,
        lambda step: _finished(source, told.batch_size, course.state.first, step),
        lambda: held_out.once() if held_out else (),
        lambda: (_first_weights(settings, features, tasks), "its first weights"),
        lambda: checkpoints.kept() if checkpoints else "",
    )  # fmt: skip
    watch = Watch(subject, warn)
    followers = (OnPlateau(), *followers, watch)
    course = Course(stepper, source, held_out, tell, checkpoints, followers, log, watch)
    course.resume()
    freezer = Freezer(network)
    with checkpoints or nullcontext():
        for number, (stage, one) in enumerate(zip(stages, learned, strict=True)):
            if number < course.state.stage:
                continue
            told = settings.of_stage(stage)
            if settings.stages:
                freezer.freeze(stage, number + 1)
                _compile(network, settings, stage, tasks, one.rows, chosen, again=True)
            source, held_out = streams.of(told, one)
            course.learn_from(source, held_out, anew=not one.is_validated_as(learned[max(0, number - 1)]))
            watch.learn_from(one.examples, one.train, one.validation, one.only)
            if source.in_step:
                finish_in_step(network, source.finish, source.batches())
            with memory_errors(told.batch_size, one.train, checkpoints):
                course.run(told, number)
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


def _first_weights(settings: Settings, features: Sequence[OutputFeature], tasks: Sequence[Task]) -> list[Any]:
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
        compile_by_xla(network)


def _masked(data: StageData, own: StageData) -> StageData:
    """The stage's data without the rows that a fold holds out."""
    same = data.examples.digest == own.examples.digest and data.train == own.train
    return replace(data, only=own.only) if same else data


def _stepper(network: keras.Model, settings: Settings, chosen: Chosen) -> Stepper:
    """What runs the steps: strategies have their own."""
    together = settings.execution.steps_per_execution
    if chosen.name == "jax":
        from .jax_steps import JaxStepper

        return JaxStepper(network, together)
    if chosen.strategy is not None and chosen.replicas > 1:
        return ReplicaStepper(network, chosen.strategy, together)
    return TensorFlowStepper(network, together)


def _begun(
    settings: Settings, features: Sequence[OutputFeature], tasks: Sequence[Task], warn: Callable[[str], None]
) -> tuple[keras.Model, Feed]:
    """The network with its first weights, which a seed or a file tells."""
    network, feed = build_network(settings, features, tasks)
    if ":" in settings.model:
        require_saved_as_it_is(network, settings.model)  # now, and not after hours of training
    require_float32(network, settings.model)
    if settings.weights is None:
        look_at_scale(feed, settings, warn, of_keras=False)
    else:
        load_weights(network, feed, settings, settings.weights, warn)
    if network.compiled:
        require_nothing_for_compile(settings)
    return network, feed


def make_deterministic(seed: int) -> None:
    """Sets every seed that Keras draws from, and has TensorFlow choose deterministic operations."""
    keras.utils.clear_session()  # layers are numbered from the start again, as their names are in the digest
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
