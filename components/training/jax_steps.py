"""Steps of a network by Keras' JAX backend, on one device or on all, of one host or of several.

What is compiled is Keras' own step with whatever a model of one's own does in it (`train_step`, losses,
metrics, `jit_compile`), with the state donated, as in `fit`. A batch is cut over the devices of
`keras.distribution.DataParallel`; to JAX it is still one batch, so that losses, metrics, random masks and
batch normalization are those of the whole batch, on any number of devices.

While a step runs, the next batch is fetched and placed. At most two steps are under way: with more, batches
that wait for a device would fill its memory, and nobody would know what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[Any]
State = tuple[list[Any], ...]
"""Values of the trainable and the other variables of a network, of its optimizer and of its metrics."""


class JaxStepper:
    """A `Stepper` of the JAX backend.

    The distribution is the one that was set when the network was built; without one, all is done on one
    device. Between calls, the network's variables hold the state, so that anybody may read them and change
    them; during a call they don't.

    Args:
        network: compiled.
        steps_per_execution: steps that are one program on the device; the rest of a `run` is done singly.

    Attributes:
        waited: seconds that a device had nothing to do for want of input, since `begin`; what is told is
            rather too much than too little.
    """

    def __init__(self, network: keras.Model, steps_per_execution: int = 1) -> None:
        self.waited = 0.0
        self._network = network
        self._at_once = steps_per_execution if network.jit_compile and not network.run_eagerly else 1
        self._place = _Placer()
        self._source: Iterator[Any] = iter(())
        self._next: list[Any] = []
        self._train: Callable[[State, Any], tuple[Any, State]] | None = None
        self._train_many: Callable[[State, Any], tuple[Any, State]] | None = None
        self._logs: Any = None

    def begin(self, batches: tf.data.Dataset) -> None:
        """Takes another source of batches, all full; what was fetched of the one before is left.

        Args:
            batches: (inputs, targets) or (inputs, targets, weights), of several hosts each host's own rows.
        """
        self._source = batches.as_numpy_iterator()
        self._next = []
        self._fetch(self._source)
        self.waited = 0.0
        # Metrics and optimizer have no variables before; Keras' `fit` begins so too.
        self._network._symbolic_build(data_batch=self._next[0])
        self._network.make_train_function()
        step = self._network.train_function
        self._train = lambda state, batch: step(state, iter((batch,)))
        self._train_many = None if self._at_once == 1 else _scanned(self._network)

    def run(self, count: int) -> None:
        """Takes exactly `count` steps."""
        assert self._train is not None
        state, under_way = _state_of(self._network), []
        try:
            while count:
                together = self._at_once if count >= self._at_once else 1
                while len(self._next) < together:
                    self._fetch(self._source, under_way)
                batches, self._next = self._next[:together], self._next[together:]
                if together == 1:
                    self._logs, state = self._train(state, batches[0])
                else:
                    assert self._train_many is not None
                    self._logs, state = self._train_many(state, tuple(batches))
                count -= together
                under_way.append(self._logs)
                if len(under_way) > 1:
                    jax.block_until_ready(under_way.pop(0))
                self._fetch(self._source, under_way)
        finally:
            _assign(self._network, state)

    def metrics(self) -> dict[str, float]:
        """Loss and metrics since `reset`, or what the model's own `train_step` gave last."""
        return _results(self._network, self._logs)

    def reset(self) -> None:
        """Begins the metrics anew."""
        self._network.reset_metrics()

    def evaluate(self, held_out: tf.data.Dataset) -> dict[str, float]:
        """Loss and metrics over one pass, as Keras' `evaluate` gives them; the metrics begin anew.

        A batch that the devices don't divide is done by each of them whole.

        Args:
            held_out: as `begin` has them, the last batch smaller; of several hosts that one is all rows.
        """
        network = self._network
        network.make_test_function()
        network.reset_metrics()
        trainable, other, _, metrics = _state_of(network)
        state, logs, before = (trainable, other, metrics), None, None
        for batch in held_out.as_numpy_iterator():
            logs, state = network.test_function(state, iter((self._place(batch),)))
            jax.block_until_ready(before)
            before = logs
        _assign(network, (state[0], state[1], [], state[2]))
        found = _results(network, logs)
        network.reset_metrics()
        return found

    def state(self) -> dict[str, Array]:
        """Copies on the host of every variable of the network, its optimizer and its metrics."""
        return {name: np.array(variable.value) for name, variable in _variables(self._network).items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Makes the variables what they were; after `begin`, which builds those of the optimizer."""
        for name, variable in _variables(self._network).items():
            variable.assign(np.asarray(state[name], variable.dtype))

    def _fetch(self, source: Iterator[Any], under_way: list[Any] | tuple[()] = ()) -> None:
        """Places the next batch on the devices, and measures whether these wait for it."""
        begun = time.perf_counter()
        batch = next(source)
        spent = time.perf_counter() - begun
        if all(value.is_ready() for value in jax.tree.leaves(under_way)):
            self.waited += spent
        self._next.append(self._place(batch))


class _Placer:
    """From the rows of this host to arrays on all devices."""

    def __init__(self) -> None:
        self._distribution = keras.distribution.distribution()

    def __call__(self, batch: Any) -> Any:
        return jax.tree.map(self._placed, batch)

    def _placed(self, rows: Array) -> Any:
        if self._distribution is None:
            return jax.device_put(rows)
        mesh = self._distribution.device_mesh
        evenly = len(rows) * jax.process_count() % mesh.devices.size == 0
        axes = [self._distribution.batch_dim_name if evenly else None, *[None] * (rows.ndim - 1)]
        sharding = keras.distribution.TensorLayout(axes, mesh).backend_layout
        if jax.process_count() == 1:
            return jax.device_put(rows, sharding)
        return jax.make_array_from_process_local_data(sharding, rows)


def _scanned(network: keras.Model) -> Callable[[State, Any], tuple[Any, State]]:
    """Several steps as one program: from a state and a tuple of batches to the last step's logs and a state."""

    def steps(state: State, batches: tuple[Any, ...]) -> tuple[Any, State]:
        def step(state: State, batch: Any) -> tuple[State, Any]:
            logs, state = network.train_step(state, batch)
            return state, logs

        stacked = jax.tree.map(lambda *one: jax.numpy.stack(one), *batches)
        state, logs = jax.lax.scan(step, state, stacked)
        return jax.tree.map(lambda values: values[-1], logs), state

    return jax.jit(steps, donate_argnums=0)


def _state_of(network: keras.Model) -> State:
    groups = (
        network.trainable_variables,
        network.non_trainable_variables,
        network.optimizer.variables,
        network.metrics_variables,
    )
    return tuple([variable.value for variable in group] for group in groups)


def _assign(network: keras.Model, state: State) -> None:
    groups = (
        network.trainable_variables,
        network.non_trainable_variables,
        network.optimizer.variables,
        network.metrics_variables,
    )
    for variables, values in zip(groups, state, strict=True):
        for variable, value in zip(variables, values, strict=False):
            variable.assign(value)


def _results(network: keras.Model, logs: Any) -> dict[str, float]:
    """What Keras would tell: the metrics, unless an own `train_step` tells something else."""
    here = [
        (variable, jax.numpy.asarray(np.asarray(variable.value))) for variable in network.metrics_variables
    ]
    with keras.StatelessScope(state_mapping=here):
        found = network.get_metrics_result()
    if isinstance(logs, Mapping) and set(logs) != set(found):
        found = logs
    return {key: float(np.asarray(value)) for key, value in found.items()}


def _variables(network: keras.Model) -> dict[str, Any]:
    groups = {
        "model": network.variables,
        "optimizer": network.optimizer.variables,
        "metric": network.metrics_variables,
    }
    return {
        f"{group}/{number:05d}": variable
        for group, variables in groups.items()
        for number, variable in enumerate(variables)
    }
