"""What runs the steps of a training: one compiled network on one source of batches.

The course of a training (epochs, stages, checkpoints, what is best) is the same wherever steps run; what a
backend or a distribution strategy does otherwise is in a `Stepper`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..input.ahead import Ahead

State = dict[str, npt.NDArray[Any]]
"""Host copies of variables by key: `model/…`, `optimizer/…`, `metric/…` and `random/…`."""
SAMPLED = 32
"""Of executions of several steps, one of so many is run step by step to see how long its batches take."""


class Stepper(Protocol):
    """Runs steps of a compiled network; what a backend or a strategy does otherwise is in here.

    Attributes:
        network: whose variables, also those of its optimizer, may be read and changed between calls.
        waited: seconds spent waiting for batches since `begin`.
    """

    network: keras.Model
    waited: float

    def begin(self, batches: tf.data.Dataset) -> None:
        """Takes a new source, at the start, when a training is resumed and for each stage.

        The network was compiled since, or is as it was.

        Args:
            batches: endless, each as the network's `train_step` takes it.
        """

    def run(self, count: int) -> None:
        """Runs exactly so many training steps."""

    def metrics(self) -> dict[str, float]:
        """The running loss and metrics since `reset`."""

    def reset(self) -> None:
        """Begins the loss and the metrics anew."""

    def evaluate(self, held_out: tf.data.Dataset) -> dict[str, float]:
        """Loss and metrics over one pass. The running ones are lost: `reset` has to follow.

        Args:
            held_out: batches, the last of which may be smaller.
        """

    def state(self) -> State:
        """Copies of everything that changes in training, the state of random generators too."""

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Puts back what `state` gave, for an equal network that was compiled equally; after `begin`.

        Raises:
            ValueError: it is of another network.
        """

    def weights(self) -> list[npt.NDArray[Any]]:
        """Copies of the network's weights."""

    def set_weights(self, weights: list[npt.NDArray[Any]]) -> None:
        """Puts back what `weights` gave."""

    def learning_rate(self) -> float:
        """The optimizer's, of the step to come."""


