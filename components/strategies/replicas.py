"""Training steps on several replicas, under a strategy of TensorFlow.

A global batch is cut evenly in its order: replica r of R has the rows from r·B/R to (r+1)·B/R. The loss of a
replica is divided by R and gradients are added up, so that a step is that of the global batch. Metrics are
sums that each replica keeps, and that are added up as they are read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..training.steps import State, TensorFlowStepper
from .choosing import require_optimizer
from .optimizers import add_up_first
from .seeds import draw_by_replica

EACH = "replica/"
"""Of the keys of a state: what each replica has of a metric's variable, `[replicas, …]`."""


@contextlib.contextmanager
def mirrored_layers(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Where a network is built: its variables are on all replicas and stay equal there.

    The moving averages of batch normalization are averaged over the replicas, each of which sees its own
    rows; Keras lets them drift apart, and saves those of the first.

    Args:
        strategy: TensorFlow's; None for one device.
    """
    if strategy is None or strategy.num_replicas_in_sync == 1:
        with strategy.scope() if strategy else contextlib.nullcontext():
            yield
        return

    def create(following: Any, **told: Any) -> Any:
        moving = not told.get("trainable") and tf.as_dtype(told.get("dtype") or tf.int64).is_floating
        if moving and told.get("aggregation") == tf.VariableAggregation.NONE:
            told["aggregation"] = tf.VariableAggregation.MEAN
        return following(**told)

    with strategy.scope(), tf.variable_creator_scope(create):
        yield


class ReplicaStepper(TensorFlowStepper):
    """Steps on the replicas of a strategy: the user's `train_step` and metrics are in force on each.

    Keras' own compiled step of several at once fails under a strategy, so that the steps are compiled here.

    Args:
        network: built within `mirrored_layers`, compiled within the strategy's scope.
        strategy: of TensorFlow.
        steps_per_execution: how many steps TensorFlow runs in one go; no part of the result.
    """

    takes_ahead = False  # a strategy's steps return while the devices are still at work

    def __init__(
        self, network: keras.Model, strategy: tf.distribute.Strategy, steps_per_execution: int = 1
    ) -> None:
        super().__init__(network, steps_per_execution)
        self._strategy = strategy
        self._replicas: int = strategy.num_replicas_in_sync

    def begin(self, batches: tf.data.Dataset) -> None:
        """Takes a new source; see `Stepper`."""
        require_optimizer(self.network.optimizer, self._replicas)
        draw_by_replica(self.network)
        with self._strategy.scope():
            super().begin(batches)

    def evaluate(self, held_out: tf.data.Dataset) -> dict[str, float]:
        """Loss and metrics over one pass; see `Stepper`.

        What the replicas don't divide of a batch is given to each of them whole, and what that adds to the
        metrics is kept on the first.
        """
        test, logs = self._compiled[2], None
        self.network.reset_metrics()
        for batch in held_out:
            rows = int(tf.nest.flatten(batch)[0].shape[0])
            even = rows - rows % self._replicas
            if even:
                logs = test([self._cut(batch, even)])
            if even < rows:
                logs = self._whole(tf.nest.map_structure(lambda v, at=even: v[at:], batch))
        return self._told(logs)

    def state(self) -> State:
        """Copies of all variables, and of each replica's share of the metrics; see `Stepper`."""
        shares = {
            f"{EACH}{number:05d}": np.stack([part.numpy() for part in self._parts(variable)])
            for number, variable in enumerate(self.network.metrics_variables)
        }
        return {key: variable.numpy() for key, variable in self._variables().items()} | shares

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Assigns all variables; see `Stepper`. The state may be of another number of replicas."""
        with self._strategy.scope():
            super().restore(state)
        for number, variable in enumerate(self.network.metrics_variables):
            shares: Any = state.get(f"{EACH}{number:05d}", ())
            if len(shares) != self._replicas:  # counts are whole numbers, which can't be cut evenly
                whole = state[f"metric/{number:05d}"]
                shares = [whole, *[np.zeros_like(whole)] * (self._replicas - 1)]
            for part, share in zip(self._parts(variable), shares, strict=True):
                part.assign(share)

    def set_weights(self, weights: list[npt.NDArray[Any]]) -> None:
        """Puts weights back; see `Stepper`."""
        with self._strategy.scope():
            super().set_weights(weights)

    def _parts(self, variable: keras.Variable) -> tuple[Any, ...]:
        """A variable's copies on the replicas."""
        found: tuple[Any, ...] = self._strategy.experimental_local_results(variable.value)
        return found

    def _iterate(self, batches: tf.data.Dataset) -> Iterator[Any]:
        options = tf.data.Options()
        # This process reads all examples and cuts each batch: neither files nor elements are shared out.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return iter(self._strategy.experimental_distribute_dataset(batches.with_options(options)))

    def _compile(self) -> None:
        """Makes the compiled functions: one step, several, and one of a test."""
        network, strategy = self.network, self._strategy
        add_up_first(network.optimizer)
        train, test = network.train_step, network.test_step

        def reduced(logs: Any) -> Any:
            """As Keras tells them: the mean over the replicas, where they aren't the metrics'."""
            local = strategy.experimental_local_results
            return tf.nest.map_structure(lambda value: tf.reduce_mean(tf.stack(local(value)), axis=0), logs)

        def one(batch: Any) -> Any:
            return reduced(strategy.run(train, args=(batch[0],)))

        def several(batches: Any) -> Any:
            for _ in tf.range(self._together - 1):
                strategy.run(train, args=(next(batches),))
            return reduced(strategy.run(train, args=(next(batches),)))

        def checked(batch: Any) -> Any:
            return reduced(strategy.run(test, args=(batch[0],)))

        self._compiled = tf.function(one), tf.function(several), tf.function(checked, reduce_retracing=True)

    def _cut(self, batch: Any, rows: int) -> Any:
        """The first rows of a batch, cut evenly in their order."""
        each = rows // self._replicas

        def part(values: Any) -> Any:
            def of(replica: Any) -> Any:
                start = replica.replica_id_in_sync_group * each
                return values[start : start + each]

            return self._strategy.experimental_distribute_values_from_function(of)

        return tf.nest.map_structure(part, batch)

    def _whole(self, batch: Any) -> Any:
        """A test step on rows that every replica has, which counts once."""
        others = [self._parts(variable)[1:] for variable in self.network.metrics_variables]
        before = [[part.numpy() for part in parts] for parts in others]
        everywhere = tf.nest.map_structure(
            lambda values: self._strategy.experimental_distribute_values_from_function(lambda _: values),
            batch,
        )
        logs = self._compiled[2]([everywhere])
        for parts, values in zip(others, before, strict=True):
            for part, value in zip(parts, values, strict=True):
                part.assign(value)
        return logs
