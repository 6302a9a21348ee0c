"""The models for images: what they are built of, and whether they are the published ones."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from headrace.components.models import IMAGE_MODELS, model_function
from headrace.components.models.applications import ARCHITECTURES, architecture_of
from headrace.components.models.cnn import ConvLearner
from headrace.components.models.inputs import FeatureInput
from headrace.components.models.keras_application import steady_names
from headrace.components.models.parts import Classifier, ConvStem, image_model
from headrace.components.models.resnet import ResidualLearner
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.argument_checks import model_problems
from headrace.components.training.feed import Feed
from headrace.components.training.freezing import leaves
from headrace.components.training.networks import save_network
from headrace.pipelines.errors import DataError, InvalidRequestError

Features = tuple[FeatureInput, ...]


def image(height: int, width: int, channels: int = 3, key: str = "image") -> FeatureInput:
    shape = (height, width, channels)
    return FeatureInput(key, key, "image", "float32", height * width * channels, shape=shape)


def pixels(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def made(
    name: str, features: Features, outputs: Any = 3, task: Any = "multiclass", **told: Any
) -> keras.Model:
    network = model_function(name)(features=features, outputs=outputs, task=task, **told)
    assert isinstance(network, keras.Model)
    return network


def features_of(network: keras.Model, given: Any) -> npt.NDArray[np.float32]:
    """What comes out of the learner."""
    if any(layer.name == "stem" for layer in network.layers):
        given = network.get_layer("stem")(given)
    return np.asarray(network.get_layer("learner")(given))


@pytest.mark.parametrize(
    ("name", "told", "theirs"),
    [
        ("vgg16", {"hidden_units": []}, "VGG16"),
        ("resnet50", {"version": "v1"}, "ResNet50"),
        ("resnet50", {"version": "v2"}, "ResNet50V2"),
    ],
)
def test_with_equal_weights_they_are_those_of_keras(name: str, told: Any, theirs: str) -> None:
    other = getattr(keras.applications, theirs)(include_top=False, weights=None, input_shape=(32, 32, 3))
    draw = np.random.default_rng(1)
    for weight in other.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(draw.uniform(0.5, 2, weight.shape))
    ours = made(name, (image(32, 32),), **told)
    own = {path.rpartition("/")[2]: layer for path, layer in leaves(ours)}
    for layer in other.layers:
        if layer.weights:
            own[layer.name].set_weights(layer.get_weights())
    given = pixels(2, 32, 32, 3)
    np.testing.assert_allclose(features_of(ours, given), np.asarray(other(given)), rtol=1e-5)
    parts = [layer for layer in ours.layers if layer.name in ("stem", "learner")]
    assert sum(part.count_params() for part in parts) == other.count_params()


def test_published_sizes() -> None:
    """For ImageNet's 1,000 classes; what is published doesn't count moving averages."""
    network = made("resnet34", (image(64, 64),), 1000)
    assert sum(weight.shape.num_elements() for weight in network.trainable_weights) == 21_797_672
    learner = made("vgg19", (image(32, 32),), hidden_units=[8]).get_layer("learner")
    assert learner.count_params() == 20_024_384


def test_version_1_5_has_its_strides_in_the_3_x_3_convolutions() -> None:
    for version, strides in (("v1", (2, 1)), ("v1.5", (1, 2))):
        learner = ResidualLearner((1, 1), (8, 16), version=version)  # type: ignore[arg-type]
        place = keras.Input((16, 16, 8))
        network = keras.Model(place, learner(place))
        told = [network.get_layer(f"conv3_block1_{number}_conv").strides[0] for number in (1, 2)]
        assert tuple(told) == strides
        assert network.output_shape == (None, 8, 8, 64)


@pytest.mark.parametrize(
    ("name", "told", "size"),
    [
        ("cnn", {"width": 0.25, "depth": 0.5, "hidden_units": [8]}, 8),
        ("vgg16", {"width": 0.02, "batch_normalization": True}, 32),
        ("vgg19", {"width": 0.02, "pooling": "max", "depth": 0.3}, 32),
        ("resnet34", {"width": 0.1, "depth": 0.3, "dropout": 0.5}, 32),
        ("resnet50", {"width": 0.1, "depth": 0.3, "stem": "small"}, 8),
        ("keras.applications.MobileNet", {"width": 0.25, "depth": 0.3}, 32),
    ],
)
def test_each_learns_a_step_and_is_read_back(name: str, told: Any, size: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    network = made(name, (image(size, size, 1),), l2=1e-4, **told)
    assert network.losses
    network.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    before = [np.array(weight) for weight in network.trainable_weights]
    network.train_on_batch({"image": pixels(4, size, size, 1) / 255}, np.array([0, 1, 2, 0]))
    moved = [np.any(old != new) for old, new in zip(before, network.trainable_weights, strict=True)]
    assert sum(moved) > len(moved) / 2
    save_network(network, tmp_path, name)  # compares the weights


def test_the_cnn_has_as_many_stages_as_the_image_allows() -> None:
    for size, stages, channels in ((8, 2, 64), (16, 3, 128), (28, 3, 128), (64, 4, 256)):
        learner = made("cnn", (image(size, size, 1),)).get_layer("learner")
        assert learner.output_shape == (None, size >> stages, size >> stages, channels)
    assert made("cnn", (image(8, 64, 1),), width=0.5).get_layer("learner").output_shape == (None, 2, 16, 32)


def test_other_features_and_several_labels() -> None:
    features = (
        image(8, 8),
        image(8, 8, key="back"),
        FeatureInput("size", "size", "numbers", "float32", 2),
        FeatureInput("kind", "kind", "ids", "int64", 1, (5,), 3),
        FeatureInput("wide", "wide", "one_hot", "int64", 1, (100,)),
    )
    network = made("cnn", features, {"a": 1, "b": 4}, {"a": "regression", "b": "multiclass"}, width=0.25)
    given = {
        "image": pixels(5, 8, 8, 3) / 255,
        "back": pixels(5, 8, 8, 3)[::-1] / 255,
        "size": np.ones((5, 2), np.float32),
        "kind": np.array([[0], [4], [-1], [5], [2]]),
        "wide": np.array([[0], [99], [-1], [100], [2]]),
    }
    told = network(given)
    assert {key: value.shape for key, value in told.items()} == {"a": (5, 1), "b": (5, 4)}
    other = network({**given, "size": given["size"] * 2})
    assert np.abs(np.asarray(told["b"]) - np.asarray(other["b"])).max() > 0
    # Both images go through the same layers.
    assert [layer.name for layer in network.layers].count("learner") == 1


def test_parts_make_a_model_of_ones_own() -> None:
    network = image_model(
        (image(16, 16, 1),), 1, "binary",
        stem=ConvStem(8, kernel=3, stride=1, pool=False), learner=ConvLearner((8, 16), 1),
        classifier=Classifier((4,), 0.5, pooling="flatten"),
    )  # fmt: skip
    paths = [path for path, layer in leaves(network) if layer.weights]
    assert paths[:3] == ["stem/conv1_conv", "stem/conv1_bn", "learner/stage1_1_conv"]
    assert network.get_layer("hidden_1").kernel.shape == (4 * 4 * 16, 4)
    assert network({"image": pixels(2, 16, 16, 1)}).shape == (2, 1)


@pytest.mark.slow
def test_the_networks_of_keras_are_narrower_and_shorter_as_asked() -> None:
    whole, short = (
        made("keras.applications.MobileNetV2", (image(32, 32),), width=0.5, depth=depth) for depth in (1, 0.5)
    )
    assert whole.get_layer("learner").output_shape[-1] == 640
    names = [[path for path, layer in leaves(one) if layer.weights] for one in (whole, short)]
    assert short.get_layer("learner").layers[-1].name.endswith("_add")
    assert names[1][:-1] == names[0][: len(names[1]) - 1] and len(names[1]) < 0.51 * len(names[0])
    normalizations = [
        layer for _, layer in leaves(whole) if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert {layer.momentum for layer in normalizations} == {0.9}
    with pytest.raises(InvalidRequestError, match="can't be 2"):
        made("keras.applications.MobileNetV2", (image(32, 32),), depth=2)


def test_layers_that_keras_numbers_have_names_that_stay() -> None:
    def unnamed() -> keras.Model:
        layers = keras.layers
        block = keras.Sequential([layers.BatchNormalization(), layers.Conv2D(2, 1, name="conv2d_last")])
        return keras.Sequential(
            [layers.Conv2D(2, 1), layers.SeparableConv2D(2, 1), layers.Conv2D(2, 1), block]
        )

    one, other = unnamed(), unnamed()
    assert [layer.name for layer in one.layers] != [layer.name for layer in other.layers]
    names = list(steady_names(other).values())
    assert names == list(steady_names(one).values())
    assert names[:3] == ["unnamed_conv2d_0", "unnamed_separable_conv2d_0", "unnamed_conv2d_1"]
    assert names[4:] == ["unnamed_batch_normalization_0", "conv2d_last"]


def test_the_names_of_keras_are_all_known() -> None:
    there = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert set(ARCHITECTURES) == there
    assert architecture_of("keras.applications.VGG16") == "VGG16"
    assert not architecture_of("VGG16") and not architecture_of("keras.applications.vgg16")


def test_what_is_asked_for_in_vain_is_told_before_anything_runs() -> None:
    def told(model: str, **model_args: Any) -> str:
        return "\n".join(str(one) for one in model_problems({"model": model, "model_args": model_args}))

    for name in (*IMAGE_MODELS, "keras.applications.Xception"):
        assert not told(name, width=0.5, depth=0.5, dropout=0.1, l2=0.1)
    assert "did you mean 'keras.applications.MobileNetV3Small'" in told("keras.applications.MobileNetV3Smal")
    assert "did you mean 'keras.applications.Xception'" in told("Xception")
    assert "did you mean 'resnet50'" in told("resnet-50")
    assert "did you mean 'dropout'" in told("cnn", dropuot=0.1)
    assert "has no argument 'alpha'" in told("keras.applications.MobileNet", alpha=0.5)


def test_images_that_models_cant_take() -> None:
    with pytest.raises(DataError, match=r"image is 16 x 40 pixels, and vgg16 needs 32 x 32(.|\n)*resize: 32"):
        made("vgg16", (image(16, 40),))
    with pytest.raises(DataError, match="needs 75 x 75"):
        made("keras.applications.InceptionV3", (image(64, 64),))
    with pytest.raises(DataError, match="no feature is an image, and cnn is a model for images"):
        made("cnn", (FeatureInput("size", "size", "numbers", "float32", 1),))
    with pytest.raises(DataError, match="differ in shape: image 8 x 8 x 3, back 8 x 8 x 1"):
        made("cnn", (image(8, 8), image(8, 8, 1, "back")))
    columns = (OutputFeature("image", "float32", 64, "pixels", shape=(8, 8, 1)),)
    for keyword in ("inputs", "packed"):
        with pytest.raises(DataError, match=r"image: the model takes rows.*\n.*cnn, vgg16"):
            Feed.of(keyword, columns)


def test_images_travel_as_they_are_stored() -> None:
    columns = (
        OutputFeature(
            "photo", "float32", 12, "pixels", shape=(2, 2, 3), shift=(1.0, 2.0, 3.0), divisor=(2.0,)
        ),
        OutputFeature("size", "float32", 1),
        OutputFeature("dense", "float32", 4, "dense", shape=(2, 2, 1)),
    )
    feed = Feed.of("features", columns)
    assert feed.shapes == {
        "dense": ("float32", (1,)), "photo": ("uint8", (2, 2, 3)), "dense_image": ("float32", (2, 2, 1)),
    }  # fmt: skip
    assert feed.row_bytes == 4 + 12 + 16 and feed.owners == ("size",)
    stored = {
        "photo": np.full((5, 2, 2, 3), 7, np.uint8),
        "size": np.ones((5, 1), np.float32),
        "dense": np.full((5, 2, 2, 1), 0.5, np.float32),
    }
    given = feed.network_input(feed.pack(np, stored))
    assert np.asarray(given["photo"])[4, 1, 1].tolist() == [3.0, 2.5, 2.0]
    assert np.asarray(given["dense_image"]).max() == 0.5 and given["size"].shape == (5, 1)
