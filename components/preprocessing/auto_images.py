"""What `features: auto` makes of images; the rules are in `auto`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import pyarrow as pa

from ...pipelines.artifact import Examples
from ..data_plane.parts import parts_of, read_part
from ..transforms.images_tf import sizes_of
from .analysis import Found, Request
from .auto_depth import Choice
from .fitted_features import Branch
from .fitting import TRAIN, Fitter

LONGEST = 224
"""Pixels of a side at most."""
SAMPLED_PARTS, SAMPLED = 8, 32
"""Parts that are looked into, and images of each."""
TOLD = {
    "path": "it says where an image was read",
    "height": "it is the size of the file's image",
    "width": "it is the size of the file's image",
}
"""Columns that stand beside an image and tell of its file, with what they tell."""


def choose_images(fitter: Fitter, examples: Examples, columns: Sequence[str]) -> dict[str, Choice]:
    """The choices for columns of images, and for those that tell of their files.

    Args:
        fitter: what asks the train split.
        examples: raw examples.
        columns: all columns that features may be made of.
    """
    images = [name for name in columns if fitter.types[name] == "image"]
    beside = {name: Choice(dropped=text) for name, text in TOLD.items() if name in columns}
    sides = _stated_sides(fitter) if len(images) == 1 else None
    return {name: _choice(_sampled(examples, name), sides) for name in images} | beside


def _choice(sampled: Sequence[tuple[int, int, int]], sides: tuple[Found, Found] | None) -> Choice:
    if not sampled:
        return Choice(dropped="no image was found among those that were looked at")
    if sides is not None:
        ranges = [(found.min, found.quantile(0.5), found.max) for found in sides]
    else:
        ranges = [(min(side), median(side), max(side)) for side in ([s[i] for s in sampled] for i in (0, 1))]
    gray = all(channels == 1 for *_, channels in sampled)
    decode: Any = {"decode": "grayscale"} if gray else "decode"
    return Choice([decode, {"resize": chosen_size(ranges)}, {"scale": "zero_one"}])


def chosen_size(ranges: Sequence[tuple[float, float, float]]) -> list[int]:
    """Height and width, see `auto`.

    Args:
        ranges: least, median and greatest height, then width.
    """
    (low, high, most_high), (least, wide, most_wide) = ranges
    if not (low == most_high and least == most_wide):
        high = wide = min(high, wide)
    shrink = min(1.0, LONGEST / max(high, wide))
    return [max(1, round(high * shrink)), max(1, round(wide * shrink))]


def _stated_sides(fitter: Fitter) -> tuple[Found, Found] | None:
    """What is known of the columns `height` and `width`, if there are such."""
    if not all(fitter.types.get(name) == "int" for name in ("height", "width")):
        return None
    branches = [Branch(name, "int", ()) for name in ("height", "width")]
    wanted = [Request(branch, ("moments", "values"), ("float",)) for branch in branches]
    high, wide = fitter.answer(wanted)
    return (high, wide) if high.count and wide.count else None


def _sampled(examples: Examples, column: str) -> list[tuple[int, int, int]]:
    """Height, width and channels of some images, from parts that are spread over the train split."""
    parts = parts_of(examples, [TRAIN])
    few = parts[:: max(1, -(-len(parts) // SAMPLED_PARTS))]
    pieces = [read_part(part.path, [column]).slice(0, SAMPLED).column(0) for part in few]
    found = pa.chunked_array(pieces, pa.binary()).drop_null().combine_chunks()
    return sizes_of(found)
