from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from headrace.components.augmentation import Augmentation
from headrace.components.augmentation.apply import Augmenter
from headrace.components.augmentation.color import Brightness, Contrast, Cutout, Noise
from headrace.components.augmentation.geometry import (
    Affine,
    Flip,
    RandomCrop,
    Rotate,
    Rotate90,
    Shear,
    Shift,
    Zoom,
)
from headrace.components.augmentation.hashing import bits, example_keys

EVERY = (
    Flip(direction="both"), Rotate90(), Rotate(degrees=20.0), Shift(amount=0.1), Zoom(factor=0.2),
    Shear(degrees=5.0, axis="both"), Contrast(factor=0.3), Brightness(amount=0.2), Contrast(factor=0.5),
    Affine(degrees=3.0, shift=0.05, zoom=0.1, shear=3.0), RandomCrop(scale=(0.5, 1.0)), Noise(deviation=0.1),
    RandomCrop(padding=2, fill="constant"), Cutout(size=0.3, count=2, probability=0.7),
)  # fmt: skip


def images(count: int = 5, shape: tuple[int, ...] = (12, 12, 3)) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)


def smooth(count: int, size: int) -> Any:
    y, x = np.mgrid[:size, :size] / size
    waves = [127 + 60 * np.sin(5 * x + i) + 60 * np.cos(4 * y * x + i) for i in range(count)]
    return np.stack(waves)[..., None].astype(np.float32)


def augmented(given: Any, *chain: Augmentation, epoch: int = 0, seed: int = 0, numbers: Any = None) -> Any:
    keys = example_keys(tf, seed, epoch, np.arange(len(given)) if numbers is None else numbers)
    return Augmenter(chain, given.shape[1:])(tf, tf.constant(given), keys).numpy()


def always(value: float) -> tuple[float, float]:
    return value, value


