"""Steps by JAX over eight virtual devices; run by `test_jax_steps`, since JAX needs a process of its own."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from headrace.components.strategies.choosing import choose
from headrace.components.training.jax_steps import JaxStepper
from headrace.components.training.settings import Execution
from headrace.pipelines.errors import InvalidRequestError

ROWS, BATCH = 1000, 48
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(ROWS, 6)).astype(np.float32)
Y = (X[:, :1] ** 2).astype(np.float32)


@keras.saving.register_keras_serializable("headrace_tests")
class OwnStep(keras.Model):
    """Halves the gradient's step by its own `train_step`, as Keras has it for JAX."""

    def train_step(self, state, data):
        logs, (trainable, *rest) = super().train_step(state, data)
        halves = [(old + new) / 2 for old, new in zip(state[0], trainable, strict=True)]
        return {"own": 2 * logs["loss"]}, (halves, *rest)


class TensorFlowStep(keras.Model):
    def train_step(self, data):
        raise AssertionError


def network(distribution, kind=keras.Model):
    keras.utils.clear_session()
    keras.distribution.set_distribution(distribution)
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(16, activation="relu")(inputs)
    hidden = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(hidden))
    made = kind(inputs, keras.layers.Dense(1)(hidden))
    rate = keras.optimizers.schedules.CosineDecay(0.01, 100)
    made.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return made


def endless(skip=0):
    rows = tf.data.Dataset.from_tensor_slices((X, Y)).repeat().skip(skip * BATCH)
    return rows.batch(BATCH, drop_remainder=True)


def equal(one, other):
    return set(one) == set(other) and all(np.array_equal(one[key], other[key]) for key in one)


def begun(distribution, skip=0, together=1, kind=keras.Model):
    stepper = JaxStepper(network(distribution, kind), together)
    stepper.begin(endless(skip))
    stepper.reset()
    return stepper


def main() -> None:
    chosen = choose(Execution("jax", virtual_devices=8))
    assert (chosen.replicas, chosen.share) == (8, None), chosen
    held_out = tf.data.Dataset.from_tensor_slices((X[:205], Y[:205])).batch(64)  # 13 are left over

    whole = begun(chosen.distribution)
    devices = {len(variable.value.sharding.device_set) for variable in whole.network.variables}
    assert devices == {8}, devices
    whole.run(30)
    halfway, running = whole.state(), whole.metrics()
    checked = whole.evaluate(held_out)
    whole.reset()
    whole.restore(halfway)
    assert whole.metrics() == running
    whole.run(25)

    try:
        whole.restore({**halfway, "random/00000": np.zeros(2, np.uint32)})
    except ValueError as error:
        assert "of another network" in str(error)
    else:
        raise AssertionError("the state of another network was taken")

    # Another network goes on from the state, several steps at once: the very same bits.
    resumed = begun(chosen.distribution, skip=30, together=4)
    resumed.restore(halfway)
    resumed.run(25)
    assert equal(resumed.state(), whole.state())
    assert resumed.metrics() == whole.metrics()
    assert resumed.learning_rate() == whole.learning_rate() < 0.01

    # Keras' own loop gives the same bits; so does one device, but for the order of sums.
    fitted = network(chosen.distribution)
    fitted.fit(endless(), steps_per_epoch=55, epochs=1, verbose=0, shuffle=False)
    assert all(np.array_equal(a, b) for a, b in zip(fitted.get_weights(), whole.weights(), strict=True))
    single = begun(None)
    single.run(30)
    for key, value in single.metrics().items():
        np.testing.assert_allclose(value, running[key], rtol=1e-5)
    for key, value in single.evaluate(held_out).items():
        np.testing.assert_allclose(value, checked[key], rtol=1e-5)
    for key, value in single.network.evaluate(held_out, verbose=0, return_dict=True).items():
        np.testing.assert_allclose(value, checked[key], rtol=1e-5)

    # Variables that share an array, as those of averaged weights do, are given to a step as two.
    shared = single.network.trainable_variables
    shared[2].assign(shared[1].value)
    single.run(1)

    own = begun(chosen.distribution, kind=OwnStep)
    own.run(2)
    assert set(own.metrics()) == {"own"}
    try:
        JaxStepper(network(None, TensorFlowStep))
    except InvalidRequestError as error:
        assert "written for TensorFlow" in str(error)
    else:
        raise AssertionError("a train_step of TensorFlow was taken")
    print("all is well")


main()
