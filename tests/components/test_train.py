from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest

from headrace.components import train
from headrace.components.strategies.batches import default_batch_size
from headrace.components.training.argument_checks import training_problems
from headrace.components.training.networks import load_network, weights_digest
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, InvalidRequestError, StepError

from .model_path import ODD_FEATURES, Paths, Prepared, odd_splits

SOME = {name: ODD_FEATURES[name] for name in ("größe", "A")}

MODELS = """
import keras

def plain(inputs, outputs, task, *, units=4):
    last = {"regression": None, "binary": "sigmoid", "multiclass": "softmax"}[task]
    return keras.Sequential([
        keras.Input((inputs,)), keras.layers.Dense(units, activation="relu"), keras.layers.Dropout(0.2),
        keras.layers.Dense(outputs, activation=last),
    ])

def compiled(inputs, outputs, task):
    model = plain(inputs, outputs, task)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.CategoricalCrossentropy())
    return model

def logits(inputs, outputs, task):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])

def wide(inputs, outputs, task):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs + 1, activation="softmax")])

def nothing(inputs, outputs, task):
    return None

@keras.saving.register_keras_serializable("headrace_tests")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Tripled(keras.layers.Layer):
    def call(self, x):
        return 3 * x

def registered(inputs, outputs, task):
    last = keras.layers.Dense(outputs, activation="softmax")
    return keras.Sequential([keras.Input((inputs,)), Doubled(), last])

def unregistered(inputs, outputs, task):
    last = keras.layers.Dense(outputs, activation="softmax")
    return keras.Sequential([keras.Input((inputs,)), Tripled(), last])
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def multiclass(paths: Paths) -> Prepared:
    return paths.prepare(odd_splits(), SOME, "Klasse")


@pytest.fixture(scope="module")
def regression(paths: Paths) -> Prepared:
    return paths.prepare(odd_splits(), SOME, {"Preis €": "z_score"})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "my_models.py"
    path.write_text(MODELS)
    return path


def test_equal_seeds_give_equal_weights_and_another_seed_others(
    paths: Paths, models: Path, multiclass: Prepared
) -> None:
    args: dict[str, Any] = {"model_args": {"hidden_units": [8], "dropout": 0.3}, "seed": 3}
    first = paths.train(multiclass, **args)
    paths.train(multiclass, model=f"{models}:plain")  # what was trained between leaves no trace
    second = paths.train(multiclass, **args)
    assert first.properties["weights"] == second.properties["weights"]
    assert first.digest == second.digest
    assert paths.train(multiclass, **{**args, "seed": 4}).digest != first.digest


def test_the_artifact_holds_what_it_states(paths: Paths, multiclass: Prepared) -> None:
    model = paths.train(multiclass, epochs=3)
    told = [event["progress"] for event in paths.events if "progress" in event]
    assert told[-1]["epoch"] == told[-1]["epochs"] == 3
    assert told[-1]["rows"] == 3 * 160
    assert np.isfinite(told[-1]["loss"])
    about = model.read_json("model.json")
    assert about["task"] == {"name": "multiclass", "label": "Klasse", "classes": ["hoch", "mittel", "tief"]}
    assert sum(about["train_label"]["counts"].values()) == 160
    assert weights_digest(load_network(model)) == model.properties["weights"]
    volatile = {f.path for f in model.files if f.volatile and not f.path.startswith("tensorboard/")}
    assert volatile == {"model.keras", "code.json", "learning_curves.png"}
    assert (
        model.file("transform/transform.json").read_bytes()
        == multiclass.transform.file("transform.json").read_bytes()
    )
    assert str(paths._folder) not in (model.path / "model.json").read_text()


def test_the_weights_of_the_best_epoch_are_kept_and_patience_stops(
    paths: Paths, regression: Prepared
) -> None:
    model = paths.train(
        regression,
        epochs=40,
        patience=2,
        learning_rate=0.2,
        learning_rate_schedule="constant",
        optimizer="sgd",
    )
    about = model.read_json("model.json")
    losses = [row["val_loss"] for row in about["history"]]
    assert len(losses) < 40
    assert about["best_epoch"] == 1 + int(np.argmin(losses))
    assert about["best_epoch"] == len(losses) - 2
    from headrace.components.dataset import dataset

    (x, y), *_ = dataset(regression.examples, "validation", batch_size=100, matrix=True)
    guess = load_network(model)(x).numpy()[:, 0]
    assert np.mean((guess - y.numpy()) ** 2) == pytest.approx(min(losses), rel=1e-5)


def test_a_split_that_is_streamed_gives_the_same_model(
    paths: Paths, regression: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = paths.train(regression)
    monkeypatch.setattr("headrace.components.training.stream.IN_MEMORY_BYTES", 0)
    assert paths.train(regression).digest == kept.digest


def test_regression_learns(paths: Paths, regression: Prepared) -> None:
    history = paths.train(regression, epochs=8).read_json("model.json")["history"]
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


def test_binary(paths: Paths) -> None:
    binary = paths.prepare(odd_splits(), SOME, "ok")
    trained = paths.train(binary, model="linear", model_args={"l2": 0.01})
    assert trained.properties["task"] == "binary"
    assert trained.read_json("model.json")["task"]["classes"] == ["false", "true"]
    two = paths.train(binary, task="multiclass")
    assert load_network(two).output_shape == (None, 2)


def test_without_a_validation_split_the_last_epoch_is_kept(paths: Paths, multiclass: Prepared) -> None:
    model = paths.train(multiclass, validation_split="none")
    assert model.read_json("model.json")["best_epoch"] == 2
    assert any("the last epoch" in event.get("warn", "") for event in paths.events)


@pytest.mark.parametrize("name", ["plain", "compiled", "registered"])
def test_a_users_model(paths: Paths, models: Path, multiclass: Prepared, name: str) -> None:
    model = paths.train(multiclass, model=f"{models}:{name}")
    if name == "registered":  # as in another process, which has not imported the user's module
        keras.saving.get_custom_objects().clear()
    network = load_network(model)
    assert network.output_shape == (None, 3)
    assert model.read_json("model.json")["settings"]["model"] == f"my_models.py:{name}"
    # A model that comes compiled keeps its own metrics, which are none.
    assert ("accuracy" in model.read_json("model.json")["history"][0]) is (name != "compiled")


@pytest.mark.parametrize(
    "told",
    [
        {"metrics": ["accuracy"]},
        {"learning_rate": 0.1, "learning_rate_schedule": "constant"},
        {"optimizer": {"sgd": {"momentum": 0.9}}, "loss": "mse"},
    ],
)
def test_what_a_compiled_model_would_not_be_told_is_refused(
    paths: Paths, models: Path, multiclass: Prepared, told: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestError, match="comes compiled") as caught:
        paths.train(multiclass, model=f"{models}:compiled", **told)
    assert [problem.argument for problem in caught.value.problems] == list(told)


def test_arguments_reach_a_users_model(paths: Paths, models: Path, multiclass: Prepared) -> None:
    model = paths.train(multiclass, model=f"{models}:plain", model_args={"units": 7})
    assert load_network(model).layers[0].units == 7


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("logits", {}, "does not give probabilities"),
        ("wide", {}, r"gives shape \['rows', 4\]"),
        ("nothing", {}, "returned a NoneType"),
        ("plain", {"unitz": 3}, "can't be called"),
    ],
)
def test_a_users_model_that_doesnt_do_the_task(
    paths: Paths, models: Path, multiclass: Prepared, name: str, args: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        paths.train(multiclass, model=f"{models}:{name}", model_args=args)


def test_a_layer_that_cant_be_read_back_is_told_at_once(
    paths: Paths, models: Path, multiclass: Prepared
) -> None:
    with pytest.raises(StepError, match="register_keras_serializable"):
        paths.train(multiclass, model=f"{models}:unregistered", epochs=1)


def test_a_diverging_loss_is_an_error(paths: Paths, regression: Prepared) -> None:
    with pytest.raises(StepError, match="smaller learning_rate"):
        paths.train(regression, optimizer="sgd", learning_rate=1e30)


def test_a_task_that_doesnt_fit_the_label(paths: Paths, multiclass: Prepared, regression: Prepared) -> None:
    with pytest.raises(
        InvalidRequestError, match="'regression', and the label 'Klasse' is a class with 3 names"
    ):
        paths.train(multiclass, task="regression")
    with pytest.raises(InvalidRequestError, match="'binary', and the label 'Preis €' is a value"):
        paths.train(regression, task="binary")


def test_losses_and_optimizers_by_name(paths: Paths, multiclass: Prepared) -> None:
    paths.train(multiclass, loss="categorical_focal_crossentropy", optimizer="AdamW", epochs=1)
    with pytest.raises(InvalidRequestError, match="Keras has no optimizer 'adamm'"):
        paths.train(multiclass, optimizer="adamm")


def test_examples_that_train_cant_use(paths: Paths, multiclass: Prepared) -> None:
    with pytest.raises(InvalidRequestError, match="these are raw ones"):
        train.function(paths.ctx(), multiclass.raw, multiclass.transform)
    with pytest.raises(InvalidRequestError, match="no split 'trian'"):
        paths.train(multiclass, train_split="trian")
    few = {"train": pa.table({"x": [1.0, 2.0], "y": ["a", "b"]}), "test": pa.table({"x": [1.5], "y": ["b"]})}
    tiny = paths.prepare(few, {"x": "identity"}, "y")
    with pytest.raises(DataError, match="'test' has 1 examples"):
        paths.train(tiny, train_split="test")


def test_examples_of_another_transform(paths: Paths, multiclass: Prepared) -> None:
    other = paths.prepare(odd_splits(), {"A": "z_score"}, "Klasse")
    with pytest.raises(InvalidRequestError, match=r"another transform: größe differ"):
        train.function(paths.ctx(), other.examples, multiclass.transform)
    label = paths.prepare(odd_splits(), SOME, "ok")
    again = paths.prepare(odd_splits(), SOME, "Klasse")
    with pytest.raises(
        InvalidRequestError, match=r"label ok \(2 classes\), and the transform makes Klasse \(3 cl"
    ):
        train.function(paths.ctx(), label.examples, again.transform)


@pytest.mark.parametrize(("rows", "size"), [(2, 2), (107, 8), (256, 16), (1023, 32), (1024, 64), (10**6, 64)])
def test_small_tables_get_small_batches(rows: int, size: int) -> None:
    assert default_batch_size(rows) == size


def test_the_static_check() -> None:
    assert train.checker is not None
    fine = {
        "model": "mlp",
        "optimizer": "Adam",
        "loss": "MeanSquaredError",
        "metrics": ["AUC"],
        "train_split": "train",
    }
    known = {"examples": Known(splits=("train", "test"))}
    assert train.checker(fine, known) == ([], {"output": Known()})
    wrong = {
        "model": "mpl",
        "optimizer": "adm",
        "loss": "mean_square_error",
        "metrics": ["acuracy"],
        "train_split": "trian",
    }
    problems, _ = train.checker(wrong, known)
    assert {problem.argument: problem.closest for problem in problems} == {
        "model": "mlp",
        "optimizer": "adam",
        "loss": "mean_squared_error",
        "metrics": "accuracy",
        "train_split": "train",
    }
    (problem,), _ = train.checker({"model": "mlp", "model_args": {"hiden_units": [3]}}, {})
    assert problem.closest == "hidden_units"
    (problem,), _ = train.checker({"class_weights": "balancd"}, {})
    assert (problem.argument, problem.closest) == ("class_weights", "balanced")
    for weights in ({"a": 0}, {"a": -1.0}, {"label": {"a": float("inf")}}, {"a": "heavy"}, {"a": True}):
        (problem,), _ = train.checker({"class_weights": weights}, {})
        assert "a number above 0" in problem.what
    for weights in ("balanced", {"a": 2, "b": 0.5}, {"label": "balanced"}, None):
        assert train.checker({"class_weights": weights}, {})[0] == []
    (problem,), _ = train.checker({"loss": {"price": "mean_square_error"}}, {})
    assert problem.closest == "mean_squared_error"
    (problem,), _ = train.checker({"model": "wide_deep", "model_args": {"wide_l3": 1}}, {})
    assert problem.closest in ("wide_l1", "wide_l2")
    (problem,), _ = train.checker({"model": "/nowhere/model.py:build"}, {})
    assert (problem.argument, problem.what) == ("model", "there is no file /nowhere/model.py")


def test_the_names_are_those_of_the_installed_keras() -> None:
    from headrace.components.training.keras_names import LOSSES, METRICS

    assert all(keras.losses.get(name) for name in LOSSES)
    # "accuracy" stands for the accuracy that fits the task.
    assert all(keras.metrics.get(name) for name in METRICS if name != "accuracy")


def test_the_built_in_models_take_what_the_check_says() -> None:
    import inspect

    from headrace.components.models import BUILT_IN, model_function

    for name, arguments in BUILT_IN.items():
        assert tuple(inspect.signature(model_function(name)).parameters)[3:] == arguments


def test_a_misspelt_validation_split_is_told_before_a_run_and_none_is_none() -> None:
    known = {"examples": Known(splits=("train", "validation"))}

    def told(split: str) -> list[str]:
        problems = training_problems({"validation_split": split}, known)
        return [problem.closest for problem in problems if problem.argument == "validation_split"]

    assert told("valdation") == ["validation"] and told("none") == told("validation") == []
