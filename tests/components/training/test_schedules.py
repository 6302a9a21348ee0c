"""Learning-rate schedules: against NumPy, against Keras' own, and as they are written."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from headrace.components.training.plateau import Plateau, PlateauState
from headrace.components.training.rates import PlannedRate
from headrace.components.training.schedule_grammar import RatePlan, parse_schedule, schedule_problems
from headrace.components.training.schedules import SCHEDULES, Cosine, Name, Step
from headrace.pipelines.errors import InvalidRequestError

RATE = 0.02
PER_EPOCH = 6.25
"""Batches an epoch: 100 examples in batches of 16, so that epochs end in the middle of a batch."""
EPOCHS = 12
NEEDED = {"time": 0.5, "step": 3, "exponential": 0.8, "cosine_restarts": 3}
"""The first arguments of those that need one."""
STEPS = int(PER_EPOCH * EPOCHS)


def rates(told: Any, steps: int = STEPS + 3, *, per_epoch: float = PER_EPOCH, total: int = STEPS) -> Any:
    rate = PlannedRate(RATE, told, per_epoch, total)
    return np.array([float(rate(step)) for step in range(steps)])


def cosine(t: Any, final: float = 0.0) -> Any:
    return final + (1 - final) * (1 + np.cos(np.pi * np.minimum(t, 1.0))) / 2


STEP = np.arange(STEPS + 3, dtype=np.float64)
AT = np.minimum(STEP, STEPS)
EPOCH = AT / PER_EPOCH


def restarts(first: float, t_mul: float, m_mul: float) -> Any:
    """Cycle by cycle; each begins with the first step that begins in it."""
    shares, start, length, top = np.zeros(STEPS), 0.0, first, 1.0
    while start < EPOCHS:
        a, b = math.ceil(start * PER_EPOCH), math.ceil((start + length) * PER_EPOCH)
        inside = np.arange(a, min(b, STEPS))
        shares[inside] = top * cosine((inside - a) / (b - a))
        start, length, top = start + length, length * t_mul, top * m_mul
    return shares


def one_cycle(rise: float, initial: float, final: float) -> Any:
    top = round(rise * STEPS)
    up = initial + (1 - initial) * (1 - np.cos(np.pi * STEP / top)) / 2
    down = cosine((STEP - top) / (STEPS - top), final)
    return np.where(top > STEP, up, down)


@pytest.mark.parametrize(
    ("told", "share"),
    [
        ("constant", np.ones_like(STEP)),
        ({"time": 0.5}, 1 / (1 + 0.5 * EPOCH)),
        ({"step": {"every": 2.5, "factor": 0.3}}, 0.3 ** np.floor(np.minimum(EPOCH, EPOCHS) / 2.5)),
        ({"step": {"at": [1, 7.5], "factor": 0.1}}, np.where(EPOCH < 1, 1, np.where(EPOCH < 7.5, 0.1, 0.01))),
        ({"exponential": 0.8}, 0.8**EPOCH),
        ({"exponential": {"factor": 0.5, "every": 3}}, 0.5 ** (EPOCH / 3)),
        ("cosine", cosine(AT / STEPS)),
        ({"cosine": {"final": 0.1, "epochs": 4}}, cosine(AT / (4 * PER_EPOCH), 0.1)),
        ({"cosine_restarts": {"epochs": 1.5, "t_mul": 2, "m_mul": 0.5}}, restarts(1.5, 2, 0.5)),
        ({"cosine_restarts": {"epochs": 3, "t_mul": 1}}, restarts(3, 1, 1)),
        ({"polynomial": {"power": 2, "final": 0.2}}, 0.2 + 0.8 * (1 - AT / STEPS) ** 2),
        ("polynomial", 1 - AT / STEPS),
        ("one_cycle", one_cycle(0.3, 0.04, 4e-6)),
        ({"one_cycle": {"rise": 0.5, "initial": 0.1, "final": 0}}, one_cycle(0.5, 0.1, 0)),
        ("plateau", np.ones_like(STEP)),
    ],
)
def test_each_is_what_its_formula_says(told: Any, share: Any) -> None:
    given = rates(told)[: len(share)]
    np.testing.assert_allclose(given, RATE * share, rtol=2e-6, atol=2e-9)


def test_each_schedule_is_compared() -> None:
    compared = test_each_is_what_its_formula_says.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert get_args(Name) == tuple(SCHEDULES)
    assert {told if isinstance(told, str) else next(iter(told)) for told, _ in compared} == set(SCHEDULES)


def test_those_that_keras_has_are_those_of_keras() -> None:
    theirs = keras.optimizers.schedules
    per_epoch, total = 10, 120
    whole = {"per_epoch": per_epoch, "total": total}
    half = 5 * per_epoch
    pairs: list[tuple[Any, Any]] = [
        ({"time": 0.4}, theirs.InverseTimeDecay(RATE, per_epoch, 0.4)),
        ({"exponential": {"factor": 0.7, "every": 2}}, theirs.ExponentialDecay(RATE, 2 * per_epoch, 0.7)),
        ({"cosine": {"final": 0.05}}, theirs.CosineDecay(RATE, total, alpha=0.05)),
        (
            {"cosine": {"final": 0.05}, "warmup": {"epochs": 2, "start": 0.1}},
            theirs.CosineDecay(0.1 * RATE, 100, alpha=0.05, warmup_target=RATE, warmup_steps=20),
        ),
        (
            {"cosine_restarts": {"epochs": 2, "t_mul": 2, "m_mul": 0.8, "final": 0.1}},
            theirs.CosineDecayRestarts(RATE, 2 * per_epoch, 2.0, 0.8, 0.1),
        ),
        (
            {"polynomial": {"power": 3, "final": 0.25, "epochs": 5}},
            theirs.PolynomialDecay(RATE, half, 0.25 * RATE, 3),
        ),
        # There a rate holds up to its boundary, and here it sinks with the epoch's first step.
        (
            {"step": {"at": [3, 8], "factor": 0.1}},
            theirs.PiecewiseConstantDecay([29, 79], [RATE, 0.1 * RATE, 0.01 * RATE]),
        ),
    ]
    for told, other in pairs:
        expected = [float(other(step)) for step in range(total)]
        np.testing.assert_allclose(
            rates(told, total, **whole), expected, rtol=3e-5, atol=1e-8, err_msg=str(told)
        )


def test_a_warm_up_comes_before_any_of_them() -> None:
    for name in SCHEDULES:
        given = NEEDED.get(name)
        warmed = rates({name: given, "warmup": {"epochs": 4, "start": 0.25}}, STEPS)
        first = int(4 * PER_EPOCH)
        alone = rates({name: given}, STEPS - first, total=STEPS - first)
        np.testing.assert_allclose(warmed[first:], alone, rtol=1e-6, atol=1e-10, err_msg=name)
        ramp = 0.25 + 0.75 * np.arange(first) / first
        np.testing.assert_allclose(warmed[:first], ramp * alone[0], rtol=1e-6, err_msg=name)
    by_share = rates({"constant": None, "warmup": {"share": 0.2}})
    assert by_share[0] == 0 and by_share[14] < RATE
    assert by_share[15] == np.float32(RATE)
    assert rates({"cosine": None, "warmup": 99})[STEPS - 1] < RATE  # longer than the training: a ramp alone


def test_the_batch_size_does_not_matter() -> None:
    """The rate at an epoch is the same, however many steps an epoch has."""
    told = {"step": {"every": 1, "factor": 0.5}, "warmup": 1}
    for rows, batch in ((1000, 10), (1000, 7), (1000, 333), (64, 64)):
        per_epoch = rows / batch
        rate = PlannedRate(1.0, told, per_epoch, int(10 * per_epoch))
        for epoch in range(1, 9):
            first = math.ceil(epoch * rows / batch)  # the first step that begins in the epoch
            assert float(rate(first)) == 0.5 ** (epoch - 1), (rows, batch, epoch)
            if epoch > 1:
                assert float(rate(first - 1)) == 0.5 ** (epoch - 2), (rows, batch, epoch)


def test_float32_is_enough_for_long_trainings() -> None:
    per_epoch, epochs = 1_000_003.5, 1000
    total = int(per_epoch * epochs)
    sinking = PlannedRate(1.0, "cosine", per_epoch, total)
    for left in (1, 2, 1000):
        exact = math.sin(0.5 * math.pi * left / total) ** 2
        assert float(sinking(total - left)) == pytest.approx(exact, rel=1e-6)
    stepped = PlannedRate(1.0, {"step": {"every": 100, "factor": 0.5}}, per_epoch, total)
    place = math.ceil(700 * per_epoch)
    assert [float(stepped(place + n)) for n in (-1, 0)] == [0.5**6, 0.5**7]
    cycles = PlannedRate(1.0, {"cosine_restarts": {"epochs": 1, "t_mul": 1}}, per_epoch, total)
    place = math.ceil(999 * per_epoch)
    assert float(cycles(place)) == 1.0 and float(cycles(place - 1)) < 1e-11


def test_one_function_of_the_step_for_graphs_and_xla() -> None:
    told = {"cosine_restarts": {"epochs": 2, "m_mul": 0.5}, "warmup": 1}
    rate = PlannedRate(RATE, told, PER_EPOCH, STEPS)
    step = tf.Variable(0, dtype=tf.int64)
    ways = [rate, tf.function(rate), tf.function(rate, jit_compile=True)]
    for place in (0, 3, 7, 20, 74, 99):
        step.assign(place)
        values = [np.asarray(way(step)) for way in ways]
        assert values[0].dtype == np.float32
        np.testing.assert_allclose(values, values[0], rtol=1e-6)


def test_jax_gives_the_same_rates() -> None:
    told = [
        {"cosine_restarts": {"epochs": 2, "m_mul": 0.5}, "warmup": 1},
        {"step": {"at": [2, 5]}},
        "one_cycle",
    ]
    code = (
        "import json, sys, jax\n"
        "from headrace.components.training.rates import PlannedRate\n"
        f"made = [PlannedRate({RATE}, t, {PER_EPOCH}, {STEPS}) for t in json.loads(sys.argv[1])]\n"
        f"print(json.dumps([[float(jax.jit(r)(s)) for s in range(0, {STEPS}, 5)] for r in made]))\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, json.dumps(told)], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    for one, given in zip(told, json.loads(made.stdout.splitlines()[-1]), strict=True):
        np.testing.assert_allclose(given, rates(one, STEPS)[::5], rtol=1e-6, atol=1e-10)


def test_it_is_saved_with_the_optimizer() -> None:
    told = {"step": {"at": [2, 5]}, "warmup": {"epochs": 1, "start": 0.5}}
    optimizer = keras.optimizers.SGD(PlannedRate(RATE, told, PER_EPOCH, STEPS))
    again = keras.optimizers.deserialize(json.loads(json.dumps(keras.optimizers.serialize(optimizer))))
    for step in (0, 3, 20, 60):
        assert float(again._learning_rate(step)) == float(optimizer._learning_rate(step))


# as it is written


def test_names_first_arguments_and_arguments_by_name() -> None:
    assert parse_schedule("cosine") == (RatePlan(Cosine()), [])
    plan, problems = parse_schedule({"step": {"at": [3, 6], "factor": 0.1}, "warmup": 2})
    assert not problems
    assert plan.schedule == Step(at=(3.0, 6.0), factor=0.1) and plan.warmup.epochs == 2
    assert parse_schedule({"step": 4})[0].schedule == Step(every=4.0)
    for name in SCHEDULES:
        plan, problems = parse_schedule({name: NEEDED.get(name)})
        assert not problems and plan.schedule.name == name
    assert schedule_problems("${params.schedule}") == []


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("cosin", "there is no learning-rate schedule 'cosin'; did you mean 'cosine'?"),
        (3, "there is no learning-rate schedule 3"),
        ("time", "time needs the argument 'decay'"),
        ({"time": 0}, "decay has to be above 0"),
        ({"time": "x"}, "time.decay is 'x'"),
        ("step", "give either every"),
        ({"step": {"every": 2, "at": [3]}}, "give either every"),
        ({"step": {"at": [5, 3]}}, "at has to grow"),
        ({"step": {"every": 2, "factr": 1}}, "did you mean 'factor'?"),
        ({"step": float("inf")}, "every has to be finite"),
        ({"exponential": -1}, "factor has to be above 0"),
        ({"cosine": {"final": 2}}, "final is a share"),
        ({"cosine_restarts": {"epochs": 2, "t_mul": 0.5}}, "t_mul has to be 1 or more"),
        ({"polynomial": 0}, "power has to be above 0"),
        ({"one_cycle": {"anneal": "cos"}}, "available: cosine, linear"),
        ({"one_cycle": 1.5}, "rise is a share"),
        ({"plateau": 1}, "above 0 and below 1"),
        ({"plateau": {"patience": 0}}, "1 or more"),
        ({"constant": 3}, "constant takes no argument"),
        ({"warmup": 3}, "the names here are: none"),
        ({"cosine": {}, "step": 3}, "the names here are: cosine, step"),
        ({"cosine": {}, "warmup": -1}, "warmup: epochs can't be -1"),
        ({"cosine": {}, "warmup": {"epochs": 1, "share": 0.1}}, "give either epochs or share"),
        ({"cosine": {}, "warmup": {"epochs": 1, "start": 2}}, "start is a share"),
    ],
)
def test_what_is_wrong_is_told(told: Any, said: str) -> None:
    (problem,) = schedule_problems(told)
    assert problem.argument == "learning_rate_schedule"
    assert said in str(problem)
    with pytest.raises(InvalidRequestError):
        PlannedRate(RATE, told, PER_EPOCH, STEPS)


def test_what_is_written_is_checked_without_an_array_library() -> None:
    code = (
        "import sys; from headrace.components.training.schedule_grammar import schedule_problems as p\n"
        "assert p('cosin') and not p({'step': {'at': [3]}, 'warmup': 1})\n"
        "print({'numpy', 'tensorflow', 'keras', 'pyarrow'} & set(sys.modules))"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert made.stdout == "set()\n", made.stderr


# plateau


def of_keras(losses: list[float], told: Plateau) -> list[float]:
    """The rates that Keras' callback sets after each epoch."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(RATE), "mse")
    callback = keras.callbacks.ReduceLROnPlateau(
        "val_loss", told.factor, told.patience, min_delta=told.min_delta, cooldown=told.cooldown,
        min_lr=told.final * RATE, mode="min",
    )  # fmt: skip
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        found.append(float(model.optimizer.learning_rate))
    return found


