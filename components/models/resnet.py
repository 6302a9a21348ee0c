"""Residual networks with 34 and 50 layers, in their three published versions.

From He et al., "Deep Residual Learning for Image Recognition", 2015 (v1), and "Identity Mappings in Deep
Residual Networks", 2016 (v2). v1.5 is what most trainings since call ResNet-50: v1 with the stride in the
3 x 3 convolution of a block and not in the 1 x 1 before it, half a point more accurate on ImageNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import keras

from .blocks import Outputs, Tasks
from .inputs import FeatureInput
from .parts import Classifier, ConvStem, convolution, image_model, normalized, repeated, scaled
from .regularization import NONE, Regularization

FILTERS = (64, 128, 256, 512)
Version = Literal["v1", "v1.5", "v2"]
Stem = Literal["large", "small"]
SMALLEST = {"large": 32, "small": 8}
"""The least height and width by the stem."""


@dataclass(frozen=True)
class ResidualLearner:
    """Stages of residual blocks, each stage but the first halving the image.

    `[batch, h, w, c]` → `[batch, h / 2^(n-1), w / 2^(n-1), channels]` for n stages, `channels` being
    `filters[-1]`, four times that with bottlenecks. Layers have the names of `keras.applications.ResNet50`,
    and of ResNet50V2.

    Attributes:
        blocks: how many there are in each stage.
        filters: the channels of each stage's 3 x 3 convolutions.
        bottleneck: whether a block is 1 x 1, 3 x 3 and 1 x 1 convolutions, the last with four times the
            channels, or two of 3 x 3.
        version: where stride, normalization and activation are.
        bias: whether convolutions in front of a normalization have a bias, as in Keras' v1; it does nothing.
        regularization: of the weights of the convolutions.
    """

    blocks: Sequence[int] = (3, 4, 6, 3)
    filters: Sequence[int] = FILTERS
    bottleneck: bool = True
    version: Version = "v1.5"
    bias: bool = False
    regularization: Regularization = NONE

    def __call__(self, values: Any) -> Any:
        """See the class."""
        block = self._preactivated if self.version == "v2" else self._activated
        for stage, (count, filters) in enumerate(zip(self.blocks, self.filters, strict=True)):
            # Version 2 as Keras has it halves the image at the end of a stage, the others at the beginning.
            strided = count if self.version == "v2" else 1
            halved = stage < len(self.blocks) - 1 if self.version == "v2" else stage > 0
            for number in range(1, count + 1):
                stride = 2 if halved and number == strided else 1
                values = block(values, filters, stride, f"conv{stage + 2}_block{number}", number == 1)
        if self.version == "v2":
            values = _relu(normalized(values, "post_bn"), "post_relu")
        return values

    def _activated(self, values: Any, filters: int, stride: int, name: str, first: bool) -> Any:
        """A block of v1 or v1.5: convolutions, each normalized; the sum is activated."""
        out = 4 * filters if self.bottleneck else filters
        short = values
        if first and (stride > 1 or values.shape[-1] != out):
            short = self._conv(values, out, 1, f"{name}_0", stride, self.bias)
            short = normalized(short, f"{name}_0_bn")
        early = stride if self.version == "v1" or not self.bottleneck else 1
        sizes = ((filters, 1), (filters, 3), (out, 1)) if self.bottleneck else ((filters, 3), (out, 3))
        for number, (channels, kernel) in enumerate(sizes, start=1):
            stepped = early if number == 1 else stride // early if number == 2 else 1
            values = self._conv(values, channels, kernel, f"{name}_{number}", stepped, self.bias)
            values = normalized(values, f"{name}_{number}_bn")
            if number < len(sizes):
                values = _relu(values, f"{name}_{number}_relu")
        return _relu(keras.layers.Add(name=f"{name}_add")([short, values]), f"{name}_out")

    def _preactivated(self, values: Any, filters: int, stride: int, name: str, first: bool) -> Any:
        """A block of v2: normalized and activated before each convolution; the sum is left as it is."""
        out = 4 * filters if self.bottleneck else filters
        before = _relu(normalized(values, f"{name}_preact_bn"), f"{name}_preact_relu")
        if first and (values.shape[-1] != out or self.bottleneck):
            short = self._conv(before, out, 1, f"{name}_0", stride, True)
        else:
            pool = keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}_0_pool")
            short = pool(values) if stride > 1 else values
        if self.bottleneck:
            values = self._conv(before, filters, 1, f"{name}_1", 1, False)
            values = _relu(normalized(values, f"{name}_1_bn"), f"{name}_1_relu")
            values = self._conv(values, filters, 3, f"{name}_2", stride, False)
            values = _relu(normalized(values, f"{name}_2_bn"), f"{name}_2_relu")
            values = self._conv(values, out, 1, f"{name}_3", 1, True)
        else:
            values = self._conv(before, filters, 3, f"{name}_1", stride, False)
            values = _relu(normalized(values, f"{name}_1_bn"), f"{name}_1_relu")
            values = self._conv(values, out, 3, f"{name}_2", 1, True)
        return keras.layers.Add(name=f"{name}_out")([short, values])

    def _conv(self, values: Any, filters: int, kernel: int, name: str, stride: int, bias: bool) -> Any:
        padding = "same"
        if stride > 1 and kernel > 1:
            # The same border on all sides: "same" would put it below and to the right only.
            values = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(values)
            padding = "valid"
        return convolution(
            values,
            filters,
            kernel,
            f"{name}_conv",
            stride=stride,
            padding=padding,
            bias=bias,
            regularization=self.regularization,
        )


def resnet(
    blocks: Sequence[int],
    bottleneck: bool,
    name: str,
    features: tuple[FeatureInput, ...],
    outputs: Outputs,
    task: Tasks,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    max_norm: float = 0.0,
    hidden_units: Sequence[int] = (),
    version: Version = "v1.5",
    stem: Stem = "large",
) -> keras.Model:
    """A residual network.

    Args:
        blocks: how many there are in each of four stages.
        bottleneck: whether blocks have one.
        name: of the network.
        features: an image, and others beside it.
        outputs: 1, or the number of classes of a multi-class or multi-label task; by key for several labels.
        task: "regression", "binary", "multiclass" or "multilabel"; by key for several labels.
        width: multiplies the channels.
        depth: multiplies the blocks of a stage.
        dropout: the rate before the head, or after each hidden layer, from 0 to below 1.
        l1, l2: the penalties on the weights of convolutions and hidden layers, at least 0.
        max_norm: the greatest length of the weights of a channel or unit there, 0 for no bound; see
            `Regularization`.
        hidden_units: the width of each dense layer before the head.
        version: "v1", "v1.5" or "v2".
        stem: "large" as published, which quarters the image; "small", a 3 x 3 convolution that keeps its
            size, for images below 64 x 64.

    Raises:
        DataError: no feature is an image, or it has less than 32 x 32 pixels, 8 x 8 with the small stem.
    """
    if version not in get_args(Version) or stem not in SMALLEST:
        raise ValueError(
            f"version is one of v1, v1.5, v2 and stem large or small, not {version!r} and {stem!r}"
        )
    # Keras' v1 has biases in front of the normalization, its v2 one in the stem: so that its weights fit.
    bias = version == "v1"
    shape: dict[str, Any] = {} if stem == "large" else {"kernel": 3, "stride": 1, "pool": False}
    weights = Regularization(l1, l2, max_norm)
    return image_model(
        features,
        outputs,
        task,
        stem=ConvStem(
            scaled(64, width),
            activated=version != "v2",
            bias=version != "v1.5",
            regularization=weights,
            **shape,
        ),
        learner=ResidualLearner(
            tuple(repeated(count, depth) for count in blocks),
            tuple(scaled(one, width) for one in FILTERS),
            bottleneck,
            version,
            bias,
            weights,
        ),
        classifier=Classifier(hidden_units, dropout, weights),
        smallest=SMALLEST[stem],
        name=name,
    )


resnet34 = partial(resnet, (3, 4, 6, 3), False, "resnet34")
"""34 layers, in blocks of two convolutions; arguments from `features` on as of `resnet`."""
resnet50 = partial(resnet, (3, 4, 6, 3), True, "resnet50")
"""50 layers, in blocks with a bottleneck; arguments from `features` on as of `resnet`."""


def _relu(values: Any, name: str) -> Any:
    return keras.layers.Activation("relu", name=name)(values)
