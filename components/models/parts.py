"""What the image models are put together from: a stem, a learner, a classifier, `image_model` around them.

A part is a callable from a Keras tensor to one, float32 `[batch, height, width, channels]`. The stem looks at
pixels and makes the image smaller; the learner finds features in it; the classifier makes a row of what is
left of the image, puts other features beside it, and ends in the head that the label wants. A model of one's
own is other parts in `image_model`:

    from headrace.components.models.parts import Classifier, ConvStem, image_model
    from headrace.components.models.resnet import ResidualLearner

    def build(features, outputs, task, *, dropout=0.2):
        return image_model(
            features, outputs, task,
            stem=ConvStem(filters=32, kernel=3, stride=1, pool=False),
            learner=ResidualLearner(blocks=(2, 2, 2), filters=(32, 64, 128), bottleneck=False),
            classifier=Classifier(dropout=dropout),
        )

In the network, stem and learner are models called `stem` and `learner`, so that `freeze: learner` names one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

from ...pipelines.errors import DataError
from .blocks import Outputs, Tasks, embedding_layer, heads, hidden_layers, side_by_side
from .inputs import FeatureInput
from .regularization import NONE, Regularization

Part = Callable[[Any], Any]
"""From float32 `[batch, height, width, channels]` to the same of other sizes."""
MOMENTUM = 0.9
"""Of the moving averages of batch normalization. Keras' 0.99 takes some 500 steps to follow, which small data
don't have: the network then learns well and answers badly."""
EPSILON = 1.001e-5
"""Of batch normalization, as in the networks of `keras.applications`, whose weights are to fit."""


