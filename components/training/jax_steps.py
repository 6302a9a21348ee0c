"""Steps of a network by Keras' JAX backend, on one device or on all, of one host or of several.

What is compiled is Keras' own step with whatever a model of one's own does in it (`train_step`, losses,
metrics, `jit_compile`), with the state donated, as in `fit`. A batch is cut over the devices of
`keras.distribution.DataParallel`; to JAX it is still one batch, so that losses, metrics, random masks and
batch normalization are those of the whole batch, on any number of devices.

While a step runs, the next batch is fetched and placed. At most two steps are under way: with more, batches
that wait for a device would fill its memory, and nobody would know what is waited for.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...pipelines.errors import InvalidRequestError
from .steps import TensorFlowStepper

Values = tuple[list[Any], ...]
"""Of the trainable and the other variables of a network, of its optimizer and of its metrics."""
Step = Callable[[Values, Any], tuple[Any, Values]]


class JaxStepper(TensorFlowStepper):
    """Steps by Keras' JAX backend, over the distribution that was set when the network was built.

    Between calls, the network's variables hold the state; during a call they don't.

    Args:
        network: compiled.
        steps_per_execution: steps that are one program on the device; the rest of a `run` is done singly.

    Attributes:
        network: the same.
        waited: seconds that the devices had nothing to do for want of a batch, or somewhat more.
    """

    def __init__(self, network: keras.Model, steps_per_execution: int = 1) -> None:
        super().__init__(network, steps_per_execution)
        _require_jax_step(network)
        self._placer = _Placer()
        self._placed: list[Any] = []
        self._under_way: list[Any] = []
        self._one: Step | None = None
        self._several: Step | None = None

    def begin(self, batches: tf.data.Dataset) -> None:
        """Takes a new source, of several hosts each its own rows of each batch; see `Stepper`."""
        network = self.network
        self._batches = batches.as_numpy_iterator()
        self._placed, self._under_way = [], []
        self._fetch()
        # Metrics and optimizer have no variables before; Keras' `fit` begins so too.
        network._symbolic_build(data_batch=self._placed[0])
        network.make_train_function(force=True)
        network.make_test_function(force=True)
        step = network.train_function
        self._one = lambda values, batch: step(values, iter((batch,)))
        compiled = network.jit_compile and not network.run_eagerly
        self._several = _scanned(network) if compiled and self._together > 1 else None
        self.waited = 0.0

    def run(self, count: int) -> None:
        """Runs exactly so many steps; see `Stepper`."""
        values = _values(self.network)
        try:
            while count:
                together = self._together if self._several and count >= self._together else 1
                while len(self._placed) < together:
                    self._fetch()
                batches, self._placed = self._placed[:together], self._placed[together:]
                if together > 1 and self._several:
                    self._logs, values = self._several(values, tuple(batches))
                elif self._one:
                    self._logs, values = self._one(values, batches[0])
                count -= together
                self._under_way.append(self._logs)
                jax.block_until_ready(self._under_way[: -self._placer.at_most + 1 or None])
                self._under_way = self._under_way[-1:]
                self._fetch()
        finally:
            _assign(self.network, values)

    def evaluate(self, held_out: tf.data.Dataset) -> dict[str, float]:
        """Loss and metrics over one pass; see `Stepper`.

        A batch that the devices don't divide is done by each of them whole.

        Args:
            held_out: batches, of which each host reads all rows and places its own.
        """
        network, logs = self.network, None
        network.reset_metrics()
        trainable, other, _, metrics = _values(network)
        values = trainable, other, metrics
        try:
            for batch in held_out.as_numpy_iterator():
                logs, values = network.test_function(values, iter((self._placer.whole(batch),)))
                jax.block_until_ready(logs)
        finally:
            _assign(network, (values[0], values[1], [], values[2]))
        with self._here():
            return self._told(logs)

    def _fetch(self) -> None:
        """Places the next batch on the devices, and looks whether these wait for it."""
        begun = time.perf_counter()
        batch = next(self._batches)
        spent = time.perf_counter() - begun
        if all(value.is_ready() for value in jax.tree.leaves(self._under_way)):
            self.waited += spent
        self._placed.append(self._placer(batch))

    def metrics(self) -> dict[str, float]:
        """The running loss and metrics; see `Stepper`."""
        with self._here():
            return super().metrics()

    def learning_rate(self) -> float:
        """The optimizer's; see `Stepper`."""
        with self._here():
            return super().learning_rate()

    def _make_variables(self) -> None:
        """A step by JAX makes none."""

    def _here(self) -> keras.StatelessScope:
        """Where a host computes by itself with metrics and steps: the others may not ask at the same time."""
        counts = [variable for variable in self.network.optimizer.variables if not variable.shape]
        mapping = [
            (variable, jax.numpy.asarray(np.asarray(variable.value)))
            for variable in [*self.network.metrics_variables, *counts]
        ]
        return keras.StatelessScope(state_mapping=mapping)


