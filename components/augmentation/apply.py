"""Augments a batch of images with TensorFlow: whole batches at once, no Python for an image.

A list is cut into passes: augmentations that move pixels and follow each other are multiplied into one matrix
an image and one resampling, if they fill what lies outside alike; brightness and contrast that follow each
other are one multiplication and one addition; noise and cut-outs each are a pass.

Nothing here depends on where in a batch an image lies. TensorFlow's kernels compute a tensor's last elements
by other instructions than the rest, so an image's sine or mean would differ by its place in the last bits;
therefore functions are looked up in tables that NumPy made, means are sums of whole numbers, and all else is
single additions and multiplications, which are rounded alike everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Augmentation, Drawn, FillingWarp, Warp
from .color import Brightness, Contrast, Cutout, Noise
from .hashing import below, bits, happens

Pass = Callable[[Any, Any, Any], Any]
"""(TensorFlow, images, keys) → images."""
DRAWS = 1 << 32
"""Random numbers that each place in the list has for an image."""
MEAN_STEPS = 16
"""Parts of a value that a mean is added up in."""


class Augmenter:
    """A list of augmentations for images of one shape.

    Args:
        chain: what is done, in this order.
        shape: (height, width, channels) of the images.
    """

    def __init__(self, chain: Sequence[Augmentation], shape: Sequence[int]) -> None:
        self._passes = list(_passes(chain, shape))

    def __call__(self, tf: Any, images: Any, keys: Any) -> Any:
        """The images augmented.

        Args:
            tf: TensorFlow.
            images: float32 [n, h, w, c], 0 to 255.
            keys: int64 [n], from `example_keys`; equal ones give equal changes.

        Returns:
            float32 [n, h, w, c], 0 to 255.
        """
        for one in self._passes:
            images = one(tf, images, keys)
        return images


@dataclass(frozen=True)
class _Placed:
    """An augmentation with its place in the list, from which it knows its random numbers."""

    place: int
    link: Augmentation

    def drawn(self, tf: Any, keys: Any, draws: int, first: int = 0) -> Any:
        """Random bits int64 [n, draws] of its draws from one on; number 0 decides whether it is applied."""
        return bits(tf, keys, self.place * DRAWS + np.arange(first, first + draws, dtype=np.int64))

    def applied(self, tf: Any, keys: Any) -> Any:
        """Whether it is, bool [n]."""
        return happens(tf, self.drawn(tf, keys, 1)[:, 0], self.link.probability)

    def chosen(self, tf: Any, keys: Any, table: Any, otherwise: float) -> Any:
        """A number of the table for each image, float32 [n, 1, 1, 1]; `otherwise` where it isn't applied."""
        random = self.drawn(tf, keys, 2)
        value = tf.gather(tf.constant(table, tf.float32), below(tf, random[:, 1], len(table)))
        value = tf.where(happens(tf, random[:, 0], self.link.probability), value, otherwise)
        return value[:, None, None, None]


def _passes(chain: Sequence[Augmentation], shape: Sequence[int]) -> Iterator[Pass]:
    """The list cut into passes."""
    warps: list[_Placed] = []
    tones: list[_Placed] = []
    for placed in (_Placed(place, link) for place, link in enumerate(chain)):
        if warps and not (isinstance(placed.link, Warp) and _join([one.link for one in (*warps, placed)])):
            yield _warp_pass(warps, shape)
            warps = []
        if tones and not isinstance(placed.link, Brightness | Contrast):
            yield _tone_pass(tones, shape)
            tones = []
        if isinstance(placed.link, Warp):
            warps = [*warps, placed]
        elif isinstance(placed.link, Brightness | Contrast):
            tones = [*tones, placed]
        elif isinstance(placed.link, Noise):
            yield _noise_pass(placed, placed.link, shape)
        elif isinstance(placed.link, Cutout):
            yield _cutout_pass(placed, placed.link, shape)
    if warps:
        yield _warp_pass(warps, shape)
    if tones:
        yield _tone_pass(tones, shape)


def _join(warps: Sequence[Any]) -> bool:
    """Whether they can be one resampling: what fills and what interpolates does so alike."""
    return len(_fills(warps)) <= 1 and len(_interpolations(warps)) <= 1


def _fills(warps: Sequence[Warp]) -> set[tuple[str, float]]:
    return {(warp.fill, warp.fill_value) for warp in warps if isinstance(warp, FillingWarp)}


def _interpolations(warps: Sequence[Warp]) -> set[str]:
    return {warp.interpolation for warp in warps if isinstance(warp, FillingWarp) and not warp.keeps_pixels}


