"""What a network begins with where it isn't random: weights of a file, of a Model, or of Keras.

Layers are found by name: by their whole path (`learner/conv1_conv`), else by the last part of it. A layer of
the learner or stem that isn't in the file, or has another shape there, is an error, since a network that is
half random would be told of as a trained one. The classifier and the heads may differ: they begin at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ...pipelines.errors import DataError, InvalidRequestError
from ..models.applications import ARCHITECTURES, PIXELS, nothing_published, published
from ..models.keras_application import steady_names
from ..models.layers import custom_objects
from .checkpoints import UNREADABLE, read_arrays
from .feed import Feed
from .freezing import leaves
from .keras_weights import imagenet_weights, of_legacy_file, of_weights_file
from .settings import IMAGENET, InitialWeights, Settings

Arrays = tuple[npt.NDArray[Any], ...]
MODEL = "model/"
"""Where the keys of a network's variables begin in a checkpoint."""
PARTS = ("stem/", "learner/")
"""Where layers begin with the weights that they are to have, or not at all."""


def load_weights(
    network: keras.Model,
    feed: Feed,
    settings: Settings,
    weights: InitialWeights,
    warn: Callable[[str], None],
) -> None:
    """Gives a network its first weights.

    Args:
        network: as the model function made it.
        feed: how it is fed.
        settings: of the training; `model` and `model_args` tell which architecture it is.
        weights: where they come from.
        warn: takes a text that people should see.

    Raises:
        InvalidRequestError: there are no such weights for this model.
        DataError: the file can't be read, the weights can't be fetched, or they don't fit.
    """
    place = Path(weights.place)
    if weights.place == IMAGENET:
        given = _of_keras(feed, settings, None, warn)
    elif place.is_dir():
        given = _of_network(_only_model(place))
    elif place.suffix == ".npz":
        given = _of_checkpoint(place, network)
    elif place.name.endswith(".weights.h5"):
        given = of_weights_file(place)
    elif place.suffix in (".h5", ".hdf5"):
        given = _of_keras(feed, settings, place, warn)
    elif place.suffix == ".keras":
        given = _of_network(place)
    else:
        raise InvalidRequestError(
            f"weights can't be read from a file called {place.name!r}",
            argument="weights",
            available=(IMAGENET, ".keras", ".weights.h5", ".h5", ".npz"),
            remedy="give one of these, a Model, or a Model's folder",
        )
    _set(network, given, weights.name, warn)


def _only_model(folder: Path) -> Path:
    path = folder / "model.keras"
    if not path.is_file():
        raise DataError(
            "the folder holds no model.keras",
            file=str(folder),
            argument="weights",
            remedy="name the folder of a Model artifact (headrace artifacts path), or a file",
        )
    return path


def _of_network(path: Path) -> dict[str, Arrays]:
    """The weights of a saved network, by the paths of its layers."""
    try:
        network = keras.saving.load_model(path, custom_objects(), compile=False, safe_mode=True)
    except Exception as error:
        told = str(error).strip().splitlines()[:1]
        raise DataError(
            f"the network can't be loaded: {type(error).__name__}: {''.join(told)}",
            file=str(path),
            argument="weights",
            remedy="layers of your own have to be registered; network.save_weights('x.weights.h5') makes a "
            "file that needs none of them",
        ) from error
    return {name: tuple(layer.get_weights()) for name, layer in leaves(network) if layer.weights}


def _of_checkpoint(path: Path, network: keras.Model) -> dict[str, Arrays]:
    """The weights of a checkpoint of a training of an equal network, by the paths of its layers."""
    try:
        held = read_arrays(path)
    except UNREADABLE as error:
        raise DataError(
            f"the checkpoint can't be read: {error}",
            file=str(path),
            argument="weights",
            remedy="take the one before, which lies beside it, or a Model",
        ) from error
    arrays = [held[key] for key in sorted(held) if key.startswith(MODEL)]
    own = network.variables
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in own]:
        raise DataError(
            f"the checkpoint {path.name} has {len(arrays)} variables, and not those of this network, "
            f"which has {len(own)}",
            file=str(path),
            argument="weights",
            remedy="a checkpoint is for an equal network: take the model and model_args that it is of",
        )
    by_variable = {id(variable): array for variable, array in zip(own, arrays, strict=True)}
    return {
        name: tuple(by_variable[id(variable)] for variable in layer.weights)
        for name, layer in leaves(network)
        if layer.weights
    }


