"""A small convolutional network for small images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from .blocks import Outputs, Tasks
from .inputs import FeatureInput
from .parts import Classifier, ConvStem, convolution, image_model, images_among, normalized, repeated, scaled
from .regularization import NONE, Regularization

FILTERS = (32, 64, 128, 256)
"""The channels of the stages at width 1."""


@dataclass(frozen=True)
class ConvLearner:
    """Stages of 3 x 3 convolutions, each normalized and activated, with a 2 x 2 pooling behind each stage.

    `[batch, h, w, c]` → `[batch, h / 2^n, w / 2^n, filters[-1]]` for n stages.

    Attributes:
        filters: the channels of each stage.
        convolutions: how many there are in each stage.
        regularization: of their weights.
    """

    filters: Sequence[int] = (32, 64)
    convolutions: int = 2
    regularization: Regularization = NONE

    def __call__(self, values: Any) -> Any:
        """See the class."""
        for stage, filters in enumerate(self.filters, start=1):
            for number in range(1, self.convolutions + 1):
                name = f"stage{stage}_{number}"
                values = convolution(values, filters, 3, f"{name}_conv", regularization=self.regularization)
                values = normalized(values, f"{name}_bn")
                values = keras.layers.Activation("relu", name=f"{name}_relu")(values)
            values = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(values)
        return values


def cnn(
    features: tuple[FeatureInput, ...],
    outputs: Outputs,
    task: Tasks,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.3,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
    hidden_units: Sequence[int] = (),
) -> keras.Model:
    """A small convolutional network, made for images from 8 x 8 to 64 x 64.

    A 3 x 3 convolution, then stages of two, with 32, 64, 128 and 256 channels, each halving the image: two
    stages for 8 x 8, three for 16 x 16, four from 32 x 32 on. Every convolution is normalized; the average
    over what is left of the image goes to the head.

    Args:
        features: an image, and others beside it.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        width: multiplies the channels.
        depth: multiplies the convolutions of a stage.
        dropout: the rate before the head, or after each hidden layer, from 0 to below 1.
        l1, l2: the penalties on the weights of convolutions and hidden layers, at least 0.
        max_norm: the greatest length of the weights of a channel or unit there, 0 for no bound; see
            `Regularization`.
        hidden_units: the width of each dense layer before the head.

    Raises:
        DataError: no feature is an image, or it has less than 4 x 4 pixels.
    """
    shape = images_among(features, 4, "cnn")[0].shape
    stages = max(1, min(len(FILTERS), int(math.log2(min(shape[:2]))) - 1))
    filters = tuple(scaled(one, width) for one in FILTERS[:stages])
    weights = Regularization(l1, l2, max_norm)
    return image_model(
        features,
        outputs,
        task,
        stem=ConvStem(filters[0], kernel=3, stride=1, pool=False, regularization=weights),
        learner=ConvLearner(filters, repeated(2, depth), weights),
        classifier=Classifier(hidden_units, dropout, weights),
        name="cnn",
    )
