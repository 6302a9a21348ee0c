"""Several labels: a network with an output for each, from its building to what is served."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headrace.components.evaluation.crossing import Plan
from headrace.components.exporting.outputs import describe, served
from headrace.components.preprocessing.fitted_labels import Label
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.building import build_network, compile_network
from headrace.components.training.epoch_steps import EpochSteps
from headrace.components.training.feed import Feed
from headrace.components.training.networks import forward
from headrace.components.training.settings import Settings
from headrace.components.training.targets import Targets, class_weights, require_class_weights
from headrace.components.training.tasks import (
    Seen,
    Task,
    output_keys,
    task_of,
    tasks_from_json,
    tasks_to_json,
)
from headrace.pipelines.errors import InvalidRequestError

TASKS = (
    Task("regression", "Preis €"),
    Task("multiclass", "kind", ("a", "b", "c")),
    Task("binary", "sold", ("no", "yes")),
    Task("multilabel", "tags", ("x", "y")),
)
LABELS = (
    Label("Preis €", "float", "value"),
    Label("kind", "string", "class", ("a", "b", "c")),
    Label("sold", "string", "class", ("no", "yes")),
    Label("tags", "strings", "multi", ("x", "y")),
)
FEATURES = (OutputFeature("n", "float32", 3), OutputFeature("word", "int64", 1, "ids", (20,)))
WEIGHTS = {"kind": (1.0, 2.0, 1.0), "sold": (1.0, 4.0)}


def settings(model: str, **more: Any) -> Settings:
    told: dict[str, Any] = {
        "model": model, "model_args": {}, "epochs": 30, "batch_size": 64, "optimizer": "adam",
        "learning_rate": 0.02, "learning_rate_schedule": "constant", "loss": None,
        "loss_weights": {"Preis €": 0.5}, "metrics": (), "patience": None, "seed": 0,
    }  # fmt: skip
    return Settings(**{**told, **more})


def rows(count: int = 256) -> tuple[dict[str, Any], dict[str, Any]]:
    draw = np.random.default_rng(0)
    n = draw.normal(size=(count, 3)).astype(np.float32)
    word = draw.integers(-1, 20, size=(count, 1))
    tags = np.stack([n[:, 0] > 0, word[:, 0] > 9], axis=1).astype(np.float32)
    labels = {
        "Preis €": n[:, 0] + (word[:, 0] > 9),
        "kind": np.digitize(n[:, 1], [-0.5, 0.5]).astype(np.int64),
        "sold": (n[:, 2] > 0).astype(np.int64),
        "tags": tags,
    }
    return {"n": n, "word": word}, {name: tf.constant(values) for name, values in labels.items()}


@pytest.mark.parametrize("model", ["mlp", "wide_deep"])
def test_each_label_is_learned_and_served(model: str) -> None:
    keras.utils.set_random_seed(0)
    network, feed = build_network(settings(model), FEATURES, TASKS)
    compile_network(network, settings(model), TASKS, EpochSteps(256, 64, 30))
    features, labels = rows()
    tensors = feed.pack(np, features)
    sparse = {task.label: task.name == "multiclass" for task in TASKS}
    targets, weights = Targets(TASKS, sparse, WEIGHTS)(labels, tf.ones(256))
    assert set(targets) == set(weights) == {"Preis", "kind", "sold", "tags"}
    np.testing.assert_array_equal(weights["sold"], np.where(labels["sold"].numpy() == 1, 4.0, 1.0))
    data = tf.data.Dataset.from_tensors((feed.network_input(tensors), targets, weights))
    history = network.fit(data, epochs=60, verbose=0, shuffle=False).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["kind_accuracy"][-1] > 0.8
    outputs = forward(network, feed)(tensors)
    keys = output_keys(TASKS)
    told = served(LABELS, TASKS, [outputs[keys[task.label]] for task in TASKS])
    assert set(told) == {one["name"] for one in describe(TASKS)}
    assert {name for name in told if name.startswith("prediction")} == {
        "prediction_Preis", "prediction_kind", "prediction_sold", "prediction_tags",
    }  # fmt: skip
    error = told["prediction_Preis"].numpy() - labels["Preis €"].numpy()
    assert np.mean(error**2) < 0.5
    names = np.array(["no", "yes"])[labels["sold"].numpy()]
    assert np.mean(told["prediction_sold"].numpy().astype(str) == names) > 0.8


def test_a_row_without_an_answer_has_none_for_any_label() -> None:
    network, feed = build_network(settings("mlp"), FEATURES, TASKS)
    features, _ = rows(4)
    features["n"][1, 2] = np.nan
    outputs = forward(network, feed)(feed.pack(np, features))
    told = served(LABELS, TASKS, [outputs[key] for key in output_keys(TASKS).values()])
    assert np.isnan(told["prediction_Preis"].numpy()).tolist() == [False, True, False, False]
    assert told["prediction_kind"].numpy()[1] == told["prediction_tags"].numpy()[1] == b""


def test_class_weights_by_label() -> None:
    counts = {"kind": (2, 4, 2), "sold": (6, 2), "tags": (1, 1)}
    seen = Seen({"Preis €": 0.0}, counts, 8, False)
    assert class_weights("balanced", TASKS, seen) == {
        "kind": (8 / 6, 8 / 12, 8 / 6),
        "sold": (8 / 12, 8 / 4),
    }
    assert class_weights({"sold": {"yes": 3}}, TASKS, seen) == {"sold": (1.0, 3.0)}
    for told, message in [
        ({"yes": 2.0}, "'yes' is no label"),
        ({"sold": {"si": 2.0}}, "no class 'si'"),
        ({"tags": "balanced"}, "task of the label 'tags' is multilabel"),
        ({"sold": 3}, "not 'balanced' or by class"),
    ]:
        with pytest.raises(InvalidRequestError, match=message):
            class_weights(told, TASKS, seen)


def test_every_wrong_class_weight_is_told_at_once() -> None:
    told = {"sold": {"si": 2.0, "no": 0}, "kint": "balanced", "Preis €": {"a": 1}}
    with pytest.raises(InvalidRequestError) as caught:
        require_class_weights(told, TASKS)
    problems = [(problem.given, problem.closest) for problem in caught.value.problems]
    assert problems == [("si", ""), ("", ""), ("kint", "kind"), ("", "")]
    alone = (Task("binary", "sold", ("no", "yes")),)
    seen = Seen({}, {"sold": (6, 2)}, 8, False)
    for told in ({"yes": 3}, {"sold": {"yes": 3}}):  # of one label with its name or without
        assert class_weights(told, alone, seen) == {"sold": (1.0, 3.0)}


def test_folds_are_stratified_by_the_only_label_of_classes() -> None:
    whole: Any = None  # examples and transform, which nothing is asked of here

    def by(tasks: tuple[Task, ...], stratify: bool = True) -> str:
        plan = Plan(whole, whole, tasks, settings("mlp"), None, {}, "train", None, 2, stratify, ())
        return plan.stratified_by

    assert by((TASKS[0], TASKS[2], TASKS[3])) == "sold" and by((TASKS[0], TASKS[2]), False) == ""
    assert by(TASKS) == "" and by(TASKS[:1]) == ""


def test_a_network_with_other_outputs_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "several.py"
    file.write_text(
        "import keras\n"
        "def one(inputs, outputs, task):\n"
        "    x = keras.Input((inputs,))\n"
        "    return keras.Model(x, keras.layers.Dense(1)(x))\n"
        "def short(inputs, outputs, task):\n"
        "    x = keras.Input((inputs,))\n"
        "    return keras.Model(x, {'kind': keras.layers.Dense(3)(x)})\n"
    )
    for name, message in {
        "one": "has to give a dict of Preis, kind",
        "short": "gives a dict of kind, and",
    }.items():
        with pytest.raises(InvalidRequestError, match=message):
            build_network(settings(f"{file}:{name}"), FEATURES[:1], TASKS)


def test_tasks_are_written_and_read() -> None:
    for tasks in (TASKS, TASKS[:1]):
        assert tasks_from_json(tasks_to_json(tasks)) == tasks
    assert set(tasks_to_json(TASKS[:1])) == {"task"}
    assert task_of("tags", "multi", ("x", "y")) == TASKS[3]
    with pytest.raises(InvalidRequestError, match="any number of 2 names, which makes it 'multilabel'"):
        task_of("tags", "multi", ("x", "y"), "binary")
    assert Feed.of("features", FEATURES).kind == "features"
