"""One model is trained on one device, mirrored over two, and by JAX over eight: from the same batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from headrace.components import evaluate, export, train
from headrace.pipelines.alone import run_alone
from headrace.pipelines.artifact import Model
from headrace.pipelines.store import Store

from ..model_path import Paths, Prepared

ROWS, BATCH, EPOCHS = 203, 32, 3
LOSS = 2e-6
"""How far losses of equal steps may be apart, relatively: sums are added up in other orders."""
ANSWER = 2e-5
"""How far the exported models' probabilities may be apart."""
STRATEGIES: dict[str, dict[str, Any]] = {
    "one": {"strategy": "one"},
    "mirrored": {"strategy": "mirrored", "virtual_devices": 2},
    "jax": {"strategy": "jax", "virtual_devices": 8},
}
MODEL = '''
import keras
import numpy as np

@keras.saving.register_keras_serializable("headrace_tests")
class Recorded(keras.layers.Layer):
    """Gives zeros, and writes the numbers of the examples that are learned from into a file."""

    def __init__(self, file, **rest):
        super().__init__(**rest)
        self.file = file

    def call(self, numbers, training=False):
        if training and keras.backend.backend() == "jax":
            import jax
            jax.debug.callback(lambda values: self.write(0, values), numbers)
        elif training:
            import tensorflow as tf
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            tf.numpy_function(self.write, [replica, numbers], [])
        return 0 * numbers

    def write(self, replica, numbers):
        with open(self.file, "a") as file:
            file.write(" ".join(str(int(one)) for one in [replica, *np.asarray(numbers).ravel()]) + "\\n")

    def get_config(self):
        return {**super().get_config(), "file": self.file}

def recorded(features, outputs, task, *, file=""):
    inputs = {f.key: keras.Input((f.width,), name=f.key) for f in features}
    number = Recorded(file)(inputs["number"]) if file else 0 * inputs["number"]
    values = keras.layers.Concatenate()([inputs["x"], inputs["y"], number])
    hidden = keras.layers.Dense(16, activation="relu")(values)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="sigmoid")(hidden))
'''


def table(rows: int, seed: int) -> pa.Table:
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=(2, rows))
    side = np.where(x * y + draw.normal(size=rows) / 4 > 0, "right", "left")
    return pa.table({"number": np.arange(float(rows)), "x": x, "y": y, "side": side})


def batches(file: Path) -> list[list[int]]:
    """The global batches that were learned from: the parts of the replicas, in the replicas' order."""
    parts: dict[int, list[list[int]]] = {}
    for line in file.read_text().splitlines():
        replica, *numbers = map(int, line.split())
        parts.setdefault(replica, []).append(numbers)
    found = [parts[replica] for replica in sorted(parts)]
    return [[one for part in step for one in part] for step in zip(*found, strict=True)]


def answers(store: Store, model: Model, path: Prepared) -> np.ndarray:
    evaluation = run_alone(evaluate, {"model": model, "examples": path.examples}, store)
    arguments = {"model": model, "examples": path.raw, "evaluation": evaluation}
    exported = run_alone(export, arguments, store)
    rows = pq.read_table(path.raw.parts("test")[0])
    serve = tf.saved_model.load(exported.path / "1").signatures["serving_default"]
    specs = serve.structured_input_signature[1]
    given = {name: tf.constant(rows[name].to_pylist(), spec.dtype) for name, spec in specs.items()}
    found: np.ndarray = serve(**given)["probabilities"].numpy()
    return found


@pytest.mark.slow
def test_one_device_two_replicas_and_jax_on_eight_train_the_same(tmp_path: Path) -> None:
    path = Paths(tmp_path).prepare(
        {"train": table(ROWS, 0), "validation": table(45, 1), "test": table(40, 2)},
        {"number": "identity", "x": "z_score", "y": "z_score"},
        "side",
    )
    (tmp_path / "own.py").write_text(MODEL)
    given: dict[str, Any] = {
        "examples": path.examples, "transform": path.transform, "model": f"{tmp_path}/own.py:recorded",
        "batch_size": BATCH, "learning_rate": 0.02,
    }  # fmt: skip
    store = Store(tmp_path / "store")
    first = run_alone(train, {**given, "epochs": 1}, store)  # backends draw other first weights

    def trained(name: str) -> Model:
        told = {"epochs": EPOCHS, "weights": first, "model_args": {"file": f"{tmp_path}/{name}.txt"}}
        model: Model = run_alone(train, {**given, **told, **STRATEGIES[name]}, store)
        return model

    with ThreadPoolExecutor(2) as pool:
        models = dict(zip(STRATEGIES, pool.map(trained, STRATEGIES), strict=True))

    seen = {name: batches(tmp_path / f"{name}.txt") for name in STRATEGIES}
    assert [len(batch) for batch in seen["one"]] == [BATCH] * (EPOCHS * ROWS // BATCH)
    assert seen["one"] == seen["mirrored"] == seen["jax"]
    for epoch in range(EPOCHS):
        whole = [one for batch in seen["jax"] for one in batch][epoch * ROWS : (epoch + 1) * ROWS]
        assert len(set(whole)) == len(whole)

    history = {name: model.read_json("model.json")["history"] for name, model in models.items()}
    for key in ("loss", "val_loss", "accuracy", "val_accuracy"):
        losses = {name: [row[key] for row in rows] for name, rows in history.items()}
        assert losses["mirrored"] == pytest.approx(losses["one"], rel=LOSS)
        assert losses["jax"] == pytest.approx(losses["one"], rel=LOSS)
    assert len(history["one"]) == EPOCHS
    assert history["one"][-1]["loss"] < history["one"][0]["loss"]

    given_back = {name: answers(store, model, path) for name, model in models.items()}
    for name in ("mirrored", "jax"):
        np.testing.assert_allclose(given_back[name], given_back["one"], atol=ANSWER)
