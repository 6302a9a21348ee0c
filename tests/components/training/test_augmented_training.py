from __future__ import annotations

import io
import json
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image

from headrace.components import cross_validate, train
from headrace.components.input.position import Position
from headrace.components.tfrecords.layout import Layout, OutputFeature
from headrace.components.training.augmenting import finish_in_step, train_augmentation
from headrace.components.training.feed import Feed
from headrace.components.training.networks import load_network, weights_digest
from headrace.components.training.stream import Stream
from headrace.pipelines.component import Known
from headrace.pipelines.errors import InvalidRequestError

from ..model_path import Paths, Prepared

AUGMENT: list[Any] = [{"flip": "both"}, {"rotate": 20}, {"brightness": 0.1}, {"noise": 0.05}]
CHAIN = [{"decode": "grayscale"}, {"resize": 8}, {"scale": "zero_one"}]

MODEL = """
import keras

def tiny(features, outputs, task):
    inputs = {f.key: keras.Input(f.shape or (f.width,), name=f.key) for f in features}
    flat = keras.layers.concatenate([keras.layers.Flatten()(one) for one in inputs.values()])
    return keras.Model(inputs, keras.layers.Dense(outputs, activation="sigmoid")(flat))
"""


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def table(rows: int, seed: int) -> pa.Table:
    """Images of a bright half, left or upper, with noise; the label says which."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 100, (rows, 8, 8)).astype(np.uint8)
    upper = draw.random(rows) < 0.5
    pixels[upper, :4] += 120
    pixels[~upper, :, :4] += 120
    images = pa.array([png(one) for one in pixels], pa.binary())
    return pa.table({"image": images, "half": np.where(upper, "upper", "left"), "n": draw.random(rows)})


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("augmented"))


@pytest.fixture(scope="module")
def prepared(paths: Paths) -> Prepared:
    splits = {"train": table(90, 0), "validation": table(30, 1)}
    return paths.prepare(splits, {"image": CHAIN, "n": "identity"}, "half")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("models") / "tiny_model.py"
    file.write_text(MODEL, "utf-8")
    return f"{file}:tiny"


def feed_of(prepared: Prepared) -> Feed:
    return Feed.of("features", Layout.from_json(prepared.examples.properties).features)


def batches(prepared: Prepared, size: int, *, epoch: int = 0, seed: int | None = 3, **more: Any) -> Any:
    """The images of an epoch as the network gets them, each with its label, in the order of reading."""
    feed = feed_of(prepared)
    augmentation = train_augmentation(AUGMENT, feed.images, 7)
    source = Stream(
        prepared.examples, "train", feed, size, lambda t, y: (feed.network_input(t), y), seed,
        augmentation=augmentation, **more,
    )  # fmt: skip
    read = source.batches(Position(epoch)).take(-(-source.rows // size))
    found = [source.finish(*one) if source.in_step else one for one in read]
    images, numbers = (np.concatenate([x[key] for x, _ in found]) for key in ("image", "n"))
    return images[: source.rows], numbers[: source.rows]


def by_number(images: Any, numbers: Any) -> Any:
    return images[np.argsort(numbers[:, 0])]


def test_an_example_is_changed_alike_however_it_is_read(prepared: Prepared) -> None:
    wanted = by_number(*batches(prepared, 16, epoch=2))
    assert wanted.shape == (90, 8, 8, 1) and 0 <= wanted.min() < wanted.max() <= 1
    np.testing.assert_array_equal(by_number(*batches(prepared, 90, epoch=2, seed=None)), wanted)
    np.testing.assert_array_equal(by_number(*batches(prepared, 7, epoch=2, place="step")), wanted)
    only = np.arange(90) % 3 == 0
    some, numbers = batches(prepared, 16, epoch=2, only=only)
    rank = np.argsort(np.argsort(batches(prepared, 90, seed=None)[1][:, 0]))
    np.testing.assert_array_equal(by_number(some, numbers), wanted[np.sort(rank[only])])
    assert not np.array_equal(by_number(*batches(prepared, 16, epoch=3)), wanted)
    for cache in ("none", "disk"):
        read = batches(prepared, 13, epoch=2, cache=cache)
        np.testing.assert_array_equal(by_number(*read), wanted)
        read = batches(prepared, 90, epoch=2, place="step", cache=cache)
        np.testing.assert_array_equal(by_number(*read), wanted)
        streamed, numbers = batches(prepared, 16, epoch=2, only=only, cache=cache)
        np.testing.assert_array_equal(by_number(streamed, numbers), wanted[np.sort(rank[only])])


def test_the_training_step_can_augment_with_the_same_outcome(prepared: Prepared) -> None:
    feed = feed_of(prepared)
    augmentation = train_augmentation(AUGMENT, feed.images, 7)
    weights = []
    for place in ("input", "step"):
        keras.utils.set_random_seed(0)
        flat = keras.layers.Flatten()
        network = keras.Sequential(
            [keras.Input((8, 8, 1)), flat, keras.layers.Dense(1, activation="sigmoid")]
        )
        network.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        source = Stream(
            prepared.examples, "train", feed, 16, lambda t, y: (feed.network_input(t)["image"], y), 3,
            augmentation=augmentation, place=place,
        )  # fmt: skip
        if source.in_step:
            finish_in_step(network, source.finish, source.batches())
        network.fit(source.batches(), steps_per_epoch=5, verbose=0, shuffle=False)
        weights.append(network.get_weights()[0])
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-5)


def test_normalized_floats_are_augmented_as_pixels_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3)).astype(np.float32)
    shape: dict[str, Any] = {"shape": (6, 6, 3), "shift": (10.0, 20.0, 30.0), "divisor": (50.0, 60.0, 70.0)}
    whole = OutputFeature("a", "float32", 108, "pixels", **shape)
    dense = OutputFeature("a", "float32", 108, "dense", **shape)
    stored = (pixels - np.float32(shape["shift"])) / np.float32(shape["divisor"])
    made = []
    for feature, values in ((whole, pixels.astype(np.uint8)), (dense, stored)):
        augmentation = train_augmentation(AUGMENT, {"a": feature}, 0)
        assert augmentation is not None
        result = augmentation({"a": tf.constant(values)}, 0, np.arange(5))
        made.append(augmentation.pixels("a", result["a"]))
    np.testing.assert_allclose(made[0], made[1], atol=1e-2)


def test_training_augments_and_shows_what_it_did(paths: Paths, prepared: Prepared, tiny: str) -> None:
    told: dict[str, Any] = {"model": tiny, "epochs": 1, "batch_size": 32}
    given = prepared.examples, prepared.transform
    model = train.function(paths.ctx(), *given, augment=AUGMENT, **told)
    again = train.function(paths.ctx(), *given, augment=AUGMENT, **told)
    plain = train.function(paths.ctx(), *given, **told)
    assert weights_digest(load_network(model)) == model.properties["weights"] == again.properties["weights"]
    assert model.digest == again.digest
    assert plain.properties["weights"] != model.properties["weights"]
    assert json.loads(model.file("model.json").read_text("utf-8"))["settings"]["augment"] == AUGMENT
    assert "augment" not in json.loads(plain.file("model.json").read_text("utf-8"))["settings"]
    assert set(model.summary["pictures"]) - set(plain.summary["pictures"]) == {"augmentation.png"}
    with Image.open(model.file("augmentation.png")) as sheet:
        assert sheet.width > 900 and sheet.height > 900  # ten rows of ten images


def test_what_does_not_fit_is_refused(paths: Paths, prepared: Prepared, tiny: str) -> None:
    problems, _ = train.checker({"model": "cnn", "augment": ["flip", {"rotate": -1}]}, {"examples": Known()})
    assert [problem.argument for problem in problems] == ["augment[1]"]
    for component in (train, cross_validate):
        with pytest.raises(InvalidRequestError, match="padding is a number of pixels that fits"):
            component.function(
                paths.ctx(), prepared.examples, prepared.transform, model=tiny, augment=[{"random_crop": 9}]
            )
    with pytest.raises(InvalidRequestError, match="augmentation is for images"):
        train_augmentation(["flip"], {}, 0)
