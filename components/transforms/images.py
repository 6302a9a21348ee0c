"""Transforms of images. Light: TensorFlow is passed to what needs it.

    image: [decode, {resize: [224, 224]}, {scale: zero_one}]

Those that work on one image of any size (`ImageStep`) stand first in a chain; TensorFlow runs them image by
image, with the very same ops in Beam's workers and in the exported model (see `images_tf`). Pixels between
them are uint8: what an interpolation gives is rounded, half to even, and clipped to 0 … 255.

Those that normalize (`Scale`, `Standardize`) stand last. They leave the pixels as they are: their constants
go into the feature, whose reader computes `(float32(pixel) - shift) / divisor`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

from .base import Analyzer, Constants, Kind, Results, Transform

Size = int | tuple[int, int]
"""A side of a square, or height and width. (msgspec 0.22 crashes on a bounded int beside a tuple.)"""
MOST = 8192
"""The longest side."""
Shape = tuple[int, int, int]
"""Height, width and channels; 0 where images may differ in it."""
NO_SHAPE: Shape = (0, 0, 0)
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and deviation of ImageNet's training images in 0 … 255, by channel, as torchvision states them."""


class Pixels(NamedTuple):
    """Images of one size.

    Attributes:
        values: uint8 [n, height, width, channels]; black where there is no image.
        valid: bool [n], whether a row has an image that could be decoded.
    """

    values: Any
    valid: Any


@dataclass(frozen=True)
class ImageStep(Transform):
    """A transform of one image; see the module's text."""

    takes: ClassVar[tuple[Kind, ...]] = ("pixels",)

    def gives(self, kind: Kind) -> Kind:
        """Pixels."""
        return "pixels"

    def image(self, tf: Any, image: Any) -> Any:
        """One image with TensorFlow's ops: uint8 [height, width, channels], of `Decode` the file's bytes."""
        raise NotImplementedError


@dataclass(frozen=True)
class Decode(ImageStep):
    """An encoded JPEG or PNG file as red, green and blue, or as one channel.

    The one channel is the luminance 0.299 red + 0.587 green + 0.114 blue, which a JPEG stores; an alpha
    channel is left out. Decoded by `tf.io.decode_jpeg` with `INTEGER_ACCURATE`, which in colour also takes a
    GIF that isn't animated.
    """

    color: Literal["rgb", "grayscale"] = "rgb"
    name: ClassVar[str] = "decode"
    takes: ClassVar[tuple[Kind, ...]] = ("image",)
    first: ClassVar[tuple[str, ...]] = ("color",)

    def shape(self, shape: Shape) -> Shape:
        """Three channels or one, of any size."""
        return 0, 0, 3 if self.color == "rgb" else 1

    def image(self, tf: Any, image: Any) -> Any:
        """See the class."""
        channels = 3 if self.color == "rgb" else 1
        return tf.io.decode_jpeg(image, channels=channels, dct_method="INTEGER_ACCURATE")


