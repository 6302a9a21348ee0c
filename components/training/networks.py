"""The Keras network inside a Model artifact: identity, saving, loading, its outputs as people want them.

Files of a Model: `model.keras` (volatile: a zip with times in it; its identity is the digest of its weights),
`model.json` (task, history, hyperparameters), `code.json` (volatile: where the user's model function is, so
that layers which it registers are known when the network is loaded), `transform/` (the Transform's files).
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...pipelines.artifact import Model
from ...pipelines.errors import DataError, StepError
from ..models.inputs import DENSE
from ..models.layers import custom_objects
from ..preprocessing.fitted import FittedTransform
from .feed import Feed, Tensors
from .tasks import Task

Floats = npt.NDArray[np.float32]
_NUMBER = re.compile(r"_\d+$")


def weights_digest(network: keras.Model) -> str:
    """SHA-256 in hex over layer, name, dtype, shape and bytes of every weight, in the model's order."""
    digest = hashlib.sha256()
    for number, variable in enumerate(network.weights):
        value = np.ascontiguousarray(variable.numpy())
        # What stands before is not the same once Keras has loaded it, nor are the numbers of the layers that
        # a class of the user's makes without naming them.
        name = [_NUMBER.sub("", part) for part in variable.path.split("/")[-2:]]
        digest.update(json.dumps([number, name, str(value.dtype), value.shape]).encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def save_network(network: keras.Model, folder: Path, code: str) -> None:
    """Writes `model.keras` and `code.json`, and reads the network back to see that the weights are equal.

    Raises:
        StepError: Keras can't read back what it wrote, for a class of the user's that isn't registered.
    """
    network.save(folder / "model.keras")
    (folder / "code.json").write_text(json.dumps({"model": code}), "utf-8")
    try:
        again = _read(folder / "model.keras")
    except Exception as error:
        raise StepError(
            f"the model can't be read back after saving it: {_first_line(error)}",
            argument="model",
            remedy="decorate your own models and layers with @keras.saving.register_keras_serializable() and "
            "give them a get_config with the arguments of __init__; use no Lambda",
        ) from error
    if weights_digest(again) != weights_digest(network):
        raise StepError(
            "the model that was read back after saving has other weights",
            argument="model",
            remedy="your own layers have to create their weights in build() or __init__()",
        )


def require_saved_as_it_is(network: keras.Model, code: str) -> None:
    """Saves a network to a temporary folder and reads it back; see `save_network`."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        save_network(network, Path(folder), code)


def load_network(model: Model) -> keras.Model:
    """The trained network of a Model artifact, not compiled.

    Raises:
        DataError: the file is damaged, or its weights are not those of the artifact.
    """
    try:
        network = _load(model)
    except Exception as error:
        raise DataError(
            f"the model can't be loaded: {_first_line(error)}",
            file=str(model.file("model.keras")),
            remedy="delete the artifact and train again",
        ) from error
    if weights_digest(network) != model.properties["weights"]:
        raise DataError(
            "the weights are not those that the artifact was published with",
            file=str(model.file("model.keras")),
            remedy="delete the artifact and train again",
        )
    return network


def _load(model: Model) -> keras.Model:
    """Reads the file; only if that fails, the user's module is imported, which registers their own layers."""
    path, code = model.file("model.keras"), model.read_json("code.json")["model"]
    try:
        return _read(path)
    except (TypeError, ValueError):
        if ":" not in code:
            raise
    from ..models import model_function

    model_function(code)
    return _read(path)


def _read(path: Path) -> keras.Model:
    return keras.saving.load_model(path, custom_objects(), compile=False, safe_mode=True)


def answers(network: keras.Model, feed: Feed, tensors: Tensors) -> Any:
    """What a network gives, float32 `[n, outputs]`, or for several labels a dict of that by output key.

    NaN stands in a row with a number that isn't finite; an image has none. A network can't be left to say so
    by itself: TensorFlow's relu makes a 0 of NaN.

    Args:
        network: fed as `feed` says.
        feed: how features are packed.
        tensors: the packed rows.
    """
    outputs = network(feed.network_input(tensors), training=False)
    if DENSE not in tensors:
        return tf.nest.map_structure(lambda values: tf.cast(values, tf.float32), outputs)
    whole = tf.reduce_all(tf.math.is_finite(tensors[DENSE]), axis=1, keepdims=True)
    nan = tf.constant(float("nan"), tf.float32)
    return tf.nest.map_structure(lambda values: tf.where(whole, tf.cast(values, tf.float32), nan), outputs)


def forward(network: keras.Model, feed: Feed) -> Any:
    """`answers` of the network as a `tf.function` of `Tensors`, as `feed.pack` makes them."""
    spec = {name: tf.TensorSpec([None, *shape], dtype, name) for name, (dtype, shape) in feed.shapes.items()}
    return tf.function(lambda tensors: answers(network, feed, tensors), input_signature=[spec])


def feed_of(model: Model, fitted: FittedTransform) -> Feed:
    """How the network of a Model artifact is fed.

    Args:
        model: the artifact.
        fitted: its Transform.
    """
    return Feed(model.read_json("model.json").get("feed", "matrix"), fitted.features)


def probabilities(xp: Any, task: Task, outputs: Any) -> Any:
    """`[n, classes]` probabilities of a task's outputs, with NumPy or TensorFlow as `xp`."""
    if task.name in ("multiclass", "multilabel"):
        return outputs
    return xp.concatenate([1.0 - outputs, outputs], 1) if xp is np else tf.concat([1.0 - outputs, outputs], 1)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
