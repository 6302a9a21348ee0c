"""VGG with 16 and 19 layers, from Simonyan and Zisserman, "Very Deep Convolutional Networks", 2014."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import keras

from .blocks import Outputs, Tasks
from .inputs import FeatureInput
from .parts import Classifier, convolution, image_model, normalized, repeated, scaled
from .regularization import NONE, Regularization

FILTERS = (64, 128, 256, 512, 512)
SMALLEST = 32
"""Five poolings leave one pixel of it."""


@dataclass(frozen=True)
class VggLearner:
    """Blocks of 3 x 3 convolutions with a 2 x 2 pooling behind each.

    `[batch, h, w, c]` → `[batch, h / 2^n, w / 2^n, filters[-1]]` for n blocks. Layers have the names of
    `keras.applications.VGG16`.

    Attributes:
        convolutions: how many there are in each block.
        filters: the channels of each block.
        batch_normalization: whether each is normalized before its activation, which the published one isn't.
        regularization: of their weights.
    """

    convolutions: Sequence[int] = (2, 2, 3, 3, 3)
    filters: Sequence[int] = FILTERS
    batch_normalization: bool = False
    regularization: Regularization = NONE

    def __call__(self, values: Any) -> Any:
        """See the class."""
        for block, (count, filters) in enumerate(zip(self.convolutions, self.filters, strict=True), start=1):
            for number in range(1, count + 1):
                name = f"block{block}_conv{number}"
                bias = not self.batch_normalization
                values = convolution(values, filters, 3, name, bias=bias, regularization=self.regularization)
                if self.batch_normalization:
                    values = normalized(values, f"{name}_bn")
                values = keras.layers.Activation("relu", name=f"{name}_relu")(values)
            values = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(values)
        return values


def vgg(
    convolutions: Sequence[int],
    name: str,
    features: tuple[FeatureInput, ...],
    outputs: Outputs,
    task: Tasks,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
    hidden_units: Sequence[int] | None = None,
    pooling: Literal["average", "max", "flatten"] = "flatten",
    batch_normalization: bool = False,
) -> keras.Model:
    """Five blocks of convolutions, and dense layers on all that is left of the image.

    Args:
        convolutions: how many there are in each of five blocks.
        name: of the network.
        features: an image, and others beside it.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        width: multiplies the channels, and the default hidden units.
        depth: multiplies the convolutions of a block.
        dropout: the rate after each hidden layer, from 0 to below 1.
        l1, l2: the penalties on the weights of convolutions and hidden layers, at least 0.
        max_norm: the greatest length of the weights of a channel or unit there, 0 for no bound; see
            `Regularization`.
        hidden_units: the width of each dense layer before the head; as published two of 4,096.
        pooling: "flatten" as published, "average" or "max" for far fewer weights.
        batch_normalization: whether convolutions are normalized, which the published ones aren't; from
            scratch it learns far more easily so.

    Raises:
        DataError: no feature is an image, or it has less than 32 x 32 pixels.
    """
    units = (scaled(4096, width),) * 2 if hidden_units is None else hidden_units
    weights = Regularization(l1, l2, max_norm)
    return image_model(
        features,
        outputs,
        task,
        learner=VggLearner(
            tuple(repeated(count, depth) for count in convolutions),
            tuple(scaled(one, width) for one in FILTERS),
            batch_normalization,
            weights,
        ),
        classifier=Classifier(units, dropout, weights, pooling),
        smallest=SMALLEST,
        name=name,
    )


vgg16 = partial(vgg, (2, 2, 3, 3, 3), "vgg16")
"""13 convolutions and 3 dense layers; arguments from `features` on as of `vgg`."""
vgg19 = partial(vgg, (2, 2, 4, 4, 4), "vgg19")
"""16 convolutions and 3 dense layers; arguments from `features` on as of `vgg`."""