class TensorFlowStepper:
    """Steps by Keras' own compiled step on one device: the user's `train_step` and metrics are in force.

    A batch is taken from the pipeline here and handed to the compiled step, which is faster than Keras' own
    loop, gives the same bits, and shows how long it was waited for. Where several steps are one execution,
    Keras takes the batches inside it, and the wait is measured on a sample.

    Args:
        network: compiled.
        steps_per_execution: how many steps TensorFlow runs in one go; no part of the result.

    Attributes:
        network: the same.
        waited: see `Stepper`.
        takes_ahead: whether the next batch is taken while a step runs.
    """

    takes_ahead = True

    def __init__(self, network: keras.Model, steps_per_execution: int = 1) -> None:
        self.network = network
        self.waited = 0.0
        self._together = steps_per_execution
        self._executions = 0
        self._source: Any = None
        self._batches: Iterator[Any] = iter(())
        self._logs: Any = None
        self._compiled: tuple[Any, Any, Any] = (None, None, None)

    def begin(self, batches: tf.data.Dataset) -> None:
        """Takes a new source; see `Stepper`."""
        self._build(batches)
        self._compile()
        self._source, self._batches = batches, self._taken(batches)
        self.waited, self._executions = 0.0, 0

    def run(self, count: int) -> None:
        """Runs exactly so many steps; see `Stepper`."""
        while count >= self._together > 1:
            sampled = self._executions % SAMPLED == 0
            if sampled:
                before = self.waited
                self._single(self._together)
                self.waited = before + (self.waited - before) * SAMPLED
            else:
                self.network.steps_per_execution = self._together
                self._logs = self._compiled[1](self._batches)
            self._executions += 1
            count -= self._together
        self._single(count)

    def metrics(self) -> dict[str, float]:
        """The running loss and metrics; see `Stepper`."""
        return self._told(self._logs)

    def reset(self) -> None:
        """Begins loss and metrics anew; see `Stepper`."""
        self.network.reset_metrics()

    def evaluate(self, held_out: tf.data.Dataset) -> dict[str, float]:
        """Loss and metrics over one pass; see `Stepper`."""
        test, logs = self._compiled[2], None
        self.network.steps_per_execution = 1
        self.network.reset_metrics()
        for batch in self._iterate(held_out):
            logs = test([batch])
        return self._told(logs)

    def state(self) -> State:
        """Copies of all variables; see `Stepper`."""
        return {key: np.array(variable) for key, variable in self._variables().items()}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Assigns all variables; see `Stepper`."""
        # Several replicas also tell what each of them has; one device takes what they have together.
        given = {key: value.shape for key, value in state.items() if not key.startswith("replica/")}
        if set(given) - set(self._variables()):
            self._make_variables()
        variables = self._variables()
        if given != {key: tuple(variable.shape) for key, variable in variables.items()}:
            raise ValueError("the state is of another network")
        for key, variable in variables.items():
            variable.assign(state[key])

    def weights(self) -> list[npt.NDArray[Any]]:
        """Copies of the weights; see `Stepper`."""
        found: list[npt.NDArray[Any]] = self.network.get_weights()
        return found

    def set_weights(self, weights: list[npt.NDArray[Any]]) -> None:
        """Puts weights back; see `Stepper`."""
        self.network.set_weights(weights)

    def learning_rate(self) -> float:
        """The optimizer's; see `Stepper`."""
        return float(np.array(self.network.optimizer.learning_rate))

    def _single(self, count: int) -> None:
        """Steps one by one, with their waits."""
        step, batches = self._compiled[0], self._batches
        self.network.steps_per_execution = 1
        for _ in range(count):
            before = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - before
            self._logs = step([batch])

    def _make_variables(self) -> None:
        """Runs a step, of which nothing is left but the variables that a `train_step` of one's own makes.

        Those are a second optimizer's, or Keras' generator for random numbers without a seed.
        """
        self._single(1)
        self._batches, self.waited = self._taken(self._source), 0.0

    def _taken(self, batches: tf.data.Dataset) -> Iterator[Any]:
        """An iterator to learn from; Keras takes the batches of several steps itself."""
        made = self._iterate(batches)
        return Ahead(made) if self.takes_ahead and self._together == 1 else made

    def _iterate(self, batches: tf.data.Dataset) -> Iterator[Any]:
        """An iterator over batches as the compiled step takes them; a strategy distributes them here."""
        return iter(batches)

    def _build(self, batches: tf.data.Dataset) -> None:
        """Makes the variables of metrics and optimizer, so that they can be restored before a step."""
        self.network._symbolic_build(data_batch=batches.element_spec)

    def _compile(self) -> None:
        """Takes Keras' functions of the network as it is compiled now: one step, several, and one test."""
        network = self.network
        if network.train_function is not None and network.train_function is self._compiled[0]:
            return  # it wasn't compiled anew, and they needn't be traced again
        together = None
        if self._together > 1:
            network.make_train_function(force=True)
            together = network.train_function
        network.make_train_function(force=True)
        network.make_test_function(force=True)
        self._compiled = network.train_function, together, network.test_function

    def _variables(self) -> dict[str, Any]:
        network = self.network
        optimizers = {id(one): one for one in (network.optimizer, *_optimizers(network)) if one is not None}
        groups = {
            "model": network.variables,
            "optimizer": [variable for one in optimizers.values() for variable in one.variables],
            "metric": network.metrics_variables,
            "random": _generator(),
        }
        return {
            f"{group}/{number:05d}": variable
            for group, variables in groups.items()
            for number, variable in enumerate(variables)
        }

    def _told(self, logs: Any) -> dict[str, float]:
        """What Keras would tell: the metrics, unless an own `train_step` tells something else."""
        found = self.network.get_metrics_result()
        if isinstance(logs, Mapping) and set(flat := _flat(logs)) != set(found):
            found = flat
        return {key: float(np.array(value)) for key, value in found.items()}


def _flat(logs: Mapping[str, Any]) -> dict[str, Any]:
    """What a step tells, with what stands in dicts of metrics with several values, as Keras shows it."""
    found: dict[str, Any] = {}
    for key, value in logs.items():
        found |= _flat(value) if isinstance(value, Mapping) else {key: value}
    return found


def _optimizers(network: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Those that a model of one's own holds itself, for a `train_step` with several, by their names in it."""
    held = vars(network).items()
    return [one for _, one in sorted(held) if isinstance(one, keras.optimizers.Optimizer)]


def _generator() -> list[Any]:
    """The state of what `keras.random` draws from where it is given no seed, once it has drawn."""
    from keras.src.backend.common import global_state  # Keras has no public way to it
    from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR

    generator = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    return [] if generator is None else [generator.state]
