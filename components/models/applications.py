"""The architectures of `keras.applications`, what they are called and expect. Standard library only.

A test compares the names with the installed Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...pipelines.errors import Problem

PREFIX = "keras.applications."
"""`model: keras.applications.MobileNetV3Small` names one of them."""
Pixels = Literal["raw", "tf", "torch", "caffe"]


@dataclass(frozen=True)
class Architecture:
    """What a network of `keras.applications` expects.

    Attributes:
        smallest: the least height and width that Keras builds it for.
        pixels: what its pretrained weights expect of an RGB image, by Keras' word; see `PIXELS`.
    """

    smallest: int
    pixels: Pixels


@dataclass(frozen=True)
class Scale:
    """How pixels, 0 … 255, reach a network: `(pixel - shift) / divisor`.

    Attributes:
        shift, divisor: for all channels, or for red, green and blue.
        told: the transform that makes them so, as it is written in a transform step.
    """

    shift: tuple[float, ...]
    divisor: tuple[float, ...]
    told: str


_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PIXELS: dict[Pixels, Scale] = {
    "raw": Scale((0.0,), (1.0,), "no scale, since the network does it itself"),
    "tf": Scale((127.5,), (127.5,), "{scale: minus_one_one}"),
    "torch": Scale(
        tuple(255 * value for value in _MEAN),
        tuple(255 * value for value in _DEVIATION),
        "{scale: imagenet}",
    ),
    "caffe": Scale(
        (123.68, 116.779, 103.939),
        (1.0,),
        "{standardize: {mean: [123.68, 116.779, 103.939], deviation: 1}}",
    ),
}
"""What the pretrained weights of Keras were trained on. Those of `caffe` saw blue, green, red; as they are
loaded, the inputs of the first kernel are turned round, so that here all take red, green, blue."""

_FAMILIES: dict[Pixels, tuple[str, ...]] = {
    "raw": (
        "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "EfficientNetB0",
        "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5",
        "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
        "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S", "MobileNetV3Large",
        "MobileNetV3Small",
    ),
    "tf": (
        "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "NASNetLarge", "NASNetMobile",
        "ResNet101V2", "ResNet152V2", "ResNet50V2", "Xception",
    ),
    "torch": ("DenseNet121", "DenseNet169", "DenseNet201"),
    "caffe": ("ResNet101", "ResNet152", "ResNet50", "VGG16", "VGG19"),
}  # fmt: skip
_SMALLEST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
ARCHITECTURES = {
    name: Architecture(_SMALLEST.get(name, 32), pixels)
    for pixels, names in _FAMILIES.items()
    for name in names
}
"""By their names in `keras.applications`."""


def architecture_of(model: str) -> str:
    """`MobileNetV3Small` of `keras.applications.MobileNetV3Small`; empty if `model` is none of these."""
    name = model.removeprefix(PREFIX)
    return name if name != model and name in ARCHITECTURES else ""


def published(model: str, model_args: Mapping[str, Any]) -> str:
    """The name in `keras.applications` of the network that a model is, if Keras has weights for it."""
    if model == "resnet50":
        return {"v1": "ResNet50", "v2": "ResNet50V2"}.get(model_args.get("version", ""), "")
    return {"vgg16": "VGG16", "vgg19": "VGG19"}.get(model) or architecture_of(model)


def nothing_published(model: str, model_args: Mapping[str, Any]) -> Problem:
    """The problem of asking for Keras' weights where there are none."""
    told = f"{model} {model_args['version']}" if "version" in model_args else model
    return Problem(
        f"Keras has no weights for {told}",
        argument="weights",
        available=("vgg16", "vgg19", "resnet50 with version v1 or v2", f"{PREFIX}NAME"),
        remedy="take one of these, or weights: path for a file of your own",
    )
