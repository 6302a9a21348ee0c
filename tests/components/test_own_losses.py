"""Losses and metrics of one's own: checked before a run, tried before the training, used in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from headrace.components import cross_validate, train
from headrace.components.training.building import compile_network
from headrace.components.training.epoch_steps import EpochSteps
from headrace.components.training.own_code import own_paths
from headrace.components.training.own_objects import is_sparse_loss, loss_of, metric_of, require_own
from headrace.components.training.settings import Settings
from headrace.components.training.tasks import Task
from headrace.pipelines.errors import InvalidRequestError

SOURCE = """
import keras

RAISE = 3

def cubed(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** RAISE, axis=-1)

def averaged(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))

def sparse_log(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

def wide(y_true, y_pred):
    return keras.ops.ones((7,))

def failing(y_true, y_pred):
    return y_true + keras.ops.ones((3, 5))

class Focal(keras.losses.Loss):
    def __init__(self, gamma=2.0, name="focal"):
        super().__init__(name=name)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        return keras.losses.categorical_focal_crossentropy(y_true, y_pred, gamma=self.gamma)

class Sure(keras.metrics.Mean):
    def __init__(self, level=0.5, name="sure"):
        super().__init__(name=name)
        self.level = level

    def update_state(self, y_true, y_pred, sample_weight=None):
        sure = keras.ops.max(y_pred, axis=-1) > self.level
        return super().update_state(keras.ops.cast(sure, "float32"), sample_weight)

    def get_config(self):
        return {"level": self.level, "name": self.name}

class Each(Sure):
    def result(self):
        return keras.ops.stack([super().result(), 1.0])

class Needy(keras.losses.Loss):
    def __init__(self, gamma, name="needy"):
        super().__init__(name=name)

class Thing:
    pass

class Broken(keras.metrics.Metric):
    def __init__(self, name="broken"):
        raise RuntimeError("no")

very_focal = Focal(gamma=5.0, name="very_focal")
very_sure = Sure(level=0.9, name="very_sure")

def only_one(y_pred): ...
def three(y_true, y_pred, gamma): ...
def keyword(y_true, y_pred, *, gamma): ...
def fine(y_true, y_pred, gamma=2, *, delta=1): ...
def anything(*both): ...
"""
CLASSES = Task("multiclass", "kind", ("a", "b", "c"))
TASKS = (
    Task("regression", "price"), CLASSES, Task("binary", "sold", ("no", "yes")),
    Task("multilabel", "tags", ("x", "y")),
)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "losses.py"
    path.write_text(SOURCE)
    return path


def test_the_import_paths_in_an_argument() -> None:
    assert own_paths(None) == own_paths("huber") == own_paths("${params.loss}") == ()
    assert own_paths({"price": "a.py:f", "sold": "mse"}) == ("a.py:f",)
    assert own_paths(["a.py:f", "auc", "b:g", "a.py:f"]) == ("a.py:f", "b:g")
    assert own_paths({"price": ["a.py:f"], "sold": ["b:g", "auc"]}) == ("a.py:f", "b:g")
    for component in (train, cross_validate):
        assert component.code_finder is not None
        assert component.code_finder("loss", {"price": "a.py:f"}) == ("a.py:f",)
        assert component.code_finder("weights", "a.py:f") == ()
        assert "codes" in component.arguments["loss"].markers


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cubd", "there is no function 'cubd'"),
        ("only_one", "the loss only_one takes (y_pred), and is called with y_true and y_pred alone"),
        ("three", "the loss three takes (y_true, y_pred, gamma)"),
        ("keyword", "the loss keyword takes (y_true, y_pred, gamma)"),
        ("Needy", "the class Needy needs 'gamma', which nothing gives"),
        *((name, "") for name in ("cubed", "fine", "anything", "Focal", "very_focal")),
    ],
)
def test_what_the_source_says_is_told_before_a_run(file: Path, name: str, what: str) -> None:
    assert train.checker is not None
    for argument, told in (("loss", {"price": f"{file}:{name}"}), ("metrics", [f"{file}:{name}"])):
        problems, _ = train.checker({argument: told}, {})
        if not what:
            assert problems == []
            continue
        (problem,) = problems
        assert problem.what.startswith(what.replace("loss", "metric") if argument == "metrics" else what)
        assert problem.argument == argument
        if name == "cubd":
            assert problem.closest == "cubed"
        else:
            assert SOURCE.splitlines()[problem.line - 1].lstrip().startswith("def ")


def test_a_name_that_keras_doesnt_know_is_no_path() -> None:
    assert train.checker is not None
    (problem,), _ = train.checker({"loss": "qqq"}, {})
    assert problem.remedy == "the names are those of Keras, and file.py:name stands for one of your own"


@pytest.mark.parametrize("name", ["cubed", "averaged", "sparse_log", "Focal", "very_focal"])
def test_losses_that_are_taken(file: Path, name: str) -> None:
    require_own({"loss": f"{file}:{name}"}, (CLASSES,), weighted=False)
    assert is_sparse_loss(loss_of(f"{file}:{name}")) == (name == "sparse_log")


def test_each_task_has_its_rows(file: Path) -> None:
    metrics = {task.label: [f"{file}:cubed", f"{file}:Sure", "auc"] for task in TASKS}
    require_own({"loss": f"{file}:cubed", "metrics": metrics}, TASKS, weighted=True)
    require_own({"loss": {"kind": f"{file}:sparse_log"}}, TASKS, weighted=True)


@pytest.mark.parametrize(
    ("told", "weighted", "message"),
    [
        ({"loss": "averaged"}, True, "gives one value for 4 rows, and rows have weights"),
        ({"loss": "wide"}, False, r"gives shape \[7\] for 4 rows"),
        ({"loss": "failing"}, False, r"losses.py:failing failed with y_true \[4, 3\] and y_pred \[4, 3\]"),
        ({"loss": "Thing"}, False, r"losses.py:Thing is no keras.losses.Loss"),
        ({"loss": "Sure"}, False, r"losses.py:Sure is no keras.losses.Loss"),
        ({"loss": "very_sure"}, False, r"losses.py:very_sure is no keras.losses.Loss"),
        ({"metrics": "very_focal"}, False, r"losses.py:very_focal is no keras.metrics.Metric"),
        ({"metrics": "Broken"}, False, r"losses.py:Broken can't be made: RuntimeError: no"),
        ({"metrics": "failing"}, False, "losses.py:failing failed"),
        ({"metrics": "Each"}, False, r"losses.py:Each gives numbers of shape \[2\] in place of one"),
    ],
)
def test_what_fails_does_so_before_the_training(
    file: Path, told: dict[str, str], weighted: bool, message: str
) -> None:
    named: dict[str, Any] = {key: f"{file}:{name}" for key, name in told.items()}
    named = {key: [path] if key == "metrics" else path for key, path in named.items()}
    with pytest.raises(InvalidRequestError, match=message) as caught:
        require_own(named, (CLASSES,), weighted)
    (problem,) = caught.value.problems
    assert problem.argument == next(iter(told))
    if "failing" in told.values():
        assert "keras.ops.ones((3, 5))" in SOURCE.splitlines()[problem.line - 1]


def test_a_metric_with_a_state_is_a_new_one_each_time(file: Path) -> None:
    path = f"{file}:very_sure"
    first = metric_of(path)
    first.update_state(None, np.array([[0.95], [0.5]], np.float32))
    assert float(first.result()) == 0.5 and first.level == 0.9
    assert metric_of(path) is not first


def settings(**more: Any) -> Settings:
    told: dict[str, Any] = {
        "model": "mlp", "model_args": {}, "epochs": 3, "batch_size": 8, "optimizer": "sgd",
        "learning_rate": 0.1, "learning_rate_schedule": "constant", "loss": None, "loss_weights": {},
        "metrics": (), "patience": None, "seed": 0,
    }  # fmt: skip
    return Settings(**{**told, **more})


def test_they_reach_the_compiled_network(file: Path) -> None:
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    told = settings(loss=f"{file}:cubed", metrics=[f"{file}:averaged", f"{file}:very_sure"])
    compile_network(network, told, (TASKS[0],), EpochSteps(32, 8, 3))
    x, y = np.ones((8, 3), np.float32), np.zeros((8, 1), np.float32)
    weight = np.arange(8, dtype=np.float32)
    found = network.test_on_batch(x, y, weight, return_dict=True)
    guess = float(network.predict_on_batch(x)[0, 0])
    np.testing.assert_allclose(found["loss"], abs(guess) ** 3 * weight.sum() / 8, rtol=1e-5)
    np.testing.assert_allclose(found["averaged"], guess**2, rtol=1e-5)
    assert found["very_sure"] == float(guess > 0.9)


def test_what_is_told_of_them_names_no_folder(file: Path) -> None:
    other = file.parent / "other" / "losses.py"
    told = settings(loss={"price": f"{file}:cubed"}, metrics=[f"{other}:cubed", "auc"]).told()
    assert told["loss"] == {"price": "losses.py:cubed"}
    assert told["metrics"] == ["other/losses.py:cubed", "auc"]
