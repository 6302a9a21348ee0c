"""What is admitted is what TensorFlow decodes."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from headrace.components.images.admit import Limits, Refused, admit

from .picture_files import damaged, drawn, interlaced_png, picture, pixels, save


@pytest.fixture(scope="module")
def decode():
    import tensorflow as tf

    def decoded(data: bytes, channels: int) -> np.ndarray:
        return tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE").numpy()

    return decoded


def test_drawn_and_damaged_files(decode):
    """Whole, cut off, changed, with bytes put in or lost: what isn't refused can be decoded."""
    rng = random.Random(7)
    kept = made = refused = 0
    for number in range(1200):
        data = drawn(rng)
        data = damaged(data, rng) if number % 4 else data
        found = admit(data, "", Limits())
        if isinstance(found, Refused):
            assert number % 4, found
            refused += 1
            continue
        (image,) = found
        kept, made = kept + (image.data == data), made + (image.data != data)
        for channels in (1, 3):
            assert decode(image.data, channels).shape == (image.height, image.width, channels)
    assert min(kept, made, refused) > 100


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_pngs_that_are_kept_decode_to_what_pillow_shows(decode, mode):
    options = {"transparency": 0} if mode == "P" else {}
    data = save(picture(mode=mode), "PNG", **options)
    with Image.open(io.BytesIO(data)) as image:
        shown = np.asarray(image.convert("RGBA" if mode in ("P", "RGBA") else "RGB"))[..., :3]
    assert np.array_equal(decode(data, 3), shown)


def test_an_interlaced_png(decode):
    assert np.array_equal(decode(interlaced_png(pixels(19, 13)), 3), pixels(19, 13))


def test_a_jpeg_decodes_alike_in_both(decode):
    data = save(picture(), "JPEG", subsampling=0)
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(decode(data, 3) - shown).max() <= 2
