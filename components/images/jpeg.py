"""The structure of a JPEG file, without decoding it: some 30 µs for 50 KB.

What is checked is what libjpeg needs to decode the file without an error, so that a file that passes can be
read by `tf.io.decode_jpeg`: the segments and their lengths, the frame, quantization and Huffman tables, the
parameters of each scan, that no marker stands in the coded data that doesn't belong there, and that the file
goes on to its end mark. Bytes behind the end mark (a second picture, a camera's notes) are let be. A bit that
fell over in the coded data itself shows as wrong pixels and can't be found, not even by decoding.

Source: ITU-T T.81; what libjpeg-turbo's `jdmarker.c`, `jdhuff.c`, `jdphuff.c`, `jdinput.c` and `jdsample.c`
refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from .orientation import exif_orientation, is_rotated, xmp_orientation
from .unusable import UnusableImageError, check_pixels

MOST_SCANS, MOST_SEGMENTS = 200, 10_000
"""Bounds on the work that a file can ask for; encoders write 1 to about 10 scans, and some dozen segments."""

MOST_SIDE = 65_500
"""What libjpeg takes, in pixels."""

_SOF0, _SOF1, _SOF2 = 0xC0, 0xC1, 0xC2
_DHT, _SOI, _EOI, _SOS, _DQT, _DRI, _APP1, _APP14, _COM = 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1, 0xEE, 0xFE
_REFUSED = {
    0xC3: "a lossless JPEG",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF), "a hierarchical JPEG"),
    **dict.fromkeys((0xC9, 0xCA, 0xCC), "an arithmetic-coded JPEG"),
    0xCB: "a lossless arithmetic-coded JPEG",
    0xF7: "a JPEG-LS image",
}
_RESAVE = "save it again as an ordinary JPEG or a PNG"
# Behind 0xFF in coded data: 0 stands for 0xFF itself, 0xFF is a fill byte, 0xD0 to 0xD7 are restart marks.
_MARK = re.compile(rb"\xff[^\x00\xff]")
_MARK_BUT_RESTARTS = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_BETWEEN = re.compile(rb"\0*(?:\xff+(?=\xff))?")  # padding and fill bytes, which decoders pass over too
_RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")


@dataclass(frozen=True)
class Component:
    """One of the frame's: sampling factors and its quantization table."""

    horizontal: int
    vertical: int
    table: int


@dataclass(frozen=True)
class JpegFacts:
    """What the header says.

    Attributes:
        height, width: in pixels, as stored.
        components: 1, 3 or 4.
        adobe: whether an Adobe segment is there, whose CMYK is stored inverted.
        rotated: whether EXIF or XMP say that it isn't upright.
    """

    height: int
    width: int
    components: int
    adobe: bool
    rotated: bool


@dataclass
class _Walk:
    """What the segments so far have said."""

    max_pixels: int
    progressive: bool = False
    height: int = 0
    width: int = 0
    components: dict[int, Component] = field(default_factory=dict)
    quantization: set[int] = field(default_factory=set)
    huffman: set[int] = field(default_factory=set)
    restart: int = 0
    adobe: bool = False
    exif: int | None = None
    xmp: int = 0
    segments: int = 0
    scans: int = 0
    scanned: set[int] = field(default_factory=set)
    coded: int = 0


def read_jpeg(data: bytes, max_pixels: int) -> JpegFacts:
    """Walks a JPEG file.

    Raises:
        UnusableImageError: it is too large, damaged, cut off, or of a kind that TensorFlow can't decode.
    """
    walk, position, end = _Walk(max_pixels), 2, len(data)
    while True:
        found = _BETWEEN.match(data, position)
        position = found.end() if found else position
        if position + 2 > end:
            raise _cut_off(walk)
        if data[position] != 0xFF:
            raise _damaged(f"no segment begins at byte {position}")
        marker = data[position + 1]
        if marker == _EOI:
            break
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position + 4 : position + 2 + length]
        if position + 2 + length > end or position + 4 > end:
            raise _cut_off(walk)
        if length < 2:
            raise UnusableImageError(f"the JPEG is damaged: a segment at byte {position} has no length")
        walk.segments += 1
        if walk.segments > MOST_SEGMENTS:
            raise UnusableImageError(f"the JPEG has more than {MOST_SEGMENTS:,} segments", _RESAVE)
        _take(walk, marker, segment, position)
        position += 2 + length
        if marker == _SOS:
            position = _behind_scan(walk, data, position)
    _check_whole(walk)
    orientation = walk.xmp if walk.exif in (None, 0) else walk.exif
    return JpegFacts(walk.height, walk.width, len(walk.components), walk.adobe, is_rotated(orientation or 0))


