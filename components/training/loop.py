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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ...pipelines.artifact import Examples
from ...pipelines.runners.settings import cores
from ..input.order import Only
from ..strategies.choosing import ONE, Chosen
from ..strategies.precision import precise, require_float32
from ..strategies.replicas import ReplicaStepper, mirrored_layers
from ..tfrecords.layout import Layout, OutputFeature
from .augmenting import TrainAugmentation, train_augmentation
from .building import build_network, require_nothing_for_compile
from .course import Course, Follower
from .failures import Subject, Watch
from .feed import Feed
from .live import Tell
from .logs.log import TrainingLog
from .logs.pace import Input, Pace
from .networks import require_saved_as_it_is
from .on_plateau import OnPlateau
from .pretrained import load_weights, look_at_scale
from .settings import Settings
from .stage_data import StageData
from .staging import Stages
from .steps import Stepper, TensorFlowStepper
from .stream import IN_MEMORY_BYTES
from .tasks import Task

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
    augmentation = train_augmentation(settings.augment, feed.images, settings.seed)
    own = StageData(examples, train, validation, class_weights, only)
    stages = Stages(network, feed, settings, tasks, chosen, own, data, augmentation)
    if log is not None:
        log.running = type(network).train_step is keras.Model.train_step
    subject = Subject(
        network, feed, tasks, own,
        lambda: (_first_weights(settings, features, tasks), "its first weights"),
        lambda: checkpoints.kept() if checkpoints else "",
    )  # fmt: skip
    watch = Watch(subject, warn)
    followers = (OnPlateau(), *followers, watch)
    stepper = _stepper(network, settings, chosen)
    course = Course(stepper, *stages.streams(0), tell, checkpoints, followers, log, watch)
    course.resume()
    with checkpoints or nullcontext():
        stages.run(course, watch, checkpoints)
    state = course.state
    return Trained(network, feed, state.history, state.best_epoch, augmentation, course.pace)


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
