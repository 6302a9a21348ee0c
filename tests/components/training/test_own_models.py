"""Classes of one's own below keras.Model: trained by their own step, resumed, loaded, exported, asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components import evaluate, export
from headrace.components.models import user
from headrace.components.predict import predict
from headrace.components.training.networks import load_network
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.worker_kinds import WorkerKind

from ..model_path import ODD_FEATURES, Prepared, odd_splits
from .test_resume import Attempts, require_equal_from_some

TABLE = {name: ODD_FEATURES[name] for name in ("größe", "A")}
MODELS = '''
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable("headrace_tests_own")
class Signs(keras.Model):
    """Its train_step is written as in Keras' guides: it learns by the signs of the gradients, and counts."""

    def __init__(self, outputs, features=None, **kwargs):
        super().__init__(**kwargs)
        self.outputs_told, self.features = outputs, features
        self.several = isinstance(outputs, dict)
        widths = outputs if self.several else {"only": outputs}
        self.heads = {key: keras.layers.Dense(n, activation="sigmoid") for key, n in widths.items()}
        self.layers_of_heads = list(self.heads.values())
        self.dropout = keras.layers.Dropout(0.2)
        self.steps_run = self.add_weight(shape=(), dtype="int32", trainable=False, name="steps_run")
        self.norm = keras.metrics.Mean("gradient_norm")

    def call(self, given, training=False):
        rows = given
        if self.features:
            rows = keras.ops.concatenate([given[key] for key in self.features], axis=-1)
        rows = self.dropout(rows, training=training)
        answers = {key: head(rows) for key, head in self.heads.items()}
        return answers if self.several else answers["only"]

    def train_step(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            answer = self(x, training=True)
            loss = self.compute_loss(x, y, answer, weight)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply([tf.sign(one) for one in gradients], self.trainable_variables)
        self.steps_run.assign_add(1)
        self.norm.update_state(tf.linalg.global_norm(gradients))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            elif metric.name == "compile_metrics":
                metric.update_state(y, answer)
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self):
        return {**super().get_config(), "outputs": self.outputs_told, "features": self.features}

def signs(inputs, outputs, task):
    return Signs(outputs)

def several(features, outputs, task):
    return Signs(outputs, [feature.key for feature in features])

@keras.saving.register_keras_serializable("headrace_tests_own")
class Counting(Signs):
    """A step that works on each of several replicas, and tells how many rows one of them had."""

    def __init__(self, outputs, **kwargs):
        super().__init__(outputs, **kwargs)
        self.rows = keras.metrics.Mean("rows")

    def train_step(self, data):
        logs = keras.Model.train_step(self, data)
        self.rows.update_state(tf.shape(data[0])[0])
        return {**logs, "rows": self.rows.result()}

def counting(inputs, outputs, task):
    return Counting(outputs)

@keras.saving.register_keras_serializable("headrace_tests_own")
class Silent(Signs):
    def train_step(self, data):
        return {"norm": super().train_step(data)["gradient_norm"]}

def silent(inputs, outputs, task):
    return Silent(outputs)

def cubed(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)

