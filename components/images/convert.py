"""Image files that TensorFlow can't read as they are → upright PNGs of 8 bits a channel, by Pillow.

- EXIF orientation is applied, and an XMP one where there is no EXIF.
- 16 bits become 8 by value·255/65535, rounded; Pillow itself keeps the high byte only.
- CMYK becomes RGB without a profile: R = (255 - C)·(255 - K)/255. A JPEG with an Adobe segment stores it
  inverted, one without doesn't.
- Transparency stays in the PNG as its alpha channel; decoding to RGB or gray drops it, so that the colour
  behind a transparent pixel shows, as it does with PNGs that are kept as they are.
- Colour profiles (ICC) and gamma are ignored, and not kept: the numbers in the file are the pixels.
- What holds 32-bit or floating-point values has no stated white and is refused.

The plug-ins are called directly and not through `Image.open`: nothing but these formats is ever tried on a
hostile file, and pixels are bounded by `limits` in place of Pillow's own process-wide bound.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .orientation import is_rotated
from .unusable import TOO_LARGE, UnusableImageError, check_pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

COMPRESSION = 3
"""zlib's level: near the size of its default of 6 in a third of the time."""

_ROWS = 64
_PLAIN = ("L", "LA", "RGB", "RGBA")
_LOW_BYTES = {
    "RGB;16L": "RGB;16B",
    "RGB;16B": "RGB;16L",
    "RGBX;16L": "RGBX;16B",
    "RGBX;16B": "RGBX;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16B": "RGBA;16L",
    "CMYK;16L": "CMYK;16B",
    "CMYK;16B": "CMYK;16L",
}
"""Pillow unpacks 16-bit colours by their high bytes alone; told the other byte order, it takes the low."""


