"""The structure of a PNG file, without decoding it: its chunks with their checksums.

A file whose checksums are right and whose chunks are those that the PNG specification asks for can be read by
libpng, and so by TensorFlow. The compressed data itself is held by checksums too; that it gives as many bytes
as the size asks for is checked where they are few, and else that it could.

Source: PNG Specification, 3rd edition; what libpng refuses.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct

from .orientation import exif_orientation, is_rotated, xmp_orientation
from .unusable import UnusableImageError, check_pixels

MOST_SIDE = 1_000_000
"""What libpng takes, in pixels."""

INFLATED, STORED = 1 << 18, 1 << 14
"""Pixel data of at most so many bytes, inflated or as stored, is inflated to see whether it is whole."""

SMALL = 256
"""Bytes that chunks have on an average at least, where they are many: a bound on the work asked for."""

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_HEAD, _HEADER = Struct(">I4s"), Struct(">IIBBBBB")
_ADAM7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
"""Of each pass: the first row and every how many-th follow, and the same of columns."""
_KNOWN = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_ONCE = {b"IHDR", b"PLTE"}


@dataclass(frozen=True)
class PngFacts:
    """What the header says.

    Attributes:
        height, width: in pixels, as stored.
        depth: bits a sample; 16 is more than is kept.
        channels: of a decoder that drops nothing; a palette has 3, or 4 with transparency.
        animated: whether it holds an animation beside its picture.
        rotated: whether EXIF or XMP say that it isn't upright, or may say so where they are compressed.
    """

    height: int
    width: int
    depth: int
    channels: int
    animated: bool
    rotated: bool


def read_png(data: bytes, max_pixels: int) -> PngFacts:
    """Walks a PNG file.

    Raises:
        UnusableImageError: it is too large, damaged, cut off, or no PNG that TensorFlow can decode.
    """
    position, end = 8, len(data)
    seen: dict[bytes, int] = {}
    pixels: list[tuple[int, int]] = []
    orientation, last, header, left = 0, b"", b"", 10_000 + end // SMALL
    while last != b"IEND":
        if position + 12 > end:
            raise _cut_off()
        left -= 1
        if left < 0:
            raise _damaged("it has very many chunks")
        length, kind = _HEAD.unpack_from(data, position)
        start, stop = position + 8, position + 8 + length
        if stop + 4 > end:
            raise _damaged("a chunk's name is none") if not kind.isalpha() else _cut_off()
        if zlib.crc32(memoryview(data)[position + 4 : stop]) != int.from_bytes(data[stop : stop + 4], "big"):
            raise _damaged(f"the checksum of a chunk at byte {position} is wrong")
        _check_order(kind, last, seen)
        if kind == b"IHDR":
            header = data[start:stop]
            _check_size(header, max_pixels)
        elif kind == b"IDAT":
            pixels.append((start, stop))
        elif kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"):
            orientation = orientation or _orientation(kind, data[start:stop])
        seen[kind] = length
        last, position = kind, stop + 4
    return _facts(data, header, seen, pixels, orientation)


def _cut_off() -> UnusableImageError:
    return UnusableImageError("the PNG is cut off", "fetch or copy the file again")


def _damaged(what: str) -> UnusableImageError:
    return UnusableImageError(f"the PNG is damaged: {what}", "fetch or copy the file again")


def _check_order(kind: bytes, last: bytes, seen: dict[bytes, int]) -> None:
    if kind == b"CgBI":
        raise UnusableImageError(
            "it is Apple's variant of PNG, which TensorFlow can't decode", "save it again as an ordinary PNG"
        )
    if not seen and kind != b"IHDR":
        raise _damaged("it doesn't begin with its header")
    if not kind[0] & 0x20 and kind not in _KNOWN:
        raise _damaged(f"it has a chunk {kind!r} that nothing can read")
    if kind in _ONCE and kind in seen:
        raise _damaged(f"it has two chunks {kind.decode()}")
    if kind == b"IDAT" and b"IDAT" in seen and last != b"IDAT":
        raise _damaged("its pixels aren't in one place")
    if kind == b"PLTE" and b"IDAT" in seen:
        raise _damaged("its palette stands behind its pixels")


def _orientation(kind: bytes, chunk: bytes) -> int:
    if kind == b"eXIf":
        return exif_orientation(chunk)
    keyword, _, rest = chunk.partition(b"\0")
    if keyword == b"Raw profile type exif":
        return 2  # compressed, as digits; whoever turns it reads it
    if keyword == b"XML:com.adobe.xmp" and kind == b"iTXt":
        return 2 if rest[:1] == b"\1" else xmp_orientation(rest)
    return 0


def _check_size(header: bytes, max_pixels: int) -> None:
    if len(header) != _HEADER.size:
        raise _damaged("its header has a wrong length")
    width, height = _HEADER.unpack(header)[:2]
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise _damaged(f"its size is given as {width}x{height} pixels")
    check_pixels(width, height, max_pixels)


def _facts(
    data: bytes, header: bytes, seen: dict[bytes, int], pixels: list[tuple[int, int]], orientation: int
) -> PngFacts:
    width, height, depth, color, compression, filtering, interlace = _HEADER.unpack(header)
    if depth not in _DEPTHS.get(color, ()) or compression or filtering or interlace > 1:
        raise _damaged("its header makes no sense")
    palette = seen.get(b"PLTE", 0)
    if palette % 3 or palette > 768 or (color == 3 and not palette):
        raise _damaged("its palette is missing or makes no sense")
    if not pixels:
        raise _damaged("it holds no picture")
    _check_pixels(data, pixels, _passes(width, height, depth * _SAMPLES[color], bool(interlace)))
    clear = b"tRNS" in seen and color in (0, 2, 3)
    channels = _CHANNELS[color] + clear
    return PngFacts(height, width, depth, channels, b"acTL" in seen, is_rotated(orientation))


def _passes(width: int, height: int, bits: int, interlaced: bool) -> list[tuple[int, int]]:
    """Rows, and bytes a row with its filter's, of each pass over the picture, before compression."""
    steps = _ADAM7 if interlaced else ((0, 1, 0, 1),)
    sizes = [(-(-(height - top) // down), -(-(width - left) // across)) for top, down, left, across in steps]
    return [(rows, 1 + -(-columns * bits // 8)) for rows, columns in sizes if rows > 0 and columns > 0]


def _check_pixels(data: bytes, pixels: list[tuple[int, int]], passes: list[tuple[int, int]]) -> None:
    raw = sum(rows * length for rows, length in passes)
    stored = sum(stop - start for start, stop in pixels)
    if stored * 1032 < raw:  # the most that deflate can save
        raise _damaged(f"{stored} bytes can't hold its pixels")
    if raw > INFLATED and stored > STORED:
        return
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(b"".join(data[a:b] for a, b in pixels), raw + 1)
        stream.decompress(stream.unconsumed_tail, 1)  # to the checksum
    except zlib.error as error:
        raise _damaged("its pixels can't be decompressed") from error
    if len(found) < raw or not stream.eof:
        raise _cut_off()
    start = 0
    for rows, length in passes:
        if max(found[start : start + rows * length : length]) > 4:
            raise _damaged("a row has a filter that there isn't")
        start += rows * length
