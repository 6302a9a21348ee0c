"""What several replicas do, tried on virtual devices: prints its findings as one line of JSON.

A process of its own, since logical devices can only be set up before TensorFlow is used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from headrace.components.strategies.choosing import Chosen, choose
from headrace.components.strategies.precision import precise
from headrace.components.strategies.replicas import ReplicaStepper, mirrored_layers
from headrace.components.strategies.xla import compile_by_xla
from headrace.components.training.settings import Execution
from headrace.components.training.steps import Stepper, TensorFlowStepper

DEVICES = 8
ROWS, BATCH = 96, 24
draw = np.random.default_rng(0)
X = draw.random((ROWS, 4), dtype="float32")
Y = (X.sum(axis=1, keepdims=True) * 3).astype("float32")
WEIGHTS = draw.random(ROWS, dtype="float32")


def batches(start: int = 0) -> tf.data.Dataset:
    """Endless full batches from an example on."""
    order = tf.data.Dataset.from_tensor_slices((X, Y, WEIGHTS)).repeat().skip(start)
    return order.batch(BATCH, drop_remainder=True)


def chosen(replicas: int) -> Chosen:
    if replicas == 1:
        return choose(Execution("one"))
    return choose(Execution("mirrored", virtual_devices=replicas))


def layers(*between: Any) -> list[Any]:
    first = keras.layers.Dense(8, activation="tanh")
    return [keras.Input((4,)), first, *between, keras.layers.Dense(1, dtype="float32")]


def stepper(
    replicas: int,
    optimizer: Callable[[], Any] = lambda: keras.optimizers.Adam(0.01),
    made: Callable[[], list[Any]] = layers,
    *,
    precision: str = "float32",
    together: int = 1,
    network: type[keras.Sequential] = keras.Sequential,
    metrics: Callable[[], list[Any]] = list,
) -> Any:
    """A stepper of a small network on so many replicas."""
    on = chosen(replicas)
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    with precise(precision), mirrored_layers(on.strategy):
        built = network(made())
    with on.scope():
        built.compile(optimizer(), "mse", metrics=metrics(), weighted_metrics=["mae"])
    if on.strategy is None:
        return TensorFlowStepper(built, together)
    return ReplicaStepper(built, on.strategy, together)


def trained(runs: Stepper, steps: int = 7, start: int = 0) -> list[Any]:
    runs.begin(batches(start))
    runs.run(steps)
    return runs.weights()


def apart(one: list[Any], other: list[Any]) -> float:
    return max(float(np.abs(a.astype("f8") - b.astype("f8")).max()) for a, b in zip(one, other, strict=True))


def equal(one: Any, other: Any) -> bool:
    keys = sorted(one)
    return keys == sorted(other) and all(np.array_equal(one[key], other[key]) for key in keys)


def cuts() -> Any:
    """The examples of each replica, in two batches of 24 on four replicas."""
    runs = stepper(4)
    numbers = tf.data.Dataset.range(48).map(lambda n: (tf.cast([n] * 4, tf.float32), n)).batch(BATCH)
    found = []
    for features, _ in runs._iterate(numbers):
        found.append([part.numpy()[:, 0].astype(int).tolist() for part in features.values])
    return found


def _apart_by_optimizer(tried: dict[str, Callable[[], Any]]) -> dict[str, float]:
    return {name: apart(trained(stepper(1, make)), trained(stepper(2, make))) for name, make in tried.items()}


def optimizers() -> Any:
    """How far the weights of two replicas are from those of one device."""
    of = keras.optimizers
    return _apart_by_optimizer(
        {
            "global_clipnorm": lambda: of.SGD(0.1, global_clipnorm=0.1),
            "accumulated": lambda: of.Adam(0.01, gradient_accumulation_steps=3, global_clipnorm=0.5),
        }
    )


def more_optimizers() -> Any:
    """The same for others."""
    of = keras.optimizers
    return _apart_by_optimizer(
        {
            "adam": lambda: of.Adam(0.01),
            "schedule": lambda: of.SGD(of.schedules.CosineDecay(0.1, 9), momentum=0.9),
            "clipnorm": lambda: of.SGD(0.1, clipnorm=0.1),
            "clipvalue": lambda: of.SGD(0.1, clipvalue=0.05),
            "decayed": lambda: of.AdamW(0.01, weight_decay=0.1, use_ema=True),
        }
    )


def replicas() -> Any:
    """How far the weights of more replicas are from those of one device."""
    one = trained(stepper(1))
    return {count: apart(one, trained(stepper(count))) for count in (3, 8)}


def counted() -> list[Any]:
    """A metric whose sums are whole numbers: of answers below and above a bound."""
    return [keras.metrics.BinaryIoU(threshold=4.0, target_class_ids=[0])]


def metrics() -> Any:
    """Of an uneven pass, and of training, on one device and on several."""
    found = {}
    held_out = tf.data.Dataset.from_tensor_slices((X[:53], Y[:53], WEIGHTS[:53])).batch(20)
    for count in (1, 2, 3):
        runs = stepper(count, metrics=counted)
        runs.begin(batches())
        checked = runs.evaluate(held_out)
        runs.reset()
        runs.run(3)
        elsewhere = stepper(5 - count, metrics=counted)
        elsewhere.begin(batches())
        elsewhere.restore(runs.state())
        found[count] = [checked, runs.metrics(), elsewhere.metrics()]
    return found


def normalized() -> list[Any]:
    return layers(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=3))


def resumed() -> Any:
    """Whether three steps, a stop and four more are the same bits as seven, with dropout and the like."""
    whole = stepper(2, made=normalized)
    trained(whole)
    first = stepper(2, made=normalized)
    trained(first, 3)
    state = first.state()
    second = stepper(2, made=normalized)
    second.begin(batches(3 * BATCH))
    second.restore(state)
    second.run(4)
    copies = [[part.numpy() for part in whole._parts(v)] for v in whole.network.variables]
    return {
        "bits": equal(whole.state(), second.state()),
        "metrics": whole.metrics() == second.metrics(),
        "copies": all(np.array_equal(each[0], each[1]) for each in copies),
    }


def moved() -> Any:
    """From one replica to two and back, against one device all the way."""
    whole = trained(stepper(1))
    found = {}
    for before, after in ((1, 2), (2, 1)):
        first = stepper(before)
        trained(first, 3)
        second = stepper(after)
        second.begin(batches(3 * BATCH))
        second.restore(first.state())
        second.run(4)
        found[f"{before} to {after}"] = apart(whole, second.weights())
    return found


def together() -> Any:
    """Several steps in one go against single ones."""
    single, several = stepper(2, made=normalized), stepper(2, made=normalized, together=3)
    trained(single)
    trained(several)
    return equal(single.state(), several.state())


class Masks(keras.Sequential):
    """Tells which mask each replica drew: the mean of what dropout lets through, by replica."""

    def train_step(self, data: Any) -> Any:
        self(data[0], training=True)
        mask = self.layers[-1](tf.ones((1, 64)), training=True)
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        powers = tf.constant(2.0, tf.float64) ** tf.cast(tf.range(32), tf.float64)
        code = tf.reduce_sum(tf.cast(mask[0, :32] > 0, tf.float64) * powers)
        # Logs are averaged over the replicas.
        return {str(r): tf.where(tf.equal(number, r), code * 2, 0.0) for r in range(2)}


def masks() -> Any:
    """Of two steps, each of two replicas; and again; and of one device."""

    def dropout() -> list[Any]:
        return [keras.Input((4,)), keras.layers.Dropout(0.5, seed=1)]

    def drawn(count: int) -> Any:
        runs, found = stepper(count, made=dropout, network=Masks), []
        runs.begin(batches())
        for _ in range(2):
            runs.run(1)
            found.append(runs.metrics())
        return [[step["0"], step["1"]] for step in found]

    single = [step[0] / 2 for step in drawn(1)]
    return {"first": drawn(2), "again": drawn(2), "one": single}


def float16() -> Any:
    """Loss scaling, bit-equal after a stop."""
    return _in_sixteen_bits("float16")


def bfloat16() -> Any:
    """The same without scaling."""
    return _in_sixteen_bits("bfloat16")


def _in_sixteen_bits(precision: str) -> Any:
    whole, first, second = (stepper(2, made=normalized, precision=precision) for _ in range(3))
    trained(whole)
    trained(first, 3)
    second.begin(batches(3 * BATCH))
    second.restore(first.state())
    second.run(4)
    optimizer = whole.network.optimizer
    return {
        "bits": equal(whole.state(), second.state()),
        "optimizer": type(optimizer).__name__,
        "scales": sum(variable.path.endswith("dynamic_scale") for variable in optimizer.variables),
        "loss": whole.metrics()["loss"],
    }


def overflow() -> Any:
    """A step whose gradients overflow in the second replica's rows alone."""
    runs = stepper(2, precision="float16")
    large = np.where(np.arange(BATCH)[:, None] < BATCH // 2, 1.0, 6e4).astype("float32")
    features = np.broadcast_to(large, (BATCH, 4)).copy()
    runs.begin(tf.data.Dataset.from_tensors((features, Y[:BATCH] * 1e6)).repeat())
    before, scale = runs.weights(), float(runs.network.optimizer.dynamic_scale.numpy())
    runs.run(1)
    after = float(runs.network.optimizer.dynamic_scale.numpy())
    return {"scale": [scale, after], "changed": apart(before, runs.weights())}


def compiled() -> Any:
    """Steps of one device that XLA compiles: whether three, a stop and four more are the bits of seven."""

    def made() -> Any:
        runs = stepper(1, made=normalized)
        compile_by_xla(runs.network)
        return runs

    whole, first, second = made(), made(), made()
    trained(whole)
    trained(first, 3)
    second.begin(batches(3 * BATCH))
    second.restore(first.state())
    second.run(4)
    return {"xla": whole.network.jit_compile, "bits": equal(whole.state(), second.state())}


QUICK = (cuts, optimizers, metrics, resumed, moved, masks, overflow)
SLOW = (more_optimizers, replicas, together, float16, bfloat16, compiled)


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
    tf.config.experimental.enable_op_determinism()
    asked = SLOW if sys.argv[1:] == ["slow"] else QUICK
    print(json.dumps({tried.__name__: tried() for tried in asked}))


if __name__ == "__main__":
    main()
