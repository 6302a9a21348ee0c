"""Trainings in stages, with layers that don't learn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from headrace.components import train
from headrace.components.models import model_function
from headrace.components.models.inputs import FeatureInput
from headrace.components.training.freezing import Freezer, leaves
from headrace.components.training.networks import load_network
from headrace.components.training.stages import Stage, stage_problems, stages_of
from headrace.pipelines.errors import InvalidRequestError

from ..model_path import Paths, Prepared


def small_cnn() -> keras.Model:
    features = (FeatureInput("image", "image", "image", "float32", 64, shape=(8, 8, 1)),)
    made: keras.Model = model_function("cnn")(features=features, outputs=2, task="multiclass", width=0.25)
    return made


def table(rows: int) -> pa.Table:
    """Images with a bright half, left or right, and every seventh label wrong."""
    draw = np.random.default_rng(0)
    found = []
    for number in range(rows):
        pixels = draw.integers(0, 120, (8, 8)).astype(np.uint8)
        pixels[:, 4 * (number % 2) : 4 * (number % 2) + 4] += 100
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        found.append(file.getvalue())
    sides = pa.array([("left", "right")[(number + (number % 7 == 0)) % 2] for number in range(rows)])
    return pa.table({"image": pa.array(found, pa.binary()), "side": sides})


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("stages"))


@pytest.fixture(scope="module")
def prepared(paths: Paths) -> Prepared:
    whole = table(120)
    features = {"image": [{"decode": "grayscale"}, {"resize": [8, 8]}, {"scale": "zero_one"}]}
    return paths.prepare({"train": whole.slice(0, 80), "validation": whole.slice(80)}, features, "side")


def by_path(network: keras.Model) -> dict[str, list[Any]]:
    return {path: layer.get_weights() for path, layer in leaves(network) if layer.weights}


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_stages_freeze_learn_and_leave_the_best_weights(paths: Paths, prepared: Prepared) -> None:
    small = {"width": 0.25, "depth": 0.5}
    told: dict[str, Any] = {"model": "cnn", "model_args": small, "learning_rate": 0.01}
    first = paths.train(prepared, **told, epochs=1)
    stages = [
        {"epochs": 3, "freeze_before": "stage2_1_*", "learning_rate": 0.003},
        {"epochs": 9, "freeze": ["stem", "learner"], "learning_rate": 1e4, "patience": 1},
    ]
    second = paths.train(prepared, **told, weights=first, stages=stages)
    before, after = by_path(load_network(first)), by_path(load_network(second))
    learned = {path for path in after if not same(before[path], after[path])}
    assert "output" in learned <= {"learner/stage2_1_conv", "learner/stage2_1_bn", "output"}
    about = second.read_json("model.json")
    assert [(row["epoch"], row["stage"]) for row in about["history"]] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert about["best_epoch"] < 4 and about["history"][3]["val_loss"] > 100
    assert about["settings"]["weights"] == str(first) and len(about["settings"]["stages"]) == 2
    assert "stages" not in first.read_json("model.json")["settings"]
    best = min(about["history"], key=lambda row: row["val_loss"])
    assert about["best_epoch"] == best["epoch"]
    assert all(layer.trainable for _, layer in leaves(load_network(second)))
    assert paths.train(prepared, **told, weights=first, stages=stages).digest == second.digest


def test_frozen_batch_normalization_keeps_its_averages_and_uses_them() -> None:
    network = small_cnn()
    freezer = Freezer(network)
    freezer.freeze(Stage(freeze=("learner", "stem")), 1)
    network.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    before = by_path(network)
    given = {"image": np.random.default_rng(0).normal(5, 3, (6, 8, 8, 1)).astype(np.float32)}
    stem = network.get_layer("stem")
    np.testing.assert_array_equal(stem(given["image"], training=True), stem(given["image"], training=False))
    network.train_on_batch(given, np.array([0, 1, 0, 1, 0, 1]))
    assert [path for path, value in by_path(network).items() if not same(value, before[path])] == ["output"]
    freezer.thaw()
    assert all(layer.trainable for _, layer in leaves(network))


def test_layers_are_named_by_pattern_part_number_and_place() -> None:
    network = small_cnn()
    paths = [path for path, layer in leaves(network) if layer.weights]

    def frozen(stage: Stage) -> list[str]:
        freezer = Freezer(network)
        freezer.freeze(stage, 1)
        found = [path for path, layer in leaves(network) if layer.weights and not layer.trainable]
        freezer.thaw()
        return found

    assert frozen(Stage()) == []
    assert frozen(Stage(freeze=("*_bn",))) == [path for path in paths if path.endswith("_bn")]
    assert frozen(Stage(freeze=("learner/stage1_*", "stem"))) == paths[:6]
    assert frozen(Stage(freeze_first=3)) == paths[:3]
    assert frozen(Stage(freeze_before="stage2_1_bn")) == paths[:7]
    with pytest.raises(InvalidRequestError, match=r"stage 1: no layer .* like 'stag1_1_conv'.*stage1_1_conv"):
        frozen(Stage(freeze=("stag1_1_conv",)))
    with pytest.raises(InvalidRequestError, match="freezes every layer"):
        frozen(Stage(freeze=("*",)))
    network.get_layer("stem").get_layer("conv1_conv").trainable = False
    freezer = Freezer(network)
    freezer.freeze(Stage(), 1)
    freezer.thaw()
    assert not network.get_layer("stem").get_layer("conv1_conv").trainable


def test_what_a_stage_cant_say_is_told_before_anything_runs() -> None:
    told = [
        {"epochs": 0, "freez": "learner"},
        {"learning_rate": -1, "learning_rate_schedule": "linear"},
        {"freeze": 1.5, "freeze_before": 3, "patience": True},
    ]
    texts = [str(problem) for problem in stage_problems(told)]
    assert len(texts) == 7
    assert any("stage 1 has no 'freez'; did you mean 'freeze'" in text for text in texts)
    assert any("stage 2: learning_rate has to be a number above 0, not -1" in text for text in texts)
    assert stage_problems([])
    assert stages_of([{"freeze": "none"}, {"freeze": 3}, {"epochs": 2, "freeze": ["a", "b*"]}]) == (
        Stage(), Stage(freeze_first=3), Stage(epochs=2, freeze=("a", "b*")),
    )  # fmt: skip
    assert train.checker is not None
    problems, _ = train.checker({"model": "cnn", "stages": told}, {})
    assert {problem.argument for problem in problems} == {"stages"}


def test_stages_of_a_model_that_comes_compiled(paths: Paths, prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "compiled.py").write_text(
        "from headrace.components.models.cnn import cnn\n\n"
        "def build(features, outputs, task):\n"
        "    network = cnn(features, outputs, task, width=0.25)\n"
        "    network.compile('sgd', 'binary_crossentropy')\n"
        "    return network\n"
    )
    with pytest.raises(InvalidRequestError, match="comes compiled"):
        paths.train(prepared, model=f"{tmp_path / 'compiled.py'}:build", stages=[{"epochs": 1}])
