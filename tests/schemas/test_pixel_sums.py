"""Sums of pixels: exact, and the same in whatever order they come."""

from __future__ import annotations

import numpy as np

from headrace.schemas.pixel_sums import PixelSums


def test_mean_and_deviation_are_those_of_numpy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (31, 9, 7, 3), dtype=np.uint8)
    sums = PixelSums.of(pixels)
    values = pixels.astype(np.float64)
    np.testing.assert_allclose(
        sums.compute(True), [values.mean(axis=(0, 1, 2)), values.std(axis=(0, 1, 2))], rtol=1e-12
    )
    np.testing.assert_allclose(sums.compute(False), [[values.mean()], [values.std()]], rtol=1e-12)


def test_parts_in_any_order_give_the_same() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 5, 6, 1), dtype=np.uint8)
    parts = [PixelSums.of(pixels[a:b]) for a, b in ((0, 3), (3, 3), (3, 29), (29, 40))]
    parts = [PixelSums.from_bytes(part.to_bytes()) for part in parts]
    whole = PixelSums.of(pixels)
    assert PixelSums.merge_all(parts) == PixelSums.merge_all(parts[::-1]) == whole
    assert PixelSums().merge(whole) == whole.merge(PixelSums()) == whole


def test_sums_are_exact_past_what_a_float_holds() -> None:
    one = PixelSums.of(np.full((1, 1, 1, 1), 255, np.uint8))
    many = PixelSums(2**55 + 1, (255 * (2**55 + 1),), (255**2 * (2**55 + 1),))
    assert many.merge(one).sums == (255 * (2**55 + 2),)
    assert many.compute(True) == ([255.0], [0.0])
