"""The stages of a training, one behind the other: what each compiles, freezes and learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras

from ..strategies.batches import rate_factor
from ..strategies.choosing import Chosen
from ..strategies.xla import compile_by_xla
from .augmenting import TrainAugmentation, finish_in_step
from .building import compile_network, is_sparse
from .course import Course
from .epoch_steps import EpochSteps
from .failures import Watch
from .feed import Feed
from .freezing import Freezer
from .memory import memory_errors
from .settings import Settings
from .stage_data import StageData, StageStreams, require_a_batch
from .stages import Stage
from .stream import Stream
from .tasks import Task, output_keys

if TYPE_CHECKING:
    from .checkpoints import Checkpoints


class Stages:
    """Takes a network through the stages of a training, or through its only one; compiled for the first.

    Args:
        network: with its first weights.
        feed: how it is fed.
        settings: of the training.
        tasks: what it learns.
        chosen: what is computed on.
        own: what is learned from where nothing else is told.
        data: what each stage learns from; the same for all if there is none.
        augmentation: what is done to images of the train split; None for nothing.

    Raises:
        DataError: a stage has too few examples for a batch.
        InvalidRequestError: Keras refuses the optimizer, the loss or a metric.
    """

    def __init__(
        self,
        network: keras.Model,
        feed: Feed,
        settings: Settings,
        tasks: Sequence[Task],
        chosen: Chosen,
        own: StageData,
        data: Sequence[StageData],
        augmentation: TrainAugmentation | None,
    ) -> None:
        self._network = network
        self._settings = settings
        self._tasks = tasks
        self._chosen = chosen
        self._stages = settings.stages or (Stage(),)
        self._data = [_masked(one, own) for one in data] or [own] * len(self._stages)
        for number, one in enumerate(self._data):
            told = number + 1 if settings.stages else 0
            require_a_batch(self._told(number).batch_size, one, told, chosen.replicas)
        self._compile(0)
        sparse = {label: is_sparse(network, key) for label, key in output_keys(tasks).items()}
        self._streams = StageStreams(feed, settings, tasks, augmentation, sparse, chosen.share)

    def streams(self, number: int) -> tuple[Stream, Stream | None]:
        """What a stage, from 0, learns from, and what chooses its epoch, if there is anything."""
        return self._streams.of(self._told(number), self._data[number])

    def run(self, course: Course, watch: Watch, checkpoints: Checkpoints | None) -> None:
        """Runs what is left of the stages, and leaves all layers as they were.

        Raises:
            InvalidRequestError, DataError, StepError: see `train_network`.
        """
        freezer = Freezer(self._network)
        for number in range(course.state.stage, len(self._stages)):
            if self._settings.stages:
                freezer.freeze(self._stages[number], number + 1)
                self._compile(number, again=True)
            self._learn(course, watch, number)
            with memory_errors(self._told(number).batch_size, self._data[number].train, checkpoints):
                course.run(self._told(number), number)
        freezer.thaw()

    def _learn(self, course: Course, watch: Watch, number: int) -> None:
        """Has everything that goes on in a stage take its examples."""
        data, before = self._data[number], self._data[max(0, number - 1)]
        source, held_out = self.streams(number)
        course.learn_from(source, held_out, anew=not data.is_validated_as(before))

        def batches(step: int) -> Any:
            steps = EpochSteps(source.rows, self._told(number).batch_size, 1, course.state.first)
            found = source.batches(steps.position(step))
            return found.map(source.finish) if source.in_step else found

        watch.learn_from(data, batches, lambda: held_out.once() if held_out else ())
        if source.in_step:
            finish_in_step(self._network, source.finish, source.batches())

    def _told(self, number: int) -> Settings:
        return self._settings.of_stage(self._stages[number])

    def _compile(self, number: int, **again: bool) -> None:
        """Compiles the network for a stage."""
        told = self._told(number)
        steps = EpochSteps(self._data[number].rows, told.batch_size, told.epochs)
        factor = rate_factor(told.execution.scale_learning_rate, self._chosen.replicas)
        with self._chosen.scope():
            compile_network(self._network, told, self._tasks, steps, factor=factor, **again)
        if told.execution.xla:
            compile_by_xla(self._network)


def _masked(data: StageData, own: StageData) -> StageData:
    """The stage's data without the rows that a fold holds out."""
    same = data.examples.digest == own.examples.digest and data.train == own.train
    return replace(data, only=own.only) if same else data
