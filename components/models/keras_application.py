"""A network of `keras.applications` as a learner, with a head of ours."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from ...pipelines.errors import InvalidRequestError
from .applications import ARCHITECTURES
from .blocks import Outputs, Tasks
from .inputs import FeatureInput
from .parts import MOMENTUM, Classifier, image_model
from .regularization import NONE, Regularization

_CHANNELS = ("filters", "units", "projection_dim")
"""What the layers of `keras.applications` call the number of channels that they give."""


@dataclass(frozen=True)
class ApplicationLearner:
    """An architecture of `keras.applications` without its head; layers have the names that Keras gives them.

    `[batch, h, w, c]` → `[batch, h', w', channels]` by the architecture, mostly a 32nd of height and width.

    Attributes:
        architecture: its name there, for example MobileNetV3Small.
        width: multiplies the channels of all layers.
        depth: the share of the layers with weights that is kept, from the image on; up to 1.
        momentum: of batch normalization's moving averages.
        regularization: of the weights of convolutions and dense layers, but for depthwise ones.
    """

    architecture: str
    width: float = 1.0
    depth: float = 1.0
    momentum: float = MOMENTUM
    regularization: Regularization = NONE

    def __call__(self, image: Any) -> Any:
        """See the class.

        Raises:
            InvalidRequestError: the layers don't fit each other with this width.
        """
        original = headless(self.architecture, tuple(image.shape[1:]))
        names = steady_names(original)

        def changed(layer: Any) -> Any:
            if isinstance(layer, keras.Sequential):
                return keras.Sequential([changed(inner) for inner in layer.layers], name=layer.name)
            # ConvNeXt adds by an operation, which is no layer and has no weights.
            return self._changed(layer, names[layer.name]) if layer.name in names else layer

        try:
            made = keras.models.clone_model(original, input_tensors=image, clone_function=changed)
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(
                f"the layers of {self.architecture} don't fit each other with width {self.width:g}: "
                f"{str(error).strip().splitlines()[0]}",
                argument="model_args",
                remedy="take a width with which the channels that are added up stay whole, such as 0.5",
            ) from error
        return made.output if self.depth >= 1 else _cut(made, self.depth)

    def _changed(self, layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
        """A layer like another, of another name and width, with penalties."""
        told = {**layer.get_config(), "name": name}
        for key in _CHANNELS:
            if key in told:
                told[key] = self._times(told[key])
        if told.get("groups", 1) > 1:
            told["groups"] = self._times(told["groups"])
        if isinstance(layer, keras.layers.Reshape) and tuple(told["target_shape"][:-1]) == (1, 1):
            told["target_shape"] = (1, 1, self._times(told["target_shape"][-1]))
        if isinstance(layer, keras.layers.BatchNormalization):
            told["momentum"] = self.momentum
        if not isinstance(layer, keras.layers.DepthwiseConv2D):
            told |= self._regularized(layer, told)
        return type(layer).from_config(told)

    def _regularized(self, layer: keras.layers.Layer, told: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a layer that has penalties and bounds."""
        axes = (0,) if isinstance(layer, keras.layers.Dense) else (0, 1, 2)
        penalty, bound = self.regularization.penalty, self.regularization.bound(axes)
        found: dict[str, Any] = {}
        for kind in ("kernel", "pointwise"):
            if penalty is not None and f"{kind}_regularizer" in told:
                found[f"{kind}_regularizer"] = keras.regularizers.serialize(penalty)
            if bound is not None and f"{kind}_constraint" in told:
                found[f"{kind}_constraint"] = keras.constraints.serialize(bound)
        return found

    def _times(self, channels: int) -> int:
        return max(1, round(channels * self.width))


def headless(architecture: str, shape: Sequence[int], weights: str | None = None) -> keras.Model:
    """The network as `keras.applications` makes it, without its head.

    Args:
        architecture: its name there.
        shape: height, width and channels of the image.
        weights: None, "imagenet", or the path of a file of Keras' own weights.
    """
    build = getattr(keras.applications, architecture)
    with warnings.catch_warnings():
        # Of sizes other than those that it was trained on, which is what a head of one's own is for.
        warnings.simplefilter("ignore")
        return build(include_top=False, weights=weights, input_shape=tuple(shape))


def steady_names(network: keras.Model) -> dict[str, str]:
    """Names for the layers of a network of `keras.applications`, the same in each process.

    Layers that Keras leaves unnamed are numbered by what else was made in the process before: `conv2d_94`.
    Here they are numbered by their place in the network, `unnamed_conv2d_3`. Others keep their names.
    """
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for layer in _all_layers(network):
        base = re.sub(r"_\d+$", "", layer.name)
        if base.replace("_", "") == type(layer).__name__.lower():
            found[layer.name] = f"unnamed_{base}_{counts[base]}"
            counts[base] += 1
        else:
            found[layer.name] = layer.name
    return found


def _all_layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in network.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def application(
    architecture: str,
    features: tuple[FeatureInput, ...],
    outputs: Outputs,
    task: Tasks,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.2,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
    hidden_units: Sequence[int] = (),
    pooling: Literal["average", "max", "flatten"] = "average",
    momentum: float = MOMENTUM,
) -> keras.Model:
    """A network of `keras.applications`, its head replaced by the one that the label wants.

    Args:
        architecture: its name there, for example MobileNetV3Small.
        features: an image, and others beside it.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        width: multiplies the channels of all layers; pretrained weights fit 1 alone.
        depth: the share of the layers with weights that is kept, from the image on; up to 1.
        dropout: the rate before the head, or after each hidden layer, from 0 to below 1.
        l1, l2: the penalties on the weights of convolutions and dense layers, but for depthwise
            ones; at least 0.
        max_norm: the greatest length of the weights of a channel or unit there, 0 for no bound; see
            `Regularization`.
        hidden_units: the width of each dense layer before the head.
        pooling: what becomes of the last image: "average", "max" or "flatten".
        momentum: of batch normalization's moving averages. Keras' own 0.99 to 0.999 take hundreds or
            thousands of steps to follow, during which a network that learns well answers badly.

    Raises:
        DataError: no feature is an image, or it is too small.
        InvalidRequestError: the layers don't fit each other with this width, or depth is not above 0 up to 1.
    """
    if not 0 < depth <= 1:
        raise InvalidRequestError(
            f"depth is the share of {architecture}'s layers that is kept, and can't be {depth:g}",
            argument="model_args",
            remedy="give a number above 0, up to 1, or take a larger architecture of the family",
        )
    weights = Regularization(l1, l2, max_norm)
    return image_model(
        features,
        outputs,
        task,
        learner=ApplicationLearner(architecture, width, depth, momentum, weights),
        classifier=Classifier(hidden_units, dropout, weights, pooling),
        smallest=ARCHITECTURES[architecture].smallest,
        name=architecture,
    )


def _cut(network: keras.Model, depth: float) -> Any:
    """The output of the last block that ends within a share of the layers with weights.

    Blocks end in a sum or a concatenation; an architecture without any is cut behind any layer.
    """
    layers = network.layers
    ends = [isinstance(layer, keras.layers.Add | keras.layers.Concatenate) for layer in layers]
    limit, seen = math.ceil(sum(bool(layer.weights) for layer in layers) * depth), 0
    found = layers[0].output
    for layer, end in zip(layers, ends, strict=True):
        seen += bool(layer.weights)
        if seen > limit:
            break
        if end or not any(ends):
            found = layer.output
    return found