def sampled(image: Any, rows: Any) -> Any:
    """Bilinear sampling of an image `[h, w, c]` by a matrix of six numbers, mirrored at the edge."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    at_x, at_y = rows[0] * x + rows[1] * y + rows[2], rows[3] * x + rows[4] * y + rows[5]
    left, top = np.floor(at_x), np.floor(at_y)

    def mirrored(places: Any, size: int) -> Any:
        places = places.astype(int) % (2 * size)
        return np.where(places < size, places, 2 * size - 1 - places)

    total = np.zeros_like(image, np.float64)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - right - (at_x - left)) * np.abs(1 - down - (at_y - top))
            total += share[..., None] * image[mirrored(top + down, height), mirrored(left + right, width)]
    return total


def test_flips_and_right_angles_are_those_of_numpy() -> None:
    given = images()
    np.testing.assert_array_equal(augmented(given, Flip(probability=1.0)), given[:, :, ::-1])
    np.testing.assert_array_equal(
        augmented(given, Flip(direction="vertical", probability=1.0)), given[:, ::-1]
    )
    both = augmented(given, Flip(direction="both", probability=1.0))
    np.testing.assert_array_equal(both, given[:, ::-1, ::-1])
    for turns in range(4):
        wanted = np.rot90(given, turns, axes=(1, 2))
        np.testing.assert_array_equal(augmented(given, Rotate90(turns=(turns,))), wanted)
        np.testing.assert_allclose(augmented(given, Rotate(degrees=always(90.0 * turns))), wanted, atol=1e-3)


def test_whole_pixels_move_exactly() -> None:
    given = images(shape=(12, 16, 1))
    moved = augmented(
        given, Shift(x=always(3.0), y=always(-2.0), unit="pixels", fill="constant", fill_value=7.0)
    )
    np.testing.assert_array_equal(moved[:, :-2, 3:], given[:, 2:, :-3])
    assert (moved[:, -2:] == 7.0).all() and (moved[:, :, :3] == 7.0).all()
    shares = augmented(given, Shift(x=always(0.25), y=always(-0.5), fill="wrap"))
    np.testing.assert_array_equal(shares, np.roll(given, (-6, 4), axis=(1, 2)))
    nearest = augmented(given, Shift(x=always(2.0), unit="pixels", fill="nearest"))
    np.testing.assert_array_equal(nearest, np.pad(given, ((0, 0), (0, 0), (2, 0), (0, 0)), "edge")[:, :, :-2])
    mirrored = augmented(given, Shift(x=always(2.0), unit="pixels"))
    wanted = np.pad(given, ((0, 0), (0, 0), (2, 0), (0, 0)), "symmetric")[:, :, :-2]
    np.testing.assert_array_equal(mirrored, wanted)


def test_a_padded_crop_is_one_of_the_pieces() -> None:
    given = images(200, (6, 6, 1))
    made = augmented(given, RandomCrop(padding=2, fill="constant"))
    padded = np.pad(given, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found = set()
    for before, after in zip(padded, made, strict=True):
        pieces = {(y, x) for y in range(5) for x in range(5) if (before[y : y + 6, x : x + 6] == after).all()}
        assert len(pieces) == 1
        found |= pieces
    assert len(found) == 25


@pytest.mark.parametrize(
    "link",
    [
        Rotate(degrees=always(33.0)),
        Zoom(factor=always(1.7)),
        Zoom(factor=(0.6, 0.6), keep_aspect=False),
        Shear(degrees=always(20.0)),
        Shear(degrees=always(-15.0), axis="y"),
        Affine(degrees=always(10.0), shift=always(0.1), zoom=always(0.8), shear=always(5.0)),
    ],
)
def test_warps_sample_as_numpy_does(link: Any) -> None:
    given = images(2, (11, 14, 3))
    matrix = np.eye(3)
    for one in link.matrices(np, 11, 14):
        matrix = matrix @ np.vstack([one.rows[0].reshape(2, 3), [0, 0, 1]])
    wanted = [sampled(image, matrix[:2].ravel()) for image in given]
    np.testing.assert_allclose(augmented(given, link), wanted, atol=0.01)


def test_zoom_above_one_enlarges_and_leaves_the_centre() -> None:
    given = np.zeros((1, 9, 9, 1), np.float32)
    given[0, 3:6, 3:6] = 200
    larger = augmented(given, Zoom(factor=always(2.0)))
    smaller = augmented(given, Zoom(factor=always(0.5), fill="constant"))
    assert larger.sum() > 3 * given.sum() > 9 * smaller.sum() > 0
    assert larger[0, 4, 4, 0] == smaller[0, 4, 4, 0] == 200


def test_warps_in_a_row_are_one_that_equals_them_one_after_the_other() -> None:
    chain = (
        Rotate(degrees=always(20.0)),
        Shift(amount=always(0.07)),
        Zoom(factor=always(1.2)),
        Flip(probability=1.0),
    )
    given = smooth(3, 48)
    once, stepwise = augmented(given, *chain), given
    for link in chain:
        stepwise = augmented(stepwise, link)
    inner = np.s_[:, 14:-14, 14:-14]
    assert np.abs(once[inner] - stepwise[inner]).max() < 1.0
    noise = images(1, (32, 32, 1))  # resampled four times it would be smoother
    again = noise
    for link in (Rotate(degrees=always(10.0)),) * 4:
        again = augmented(again, link)
    assert augmented(noise, *(Rotate(degrees=always(10.0)),) * 4).std() > 1.15 * again.std()


def test_warps_that_fill_differently_are_not_joined() -> None:
    given = images(1, (8, 8, 1))
    there = Shift(x=always(4.0), unit="pixels", fill="constant")
    back = Shift(x=always(-4.0), unit="pixels", fill="wrap")
    made = augmented(given, there, back)
    assert (made[:, :, 4:] == 0).all() and (made[:, :, :4] == given[:, :, :4]).all()
    np.testing.assert_array_equal(
        augmented(given, there, Flip(probability=0.0), Shift(x=always(-4.0), unit="pixels", fill="constant")),
        given,
    )


def test_brightness_and_contrast_are_what_they_say_and_stay_in_range() -> None:
    given = images()
    np.testing.assert_array_equal(
        augmented(given, Brightness(amount=always(0.2))), np.clip(given + np.float32(51), 0, 255)
    )
    mean = given.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    wanted = (given - mean) * 0.5 + mean
    np.testing.assert_allclose(augmented(given, Contrast(factor=always(0.5))), wanted, atol=1e-3)
    middle = wanted + 25.5
    again = middle.mean(axis=(1, 2, 3), keepdims=True)
    chain = Contrast(factor=always(0.5)), Brightness(amount=always(0.1)), Contrast(factor=always(1.5))
    np.testing.assert_allclose(
        augmented(given, *chain), np.clip((middle - again) * 1.5 + again, 0, 255), atol=1e-3
    )


def test_noise_is_normal_and_of_each_value_its_own() -> None:
    grey = np.full((20, 64, 64, 3), 127, np.float32)
    made = (augmented(grey, Noise(deviation=0.02)) - 127) / 5.1
    assert abs(made.mean()) < 0.01
    assert abs(made.std() - 1) < 0.01
    assert abs((made**4).mean() - 3) < 0.1
    flat = made.reshape(20, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(20)).max() < 0.05
    assert abs(np.corrcoef(flat[:, 1:].ravel(), flat[:, :-1].ravel())[0, 1]) < 0.02


def test_cutouts_paint_squares_of_the_asked_size() -> None:
    white = np.full((400, 20, 20, 2), 255, np.float32)
    made = augmented(white, Cutout(size=0.25, value=9.0))
    painted = (made == 9.0).all(axis=3)
    assert ((made == 255).all(axis=3) | painted).all()
    assert painted.sum(axis=(1, 2)).max() == 25
    assert painted.any(axis=(1, 2)).all()
    assert painted.mean(axis=0).min() > 0.01  # every place is hit
    assert not (augmented(white, Cutout(size=0.25, probability=0.0)) != white).any()


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_probabilities_hold_and_are_drawn_for_each_example_epoch_and_place(probability: float) -> None:
    given = np.tile(np.arange(4, dtype=np.float32)[None, None, :, None], (4000, 1, 1, 1))

    def flipped(**told: Any) -> Any:
        return augmented(given, Flip(probability=probability), **told)[:, 0, 0, 0] == 3

    first, other = flipped(), flipped(epoch=1)
    for one in (first, other, flipped(seed=1)):
        assert abs(one.mean() - probability) < 0.03
    both = augmented(given, Flip(probability=probability), Flip(probability=probability))[:, 0, 0, 0] == 3
    assert abs(both.mean() - 2 * probability * (1 - probability)) < 0.03
    assert abs((first == other).mean() - (probability**2 + (1 - probability) ** 2)) < 0.03


def test_amounts_are_spread_evenly_over_their_range() -> None:
    black = np.zeros((8000, 1, 1, 1), np.float32)
    made = np.sort(augmented(black, Brightness(amount=(0.2, 0.6))).ravel() / 255)
    np.testing.assert_allclose(made, np.linspace(0.2, 0.6, 8000), atol=0.02)


def test_random_bits_are_those_of_splitmix64() -> None:
    # The first numbers of the published generator with the seed 0, whose counter goes up by the golden ratio.
    wanted = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    found = bits(tf, tf.constant([0], tf.int64), np.arange(4)).numpy().view(np.uint64)
    assert found[0].tolist() == wanted


def test_random_bits_have_no_pattern() -> None:
    found = bits(tf, example_keys(tf, 0, 0, np.arange(2000)), np.arange(20)).numpy().view(np.uint64)
    assert len(np.unique(found)) == found.size
    ones = np.unpackbits(found.view(np.uint8).reshape(*found.shape, 8), axis=2)
    assert np.abs(ones.mean(axis=(0, 1)) - 0.5).max() < 0.02
    assert np.abs(ones.mean(axis=(0, 2)) - 0.5).max() < 0.02


@pytest.mark.parametrize("shape", [(9, 9, 3), (16, 16, 1)])
def test_an_example_is_changed_alike_in_every_batch_and_order(shape: tuple[int, ...]) -> None:
    given = images(37, shape)
    whole = augmented(given, *EVERY, epoch=3, seed=5)
    assert whole.min() >= 0 and whole.max() <= 255
    for some in (slice(0, 1), slice(36, 37), slice(3, 8), slice(8, 37)):
        part = augmented(given[some], *EVERY, epoch=3, seed=5, numbers=np.arange(37)[some])
        np.testing.assert_array_equal(part, whole[some])
    order = np.random.default_rng(1).permutation(37)
    np.testing.assert_array_equal(
        augmented(given[order], *EVERY, epoch=3, seed=5, numbers=order), whole[order]
    )
    graph = tf.function(lambda x, k: Augmenter(EVERY, shape)(tf, x, k))
    np.testing.assert_array_equal(graph(given, example_keys(tf, 5, 3, np.arange(37))), whole)
    assert not (whole == augmented(given, *EVERY, epoch=4, seed=5)).all()
