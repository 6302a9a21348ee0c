"""The optimizers of Keras with their arguments: what is checked, what they do, how they are resumed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from headrace.components import train
from headrace.components.training.networks import load_network
from headrace.components.training.optimizer_making import averaged, make_optimizer, planned_rate
from headrace.components.training.optimizers import (
    COMMON_ARGUMENTS,
    OPTIMIZER_ARGUMENTS,
    optimizer_problems,
    parse_optimizer,
)
from headrace.components.training.steps import TensorFlowStepper
from headrace.pipelines.errors import InvalidRequestError

from ..model_path import ODD_FEATURES, Paths, Prepared, odd_splits

Floats = npt.NDArray[np.float32]
STEPS, BATCH = 24, 8
X: Floats = np.random.default_rng(0).normal(size=(STEPS * BATCH, 5)).astype(np.float32)
Y: Floats = (X @ np.arange(5, dtype=np.float32))[:, None]


def compiled(
    told: Any, schedule: Any = "constant", rate: float | None = 0.1, dropout: float = 0.0
) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)]
    if dropout:
        layers.insert(2, keras.layers.Dropout(dropout))
    network = keras.Sequential(layers)
    network.compile(make_optimizer(told, rate, schedule, STEPS / 4, STEPS), "mse")
    return network


def begun(network: keras.Model, first: int = 0, batch: int = BATCH) -> TensorFlowStepper:
    """A stepper on the rows from a batch on, again and again."""
    rows = tf.data.Dataset.from_tensor_slices((X[first * batch :], Y[first * batch :]))
    stepper = TensorFlowStepper(network)
    stepper.begin(rows.batch(batch, drop_remainder=True).repeat())
    return stepper


def trained(network: keras.Model, steps: int, batch: int = BATCH) -> list[Floats]:
    begun(network, batch=batch).run(steps)
    weights: list[Floats] = network.get_weights()
    return weights


def test_the_table_is_that_of_the_installed_keras() -> None:
    own = {"optimizer", "multioptimizer", "optimizermap", "lossscaleoptimizer", "lamb"}
    theirs = {name.lower() for name, cls in vars(keras.optimizers).items() if inspect.isclass(cls)} - own
    assert set(OPTIMIZER_ARGUMENTS) == theirs
    for name, kinds in OPTIMIZER_ARGUMENTS.items():
        parameters = inspect.signature(type(keras.optimizers.get(name)).__init__).parameters
        accepted = set(parameters) - {"self", "kwargs", "learning_rate", "name"}
        assert set(kinds) | set(COMMON_ARGUMENTS) == accepted, name
        for key, parameter in parameters.items():
            kind = {**kinds, **COMMON_ARGUMENTS}.get(key)
            if isinstance(parameter.default, bool) or kind == "switch":
                assert isinstance(parameter.default, bool) and kind == "switch", (name, key)
            elif kind in ("share", "number", "positive", "count") and parameter.default is not None:
                assert parameter.default >= 0, (name, key)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("adm", "Keras has no optimizer 'adm'; did you mean 'adam'?"),
        ({"adam": {"beta1": 0.8}}, "adam has no argument 'beta1'; did you mean 'beta_1'?"),
        ({"adam": {}, "sgd": {}}, "the names here are: adam, sgd"),
        ({"sgd": 0.1}, "the rate is the step's learning_rate"),
        ({"sgd": {"learning_rate": 0.1}}, "give it to the step: learning_rate"),
        ({"sgd": {"momentum": 2}}, "sgd.momentum has to be a number from 0 to 1, not 2"),
        ({"sgd": {"nesterov": 1}}, "true or false"),
        ({"sgd": {"clipnorm": 0}}, "a number above 0"),
        ({"sgd": {"clipnorm": 1, "clipvalue": 1}}, "only one of clipnorm, clipvalue can be given"),
        ({"sgd": {"gradient_accumulation_steps": 1}}, "from 2 on"),
        ({"sgd": {"gradient_accumulation_steps": 2.5}}, "a whole number"),
        ({"sgd": {"ema_momentum": 0.9}}, "says nothing without use_ema: true"),
        ({"sgd": {"exclude_from_weight_decay": ["bias"]}}, "says nothing without weight_decay"),
        ({"adam": {"epsilon": float("nan")}}, "a number from 0 on, not nan"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_before_a_run(told: Any, said: str) -> None:
    (problem,) = optimizer_problems(told)
    assert problem.argument == "optimizer" and said in str(problem)
    assert train.checker is not None
    assert problem in train.checker({"optimizer": told}, {})[0]
    (of_stage,), _ = train.checker({"stages": [{"optimizer": told}]}, {})
    assert of_stage.argument == "stages" and said in str(of_stage) and "stage 1: " in str(of_stage)
    with pytest.raises(InvalidRequestError):
        make_optimizer(told, None, "constant", 1.0, 10)


def test_names_and_arguments() -> None:
    assert parse_optimizer("AdamW") == ("adamw", {}, [])
    told = {"SGD": {"momentum": 0.9, "nesterov": True, "clipnorm": None}}
    assert parse_optimizer(told) == ("sgd", {"momentum": 0.9, "nesterov": True}, [])
    assert optimizer_problems({"adam": {"beta_1": "${params.beta}"}}) == []
    made = make_optimizer({"rmsprop": {"rho": 0.8, "centered": True}}, None, "constant", 1.0, 10)
    assert isinstance(made, keras.optimizers.RMSprop)
    assert (made.rho, made.centered, float(made.learning_rate)) == (0.8, True, np.float32(0.001))


def test_gradients_that_are_added_up_are_those_of_one_large_batch() -> None:
    small = {"gradient_accumulation_steps": 4}
    one = trained(compiled({"sgd": {}}), 6, 4 * BATCH)
    four = trained(compiled({"sgd": small}), 24)
    for a, b in zip(one, four, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    still = trained(compiled({"sgd": small}), 3)
    for a, b in zip(still, compiled("sgd").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_schedule_means_epochs_also_where_gradients_are_added_up() -> None:
    """The rate of a change is that of the batch that it comes with, of 24, and not of the 6 changes."""
    schedule = {"polynomial": {"final": 0.0}}
    network = compiled({"sgd": {"gradient_accumulation_steps": 4}}, schedule)
    stepper = begun(network)
    for change in range(1, 7):
        stepper.run(3)
        before = np.array(network.layers[-1].bias)
        assert float(network.optimizer.learning_rate) == pytest.approx(0.1 * (1 - (4 * change - 1) / STEPS))
        stepper.run(1)
        assert np.any(np.array(network.layers[-1].bias) != before)
    assert stepper.learning_rate() == 0.0
    # The same by hand: the mean gradient of four batches at the rate of the fourth.
    by_hand = compiled("sgd", rate=0.1 * (1 - 3 / STEPS))
    first = compiled({"sgd": {"gradient_accumulation_steps": 4}}, schedule)
    for a, b in zip(trained(by_hand, 1, 4 * BATCH), trained(first, 4), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped() -> None:
    """A plain step of SGD moves the weights by rate times gradient, so that its length is known."""
    for told, bound in (({"global_clipnorm": 0.5}, 0.5), ({"clipvalue": 0.01}, None)):
        network = compiled({"sgd": told})
        before = network.get_weights()
        moved = [(a - b) / 0.1 for a, b in zip(before, trained(network, 1), strict=True)]
        if bound is not None:
            assert np.sqrt(sum(np.sum(m**2) for m in moved)) == pytest.approx(bound, rel=1e-4)
        else:
            assert max(np.max(np.abs(m)) for m in moved) == pytest.approx(0.01, rel=1e-3)


def test_weight_decay_leaves_out_what_is_named() -> None:
    """Keras decays biases too unless they are named."""
    for excluded in ([], ["bias"]):
        told = {"weight_decay": 0.5, **({"exclude_from_weight_decay": excluded} if excluded else {})}
        network = compiled({"adam": {**told, "global_clipnorm": 1e-30}})
        for layer in network.layers:
            layer.bias.assign(layer.bias + 1)
        before = {weight.path: np.array(weight) for weight in network.weights}
        trained(network, 1)
        for weight in network.weights:
            decays = not (excluded and weight.name == "bias")
            share = 1 - 0.1 * 0.5 if decays else 1.0
            np.testing.assert_allclose(np.array(weight), share * before[weight.path], rtol=1e-5)


@pytest.mark.parametrize(
    ("told", "schedule"),
    [
        ({"adam": {"use_ema": True, "gradient_accumulation_steps": 4, "global_clipnorm": 1}}, "one_cycle"),
        ({"nadam": {"use_ema": True, "ema_overwrite_frequency": 3}}, {"cosine": {}, "warmup": 1}),
        pytest.param({"schedulefreeadamw": {"weight_decay": 0.01}}, "constant", marks=pytest.mark.slow),
        pytest.param({"muon": {}}, {"plateau": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_what_was_interrupted_goes_on_bit_by_bit(told: Any, schedule: Any) -> None:
    def made() -> keras.Model:
        return compiled(told, schedule, None, dropout=0.3)

    whole, half = begun(made()), begun(made())
    whole.run(10)
    half.run(5)
    state = half.state()
    again = begun(made(), 5)
    again.run(1)  # so that everything has changed before it is put back
    again = begun(again.network, 5)
    again.restore(state)
    again.run(5)
    expected, found = whole.state(), again.state()
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        if not key.startswith("metric"):
            np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_a_moving_average_is_used_for_a_while() -> None:
    network = compiled({"sgd": {"use_ema": True, "ema_momentum": 0.5}})
    first = trained(network, 1)
    stepper = begun(network)
    stepper.run(1)
    last = network.get_weights()
    with averaged(network):
        for a, b, average in zip(first, last, network.get_weights(), strict=True):
            np.testing.assert_allclose(average, (a + b) / 2, rtol=1e-5, atol=1e-7)
    for a, b in zip(last, network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    plain = compiled("sgd")
    trained(plain, 1)
    before = plain.get_weights()
    with averaged(plain):
        np.testing.assert_array_equal(before[0], plain.get_weights()[0])


# in `train`


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("optimizers"))


@pytest.fixture(scope="module")
def multiclass(paths: Paths) -> Prepared:
    some = {name: ODD_FEATURES[name] for name in ("größe", "A")}
    return paths.prepare(odd_splits(), some, "Klasse")


def test_the_average_is_validated_and_kept(paths: Paths, multiclass: Prepared, tmp_path: Path) -> None:
    """At a rate that throws the weights about, the average of them is better than the last ones."""
    told: dict[str, Any] = {
        "model_args": {"hidden_units": []}, "learning_rate": 0.3, "learning_rate_schedule": "constant",
        "epochs": 6, "seed": 1,
    }  # fmt: skip
    model = paths.train(multiclass, optimizer={"adam": {"use_ema": True, "ema_momentum": 0.98}}, **told)
    plain = paths.train(multiclass, optimizer="adam", **told)
    about, other = model.read_json("model.json"), plain.read_json("model.json")
    assert about["settings"]["optimizer"] == {"adam": {"use_ema": True, "ema_momentum": 0.98}}
    # Training itself is the same, so that the same losses are seen there, and others in validation.
    for a, b in zip(about["history"], other["history"], strict=True):
        assert a["loss"] == b["loss"] and a["val_loss"] != b["val_loss"]
    assert load_network(model).get_weights()[0].shape == load_network(plain).get_weights()[0].shape
    best = about["history"][about["best_epoch"] - 1]
    assert best["val_loss"] == min(row["val_loss"] for row in about["history"])


def test_the_rate_follows_the_losses(paths: Paths, multiclass: Prepared) -> None:
    """With a rate that can learn nothing, no loss is better by so much, and the rate sinks each time."""
    schedule = {"plateau": {"factor": 0.5, "patience": 2, "min_delta": 1.0}, "warmup": 1}
    from headrace.components.training.on_plateau import OnPlateau

    network = compiled("adam", schedule)
    rate = planned_rate(network.optimizer)
    assert rate is not None and rate.scale is not None
    stepper = begun(network)
    follower = OnPlateau()
    follower.begin_stage(None, stepper)  # type: ignore[arg-type] - it asks the optimizer
    seen = []
    for _ in range(6):
        stepper.run(6)
        follower.after_epoch({"loss": 1.0}, stepper)
        seen.append(stepper.learning_rate())
    np.testing.assert_allclose(seen, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    again = OnPlateau()
    again.begin_stage(None, stepper)  # type: ignore[arg-type]
    again.restore(follower.state())
    assert again.state() == follower.state() and follower.state()["scale"] == 0.25
    model = paths.train(multiclass, learning_rate_schedule=schedule, epochs=4)
    assert model.read_json("model.json")["settings"]["learning_rate_schedule"] == schedule