def _of_keras(
    feed: Feed, settings: Settings, file: Path | None, warn: Callable[[str], None]
) -> dict[str, Arrays]:
    """Weights that Keras publishes, of its own file or fetched, by the names of its layers."""
    name = published(settings.model, settings.model_args)
    if not name:
        if file is not None:
            return of_legacy_file(file)
        raise InvalidRequestError(nothing_published(settings.model, settings.model_args))
    image = next(iter(feed.images.values()))
    if image.shape[-1] != 3:
        raise DataError(
            f"the weights of {name} are for three channels, and {image.name} has {image.shape[-1]}",
            argument="weights",
            remedy="let the image be decoded as rgb in the transform step: image: [{decode: rgb}, …]",
        )
    network = imagenet_weights(name, image.shape, file)
    look_at_scale(feed, settings, warn, of_keras=True)
    names = steady_names(network)
    given: dict[str, Arrays] = {}
    for number, (_, layer) in enumerate(_weighted(network)):
        arrays = tuple(layer.get_weights())
        if not number and ARCHITECTURES[name].pixels == "caffe":
            arrays = (np.ascontiguousarray(arrays[0][:, :, ::-1]), *arrays[1:])
        if isinstance(layer, keras.layers.Normalization):
            arrays = _squared(arrays)
        given[names[layer.name]] = arrays
    return given


def _squared(normalization: Arrays) -> Arrays:
    """Keras keeps deviations for variances in EfficientNet's files, and makes up for it by one more layer.

    That layer isn't in the network here. `(x - mean) / sqrt(v) / sqrt(v)` is a variance of `v ** 2`.
    """
    mean, variance, *rest = normalization
    deviations = np.array([0.229, 0.224, 0.225], np.float32)
    return (mean, variance**2 if np.allclose(variance, deviations, rtol=1e-2) else variance, *rest)


def look_at_scale(feed: Feed, settings: Settings, warn: Callable[[str], None], *, of_keras: bool) -> None:
    """Warns if pixels reach a network of Keras otherwise than it expects.

    Args:
        feed: how the network is fed.
        settings: of the training; `model` tells which network it is.
        warn: takes a text that people should see.
        of_keras: whether it has Keras' weights. With others only those matter that scale pixels themselves,
            and would see next to nothing in pixels from 0 to 1.
    """
    name = published(settings.model, settings.model_args)
    if not name or not (of_keras or ARCHITECTURES[name].pixels == "raw"):
        return
    expected = PIXELS[ARCHITECTURES[name].pixels]
    for image in feed.images.values():
        same = all(
            np.allclose(np.broadcast_to(given, 3), np.broadcast_to(wanted, 3), rtol=1e-2, atol=0.5)
            for given, wanted in ((image.shift, expected.shift), (image.divisor, expected.divisor))
        )
        if not same:
            warn(
                f"{name} expects the image {image.name} with {expected.told}, and the transform step gives "
                f"(pixel - {_few(image.shift)}) / {_few(image.divisor)}"
            )


def _few(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"[{', '.join(f'{value:g}' for value in values)}]"


def _set(network: keras.Model, given: Mapping[str, Arrays], name: str, warn: Callable[[str], None]) -> None:
    by_end: dict[str, list[str]] = {}
    for path in given:
        by_end.setdefault(path.rpartition("/")[2], []).append(path)
    taken: list[str] = []
    wrong: list[str] = []
    random: list[str] = []
    for path, layer in _weighted(network):
        found = path if path in given else ""
        if not found and len(by_end.get(path.rpartition("/")[2], ())) == 1:
            found = by_end[path.rpartition("/")[2]][0]
        shapes = [tuple(variable.shape) for variable in layer.weights]
        held = [tuple(array.shape) for array in given[found]] if found else []
        if shapes == held:
            layer.set_weights(given[found])
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()
            taken.append(path)
        else:
            what = f"{path} {_shapes(shapes)}" + (f", there {_shapes(held)}" if found else "")
            (wrong if path.startswith(PARTS) else random).append(what)
    if wrong or not taken:
        told = "; ".join((wrong or random)[:5]) + (" …" if len(wrong or random) > 5 else "")
        raise DataError(
            f"the weights of {name} don't fit: {len(wrong or random)} layers of the network have none of "
            f"their name and shape: {told}",
            argument="weights",
            available=tuple(given),
            remedy="build the model with the width, depth and image size that the weights were trained with",
        )
    if random:
        warn(f"{len(taken)} layers begin with the weights of {name}, and at random: {', '.join(random)}")


def _weighted(network: keras.Model) -> Iterator[tuple[str, keras.layers.Layer]]:
    return ((path, layer) for path, layer in leaves(network) if layer.weights)


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return " ".join("x".join(map(str, shape)) or "1" for shape in shapes)
