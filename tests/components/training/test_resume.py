"""A training goes on from any of its checkpoints, and ends with the weights of one that wasn't disturbed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from headrace.components import train
from headrace.components.train import facts_that_stay
from headrace.components.training.checkpoint_rule import CheckpointRule, checkpoint_problems
from headrace.components.training.checkpoints import Checkpoints, read_arrays, write_arrays
from headrace.pipelines.artifact import Model
from headrace.pipelines.context import Context
from headrace.pipelines.errors import StepError
from headrace.pipelines.resumable import Resumables

from ..model_path import ODD_FEATURES, Paths, Prepared, odd_splits
from .test_stages import table

TABLE = {name: ODD_FEATURES[name] for name in ("größe", "A")}
IMAGES = {"image": [{"decode": "grayscale"}, {"resize": [8, 8]}, {"scale": "zero_one"}]}


class Attempts(Paths):
    """Attempts of one training, each with the same folder to go on from."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "locks").mkdir()

    @property
    def kept(self) -> Path:
        (folder,) = (self._folder / "resumable").iterdir()
        return folder

    def ctx(self) -> Context:
        made = super().ctx()
        made.resumables = Resumables(self._folder, made.staging, "run", "rest", {})
        return made

    def train(self, path: Prepared, **parameters: Any) -> Model:
        ctx = self.ctx()
        try:
            return train.function(ctx, path.examples, path.transform, **parameters)
        finally:
            assert ctx.resumables is not None
            ctx.resumables.release()

    def said(self) -> list[str]:
        return [str(event["say"]) for event in self.events if "say" in event]