class _Placer:
    """From rows to arrays on all devices.

    Attributes:
        at_most: how many steps may be under way. Virtual devices share the threads of one CPU, and several
            steps that exchange gradients could wait there for each other for ever.
    """

    def __init__(self) -> None:
        self._distribution = keras.distribution.distribution()
        if self._distribution is None and jax.process_count() > 1:
            raise RuntimeError("there are several hosts, and no distribution over their devices is set")
        several = self._distribution is not None and self._distribution.device_mesh.devices.size > 1
        self._on_cpu = jax.default_backend() == "cpu"
        self.at_most = 1 if several and self._on_cpu else 2

    def __call__(self, batch: Any) -> Any:
        """A batch of which this host has its share, in its order."""
        return jax.tree.map(self._share, batch)

    def whole(self, batch: Any) -> Any:
        """A batch of which every host has all rows."""
        return jax.tree.map(self._rows, batch)

    def _share(self, rows: npt.NDArray[Any]) -> Any:
        if self._distribution is None or jax.process_count() == 1:
            return self._rows(rows)
        return jax.make_array_from_process_local_data(self._sharding(rows, cut=True), rows)

    def _rows(self, rows: npt.NDArray[Any]) -> Any:
        if self._distribution is None:  # the program of a CPU reads the rows where they are
            return rows if self._on_cpu else jax.device_put(rows)
        cut = len(rows) % self._distribution.device_mesh.devices.size == 0
        sharding = self._sharding(rows, cut)
        if jax.process_count() == 1:
            return jax.device_put(rows, sharding)
        return jax.make_array_from_callback(rows.shape, sharding, lambda index: rows[index])

    def _sharding(self, rows: npt.NDArray[Any], cut: bool) -> Any:
        first = self._distribution.batch_dim_name if cut else None
        axes = [first, *[None] * (rows.ndim - 1)]
        return keras.distribution.TensorLayout(axes, self._distribution.device_mesh).backend_layout


def _scanned(network: keras.Model) -> Step:
    """Several steps as one program: from values and a tuple of batches to the last logs and values."""

    def steps(values: Values, batches: tuple[Any, ...]) -> tuple[Any, Values]:
        def step(values: Values, batch: Any) -> tuple[Values, Any]:
            logs, values = network.train_step(values, batch)
            return values, logs

        stacked = jax.tree.map(lambda *one: jax.numpy.stack(one), *batches)
        values, logs = jax.lax.scan(step, values, stacked)
        return jax.tree.map(lambda each: each[-1], logs), values

    compiled: Step = jax.jit(steps, donate_argnums=0)
    return compiled


def _groups(network: keras.Model) -> tuple[list[Any], ...]:
    optimizer = network.optimizer.variables
    return network.trainable_variables, network.non_trainable_variables, optimizer, network.metrics_variables


def _values(network: keras.Model) -> Values:
    """The variables' values, each an array of its own: one that was assigned from another shares its array,
    and what a step is given is gone behind it."""
    seen: set[int] = set()

    def own(value: Any) -> Any:
        if id(value) in seen:
            return jax.numpy.copy(value)
        seen.add(id(value))
        return value

    return tuple([own(variable.value) for variable in group] for group in _groups(network))


def _assign(network: keras.Model, values: Values) -> None:
    for variables, group in zip(_groups(network), values, strict=True):
        for variable, value in zip(variables, group, strict=False):
            variable.assign(value)


def _require_jax_step(network: keras.Model) -> None:
    """Refuses a `train_step` or `test_step` of one's own that is written for TensorFlow."""
    for name in ("train_step", "test_step"):
        function = getattr(type(network), name)
        if function is getattr(keras.Model, name) or len(inspect.signature(function).parameters) > 2:
            continue
        raise InvalidRequestError(
            f"the model's own {name} is written for TensorFlow: it takes the data alone",
            argument="strategy",
            remedy=f"write {name}(self, state, data) as Keras has it for JAX, or take another strategy",
        )
