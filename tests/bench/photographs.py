"""Generated photographs: smooth random fields with texture, as JPEG files in folders of classes.

    python tests/bench/photographs.py FOLDER [--images 1000] [--size 500x375] [--quality 90]

At 500 by 375 a file has some 50 KB. Equal arguments give equal files.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

CLASSES = 10
_FIELD = 1600
_WAVES = ((6, 60.0), (24, 38.0), (96, 20.0), (400, 9.0))
"""Waves across a field, and their height in levels: light, shapes, leaves, grain."""


@lru_cache(maxsize=4)
def field(seed: int) -> np.ndarray:
    """float32 [1600, 1600, 3], out of which photographs are cut."""
    draw = np.random.default_rng(seed)
    made = np.full((_FIELD, _FIELD, 3), 128, np.float32)
    for count, height in _WAVES:
        wave = draw.normal(size=(count, count, 3)).astype(np.float32) * height
        made += cv2.resize(wave, (_FIELD, _FIELD), interpolation=cv2.INTER_CUBIC)
    return made + draw.normal(size=(_FIELD, _FIELD, 1)).astype(np.float32) * 5


def photograph(number: int, width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3]."""
    draw = np.random.default_rng([1, number])
    top, left = draw.integers(0, _FIELD - height), draw.integers(0, _FIELD - width)
    cut = field(number % 4)[top : top + height, left : left + width]
    contrast, tint = draw.uniform(0.7, 1.2), draw.normal(size=3).astype(np.float32) * 20
    return np.clip(128 + (cut - 128) * np.float32(contrast) + tint, 0, 255).astype(np.uint8)


def write_photographs(
    folder: Path, images: int, width: int = 500, height: int = 375, quality: int = 90
) -> int:
    """Writes `CLASS/NUMBER.jpg`; gives the bytes of all."""
    size = 0
    for name in range(CLASSES):
        (folder / f"class-{name}").mkdir(parents=True)
    for number in range(images):
        made, data = cv2.imencode(
            ".jpg", photograph(number, width, height), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        assert made
        (folder / f"class-{number % CLASSES}" / f"{number:06d}.jpg").write_bytes(data.tobytes())
        size += len(data)
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", default="500x375")
    parser.add_argument("--quality", type=int, default=90)
    told = parser.parse_args()
    wide, high = map(int, told.size.split("x"))
    print(write_photographs(told.folder, told.images, wide, high, told.quality) / told.images, "bytes a file")
