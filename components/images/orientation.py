"""How a photo was held: the orientation in EXIF data or in XMP.

Source: Exif 2.32, tag 0x0112 of the first image file directory; 1 is upright, 2 to 8 the other ways.
"""

from __future__ import annotations

import re
import struct

UPRIGHT = 1
_TAG, _SHORT, _LONG = 0x0112, 3, 4
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def exif_orientation(tiff: bytes) -> int:
    """The orientation in EXIF data, from its byte-order mark on; 0 if it holds none or can't be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
            if tag == _TAG and count == 1 and kind in (_SHORT, _LONG):
                found = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at + 8)
                return int(found[0])
    except struct.error:
        return 0
    return 0


def xmp_orientation(packet: bytes) -> int:
    """The orientation in an XMP packet, or 0."""
    found = _XMP.search(packet)
    return int(found[1]) if found else 0


def is_rotated(orientation: int) -> bool:
    """Whether pixels stored so have to be turned or mirrored; unknown values mean upright."""
    return 1 < orientation < 9