class Sure(keras.metrics.Mean):
    def __init__(self, name="sure", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        sure = keras.ops.cast(keras.ops.abs(y_pred - 0.5) > 0.25, "float32")
        return super().update_state(keras.ops.max(sure, axis=-1), sample_weight)
'''


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own_models") / "signs.py"
    path.write_text(MODELS)
    return path


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(tmp_path)


def served(attempts: Attempts, path: Prepared, model: Any, folder: Path) -> tuple[Any, pa.Table]:
    """What an evaluation tells, and what `headrace predict` answers for the rows of the test split."""
    keras.saving.get_custom_objects().clear()  # as in another process, which hasn't imported the module
    told = evaluate.function(attempts.ctx(), model, path.examples)
    exported = export.function(attempts.ctx(), model, path.raw, told)
    pq.write_table(odd_splits()["test"], folder / "rows.parquet")
    predict(exported.path, folder / "rows.parquet", folder / "out.parquet")
    return told, pq.read_table(folder / "out.parquet")


def test_the_example_of_the_docs_learns_and_is_served(attempts: Attempts, tmp_path: Path) -> None:
    example = (user.__doc__ or "").partition("# steady.py\n")[2].partition("\n- ")[0]
    (tmp_path / "steady.py").write_text(textwrap.dedent(example))
    path = attempts.prepare(odd_splits(), TABLE, "ok")
    told: dict[str, Any] = {"model": f"{tmp_path}/steady.py:steady", "epochs": 3, "learning_rate": 0.02}
    model = attempts.train(path, **told)
    history = model.read_json("model.json")["history"]
    assert history[-1]["loss"] < history[0]["loss"]
    other = attempts.train(path, **told, model_args={"noise": 0.5})
    assert other.properties["weights"] != model.properties["weights"]  # so the noise was there
    measured, answers = served(attempts, path, model, tmp_path)
    right = [
        a == str(b).lower()
        for a, b in zip(
            answers["prediction"].to_pylist(), odd_splits()["test"]["ok"].to_pylist(), strict=True
        )
    ]
    assert np.mean(right) == pytest.approx(measured.summary["metrics"]["accuracy"])


def test_a_step_of_ones_own_goes_on_exactly(attempts: Attempts, models: Path) -> None:
    path = attempts.prepare(odd_splits(), TABLE, "ok")
    require_equal_from_some(
        attempts, path, [0], model=f"{models}:signs", loss=f"{models}:cubed",
        metrics=["auc", f"{models}:Sure"], epochs=3, batch_size=24, optimizer="adam", learning_rate=0.01,
    )  # fmt: skip


def test_several_inputs_and_labels_with_losses_and_weights(
    attempts: Attempts, models: Path, tmp_path: Path
) -> None:
    path = attempts.prepare(odd_splits(), TABLE, {"ok": "vocabulary", "flag": "vocabulary"}, weight="A")
    arguments: dict[str, Any] = {
        "model": f"{models}:several", "epochs": 4, "batch_size": 20, "learning_rate": 0.01,
        "loss": {"ok": f"{models}:cubed"}, "metrics": {"flag": [f"{models}:Sure", "auc"]},
        "loss_weights": {"flag": 0.5}, "class_weights": {"ok": {"true": 2.0}},
    }  # fmt: skip
    model = attempts.train(path, **arguments)
    about = model.read_json("model.json")
    row = about["history"][-1]
    assert {"loss", "ok_loss", "flag_loss", "ok_accuracy", "flag_sure", "flag_auc", "gradient_norm"} <= set(
        row
    )
    assert {"val_loss", "val_ok_loss", "val_flag_sure"} <= set(row) and "ok_auc" not in row
    assert row["ok_loss"] + 0.5 * row["flag_loss"] == pytest.approx(row["loss"], rel=1e-5)
    assert about["settings"]["loss"] == {"ok": "signs.py:cubed"}
    assert about["settings"]["model"] == "signs.py:several" and str(models.parent) not in str(about)
    told, answers = served(attempts, path, model, tmp_path)
    assert int(load_network(model).steps_run) == about["best_epoch"] * 160 // 20
    assert {"ok/accuracy", "flag/accuracy"} <= set(told.summary["metrics"])
    assert {"prediction_ok", "prediction_flag"} <= set(answers.column_names)


def test_a_step_without_a_loss_is_refused(attempts: Attempts, models: Path) -> None:
    path = attempts.prepare(odd_splits(), TABLE, "ok")
    with pytest.raises(InvalidRequestError, match="own train_step gives no 'loss'") as caught:
        attempts.train(path, model=f"{models}:silent", epochs=1)
    assert caught.value.problems[0].available == ("norm",)


def test_a_loss_for_all_rows_at_once_is_refused_beside_weights(attempts: Attempts, tmp_path: Path) -> None:
    (tmp_path / "mean.py").write_text(
        "import keras\n"
        "def mean(y_true, y_pred):\n"
        "    return keras.ops.mean(keras.ops.square(y_true - y_pred))\n"
    )
    path = attempts.prepare(odd_splits(), TABLE, "ok")
    told: dict[str, Any] = {"loss": f"{tmp_path}/mean.py:mean", "model": "linear", "epochs": 1}
    attempts.train(path, **told)
    with pytest.raises(InvalidRequestError, match="rows have weights"):
        attempts.train(path, **told, class_weights="balanced")


@pytest.mark.slow
def test_a_step_of_ones_own_on_two_devices_goes_on_exactly(models: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [
        sys.executable,
        "-m",
        "tests.components.training.own_models_mirrored",
        str(tmp_path),
        str(models),
    ]
    environment = {**os.environ, **WorkerKind("tensorflow", 2).environment()}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["rows"] == [12.0] * 3  # half of each batch of 24
    assert told["history"][-1]["loss"] < told["history"][0]["loss"]
