"""Weights that a network begins with: from files of several kinds, and from Keras."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from headrace.components.models import model_function
from headrace.components.tfrecords.layout import OutputFeature
from headrace.components.training.argument_checks import training_problems
from headrace.components.training.feed import Feed
from headrace.components.training.freezing import leaves
from headrace.components.training.keras_weights import of_legacy_file, of_weights_file
from headrace.components.training.pretrained import InitialWeights, load_weights, look_at_scale
from headrace.components.training.settings import Settings
from headrace.pipelines.errors import DataError, HeadraceError, InvalidRequestError

DEFAULTS = Settings("cnn", {}, 1, 8, "adam", None, "constant", None, {}, [], None, 0)


def feed(size: int = 8, channels: int = 1, **told: Any) -> Feed:
    shape = (size, size, channels)
    return Feed.of(
        "features", [OutputFeature("image", "float32", size**2 * channels, "pixels", shape=shape, **told)]
    )


def network(fed: Feed, model: str = "cnn", classes: int = 3, **told: Any) -> keras.Model:
    made = model_function(model)(features=fed.packed.features, outputs=classes, task="multiclass", **told)
    assert isinstance(made, keras.Model)
    return made


def loaded(
    place: Path | str, fed: Feed, model: str = "cnn", classes: int = 3, **told: Any
) -> tuple[keras.Model, list[str]]:
    """A network with its first weights, and what was warned of."""
    made, warnings = network(fed, model, classes, **told), []
    settings = dataclasses.replace(DEFAULTS, model=model, model_args=told)
    load_weights(made, fed, settings, InitialWeights.of(str(place)), warnings.append)  # type: ignore[arg-type]
    return made, warnings


def weights(made: keras.Model) -> dict[str, list[Any]]:
    return {path: layer.get_weights() for path, layer in leaves(made) if layer.weights}


def differing(one: keras.Model, other: keras.Model) -> set[str]:
    first, second = weights(one), weights(other)
    return {
        path
        for path in first.keys() | second.keys()
        if not all(np.array_equal(a, b) for a, b in zip(first[path], second[path], strict=True))
    }


@pytest.mark.parametrize("name", ["model.keras", "a.weights.h5"])
def test_files_of_ones_own_fit_by_name_but_for_the_head(name: str, tmp_path: Path) -> None:
    trained = network(feed(), width=0.25)
    for layer in trained.get_layer("learner").layers:
        layer.set_weights([value + 1 for value in layer.get_weights()])
    path = tmp_path / name
    trained.save(path) if name == "model.keras" else trained.save_weights(path)
    again, warnings = loaded(path, feed(), width=0.25)
    assert not differing(trained, again) and not warnings
    other, warnings = loaded(tmp_path if name == "model.keras" else path, feed(), classes=5, width=0.25)
    changed = {path for path, values in weights(other).items() if values[0].shape[-1] == 5}
    assert changed == {"output"} and "at random: output" in warnings[0]
    assert not differing(trained.get_layer("learner"), other.get_layer("learner"))
    with pytest.raises(DataError, match=r"don't fit: .* stem/conv1_conv 3x3x1x16"):
        loaded(path, feed(), width=0.5)


def test_a_file_that_keras_publishes_for_an_architecture(tmp_path: Path) -> None:
    path = tmp_path / "mobile.h5"
    theirs = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    theirs.save(path)
    ours, warnings = loaded(path, feed(32, 3), "keras.applications.MobileNetV3Small")
    given = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(ours.get_layer("learner")(given), theirs(given))
    assert len(warnings) == 1 and "at random: output" in warnings[0]


def test_weights_for_blue_green_red_are_turned_round(tmp_path: Path) -> None:
    path = tmp_path / "vgg.h5"
    theirs = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    theirs.save(path)
    mean = (123.68, 116.779, 103.939)
    ours, warnings = loaded(path, feed(32, 3, shift=mean), "vgg16", hidden_units=[])
    assert len(warnings) == 1 and "at random" in warnings[0]
    given = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    expected = theirs(keras.applications.vgg16.preprocess_input(given.copy()))
    normalized = given - np.array(mean, np.float32)
    np.testing.assert_allclose(ours.get_layer("learner")(normalized), expected, rtol=1e-4, atol=1e-5)

    _, warnings = loaded(path, feed(32, 3, divisor=(255.0,)), "vgg16", hidden_units=[])
    assert "VGG16 expects the image image with {standardize: {mean: [123.68" in warnings[0]
    assert "(pixel - 0) / 255" in warnings[0]
    with pytest.raises(DataError, match="three channels, and image has 1"):
        loaded(path, feed(32, 1), "vgg16", hidden_units=[])
    with pytest.raises(DataError, match="don't fit"):
        loaded(path, feed(32, 3), "vgg16", hidden_units=[], width=0.1)
    with pytest.raises(DataError, match=r"the file doesn't fit VGG19(.|\n)*notop"):
        loaded(path, feed(32, 3), "vgg19", hidden_units=[])


def test_weights_that_cant_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(feed(), width=0.25)
    for model, told in (("cnn", {}), ("resnet50", {"version": "v1.5"}), ("resnet34", {})):
        settings = dataclasses.replace(DEFAULTS, model=model, model_args=told)
        (problem,) = training_problems({"model": model, "model_args": told, "weights": "imagenet"}, {})
        assert problem.argument == "weights"
        with pytest.raises(InvalidRequestError, match=f"Keras has no weights for {model}"):
            load_weights(made, feed(), settings, InitialWeights("imagenet", "imagenet"), print)
    for model, told in (("vgg16", {}), ("resnet50", {"version": "v2"}), ("keras.applications.Xception", {})):
        assert not training_problems({"model": model, "model_args": told, "weights": "imagenet"}, {})
    if Path("~/.keras/models/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5").expanduser().exists():
        pytest.skip("Keras has these weights here")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(DataError, match=r"can't be fetched(.|\n)*fetch https://.*vgg19.*\.h5 where"):
        loaded("imagenet", feed(32, 3), "vgg19", hidden_units=[])


def test_a_network_that_scales_pixels_itself_warns_of_scaled_ones() -> None:
    def told(model: str, **image: Any) -> list[str]:
        found: list[str] = []
        settings = dataclasses.replace(DEFAULTS, model=model)
        look_at_scale(feed(32, 3, **image), settings, found.append, of_keras=False)
        return found

    (text,) = told("keras.applications.MobileNetV3Small", divisor=(255.0,))
    assert (
        "with no scale, since the network does it itself, and the transform step gives (pixel - 0) / 255"
        in text
    )
    assert not told("keras.applications.MobileNetV3Small")
    assert not told("keras.applications.VGG16", divisor=(255.0,)) and not told("cnn", divisor=(255.0,))


def test_files_that_hold_no_weights_or_reach_into_others(tmp_path: Path) -> None:
    (tmp_path / "text.weights.h5").write_text("no weights")
    (tmp_path / "text.keras").write_text("no network")
    (tmp_path / "empty").mkdir()
    with h5py.File(tmp_path / "none.weights.h5", "w"):
        pass
    with h5py.File(tmp_path / "other.weights.h5", "w") as file:
        own = file.create_group("layers/dense/vars")
        own.attrs["name"] = "dense"
        (tmp_path / "secret").write_bytes(bytes(64))
        own.create_dataset("0", (8,), "f4", external=[(str(tmp_path / "secret"), 0, 64)])
    with h5py.File(tmp_path / "loop.weights.h5", "w") as file:
        file.create_group("layers")["again"] = file["/"]
    with h5py.File(tmp_path / "odd.weights.h5", "w") as file:
        file.create_group("layers/dense/vars").create_dataset("first", (8,), "f4")
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file.attrs["layer_names"] = ["dense"]
    for name, what in {
        "loop.weights.h5": "isn't laid out as Keras does it .RecursionError",
        "odd.weights.h5": "isn't laid out as Keras does it .ValueError",
        "odd.h5": "isn't laid out as Keras does it .KeyError",
        "text.weights.h5": "no HDF5 file",
        "text.keras": "can't be loaded",
        "none.weights.h5": "holds no weights",
        "other.weights.h5": "lie in other files",
        "gone.weights.h5": "isn't there",
        "empty": "holds no model.keras",
        "weights.bin": "called 'weights.bin'",
    }.items():
        with pytest.raises(HeadraceError, match=what):
            loaded(tmp_path / name, feed(), width=0.25)


def test_layers_of_an_older_file_are_named_too(tmp_path: Path) -> None:
    layers = keras.layers
    named = layers.Dense(3, name="one"), layers.BatchNormalization(name="two")
    flat = keras.Sequential([keras.Input((4,)), *named])
    flat.save(tmp_path / "flat.h5")
    held = of_legacy_file(tmp_path / "flat.h5")
    assert [array.shape for array in held["two"]] == [(3,)] * 4
    np.testing.assert_array_equal(held["one"][0], flat.get_layer("one").kernel)
    with h5py.File(tmp_path / "none.h5", "w"):
        pass
    with pytest.raises(DataError, match="it has no layer_names"):
        of_legacy_file(tmp_path / "none.h5")


def test_layers_of_nested_networks_are_named_by_their_paths(tmp_path: Path) -> None:
    made = network(feed(), width=0.25)
    made.save_weights(tmp_path / "a.weights.h5")
    held = of_weights_file(tmp_path / "a.weights.h5")
    assert set(held) == set(weights(made)) and "learner/stage1_1_conv" in held