def _cut_off(walk: _Walk) -> UnusableImageError:
    where = "within its header" if not walk.scans else "before the end of its picture"
    return UnusableImageError(f"the JPEG is cut off {where}", "fetch or copy the file again")


def _damaged(what: str) -> UnusableImageError:
    return UnusableImageError(f"the JPEG is damaged: {what}", "fetch or copy the file again")


def _take(walk: _Walk, marker: int, segment: bytes, position: int) -> None:
    if marker == _DHT:
        walk.huffman.update(_huffman_tables(segment))
    elif marker == _DQT:
        walk.quantization.update(_quantization_tables(segment))
    elif marker in (_SOF0, _SOF1, _SOF2):
        _take_frame(walk, segment)
        walk.progressive = marker == _SOF2
    elif marker == _SOS:
        _take_scan(walk, segment)
    elif marker == _DRI:
        if len(segment) != 2:
            raise _damaged("its restart interval has a wrong length")
        walk.restart = int.from_bytes(segment, "big")
    elif 0xE0 <= marker <= 0xEF or marker == _COM:
        _take_note(walk, marker, segment)
    elif marker in _REFUSED:
        raise UnusableImageError(f"it is {_REFUSED[marker]}, which TensorFlow can't decode", _RESAVE)
    else:
        raise _damaged(f"a mark 0x{marker:02x} at byte {position} doesn't belong there")


def _take_note(walk: _Walk, marker: int, segment: bytes) -> None:
    if marker == _APP1 and segment.startswith(b"Exif\0") and walk.exif is None:
        walk.exif = exif_orientation(segment[6:])
    elif marker == _APP1 and segment.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        walk.xmp = walk.xmp or xmp_orientation(segment)
    elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
        walk.adobe = True


def _take_frame(walk: _Walk, segment: bytes) -> None:
    if walk.components:
        raise _damaged("it has two frames")
    if len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise _damaged("its frame header has a wrong length")
    if segment[0] != 8:
        raise UnusableImageError(
            f"it is a JPEG of {segment[0]} bits a channel, which TensorFlow can't decode", _RESAVE
        )
    walk.height = int.from_bytes(segment[1:3], "big")
    walk.width = int.from_bytes(segment[3:5], "big")
    if not (0 < walk.height <= MOST_SIDE and 0 < walk.width <= MOST_SIDE):
        raise _damaged(f"its size is given as {walk.width}x{walk.height} pixels")
    check_pixels(walk.width, walk.height, walk.max_pixels)
    if segment[5] not in (1, 3, 4):
        raise UnusableImageError(f"it is a JPEG of {segment[5]} components, which is no picture", _RESAVE)
    for at in range(6, len(segment), 3):
        sampling = segment[at + 1]
        walk.components[segment[at]] = Component(sampling >> 4, sampling & 15, segment[at + 2])
    across = [c.horizontal for c in walk.components.values()]
    down = [c.vertical for c in walk.components.values()]
    whole = all(1 <= n <= 4 and max(ns) % n == 0 for ns in (across, down) for n in ns)
    if len(walk.components) != segment[5] or not whole:
        raise _damaged("its frame header makes no sense")


