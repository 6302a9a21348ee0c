"""Pictures, and files of them in the ways that people have them; everything is made here."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def pixels(height: int = 24, width: int = 36, channels: int = 3, seed: int = 0) -> Pixels:
    """A smooth picture with some noise, `[height, width, channels]`, or `[height, width]` for one channel."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 4), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noisy = smooth.astype(int) + rng.integers(-9, 10, smooth.shape)
    found = noisy.clip(0, 255).astype(np.uint8)[..., :channels]
    return found[..., 0] if channels == 1 else found


def picture(height: int = 24, width: int = 36, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """The same as Pillow's image in a mode."""
    if mode == "I;16":
        rng = np.random.default_rng(seed)
        return Image.fromarray(rng.integers(0, 65536, (height, width), dtype=np.uint16))
    image = Image.fromarray(pixels(height, width, 4 if mode in ("RGBA", "LA") else 3, seed))
    return image.quantize(16) if mode == "P" else image.convert(mode)


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, depth: int, color: int, rows: bytes, interlace: int = 0, more: bytes = b""
) -> bytes:
    """A PNG around filtered rows that are given; `more` stands before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    parts = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def png16(values: npt.NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits with 1 to 4 channels from `[height, width, channels]`."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)


def interlaced_png(values: Pixels) -> bytes:
    """An RGB PNG whose pixels come in the seven passes of Adam7."""
    passes = (
        (0, 8, 0, 8),
        (0, 8, 4, 8),
        (4, 8, 0, 4),
        (0, 4, 2, 4),
        (2, 4, 0, 2),
        (0, 2, 1, 2),
        (1, 2, 0, 1),
    )
    rows = b""
    for top, down, left, across in passes:
        for row in values[top::down, left::across]:
            rows += b"\0" + row.tobytes() if row.size else b""
    return png(values.shape[1], values.shape[0], 8, 2, rows, interlace=1)


def with_sums_mended(data: bytes) -> bytes:
    """A damaged PNG with all sums put right, as somebody who means harm would."""
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return out + data[at:]


def drawn(rng: random.Random) -> bytes:
    """A JPEG or PNG of any usual kind."""
    size = rng.randint(1, 70), rng.randint(1, 70)
    options: dict[str, Any]
    if rng.random() < 0.6:
        options = {
            "quality": rng.choice([5, 50, 90, 100]),
            "progressive": rng.random() < 0.4,
            "optimize": rng.random() < 0.5,
            "subsampling": rng.choice([0, 1, 2]),
        }
        if rng.random() < 0.3:
            options["restart_marker_blocks"] = rng.randint(1, 5)
        if rng.random() < 0.2:
            options["exif"] = exif(rng.randint(0, 9))
        mode = rng.choice(["L", "RGB", "RGB", "CMYK"])
        return save(picture(*size, mode, rng.randrange(99)), "JPEG", **options)
    mode = rng.choice(["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
    clear = {"P": 0, "L": 3, "RGB": (3, 4, 5)}.get(mode)
    options = {} if clear is None or rng.random() < 0.5 else {"transparency": clear}
    return save(picture(*size, mode, rng.randrange(99)), "PNG", **options)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file with some of its bytes cut off, lost, changed or put in."""
    at = rng.randrange(len(data))
    some = bytes(rng.randrange(256) for _ in range(rng.randint(1, 9)))
    way = rng.randrange(7)
    if way == 0:
        return data[:at]
    if way == 1:
        return data + some
    if way == 2:
        return data[:at] + some + data[at:]
    if way == 3:
        return data[:at] + data[at + len(some) :]
    if way == 4:
        return data[:at] + bytes(len(some)) + data[at + len(some) :]
    if way == 5:
        at = rng.randrange(min(len(data), 700))
    changed = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    return with_sums_mended(changed) if data.startswith(b"\x89PNG") and way == 6 else changed


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """EXIF data with an orientation and nothing else, as a JPEG's segment has it."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + ("H2x" if kind == 3 else "I"), orientation)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return b"Exif\0\0" + mark + struct.pack(order + "IH", 8, 1) + entry + bytes(4)