@dataclass(frozen=True)
class Resize(ImageStep):
    """Each image to one size, by `tf.image.resize`.

    Attributes:
        extent: the argument `size`, a side of a square, or [height, width].
        method: how pixels are interpolated; `area` averages what falls into a pixel.
        aspect: the argument `fit`: `stretch` changes the aspect; `crop` first cuts the middle out that has
            the new one, as Keras's `Resizing(crop_to_aspect_ratio=True)`; `pad` makes the image fit, and puts
            black around.
        antialias: whether bilinear and bicubic average over all pixels where an image gets smaller. Off, as
            in TensorFlow and Keras; Pillow and torchvision have it on. It costs as much as decoding twice.
    """

    extent: Size = field(metadata={"argument": "size"})
    method: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    aspect: Literal["stretch", "crop", "pad"] = field(default="stretch", metadata={"argument": "fit"})
    antialias: bool = False
    name: ClassVar[str] = "resize"
    first: ClassVar[tuple[str, ...]] = ("size",)

    def __post_init__(self) -> None:
        if isinstance(self.extent, list):  # from JSON
            object.__setattr__(self, "extent", tuple(self.extent))

    def problem(self, kind: Kind | None) -> str:
        """A size that can be, and antialiasing for the two methods that it belongs to."""
        if self.antialias and self.method in ("nearest", "area"):
            return f"antialias is for bilinear and bicubic, and not for {self.method}"
        return size_problem(self.extent)

    def shape(self, shape: Shape) -> Shape:
        """The size, and the channels that came in."""
        return (*sides(self.extent), shape[2])

    def image(self, tf: Any, image: Any) -> Any:
        """See the class."""
        height, width = sides(self.extent)
        there = tf.shape(image)
        right = tf.logical_and(tf.equal(there[0], height), tf.equal(there[1], width))
        # Most often sizes differ or are all right already, and then resizing costs as much as decoding.
        made = tf.cond(right, lambda: image, lambda: self._resized(tf, image, there[0], there[1]))
        return tf.ensure_shape(made, (height, width, image.shape[2]))

    def _resized(self, tf: Any, image: Any, high: Any, wide: Any) -> Any:
        height, width = sides(self.extent)
        if self.aspect == "crop":
            most_high = tf.maximum(1, tf.minimum(high, wide * height // width))
            most_wide = tf.maximum(1, tf.minimum(wide, high * width // height))
            top, left = (high - most_high) // 2, (wide - most_wide) // 2
            image = image[top : top + most_high, left : left + most_wide]
        if self.aspect == "pad":
            inner_high = tf.clip_by_value((2 * high * width + wide) // (2 * wide), 1, height)
            inner_wide = tf.clip_by_value((2 * wide * height + high) // (2 * high), 1, width)
            inside = self._interpolated(tf, image, tf.stack([inner_high, inner_wide]))
            return centered(tf, inside, height, width)
        return self._interpolated(tf, image, (height, width))

    def _interpolated(self, tf: Any, image: Any, size: Any) -> Any:
        made = tf.image.resize(image, size, self.method, antialias=self.antialias)
        if self.method == "nearest":
            return made
        # Only cubic weights are negative, so that only they leave the range.
        return (tf.saturate_cast if self.method == "bicubic" else tf.cast)(tf.round(made), tf.uint8)


@dataclass(frozen=True)
class CenterCrop(ImageStep):
    """The middle of each image; black is put around an image that is smaller, as in torchvision.

    Attributes:
        extent: the argument `size`, a side of a square, or [height, width].
    """

    extent: Size = field(metadata={"argument": "size"})
    name: ClassVar[str] = "center_crop"
    first: ClassVar[tuple[str, ...]] = ("size",)

    def __post_init__(self) -> None:
        if isinstance(self.extent, list):  # from JSON
            object.__setattr__(self, "extent", tuple(self.extent))

    def problem(self, kind: Kind | None) -> str:
        """A size that can be."""
        return size_problem(self.extent)

    def shape(self, shape: Shape) -> Shape:
        """The size, and the channels that came in."""
        return (*sides(self.extent), shape[2])

    def image(self, tf: Any, image: Any) -> Any:
        """See the class."""
        return centered(tf, image, *sides(self.extent))


@dataclass(frozen=True)
class Normalization(Transform):
    """Gives the constants `shift` and `divisor`, float32, one or one a channel; pixels pass unchanged."""

    takes: ClassVar[tuple[Kind, ...]] = ("pixels", "scaled")

    def gives(self, kind: Kind) -> Kind:
        """Pixels that are to be normalized."""
        return "scaled"

    def channels(self) -> int:
        """The channels that stated numbers are for; 0 for any."""
        return 0

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """The pixels: who reads the feature normalizes."""
        return column


@dataclass(frozen=True)
class Scale(Normalization):
    """Pixels 0 … 255 to a range.

    Attributes:
        range: `zero_one`: pixel / 255; `minus_one_one`: pixel / 127.5 - 1; `imagenet`: with the mean and
            deviation of ImageNet, by channel.
    """

    range: Literal["zero_one", "minus_one_one", "imagenet"] = "zero_one"
    name: ClassVar[str] = "scale"
    takes: ClassVar[tuple[Kind, ...]] = ("pixels",)
    first: ClassVar[tuple[str, ...]] = ("range",)

    def channels(self) -> int:
        """ImageNet's numbers are for three."""
        return 3 if self.range == "imagenet" else 0

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """What is taken off, and what is divided by."""
        if self.range == "imagenet":
            return {"shift": list(IMAGENET[0]), "divisor": list(IMAGENET[1])}
        half = self.range == "minus_one_one"
        return {"shift": [127.5 if half else 0.0], "divisor": [127.5 if half else 255.0]}


@dataclass(frozen=True)
class Standardize(Normalization):
    """`(x - mean) / deviation` of the train split's pixels, or with numbers that are stated; ddof=0.

    Behind `scale` the numbers stated are of scaled pixels. Pixels that don't vary become 0.

    Attributes:
        by: one mean and deviation of the whole data set, or one for each channel.
        mean, deviation: stated, one number or one a channel; then the data isn't looked at.
    """

    by: Literal["dataset", "channel"] = "channel"
    mean: float | list[float] | None = None
    deviation: float | list[float] | None = None
    name: ClassVar[str] = "standardize"
    first: ClassVar[tuple[str, ...]] = ("by",)

    def problem(self, kind: Kind | None) -> str:
        """Both numbers or none, as many of one as of the other."""
        if (self.mean is None) != (self.deviation is None):
            return "mean and deviation are stated together, or none of them"
        if self.mean is None:
            return ""
        counts = {len(told) for told in (self._stated(self.mean), self._stated(self.deviation)) if told[1:]}
        if len(counts) > 1:
            return "mean and deviation are for different numbers of channels"
        if not self._stated(self.mean) or min(self._stated(self.deviation), default=0) <= 0:
            return "mean needs a number, and deviation one above 0"
        return ""

    @staticmethod
    def _stated(told: float | list[float] | None) -> list[float]:
        return list(told) if isinstance(told, list) else [] if told is None else [told]

    def channels(self) -> int:
        """The channels that stated numbers are for; 0 for any."""
        most = max(len(self._stated(self.mean)), len(self._stated(self.deviation)))
        return most if most > 1 else 0

    def analyzers(self, kind: Kind) -> tuple[Analyzer, ...]:
        """The sums of pixels, unless numbers are stated."""
        return ("pixels",) if self.mean is None else ()

    def fit(self, results: Results, kind: Kind) -> dict[str, Any]:
        """What is taken off, and what is divided by."""
        if self.mean is not None:
            return {"shift": self._stated(self.mean), "divisor": self._stated(self.deviation)}
        mean, deviation = results.pixels(self.by == "channel")
        return {"shift": mean, "divisor": [one if one > 0 else 1.0 for one in deviation]}


def size_problem(size: Size) -> str:
    """What is wrong with a size; empty if nothing is."""
    wrong = min(sides(size)) < 1 or max(sides(size)) > MOST
    return f"a side has 1 to {MOST} pixels, and {size} was given" if wrong else ""


def sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def centered(tf: Any, image: Any, height: int, width: int) -> Any:
    """The middle of an image, with black around where it is smaller, uint8 [height, width, channels]."""
    there = tf.shape(image)
    high, wide = there[0], there[1]
    top, left = tf.maximum(high - height, 0) // 2, tf.maximum(wide - width, 0) // 2
    cut = image[top : top + height, left : left + width]
    above, before = tf.maximum(height - high, 0) // 2, tf.maximum(width - wide, 0) // 2
    below, behind = tf.maximum(height - high, 0) - above, tf.maximum(width - wide, 0) - before
    made = tf.pad(cut, [[above, below], [before, behind], [0, 0]])
    return tf.ensure_shape(made, (height, width, image.shape[2]))