def open_image(data: bytes, source_format: str) -> ImageFile:
    """The file opened and not decoded.

    Raises:
        UnusableImageError: Pillow can't make sense of it.
    """
    from PIL import (
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    plugins: dict[str, Any] = {
        "jpeg": JpegImagePlugin.JpegImageFile,
        "png": PngImagePlugin.PngImageFile,
        "gif": GifImagePlugin.GifImageFile,
        "bmp": BmpImagePlugin.BmpImageFile,
        "tiff": TiffImagePlugin.TiffImageFile,
        "webp": WebPImagePlugin.WebPImageFile,
    }
    # Whether a file can be used must not hang on who listens to warnings, and no one can mend EXIF data by
    # reading of it. Not by `catch_warnings`, which threads that do so at once leave in disorder.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        opened: ImageFile = plugins[source_format](io.BytesIO(data))
    except Exception as error:  # a damaged file brings out any
        raise _undecodable(source_format, error) from error
    return opened


def decode_all(data: bytes, source_format: str) -> None:
    """Decodes the first picture, for nothing but to see that it can be.

    Raises:
        UnusableImageError: it can't.
    """
    image = open_image(data, source_format)
    try:
        image.load()
    except Exception as error:
        raise _undecodable(source_format, error) from error


def turned(data: bytes, source_format: str) -> bool:
    """Whether Pillow too finds that the file isn't upright."""
    return is_rotated(_orientation(open_image(data, source_format)))


def upright_pngs(
    data: bytes, source_format: str, *, every: bool, max_pixels: int, max_frames: int, inverted: bool = False
) -> Iterator[tuple[bytes, int, int, int]]:
    """Each picture of a file as a PNG with its height, width and channels.

    Args:
        data: the file.
        source_format: one of `sniffing.FORMATS`.
        every: all frames or pages; else the first.
        max_pixels: of all that are taken together, checked before a frame is decoded.
        max_frames: the most frames.
        inverted: CMYK is to be inverted after Pillow has read it, which takes every JPEG for Adobe's.

    Raises:
        UnusableImageError: a picture is too large, can't be decoded, or holds values without a stated white.
    """
    image = open_image(data, source_format)
    pixels = frame = 0
    while True:
        check_pixels(image.width, image.height, max_pixels)
        pixels += image.width * image.height
        if pixels > max_pixels:
            what = f"its first {frame + 1} frames have more than the {max_pixels:,} pixels of one file"
            raise UnusableImageError(what, TOO_LARGE)
        try:
            plain = _upright(image, data, source_format, frame, inverted)
        except UnusableImageError:
            raise
        except Exception as error:
            raise _undecodable(source_format, error) from error
        yield _as_png(plain), plain.height, plain.width, len(plain.getbands())
        frame += 1
        if not every or not _goes_on(image, frame, source_format):
            return
        if frame == max_frames:
            raise UnusableImageError(
                f"it has more than {max_frames} frames", "raise the bound on frames, or take the first only"
            )


def _goes_on(image: ImageFile, frame: int, source_format: str) -> bool:
    try:
        image.seek(frame)
    except EOFError:
        return False
    except Exception as error:
        raise _undecodable(source_format, error) from error
    return True


def _undecodable(source_format: str, error: Exception) -> UnusableImageError:
    told = "" if isinstance(error, LookupError | TypeError) else str(error).strip().split("\n")[0][:200]
    why = f": {told}" if told and "BytesIO" not in told else ""
    return UnusableImageError(
        f"the {source_format.upper()} can't be decoded{why}", "fetch or copy the file again, or leave it out"
    )


def _orientation(image: ImageFile) -> int:
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # EXIF data that can't be read say nothing
        return 1
    return found if isinstance(found, int) else 1


def _upright(image: ImageFile, data: bytes, source_format: str, frame: int, inverted: bool) -> Image:
    """The open frame, decoded, in one of the modes that a PNG of 8 bits has, and turned."""
    from PIL.Image import Transpose

    rawmode = _rawmode(image)
    image.load()  # turns a TIFF at once
    orientation = _orientation(image)
    plain = _sixteen(image, rawmode, data, source_format, frame) or _eight(image, inverted)
    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return plain.transpose(ways[orientation]) if is_rotated(orientation) else plain


def _eight(image: Image, inverted: bool) -> Image:
    """A decoded picture of at most 8 bits as gray or RGB, each with or without alpha."""
    from PIL import ImageChops

    mode, clear = image.mode, "transparency" in image.info
    if mode in _PLAIN and not clear:
        return image
    if mode == "CMYK" and inverted:
        image = ImageChops.invert(image)
    if mode in ("I", "F", "LAB") or mode.startswith("I;"):
        what = {"F": "floating-point values", "LAB": "CIELAB colours"}.get(mode, "32-bit or signed values")
        raise UnusableImageError(
            f"it holds {what}, which have no one meaning as pixels", "scale it to 8 or 16 bits first"
        )
    if mode in ("1", "L", "LA"):
        return image.convert("LA" if clear or mode == "LA" else "L")
    return image.convert("RGBA" if clear or mode in ("RGBA", "PA", "RGBa") else "RGB")


def _rawmode(image: ImageFile) -> str:
    """How Pillow is about to unpack the pixels; an empty string where it doesn't say."""
    args = image.tile[0].args if getattr(image, "tile", None) else ""
    first = args if isinstance(args, str) else (args[0] if args else "")
    import sys

    return str(first).replace("16N", "16L" if sys.byteorder == "little" else "16B")


def _sixteen(image: ImageFile, rawmode: str, data: bytes, source_format: str, frame: int) -> Image | None:
    """A decoded picture of 16 or 12 bits as 8 bits; None if it has fewer."""
    import numpy as np
    from PIL.Image import frombytes

    if image.mode.startswith("I;16"):
        values, most = np.asarray(image), (1 << (12 if rawmode == "I;12" else 16)) - 1
        inverted = source_format == "tiff" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
        # Pillow minds that white may be zero for 8 bits only.
        gray = _rounded(values.shape, most, lambda rows: most - values[rows] if inverted else values[rows])
        return frombytes("L", image.size, gray)
    if rawmode == "LA;16B":  # four bytes: gray's two and alpha's two
        four = np.asarray(_again(data, source_format, frame, "RGBA"))
        return frombytes("LA", image.size, _joined(four[..., 0::2], four[..., 1::2]))
    if rawmode not in _LOW_BYTES:
        return None
    low = np.asarray(_again(data, source_format, frame, _LOW_BYTES[rawmode]))
    eight = frombytes(image.mode, image.size, _joined(np.asarray(image), low))
    return eight.convert("RGB") if image.mode == "CMYK" else eight


def _joined(high: npt.NDArray[np.uint8], low: npt.NDArray[np.uint8]) -> bytes:
    """The 8 bits of 16 whose bytes are given apart."""
    return _rounded(high.shape, 65535, lambda rows: high[rows].astype("u4") << 8 | low[rows])


def _rounded(
    shape: tuple[int, ...], most: int, values: Callable[[slice], npt.NDArray[np.integer[Any]]]
) -> bytes:
    """Values from 0 to `most` as 0 to 255; some rows at a time, since they are wide while at work."""
    import numpy as np

    found = np.empty(shape, np.uint8)
    for top in range(0, shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        found[rows] = (values(rows).astype("u4") * 255 + most // 2) // most
    return found.tobytes()


def _again(data: bytes, source_format: str, frame: int, rawmode: str) -> Image:
    """The same picture, unpacked in another way."""
    image = open_image(data, source_format)
    if frame:
        image.seek(frame)
    image.tile = [
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *(tile.args or ())[1:]))
        for tile in image.tile
    ]
    image.load()
    return image


def _as_png(image: Image) -> bytes:
    bare = image.copy()  # without the notes of the file that it came from
    bare.info = {}
    out = io.BytesIO()
    bare.save(out, "PNG", compress_level=COMPRESSION)
    return out.getvalue()
