"""What a chain of transforms makes of images, and what is wrong with it. Light."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Constants, Transform
from .images import NO_SHAPE, Decode, ImageStep, Normalization, Shape, Standardize

AT_ONCE = 32 * 2**20
"""Bytes of pixels that are in memory at once, where a batch has more."""


def rows_at_once(shape: Shape) -> int:
    """How many images of a size are worked on at once, whatever a batch has."""
    return max(1, AT_ONCE // max(1, shape[0] * shape[1] * shape[2]))


def leading_steps(chain: Sequence[Transform]) -> tuple[ImageStep, ...]:
    """The transforms at the beginning of a chain that work image by image."""
    found: list[ImageStep] = []
    for transform in chain:
        if not isinstance(transform, ImageStep):
            break
        found.append(transform)
    return tuple(found)


def shape_of(chain: Sequence[Transform]) -> Shape:
    """What comes out of a chain."""
    shape = NO_SHAPE
    for transform in chain:
        shape = transform.shape(shape)
    return shape


def normalization(
    stages: Sequence[tuple[Transform, Constants]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shift and divisor of all transforms that normalize; those that aren't fitted yet do nothing."""
    shift, divisor = [0.0], [1.0]
    for transform, constants in stages:
        if not isinstance(transform, Normalization) or not constants:
            continue
        more, by = [float(v) for v in constants["shift"]], [float(v) for v in constants["divisor"]]
        if isinstance(transform, Standardize) and transform.mean is None:
            # What makes mean 0 and deviation 1 of pixels does so however they were scaled.
            shift, divisor = more, by
            continue
        size = max(map(len, (shift, divisor, more, by)))
        wide = [values * (size // len(values)) for values in (shift, divisor, more, by)]
        shift = [s + m * d for s, d, m, _ in zip(*wide, strict=True)]
        divisor = [d * b for _, d, _, b in zip(*wide, strict=True)]
    return tuple(shift), tuple(divisor)


def image_problem(chain: Sequence[Transform]) -> str:
    """What is wrong with a chain on a column of images, with what to write; empty if nothing is."""
    if not chain or not isinstance(chain[0], Decode):
        first = f"{chain[0].name} stands first" if chain else "the chain is empty"
        return f"{first}, and an image is an encoded file: put decode before"
    if any(isinstance(transform, Decode) for transform in chain[1:]):
        return "decode stands twice: leave the second one out"
    late = next((t for t in chain[len(leading_steps(chain)) :] if isinstance(t, ImageStep)), None)
    if late is not None:
        before = chain[list(chain).index(late) - 1].name
        return f"{late.name} stands behind {before}, and has to stand before it"
    height, _, channels = shape_of(chain)
    if not height:
        return (
            "images may differ in size, and a model takes one size: put {resize: [height, width]} or"
            " {center_crop: [height, width]} behind decode"
        )
    normalizing = [isinstance(transform, Normalization) for transform in chain]
    if sorted(normalizing) != normalizing:
        return (
            f"{chain[normalizing.index(True)].name} stands before what changes pixels, and has to stand last"
        )
    for transform in chain:
        if isinstance(transform, Normalization) and transform.channels() not in (0, channels):
            return (
                f"{transform.name} has numbers for {transform.channels()} channels, and there are {channels}"
            )
    return ""