def test_plateau_is_that_of_keras() -> None:
    draw = np.random.default_rng(3)
    losses = [float(loss) for loss in np.maximum(1 - 0.05 * np.arange(60), 0.4) + draw.normal(0, 0.02, 60)]
    for told in (
        Plateau(patience=3),
        Plateau(factor=0.5, patience=1, cooldown=1),
        Plateau(factor=0.5, patience=2, cooldown=3, min_delta=0.01),
        Plateau(factor=0.3, patience=2, final=0.05),
    ):
        state, scales = PlateauState(), []
        for loss in losses:
            state = PlateauState.from_json(json.loads(json.dumps(state.to_json()))).after(told, loss)
            scales.append(state.scale)
        np.testing.assert_allclose(RATE * np.array(scales), of_keras(losses, told), rtol=1e-6)
        assert len(set(scales)) > 2


def test_plateau_waits_for_the_warm_up() -> None:
    told = Plateau(factor=0.5, patience=2)
    state = PlateauState()
    for loss in (1.0, 3.0, 3.0, 3.0):
        state = state.after(told, loss, warmup=3.5)
    assert state == PlateauState(best=1.0, epochs=4)
    for loss in (2.0, 2.0):
        state = state.after(told, loss, warmup=3.5)
    assert state == PlateauState(scale=0.5, best=1.0, epochs=6)
    assert state.after(told, math.nan).best == 1.0