@dataclass(frozen=True)
class ConvStem:
    """A convolution, normalized and activated, and by choice a 3 x 3 pooling of stride 2 behind it.

    `[batch, h, w, c]` → `[batch, h / stride, w / stride, filters]`, halved once more by pooling.

    Attributes:
        filters: the channels that come out.
        kernel: height and width of the convolution, odd.
        stride: of the convolution.
        pool: whether pooling follows.
        activated: whether normalization and relu follow; networks of version 2 do both further on.
        bias: whether the convolution has a bias.
        regularization: of its weights.
    """

    filters: int = 64
    kernel: int = 7
    stride: int = 2
    pool: bool = True
    activated: bool = True
    bias: bool = False
    regularization: Regularization = NONE

    def __call__(self, image: Any) -> Any:
        """See the class."""
        layers = keras.layers
        values = layers.ZeroPadding2D(self.kernel // 2, name="conv1_pad")(image)
        values = convolution(
            values, self.filters, self.kernel, "conv1_conv", stride=self.stride, padding="valid",
            bias=self.bias, regularization=self.regularization,
        )  # fmt: skip
        if self.activated:
            values = layers.Activation("relu", name="conv1_relu")(normalized(values, "conv1_bn"))
        if self.pool:
            values = layers.ZeroPadding2D(1, name="pool1_pad")(values)
            values = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(values)
        return values


@dataclass(frozen=True)
class Classifier:
    """What is between the learner and the heads: pooling, other features, dense layers, dropout.

    Attributes:
        hidden_units: the width of each dense layer; none by default.
        dropout: the rate after each of them, or before the head where there are none.
        regularization: of their weights.
        pooling: what becomes of the learner's image: its channels' "average" or "max", or all of it side by
            side, "flatten".
        activation: of the dense layers, by its Keras name.
    """

    hidden_units: Sequence[int] = ()
    dropout: float = 0.0
    regularization: Regularization = NONE
    pooling: Literal["average", "max", "flatten"] = "average"
    activation: str = "relu"

    def pooled(self, image: Any, name: str = "pool") -> Any:
        """`[batch, height, width, channels]` → `[batch, channels]`, or all of it side by side."""
        if self.pooling == "flatten":
            return keras.layers.Flatten(name=name)(image)
        kind = "GlobalAveragePooling2D" if self.pooling == "average" else "GlobalMaxPooling2D"
        return getattr(keras.layers, kind)(name=name)(image)

    def __call__(self, values: Any) -> Any:
        """`[batch, width]` → what the heads are put on, `[batch, the last width]`."""
        if self.hidden_units:
            return hidden_layers(
                values,
                self.hidden_units,
                activation=self.activation,
                dropout=self.dropout,
                regularization=self.regularization,
            )
        return keras.layers.Dropout(self.dropout, name="dropout")(values) if self.dropout else values


def image_model(
    features: Sequence[FeatureInput],
    outputs: Outputs,
    task: Tasks,
    *,
    learner: Part,
    stem: Part | None = None,
    classifier: Classifier | None = None,
    smallest: int = 1,
    name: str = "image_model",
) -> keras.Model:
    """A network of parts on an image, and on other features beside it.

    Several images of one shape go through the same stem and learner. Numbers and narrow one-hots are put
    beside what becomes of the image, ids as their embeddings, just before the classifier's first layer.

    Args:
        features: as a model function gets them; one image at the least.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        learner: the part behind the stem.
        stem: the part that gets the image, if there is one.
        classifier: what comes behind; average pooling and the head alone by default.
        smallest: the least height and width of the image.
        name: of the network.

    Returns:
        The network, not compiled, fed with a dict of tensors by the features' keys; it gives float32
        `[batch, outputs]`, values or probabilities, or a dict of them by key.

    Raises:
        DataError: no feature is an image, images differ in shape, or are too small.
    """
    images = images_among(features, smallest, name)
    classifier = classifier or Classifier()
    inputs: dict[str, Any] = {
        f.key: keras.Input(f.shape or (f.width,), dtype=f.dtype, name=f.key) for f in features
    }
    shape: tuple[int, ...] = images[0].shape
    chain = []
    for called, part in (("stem", stem), ("learner", learner)):
        if part is not None:
            chain.append(as_model(part, shape, called))
            shape = chain[-1].output_shape[1:]
    rows = []
    for image in images:
        values = inputs[image.key]
        for model in chain:
            values = model(values)
        rows.append(classifier.pooled(values, "pool" if len(images) == 1 else f"{image.key}_pool"))
    rows += [_row(f, inputs[f.key]) for f in features if f.kind != "image"]
    hidden = classifier(side_by_side(rows, "image_and_others"))

    def logits(units: int, called: str) -> Any:
        return keras.layers.Dense(units, name=called)(hidden)

    return keras.Model(inputs, heads(logits, outputs, task), name=name)


def as_model(part: Part, shape: Sequence[int], name: str) -> keras.Model:
    """A part as a model of its own, for images of a shape (height, width, channels)."""
    image = keras.Input(tuple(shape))
    return keras.Model(image, part(image), name=name)


def images_among(features: Sequence[FeatureInput], smallest: int, name: str) -> list[FeatureInput]:
    """The features that are images.

    Raises:
        DataError: there is none, their shapes differ, or they are smaller than `smallest`.
    """
    images = [feature for feature in features if feature.kind == "image"]
    if not images:
        raise DataError(
            f"no feature is an image, and {name} is a model for images",
            argument="model",
            available=tuple(feature.name for feature in features),
            remedy="use mlp or wide_deep, or name an image among the transform step's features: "
            "image: [decode, {resize: 64}]",
        )
    if len({image.shape for image in images}) > 1:
        told = ", ".join(f"{image.name} {_times(image.shape)}" for image in images)
        raise DataError(
            f"several images go through the same layers, and these differ in shape: {told}",
            argument="model",
            remedy="resize them to one size in the transform step",
        )
    shape = images[0].shape
    if min(shape[:2]) < smallest:
        raise DataError(
            f"{images[0].name} is {shape[0]} x {shape[1]} pixels, and {name} needs {smallest} x {smallest}",
            argument="model",
            remedy=f"resize the image in the transform step, {{resize: {smallest}}} or more, or use cnn",
        )
    return images


def convolution(
    values: Any,
    filters: int,
    kernel: int,
    name: str,
    *,
    stride: int = 1,
    padding: str = "same",
    bias: bool = False,
    regularization: Regularization = NONE,
) -> Any:
    """A convolution alone, `[batch, h, w, c]` → `[batch, h / stride, w / stride, filters]`."""
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        use_bias=bias,
        kernel_initializer="he_normal",
        **regularization.of_kernel((0, 1, 2)),
        name=name,
    )(values)


def normalized(values: Any, name: str) -> Any:
    """Batch normalization by channels, the shape kept."""
    return keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name)(values)


def scaled(filters: int, width: float) -> int:
    """A number of channels multiplied by `width`, a multiple of 8 unless `width` is 1.

    Raises:
        ValueError: `width` is not above 0.
    """
    if not width > 0:
        raise ValueError(f"width has to be above 0, not {width:g}")
    return filters if width == 1 else max(8, round(filters * width / 8) * 8)


def repeated(layers: int, depth: float) -> int:
    """How often a layer is repeated, multiplied by `depth` and rounded up; 1 at the least.

    Raises:
        ValueError: `depth` is not above 0.
    """
    if not depth > 0:
        raise ValueError(f"depth has to be above 0, not {depth:g}")
    return max(1, math.ceil(layers * depth))


def _row(feature: FeatureInput, values: Any) -> Any:
    return values if feature.dtype == "float32" else embedding_layer(feature)(values)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
