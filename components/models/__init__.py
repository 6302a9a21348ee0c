"""Keras models: built-in ones for tables and images, or a user's function.

A model function is called with `outputs` (1 for regression and binary, the number of classes for multi-class
and multi-label), `task` ("regression", "binary", "multiclass" or "multilabel"), the step's `model_args`, and
what it wants to know of the features, which also says how its network is fed:

    inputs: int                            float32 `[batch, inputs]`, all features side by side, one-hots
                                           expanded; not for features that are ids
    features: tuple[FeatureInput, ...]     a dict, for each feature a tensor `[batch, width]` by its `key`;
                                           see `headrace.components.models.inputs`. An image is float32
                                           `[batch, height, width, channels]`; only this way takes one, and
                                           `headrace.components.models.parts` has what to build of
    packed: Packed                         the same in two tensors, `dense` and `ids`, quicker for many

It returns a `keras.Model` to float32 `[batch, outputs]`: a value of the transformed label, the probability
of the second class, or the probabilities of all classes. Where there are several labels, `outputs` and `task`
are dicts by the labels' keys (their columns' names, as far as Keras takes them), and so is what the network
gives. A model that comes compiled keeps its optimizer, loss and metrics, so that none may be told beside it.

A class of one's own below `keras.Model` may have its own `train_step` and `test_step`, which the training
runs; see `headrace.components.models.user`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Annotated, Any, cast

from ...pipelines.component import Marker
from .applications import architecture_of

_WEIGHTS = ("dropout", "l1", "l2", "max_norm")
_DEEP = ("hidden_units", "activation", *_WEIGHTS, "batch_normalization", "embedding_size")
_IMAGE = ("width", "depth", *_WEIGHTS, "hidden_units")
_VGG = (*_IMAGE, "pooling", "batch_normalization")
_RESNET = (*_IMAGE, "version", "stem")
APPLICATION_ARGS = (*_IMAGE, "pooling", "momentum")
"""The `model_args` of `keras.applications.NAME`."""
BUILT_IN: dict[str, tuple[str, ...]] = {
    "linear": _WEIGHTS,
    "mlp": _DEEP,
    "wide_deep": (*_DEEP, "wide_l1", "wide_l2"),
    "cnn": _IMAGE,
    "vgg16": _VGG,
    "vgg19": _VGG,
    "resnet34": _RESNET,
    "resnet50": _RESNET,
}
"""The built-in models, each with the names of its `model_args`."""
ModelName = Annotated[str, Marker("code", tuple(BUILT_IN), "models")]
"""A built-in model, `keras.applications.NAME`, the import path of a user's function, or the plain name of
another package's."""
IMAGE_MODELS = ("cnn", "vgg16", "vgg19", "resnet34", "resnet50")
"""Those for images; any `keras.applications.NAME` is one too."""
_MODULES = {
    "cnn": "cnn", "linear": "linear", "mlp": "mlp", "wide_deep": "wide_deep", "vgg16": "vgg", "vgg19": "vgg",
    "resnet34": "resnet", "resnet50": "resnet",
}  # fmt: skip


def arguments_of(model: str) -> tuple[str, ...] | None:
    """The `model_args` that a built-in model or `keras.applications.NAME` takes; None of anything else."""
    return APPLICATION_ARGS if architecture_of(model) else BUILT_IN.get(model)


def model_function(name: str) -> Callable[..., Any]:
    """The function of a built-in name, `keras.applications.NAME`, or an import path.

    Args:
        name: `mlp`, `keras.applications.MobileNetV3Small`, `module:name` or `file.py:name`.

    Raises:
        InvalidRequestError: there is no such built-in model, module, file or function.
    """
    if name in BUILT_IN:
        return cast(Callable[..., Any], getattr(import_module(f".{_MODULES[name]}", __name__), name))
    architecture = architecture_of(name)
    if architecture:
        from .keras_application import application

        return partial(application, architecture)
    from ...pipelines.import_path import load_function

    return load_function(name)
