"""What becomes of an image file: kept as it is, turned into an upright PNG, or refused with the reason.

    admit(path.read_bytes(), path.name, Limits())  →  [Admitted(…)] or Refused("the JPEG is cut off …")

What is admitted is what `tf.io.decode_jpeg(data, channels=c, dct_method="INTEGER_ACCURATE")` reads, whose
kernel also reads PNG: an upright JPEG, gray or in colour, or a PNG of at most 8 bits a channel, both kept
byte for byte and not decoded here; all else becomes such a PNG (see `convert`). A file is what its first
bytes say.

This reads hostile files: sizes are checked before anything is decoded, and what is read stays bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .jpeg import read_jpeg
from .png import read_png
from .sniffing import claimed, describe, sniff
from .unusable import UnusableImageError, check_pixels

DECODABLE = 2**29 - 1
"""The most pixels that TensorFlow's decoder takes."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one file.

    Attributes:
        max_pixels: of all frames that are taken together, checked before decoding. What has to be
            converted takes some 10 bytes of memory a pixel meanwhile, and 20 in colours of 16 bits.
        max_bytes: of the file as it lies on disk.
        max_frames: that are taken of a file, where all are.
        check: "structure" looks at a JPEG's or PNG's segments and sums; "decode" decodes each file too, which
            takes as long again as reading it for training.
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 256 << 20
    max_frames: int = 1_000
    check: Literal["structure", "decode"] = "structure"


@dataclass(frozen=True)
class Admitted:
    """An image that TensorFlow reads.

    Attributes:
        data: a JPEG or PNG file.
        height, width: in pixels, upright.
        channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha, as a decoder gives that drops nothing.
        source_format: what the file was, one of `sniffing.FORMATS`.
    """

    data: bytes
    height: int
    width: int
    channels: int
    source_format: str


@dataclass(frozen=True)
class Refused:
    """A file that isn't used: why, and what may be done, sentences without full stop."""

    reason: str
    remedy: str


def admit(
    data: bytes, name: str, limits: Limits, frames: Literal["first", "all"] = "first"
) -> list[Admitted] | Refused:
    """Looks at a file.

    Args:
        data: the whole file.
        name: its name, whose ending has to be right if it is that of an image; empty if it has none. An
            address on the network claims nothing by its ending: give none.
        limits: bounds.
        frames: which frames of a GIF, WebP or PNG animation, and which pages of a TIFF.

    Returns:
        One image, or with `frames="all"` one for each frame; or why there is none.
    """
    try:
        return _admit(data, name, limits, frames == "all")
    except UnusableImageError as error:
        return Refused(error.reason, error.remedy)


def too_many_bytes(size: int, limits: Limits) -> Refused | None:
    """The refusal of a file by its size on disk, so that it needn't be read."""
    if size <= limits.max_bytes:
        return None
    reason = f"{size:,} bytes are more than the {limits.max_bytes:,} that one file may have"
    return Refused(reason, "make it smaller, or raise max_bytes")


def _admit(data: bytes, name: str, limits: Limits, every: bool) -> list[Admitted] | Refused:
    if refused := too_many_bytes(len(data), limits):
        return refused
    source_format = _format(data, name)
    if source_format == "jpeg":
        return [_jpeg(data, limits)]
    if source_format == "png":
        return _png(data, limits, every)
    if source_format == "webp":
        _check_webp_size(data, limits)
    return _converted(data, source_format, limits, every)


def _format(data: bytes, name: str) -> str:
    """The format by content.

    Raises:
        UnusableImageError: it is none that is read, or the name claims another.
    """
    if not data:
        raise UnusableImageError("the file is empty", "fetch or copy the file again")
    found, said = sniff(data), claimed(name)
    if not found:
        what = f"it is {describe(data)}, not an image that can be read"
        raise UnusableImageError(what, "JPEG, PNG, GIF, BMP, TIFF and WebP are read")
    if said and said != found:
        what = said if said.startswith("an ") else said.upper()
        raise UnusableImageError(
            f"its name says {what}, but it is {found.upper()}",
            "give it the right ending, if it is what you mean",
        )
    return found


def _jpeg(data: bytes, limits: Limits) -> Admitted:
    facts = read_jpeg(data, _most_pixels(limits))
    if facts.components == 4 or (facts.rotated and _turned(data, "jpeg")):
        inverted = facts.components == 4 and not facts.adobe
        return _converted(data, "jpeg", limits, every=False, inverted=inverted)[0]
    _check_by_decoding(data, "jpeg", limits)
    return Admitted(data, facts.height, facts.width, facts.components, "jpeg")


def _png(data: bytes, limits: Limits, every: bool) -> list[Admitted]:
    facts = read_png(data, _most_pixels(limits))
    if facts.depth == 16 or (every and facts.animated) or (facts.rotated and _turned(data, "png")):
        return _converted(data, "png", limits, every)
    _check_by_decoding(data, "png", limits)
    return [Admitted(data, facts.height, facts.width, facts.channels, "png")]


def _most_pixels(limits: Limits) -> int:
    return min(limits.max_pixels, DECODABLE)


def _check_webp_size(data: bytes, limits: Limits) -> None:
    """Before Pillow sees it, which allocates the canvas when it opens the file."""
    if int.from_bytes(data[4:8], "little") + 8 > len(data) or len(data) < 30:
        raise UnusableImageError("the WEBP is cut off", "fetch or copy the file again")
    kind = data[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
    check_pixels(width, height, _most_pixels(limits))


def _check_by_decoding(data: bytes, source_format: str, limits: Limits) -> None:
    if limits.check == "decode":
        from .convert import decode_all

        decode_all(data, source_format)


def _turned(data: bytes, source_format: str) -> bool:
    from .convert import turned

    return turned(data, source_format)


def _converted(
    data: bytes, source_format: str, limits: Limits, every: bool, inverted: bool = False
) -> list[Admitted]:
    from .convert import upright_pngs

    made = upright_pngs(
        data,
        source_format,
        every=every,
        max_pixels=_most_pixels(limits),
        max_frames=limits.max_frames,
        inverted=inverted,
    )
    return [Admitted(png, height, width, channels, source_format) for png, height, width, channels in made]
