"""What each stage of a training learns from: examples, splits, and the weights of their classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ...pipelines.artifact import Examples, Transform
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..evaluation.predictions import require_same_transform
from ..input.order import Only
from ..input.places import Share
from ..preprocessing.fitted import FittedTransform
from ..strategies.batches import indivisible
from ..tfrecords.layout import APPLIED
from .augmenting import TrainAugmentation
from .feed import Feed
from .preparing import Prepared, checked_splits
from .settings import Settings
from .stages import PRETRAINING, Stage
from .stream import Shape, Stream
from .targets import Targets, class_weights, look_at
from .tasks import Task

HELD_OUT_BYTES = 32 << 20
"""Of images as floats that go through the network at once in validation."""


@dataclass(frozen=True)
class StageData:
    """What a stage learns from.

    Attributes:
        examples: transformed examples.
        train: the split to learn from.
        validation: the split that chooses the epoch, or None to take the last one.
        class_weights: by label the weight of each class, for those that have some.
        only: which rows of the split to learn from, see `dataset()`; all by default.
    """

    examples: Examples
    train: str
    validation: str | None
    class_weights: Mapping[str, tuple[float, ...]]
    only: Only = None

    @property
    def rows(self) -> int:
        """Examples an epoch."""
        return self.examples.rows(self.train) if self.only is None else int(self.only.sum())

    def is_validated_as(self, other: StageData) -> bool:
        """Whether validation losses can be compared with those of another stage."""
        return (
            self.validation == other.validation
            and self.examples.digest == other.examples.digest
            and self.class_weights == other.class_weights
        )


def data_of_stages(
    ctx: Context,
    stages: Sequence[Stage],
    prepared: Prepared,
    examples: Examples,
    transform: Transform,
    pretraining: Examples | None,
    told: Mapping[str, Any],
) -> tuple[StageData, ...]:
    """What each stage learns from, checked as the step's own examples are; one for all without stages.

    Args:
        ctx: the step's context.
        stages: of the training; may be none.
        prepared: what is known of the step's own examples.
        examples: the step's own.
        transform: the Transform that made them.
        pretraining: for stages that say so; made by `apply_transform` with the same Transform.
        told: of the step's arguments `train_split`, `validation_split` and `class_weights`.

    Raises:
        InvalidRequestError, DataError: names the stage that can't learn from its examples.
    """
    own = StageData(examples, told["train_split"], prepared.validation, prepared.class_weights)
    found: list[StageData] = []
    for number, stage in enumerate(stages or (Stage(),), start=1):
        if not stage.has_data:
            found.append(own)
            continue
        with _in_stage(number):
            found.append(_data(ctx, stage, number, own, prepared, transform, pretraining, told))
    return tuple(found)


def _data(
    ctx: Context,
    stage: Stage,
    number: int,
    own: StageData,
    prepared: Prepared,
    transform: Transform,
    pretraining: Examples | None,
    told: Mapping[str, Any],
) -> StageData:
    examples = pretraining if stage.examples == PRETRAINING else own.examples
    if examples is None:
        raise InvalidRequestError(
            "there are no examples for pre-training",
            remedy="give the step pretraining: ${steps.other.examples}, or leave examples out of the stage",
        )
    if examples is not own.examples:
        _require_applied(examples, prepared.fitted, transform)
    split, wanted = (
        stage.train_split or told["train_split"],
        stage.validation_split or told["validation_split"],
    )
    validation = checked_splits(examples, prepared.tasks, split, wanted)
    if validation is None:
        ctx.warn(
            f"stage {number}: there are no examples in a split {wanted!r}: the weights of the stage's last "
            "epoch are kept"
        )
    labels = prepared.fitted.labels
    seen = look_at(examples, split, prepared.tasks, labels)
    if validation and seen.weighted:
        look_at(examples, validation, prepared.tasks, labels)
    weights = class_weights(told["class_weights"], prepared.tasks, seen)
    return StageData(examples, split, validation, weights)


def _require_applied(examples: Examples, fitted: FittedTransform, transform: Transform) -> None:
    """Refuses examples of another transform, whose equal numbers may stand for other classes."""
    require_same_transform(examples, fitted)
    if examples.properties.get(APPLIED) != transform.digest:
        raise InvalidRequestError(
            "the examples for pre-training were made by a transform of their own, which has other classes "
            "and means",
            remedy="apply the one of this step to the raw ones: uses: apply_transform, with: {examples: "
            "${steps.other}, transform: ${steps.transform.transform}}",
        )


@contextmanager
def _in_stage(number: int) -> Iterator[None]:
    try:
        yield
    except (InvalidRequestError, DataError) as error:
        problems = [
            replace(problem, what=f"stage {number}: {problem.what}", argument="stages")
            for problem in error.problems
        ]
        raise type(error)(problems) from error


def with_batch_sizes(
    stages: Sequence[Stage], data: Sequence[StageData], default: Callable[[int], int]
) -> tuple[Stage, ...]:
    """The stages, those with their own examples with a batch size that fits these, unless they state one.

    Args:
        stages: of the training.
        data: what each learns from.
        default: from the number of rows to a batch size.
    """
    return tuple(
        replace(stage, batch_size=default(learned.rows)) if stage.has_data and not stage.batch_size else stage
        for stage, learned in zip(stages, data, strict=False)
    )


def require_a_batch(batch_size: int, data: StageData, stage: int, replicas: int) -> None:
    """Looks whether there are examples for a batch, and whether the replicas can share it.

    Args:
        batch_size: examples a step.
        data: what is learned from.
        stage: its number, from 1; 0 where there are none.
        replicas: how many share a batch.

    Raises:
        InvalidRequestError: the replicas don't divide it.
        DataError: there are fewer examples.
    """
    where, argument = (f"stage {stage}: ", "stages") if stage else ("", "batch_size")
    problem = indivisible(batch_size, replicas)
    if problem:
        raise InvalidRequestError([replace(problem, what=f"{where}{problem.what}", argument=argument)])
    if batch_size > data.rows:
        raise DataError(
            f"{where}batch_size is {batch_size:,}, and the split {data.train!r} has {data.rows:,} examples",
            argument=argument,
            remedy=f"take {max(data.rows // replicas, 1) * replicas:,} at most, or leave batch_size out",
        )


class StageStreams:
    """The streams of a training, made for each stage as it begins; what it shares with the last is kept.

    Args:
        feed: how the network is fed.
        settings: of the training.
        tasks: what it learns.
        augmentation: what is done to images of the train split; None for nothing.
        sparse: by label whether its loss takes class numbers, see `Targets`.
        share: the part of each batch that this host learns from; None for all of it.
    """

    def __init__(
        self,
        feed: Feed,
        settings: Settings,
        tasks: Sequence[Task],
        augmentation: TrainAugmentation | None,
        sparse: Mapping[str, bool],
        share: Share | None = None,
    ) -> None:
        self._share = share
        self._feed = feed
        self._settings = settings
        self._tasks = tasks
        self._augmentation = augmentation
        self._sparse = sparse
        self._made: dict[str, tuple[Any, Stream]] = {}

    def of(self, told: Settings, data: StageData) -> tuple[Stream, Stream | None]:
        """The batches to learn from, and those that choose the epoch, if there are any.

        Args:
            told: the stage's hyperparameters.
            data: what it learns from.
        """
        targets = Targets(self._tasks, self._sparse, data.class_weights)

        def shape(tensors: Any, *rest: Any) -> tuple[Any, ...]:
            return self._feed.network_input(tensors), *targets(*rest)

        cache = self._settings.execution.cache
        source = self._kept(
            "source", data, data.train, told.batch_size, shape, told.seed, data.only, self._augmentation,
            cache=cache, sampling=self._settings.sampling, share=self._share,
        )  # fmt: skip
        if data.validation is None:
            return source, None
        many = self._held_out_batch(told.batch_size)
        return source, self._kept("held_out", data, data.validation, many, shape)

    def _held_out_batch(self, batch_size: int) -> int:
        """Examples at once where nothing is learned: many, but not of large images."""
        pixels = sum(math.prod(image.shape) for image in self._feed.images.values())
        most = max(1, HELD_OUT_BYTES // (4 * pixels)) if pixels else 1024
        return max(batch_size, min(1024, most))

    def _kept(
        self, kind: str, data: StageData, split: str, batch_size: int, shape: Shape, *more: Any, **rest: Any
    ) -> Stream:
        key = (data.examples.digest, split, batch_size, data.class_weights, id(data.only))
        before = self._made.pop(kind, None)
        if before is None or before[0] != key:
            made = Stream(data.examples, split, self._feed, batch_size, shape, *more, **rest)
            before = key, made
        self._made[kind] = before
        return before[1]