def _warp_pass(placed: Sequence[_Placed], shape: Sequence[int]) -> Pass:
    height, width, _ = shape
    links: list[tuple[_Placed, list[Drawn]]] = [
        (one, one.link.matrices(np, height, width)) for one in placed if isinstance(one.link, Warp)
    ]
    warps = [one.link for one in placed if isinstance(one.link, Warp)]
    fill, value = next(iter(_fills(warps)), ("constant", 0.0))
    interpolation = next(iter(_interpolations(warps)), "nearest")

    def run(tf: Any, images: Any, keys: Any) -> Any:
        whole: list[Any] = []
        for one, drawn in links:
            for matrix in _matrices(tf, one, drawn, keys):
                whole = _product(whole, matrix) if whole else matrix
        none = tf.zeros_like(whole[0])
        flat = tf.cast(tf.stack([*whole, none, none], axis=1), tf.float32)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images, transforms=flat, output_shape=[height, width], fill_value=value,
            interpolation=interpolation.upper(), fill_mode=fill.upper(),
        )  # fmt: skip

    return run


def _matrices(tf: Any, placed: _Placed, drawn: Sequence[Drawn], keys: Any) -> Iterator[list[Any]]:
    """The six numbers of each of an augmentation's matrices, float64 [n]; for images that it isn't applied
    to those that leave them as they are."""
    random = placed.drawn(tf, keys, 2 + max(one.draw for one in drawn))
    for one in drawn:
        decides = 1 + one.draw if one.by_itself else 0
        applied = happens(tf, random[:, decides : decides + 1], placed.link.probability)
        rows = tf.constant(one.rows, tf.float64)
        matrix = tf.gather(rows, below(tf, random[:, 1 + one.draw], len(one.rows)))
        same = tf.constant([1.0, 0, 0, 0, 1, 0], tf.float64)
        yield tf.unstack(tf.where(applied, matrix, same), axis=1)


def _product(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """The place in the image before the first for a place in the image after the second."""
    a, b, x, c, d, y = first
    e, f, u, g, h, v = second
    return [a * e + b * g, a * f + b * h, a * u + b * v + x, c * e + d * g, c * f + d * h, c * u + d * v + y]


def _tone_pass(placed: Sequence[_Placed], shape: Sequence[int]) -> Pass:
    def run(tf: Any, images: Any, keys: Any) -> Any:
        factor: Any = 1.0
        added: Any = 0.0
        mean = _mean(tf, images, shape) if any(isinstance(one.link, Contrast) for one in placed) else 0.0
        for one in placed:
            if isinstance(one.link, Brightness):
                added = added + one.chosen(tf, keys, one.link.table(np), 0.0)
            elif isinstance(one.link, Contrast):
                by = one.chosen(tf, keys, one.link.table(np), 1.0)
                now = factor * mean + added
                factor, added = factor * by, (added - now) * by + now
        scaled = images if isinstance(factor, float) else images * factor
        return tf.clip_by_value(scaled + added, 0.0, 255.0)

    return run


def _mean(tf: Any, images: Any, shape: Sequence[int]) -> Any:
    """The mean of each image, float32 [n, 1, 1, 1], of values cut into sixteenths."""
    parts = tf.cast(images * float(MEAN_STEPS), tf.int64)
    total = tf.reduce_sum(parts, axis=[1, 2, 3], keepdims=True)
    return tf.cast(tf.cast(total, tf.float64) / float(MEAN_STEPS * np.prod(shape)), tf.float32)


def _noise_pass(placed: _Placed, link: Noise, shape: Sequence[int]) -> Pass:
    size = int(np.prod(shape))
    count = -(-size // 4)  # four numbers of 16 bits out of each hash

    def run(tf: Any, images: Any, keys: Any) -> Any:
        random = placed.drawn(tf, keys, count, first=2)
        places = tf.reshape(tf.bitcast(random, tf.uint16), [-1, 4 * count])[:, :size]
        noise = tf.gather(tf.constant(_normal()), tf.cast(places, tf.int32))
        noise = tf.reshape(noise, [-1, *shape])
        deviation = placed.chosen(tf, keys, link.table(np), 0.0)
        return tf.clip_by_value(images + noise * deviation, 0.0, 255.0)

    return run


@cache
def _normal() -> npt.NDArray[np.float32]:
    """The standard normal distribution's 65,536 quantiles in the middle of equal shares."""
    spread = NormalDist()
    return np.array([spread.inv_cdf((i + 0.5) / 65536) for i in range(65536)], np.float32)


def _cutout_pass(placed: _Placed, link: Cutout, shape: Sequence[int]) -> Pass:
    height, width, _ = shape
    sides = link.sides(np, height, width)
    rows, columns = np.arange(height)[None, :, None, None], np.arange(width)[None, None, :, None]

    def run(tf: Any, images: Any, keys: Any) -> Any:
        random = placed.drawn(tf, keys, 1 + 3 * link.count)[:, :, None, None, None]
        hidden: Any = False
        for i in range(link.count):
            drawn = random[:, 1 + 3 * i : 4 + 3 * i]
            side = tf.gather(tf.constant(sides), below(tf, drawn[:, 0], len(sides)))
            top = below(tf, drawn[:, 1], height) - side // 2
            left = below(tf, drawn[:, 2], width) - side // 2
            down = (rows >= top) & (rows < top + side)
            hidden = hidden | (down & (columns >= left) & (columns < left + side))
        applied = placed.applied(tf, keys)[:, None, None, None]
        return tf.where(hidden & applied, link.value, images)

    return run