def _take_scan(walk: _Walk, segment: bytes) -> None:
    if not walk.components:
        raise _damaged("a scan begins before its frame")
    if not segment or not 1 <= segment[0] <= 4 or len(segment) != 4 + 2 * segment[0]:
        raise _damaged("a scan's header has a wrong length")
    names = segment[1:-3:2]
    walk.scans += 1
    if walk.scans > MOST_SCANS:
        raise UnusableImageError(f"the JPEG has more than {MOST_SCANS} scans", _RESAVE)
    if len(set(names)) != len(names) or not set(names) <= set(walk.components):
        raise _damaged("a scan names components that the frame doesn't have")
    own = [walk.components[name] for name in names]
    if len(own) > 1 and sum(c.horizontal * c.vertical for c in own) > 10:
        raise _damaged("a scan has units that are too large")
    if not {c.table for c in own} <= walk.quantization:
        raise _damaged("a quantization table is missing")
    first, last, high, low = segment[-3], segment[-2], segment[-1] >> 4, segment[-1] & 15
    if walk.progressive:
        _check_progression(len(own), first, last, high, low)
    _check_huffman(walk, segment[2:-3:2], first, high)
    if first == 0 and high == 0:
        walk.scanned.update(names)


def _check_progression(components: int, first: int, last: int, high: int, low: int) -> None:
    band = last == 0 if first == 0 else (first <= last < 64 and components == 1)
    if not band or low > 13 or (high and low != high - 1):
        raise _damaged("a progressive scan has parameters that make no sense")


def _check_huffman(walk: _Walk, chosen: bytes, first: int, high: int) -> None:
    """A scan needs its tables; a file without any means the four usual ones, as Motion JPEG does."""
    for pair in chosen:
        direct, alternating = pair >> 4, 0x10 | (pair & 15)
        if not walk.progressive:
            needed = {direct, alternating}
        elif first == 0:
            needed = set() if high else {direct}
        else:
            needed = {alternating}
        usual = not walk.progressive and not walk.huffman and needed <= {0, 1, 0x10, 0x11}
        if not usual and not needed <= walk.huffman:
            raise _damaged("a Huffman table is missing")


def _behind_scan(walk: _Walk, data: bytes, position: int) -> int:
    """The place of the first mark behind a scan's coded data."""
    found = (_MARK_BUT_RESTARTS if walk.restart else _MARK).search(data, position)
    if found is None:
        raise _cut_off(walk)
    if walk.restart:
        marks = _RESTARTS.findall(data, position, found.start())
        if any(mark[0] != 0xD0 + number % 8 for number, mark in enumerate(marks)):
            raise _damaged("its restart marks are out of order")
    walk.coded += found.start() - position
    return found.start()


def _check_whole(walk: _Walk) -> None:
    if not walk.scans:
        raise _damaged("it holds no picture")
    if walk.scanned != set(walk.components):
        raise _cut_off(walk)
    # Each block of 8x8 takes one bit at least.
    most_h = max(c.horizontal for c in walk.components.values())
    most_v = max(c.vertical for c in walk.components.values())
    blocks = sum(
        -(-walk.width * c.horizontal // (8 * most_h)) * -(-walk.height * c.vertical // (8 * most_v))
        for c in walk.components.values()
    )
    if walk.coded * 8 < blocks:
        raise _damaged(f"{walk.coded} bytes can't hold {walk.width}x{walk.height} pixels")


@lru_cache(maxsize=512)
def _huffman_tables(segment: bytes) -> tuple[int, ...]:
    """The numbers of the tables in a DHT segment, 0x10 added for AC; cached, since few differ."""
    found, at = [], 0
    while at < len(segment):
        number, counts = segment[at], segment[at + 1 : at + 17]
        symbols = segment[at + 17 : at + 17 + sum(counts)]
        code = 0
        fits = len(counts) == 16 and number & 0xEC == 0 and len(symbols) == sum(counts) <= 256
        for bits in range(1, len(bytes(counts).rstrip(b"\0")) + 1):
            code += counts[bits - 1]
            fits = fits and (code < 1 << bits)  # no code may be all ones
            code <<= 1
        if not fits or (number < 0x10 and max(symbols, default=0) > 15):
            raise _damaged("a Huffman table makes no sense")
        found.append(number)
        at += 17 + len(symbols)
    return tuple(found)


@lru_cache(maxsize=512)
def _quantization_tables(segment: bytes) -> tuple[int, ...]:
    """The numbers of the tables in a DQT segment."""
    found, at = [], 0
    while at < len(segment):
        wide, number = segment[at] >> 4, segment[at] & 15
        at += 1 + 64 * (wide + 1)
        if wide > 1 or number > 3 or at > len(segment):
            raise _damaged("a quantization table makes no sense")
        found.append(number)
    return tuple(found)
