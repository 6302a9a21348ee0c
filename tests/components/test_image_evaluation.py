"""Models of images evaluated, from raw rows and from shards; folds, slices and several labels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headrace.components import cross_validate, dataset, evaluate
from headrace.components.evaluation import asking
from headrace.pipelines.errors import InvalidRequestError

from .model_path import Paths

ROWS = 160
MODEL = """
import keras

def tiny(features, outputs, task):
    inputs = {f.key: keras.Input(f.shape or (f.width,), name=f.key) for f in features}
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(one) for one in inputs.values()])
    last = {"multiclass": "softmax", "binary": "sigmoid"}
    heads = {k: keras.layers.Dense(n, last[task[k]], name=k)(joined) for k, n in outputs.items()}
    return keras.Model(inputs, heads)
"""


def table(start: int, rows: int) -> pa.Table:
    """Digits as PNG files with two labels and a few columns beside them."""
    digits = load_digits()
    numbers = range(start, start + rows)
    images = []
    for i in numbers:
        file = io.BytesIO()
        Image.fromarray((digits.images[i] * 15.9).astype(np.uint8)).save(file, "PNG")
        images.append(file.getvalue())
    return pa.table(
        {
            "image": pa.array(images, pa.binary()),
            "digit": [str(digits.target[i]) for i in numbers],
            "odd": pa.array([bool(digits.target[i] % 2) for i in numbers]),
            "path": [f"{digits.target[i]}/{i}.png" for i in numbers],
            "width": [8 + i % 3 for i in numbers],
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("images")
    (folder / "own.py").write_text(MODEL)
    paths = Paths(folder)
    tables = {"train": table(0, ROWS), "validation": table(ROWS, 20), "test": table(400, 64)}
    features = {"image": ["decode", {"resize": 8}, {"scale": "zero_one"}], "width": "z_score"}
    path = paths.prepare(tables, features, {"digit": "vocabulary", "odd": "vocabulary"})
    return paths, path, paths.train(path, model=f"{folder}/own.py:tiny", epochs=1)


def test_raw_rows_and_shards_give_equal_metrics_and_worst_images(made: Any, monkeypatch: Any) -> None:
    paths, path, model = made
    of_raw = evaluate.function(paths.ctx(), model, path.raw, slices=["width"], top_k=[2], worst_examples=5)
    monkeypatch.setattr(asking, "VALUES_AT_ONCE", 64 * 7)  # seven images of 8 x 8 at once
    of_shards = evaluate.function(paths.ctx(), model, path.examples, top_k=[2], worst_examples=5)
    told, same = (one.read_json("evaluation.json") for one in (of_raw, of_shards))
    assert told["metrics"] == pytest.approx(same["metrics"], rel=1e-5)
    assert "digit/top_2_accuracy" in told["metrics"] and "odd/top_2_accuracy" not in told["metrics"]
    assert set(told["slices"]["width"]) == {"8", "9", "10"}
    assert "digit/top_2_accuracy" in told["slices"]["width"]["9"]
    worst, others = (one.read_json("worst_examples.json")["examples"] for one in (of_raw, of_shards))
    assert set(worst) == {"digit", "odd"} and len(worst["digit"]) == 5
    raw = table(400, 64)
    for one in worst["digit"]:
        assert one["path"] == raw["path"][one["row"]].as_py()
        assert one["label"] == raw["digit"][one["row"]].as_py() == one["path"][0]
    assert [one["loss"] for one in worst["digit"]] == pytest.approx(
        [one["loss"] for one in others["digit"]], rel=1e-5
    )
    assert [one.name for one in of_raw.pictures] == ["worst_examples.png"]
    with Image.open(of_shards.file("worst_examples.png")) as sheet:
        assert sheet.width > 5 * 100 and sheet.height > 2 * 100


def test_images_are_no_slices(made: Any) -> None:
    paths, path, model = made
    with pytest.raises(InvalidRequestError, match="'image' has images, so that its rows are no slices"):
        evaluate.function(paths.ctx(), model, path.raw, slices=["image"])


def test_labels_are_read_without_the_images(made: Any) -> None:
    _, path, _ = made
    whole = list(dataset(path.examples, "test", batch_size=10, expand=False))
    light = list(dataset(path.examples, "test", batch_size=10, expand=False, images=False))
    assert [set(features) for features, _ in light] == [{"width"}] * 7
    for (features, labels), (others, same) in zip(whole, light, strict=True):
        assert (features["width"].numpy() == others["width"].numpy()).all()
        assert (labels["digit"].numpy() == same["digit"].numpy()).all()


def test_folds_of_images(made: Any) -> None:
    paths, path, model = made
    found = cross_validate.function(
        paths.ctx(),
        path.examples,
        path.transform,
        model=model.read_json("code.json")["model"],
        epochs=1,
        folds=2,
        top_k=[4],
        thresholds={"digit/top_4_accuracy": 0.0},
    )
    told = found.read_json("evaluation.json")
    assert [fold["rows"] for fold in told["folds"]] == [80, 80]
    assert 0 <= told["metrics"]["digit/top_4_accuracy"] <= 1
