"""Images that stand in a cell: an encoded file as base64, or the numbers of its pixels."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .admit import Refused

_DATA = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SIGNS = str.maketrans("[](),;", "      ")


def from_base64(text: str) -> bytes | Refused:
    """The bytes that a cell holds as base64, in either alphabet, also behind `data:image/png;base64,`."""
    found = _DATA.match(text)
    bare = text[found.end() :] if found else text
    bare = bare.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode("".join(bare.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        return Refused(f"the cell is no base64 ({error})", "image_as: path reads paths, pixels reads numbers")


def from_pixels(text: str, shape: Sequence[int]) -> bytes | Refused:
    """The PNG file of the pixels that a cell holds as numbers from 0 to 255.

    Args:
        text: numbers with spaces, commas, semicolons, line ends or brackets between them, rows from the top,
            and the channels of each pixel together.
        shape: height, width, and channels (1, 3 or 4) if there are several.
    """
    height, width, *rest = shape
    channels = rest[0] if rest else 1
    try:
        values = np.array(text.translate(_SIGNS).split(), np.float64)
    except ValueError as error:
        return Refused(f"the cell holds no numbers ({error})", "mend the cell")
    if len(values) != height * width * channels:
        told = " by ".join(map(str, shape))
        return Refused(
            f"the cell holds {len(values)} numbers, and the shape {told} asks for another count",
            "mend `shape`",
        )
    fits = (values >= 0) & (values <= 255) & (values == np.floor(values))
    if not fits.all():
        return Refused(f"{values[~fits][0]:g} is no whole number from 0 to 255", "scale the pixels to 0…255")
    pixels = values.astype(np.uint8).reshape((height, width, channels)[: 3 if channels > 1 else 2])
    image = Image.fromarray(pixels)
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()