def require_equal_from_some(
    attempts: Attempts, prepared: Prepared, within: Sequence[int], **told: Any
) -> None:
    """Trains once, and then again from a checkpoint in the middle of each of these stages, from 0."""
    whole = attempts.train(prepared, **told, checkpoints={"every_steps": 3, "keep": 1000})
    folder = attempts.kept
    files = folder.rename(attempts._folder / "files")
    names = sorted(path.name for path in files.glob("checkpoint-*"))
    by_stage = [[name for name in names if f"-{stage:03d}-" in name] for stage in within]
    for name in [one[len(one) // 2] for one in by_stage]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(files, folder, ignore=lambda *_, one=name: set(names) - {one})
        again = attempts.train(prepared, **told, checkpoints={"every_steps": 4})
        assert any("goes on from epoch" in text for text in attempts.said()), name
        assert again.properties["weights"] == whole.properties["weights"], name
        assert again.digest == whole.digest, name
        assert again.read_json("model.json") == whole.read_json("model.json"), name
        assert len(list(attempts.kept.glob("checkpoint-*"))) <= 2


STAGES = [
    {"epochs": 2, "learning_rate": 0.05},
    {"epochs": 2, "freeze": 1, "learning_rate": 0.01},
    {"epochs": 6, "learning_rate": 0.2, "patience": 1, "learning_rate_schedule": "constant"},
]
DROPOUT = {"hidden_units": [8, 8], "dropout": 0.3}


def test_a_table_in_the_middle_of_a_stage_with_frozen_layers(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    prepared = attempts.prepare(odd_splits(), TABLE, "ok")
    told: dict[str, Any] = {"model_args": DROPOUT, "batch_size": 24, "metrics": ["auc"], "stages": STAGES[:2]}
    require_equal_from_some(attempts, prepared, [1], **told)


@pytest.mark.slow
def test_every_stage_of_a_table_with_patience_and_an_optimizer_that_averages(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    prepared = attempts.prepare(odd_splits(), TABLE, "ok")
    told: dict[str, Any] = {"model_args": DROPOUT, "batch_size": 24, "stages": STAGES}
    told["optimizer"] = {"adamw": {"use_ema": True, "gradient_accumulation_steps": 2}}
    require_equal_from_some(attempts, prepared, [0, 1, 2], **told)


@pytest.mark.slow
def test_images_with_augmentation_and_several_steps_at_once(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    whole = table(120)
    prepared = attempts.prepare({"train": whole.slice(0, 80), "validation": whole.slice(80)}, IMAGES, "side")
    told: dict[str, Any] = {"model": "cnn", "model_args": {"width": 0.25, "depth": 0.5, "dropout": 0.3}}
    told |= {"augment": [{"flip": "horizontal"}, {"rotate": 10}], "batch_size": 12, "epochs": 4}
    require_equal_from_some(attempts, prepared, [0], **told)
    plain = attempts.train(prepared, **told)
    shutil.rmtree(attempts.kept)
    assert attempts.train(prepared, **told, steps_per_execution=4).digest == plain.digest


def test_a_damaged_checkpoint_is_left_out_for_the_one_before(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    prepared = attempts.prepare(odd_splits(), TABLE, "Klasse")
    told = {"batch_size": 24, "epochs": 3, "learning_rate": 0.01}
    whole = attempts.train(prepared, **told, checkpoints={"every_steps": 4, "keep": 3})
    before, last = sorted(attempts.kept.glob("checkpoint-*"))[-2:]
    last.write_bytes(last.read_bytes()[:-100])
    (attempts.kept / ".checkpoint-000-0000000900.npz").write_bytes(b"half")
    again = attempts.train(prepared, **told)
    warned = [str(event["warn"]) for event in attempts.events if "warn" in event]
    assert any(last.name in text and "damaged" in text for text in warned)
    assert any("goes on from epoch 3, example 64" in text for text in attempts.said())
    assert again.digest == whole.digest and before.exists()
    assert not list(attempts.kept.glob(".*")), "what a kill left half written is removed"
    for path in attempts.kept.glob("checkpoint-*"):
        path.write_bytes(b"")
    assert attempts.train(prepared, **told).digest == whole.digest
    assert not any("goes on" in text for text in attempts.said())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    prepared = attempts.prepare(odd_splits(), TABLE, "Klasse")
    told: dict[str, Any] = {"batch_size": 24, "epochs": 1, "checkpoints": {"every_steps": 2}}
    attempts.train(prepared, **told, model_args={"hidden_units": [8]})
    with pytest.raises(StepError, match="can't go on from the last checkpoint: the state is of another"):
        attempts.train(prepared, **told, model_args={"hidden_units": [4]})


def test_a_state_that_is_no_number_is_not_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, CheckpointRule(every_steps=1))
    about = {"stage": 0, "step": 1, "best_epoch": 0}
    kept.write(about, lambda: {"model/0": np.ones(3, np.float32)}, None)
    kept.write({**about, "step": 2}, lambda: {"model/0": np.array([1, np.nan], np.float32)}, None)
    kept.close()
    found = kept.latest()
    assert found is not None and found.course["step"] == 1 and found.best is None
    np.testing.assert_array_equal(found.variables["model/0"], np.ones(3))


def test_arrays_come_back_bit_by_bit(tmp_path: Path) -> None:
    given = {
        "a/0": np.array([1.5, -0.0, np.inf], np.float32),
        "a/1": np.array(7, np.int64),
        "a/2": np.array([1.5, 3.0], ml_dtypes.bfloat16),
        "a/3": np.zeros((0, 2), np.uint32),
    }
    write_arrays(tmp_path / "some.npz", given)
    found = read_arrays(tmp_path / "some.npz")
    assert list(found) == list(given)
    for key, value in given.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape
        assert found[key].tobytes() == value.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["some.npz"]


def test_when_a_checkpoint_is_due() -> None:
    default = CheckpointRule.of(None)
    assert not default.is_due(10**6, 59.0, 0.1) and default.is_due(1, 60.0, 0.1)
    assert not default.is_due(1, 99.0, 3.0) and default.is_due(1, 100.1, 3.0), "3 % of the time at most"
    steps = CheckpointRule.of({"every_steps": 5, "keep": 4})
    assert steps.is_due(5, 0.0, 9.0) and not steps.is_due(4, 1e9, 0.0) and steps.keep == 4
    assert CheckpointRule.of({"every_minutes": 0.5}).is_due(1, 30.0, 0.0)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"every_step": 5}, "has no 'every_step'; did you mean 'every_steps'"),
        ({"every_steps": 0}, "every_steps has to be a whole number, 1 or more, not 0"),
        ({"keep": True}, "keep has to be"),
        ({"every_minutes": -1}, "every_minutes has to be a number above 0"),
        ({"every_minutes": 1, "every_steps": 5}, "not both"),
    ],
)
def test_what_checkpoints_cant_be_told(told: dict[str, Any], text: str) -> None:
    (problem,) = checkpoint_problems(told)
    assert text in str(problem) and problem.argument == "checkpoints"
    assert not checkpoint_problems({"every_minutes": 0.1, "keep": 5}) and not checkpoint_problems(None)


def test_another_factor_of_the_learning_rate_is_another_training() -> None:
    def facts(rule: str, replicas: int) -> list[Any]:
        return facts_that_stay(64, [], rule, replicas)

    assert facts("linear", 2) != facts("sqrt", 2) != facts("none", 2)
    assert facts("linear", 4) == facts("sqrt", 16) and facts("linear", 1) == facts("none", 8)


OWN_STEP = """
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable("headrace_tests")
class Rivals(keras.Model):
    # Two optimizers, and noise from the generator that Keras has for those who give no seed.
    def __init__(self, inputs, outputs):
        super().__init__()
        self.sizes = {"inputs": inputs, "outputs": outputs}
        self.first = keras.layers.Dense(8, activation="relu")
        self.last = keras.layers.Dense(outputs, activation="sigmoid")
        self.slow = keras.optimizers.Adam(0.01)
        self.loss_seen = keras.metrics.Mean(name="loss")
        self.build((None, inputs))

    def get_config(self):
        return self.sizes

    def build(self, shape):
        self.first.build(shape)
        self.last.build((None, 8))
        self.slow.build(self.last.trainable_variables)
        self.built = True

    def call(self, x, training=False):
        return self.last(self.first(x + keras.random.normal(tf.shape(x), stddev=0.1) if training else x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, self(x, training=True)))
        for optimizer, layer in ((self.optimizer, self.first), (self.slow, self.last)):
            gradients = tape.gradient(loss, layer.trainable_variables)
            optimizer.apply(gradients, layer.trainable_variables)
        self.loss_seen.update_state(loss)
        return {"loss": self.loss_seen.result()}

def rivals(inputs, outputs, task):
    return Rivals(inputs, outputs)
"""


@pytest.mark.slow
def test_a_train_step_with_two_optimizers_and_noise_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own_step.py").write_text(OWN_STEP)
    attempts = Attempts(tmp_path)
    prepared = attempts.prepare(odd_splits(), TABLE, "ok")
    told = {"model": f"{tmp_path}/own_step.py:rivals", "batch_size": 24, "epochs": 4}
    require_equal_from_some(attempts, prepared, [0], **told)
