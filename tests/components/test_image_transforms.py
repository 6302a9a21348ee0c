"""Transforms of images: both planes equal to the bit, NumPy as the reference where it is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.components.preprocessing.fitted_file import load_fitted, save_fitted
from headrace.components.transform import check_transform
from headrace.components.transforms import TRANSFORMS
from headrace.components.transforms.images import ImageStep

from .image_cases import SIZES, drawn, encoded, fit_images, pixels_of, problems_of, rows
from .transform_cases import OWN

CHAINS: list[Any] = [
    ["decode", {"resize": 8}, {"scale": "zero_one"}],
    [{"decode": "grayscale"}, {"resize": [7, 12]}, {"scale": "minus_one_one"}],
    ["decode", {"resize": {"size": [33, 20], "method": "nearest", "fit": "crop"}}],
    ["decode", {"resize": {"size": [12, 30], "method": "bicubic", "fit": "pad"}}, {"scale": "imagenet"}],
    ["decode", {"resize": {"size": 16, "method": "area"}}, "standardize"],
    ["decode", {"resize": {"size": 24, "antialias": True}}, {"standardize": "dataset"}],
    ["decode", {"center_crop": [20, 11]}, {"standardize": {"mean": 128, "deviation": 64}}],
    [{"decode": "grayscale"}, {"center_crop": 6}, {"resize": {"size": 9, "fit": "pad"}}, "standardize"],
]


def test_the_cases_name_every_transform_of_images() -> None:
    links = [link for chain in CHAINS for link in chain]
    named = {link if isinstance(link, str) else next(iter(link)) for link in links}
    assert named == {
        name for name, cls in TRANSFORMS.items() if issubclass(cls, ImageStep) or "pixels" in cls.takes
    }


@pytest.mark.parametrize(
    ("chain", "stored"),
    [*((chain, "pixels") for chain in CHAINS), (CHAINS[3], "dense"), (CHAINS[7], "dense")],
)
def test_both_planes_are_equal_to_the_bit(chain: Any, stored: str, tmp_path: Path) -> None:
    import tensorflow as tf

    images = [*drawn(), None, b"", b"no image", encoded(np.ones((9, 9, 3), np.uint8), "JPEG")[:300]]
    save_fitted(fit_images(chain, images, stored), tmp_path)
    fitted = load_fitted(tmp_path)
    module = fitted.tensorflow_module()
    spec = {"image": tf.TensorSpec([None], tf.string)}
    for expand in (False, True):
        served = tf.function(lambda told, e=expand: module(told, e), input_signature=[spec])
        mine = fitted.apply_numpy(rows(images), expand)["image"]
        (columns,) = fitted.serving_columns(rows(images)).values()
        other = served({"image": tf.constant(columns, tf.string)})["image"].numpy()
        (feature,) = fitted.features
        assert mine.shape == other.shape == (len(images), *feature.shape)
        if not expand or stored == "dense":
            assert mine.tobytes() == other.tobytes()
        else:  # a graph multiplies by the reciprocal of a constant
            np.testing.assert_allclose(mine, other, rtol=3e-7, atol=1e-7)
        if mine.dtype == np.float32:
            assert np.isnan(mine[-4:]).all()
            assert not np.isnan(mine[:-4]).any()


def test_ones_own_transform_of_pixels(tmp_path: Path) -> None:
    images = drawn(4)[::2]
    plain = pixels_of(["decode", {"resize": 8}], images)
    chain = ["decode", {"resize": 8}, {f"{OWN}:Dim": 0.3}, "scale"]
    save_fitted(fit_images(chain, images), tmp_path)
    fitted = load_fitted(tmp_path)
    (feature,) = fitted.features
    assert (feature.shape, feature.divisor) == ((4, 8, 3), (255.0,))
    made = fitted.apply_numpy(rows(images), expand=False)["image"]
    np.testing.assert_array_equal(made, np.rint(plain[:, :4] * np.float32(0.3)).astype(np.uint8))
    assert (
        fitted.apply_tensorflow({"image": images}, expand=False)["image"].numpy().tobytes() == made.tobytes()
    )
    late = ["decode", {"resize": 8}, "scale", f"{OWN}:Dim"]
    assert "scale stands before what changes pixels" in problems_of(late)[0]


def test_what_tensorflow_does_to_one_image_is_done_to_all() -> None:
    import tensorflow as tf

    images = drawn(3)[::3]
    for chain in CHAINS:
        fitted = fit_images(chain, images)
        steps = [
            s.transform for s in fitted.fitted[0].branches[0].stages if isinstance(s.transform, ImageStep)
        ]
        made = fitted.apply_numpy(rows(images), expand=False)["image"]
        for image, expected in zip(images, made, strict=True):
            one: Any = tf.constant(image)
            for step in steps:
                one = step.image(tf, one)
            np.testing.assert_array_equal(one.numpy(), expected)


@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic", "area"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_an_image_of_the_right_size_stays_as_it_is(method: str, fit: str) -> None:
    import tensorflow as tf

    pixels = np.random.default_rng(5).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    made = pixels_of(
        ["decode", {"resize": {"size": [13, 17], "method": method, "fit": fit}}], [encoded(pixels)]
    )
    np.testing.assert_array_equal(made[0], pixels)
    # What isn't done then would have changed nothing.
    np.testing.assert_array_equal(tf.round(tf.image.resize(pixels, (13, 17), method)).numpy(), pixels)


def test_gray_is_luminance_and_alpha_is_left_out() -> None:
    pixels = np.random.default_rng(12).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    made = pixels_of([{"decode": "grayscale"}, {"resize": 9}], [encoded(pixels), encoded(pixels[..., :3])])
    luminance = pixels[..., :3] @ [0.299, 0.587, 0.114]
    assert (np.abs(made[..., 0] - luminance) <= 1.01).all()
    (colors,) = pixels_of(["decode", {"resize": 9}], [encoded(pixels)])
    np.testing.assert_array_equal(colors, pixels[..., :3])


def test_nearest_takes_the_pixel_below_the_middle() -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (31, 47, 3), dtype=np.uint8)
    made = pixels_of(["decode", {"resize": {"size": [10, 90], "method": "nearest"}}], [encoded(pixels)])
    down = np.floor((np.arange(10) + 0.5) * 31 / 10).astype(int)
    right = np.floor((np.arange(90) + 0.5) * 47 / 90).astype(int)
    np.testing.assert_array_equal(made[0], pixels[down][:, right])


def test_area_averages_blocks_and_rounds_half_to_even() -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (12, 20, 1), dtype=np.uint8)
    made = pixels_of(
        [{"decode": "grayscale"}, {"resize": {"size": [6, 5], "method": "area"}}], [encoded(pixels)]
    )
    expected = pixels.reshape(6, 2, 5, 4).mean(axis=(1, 3)).round()
    np.testing.assert_array_equal(made[0, ..., 0], expected)
    assert pixels_of([{"decode": "grayscale"}, {"resize": {"size": 1, "method": "area"}}], [
        encoded(np.array([[2, 3]], np.uint8)), encoded(np.array([[1, 2]], np.uint8)),
    ]).ravel().tolist() == [2, 2]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_center_crop_cuts_or_pads(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(8).integers(1, 256, (*size, 3), dtype=np.uint8)
    (made,) = pixels_of(["decode", {"center_crop": [10, 6]}], [encoded(pixels)])
    high, wide = min(size[0], 10), min(size[1], 6)
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    expected = np.zeros((10, 6, 3), np.uint8)
    above, before = (10 - high) // 2, (6 - wide) // 2
    expected[above : above + high, before : before + wide] = pixels[top : top + high, left : left + wide]
    np.testing.assert_array_equal(made, expected)


def test_crop_and_pad_keep_the_aspect() -> None:
    pixels = np.random.default_rng(9).integers(1, 256, (20, 60, 3), dtype=np.uint8)
    told = {"size": 10, "method": "area"}
    (cropped,) = pixels_of(["decode", {"resize": {**told, "fit": "crop"}}], [encoded(pixels)])
    blocks = pixels[:, 20:40].reshape(10, 2, 10, 2, 3).mean(axis=(1, 3)).round()
    np.testing.assert_array_equal(cropped, blocks)
    (padded,) = pixels_of(["decode", {"resize": {**told, "size": [10, 6], "fit": "pad"}}], [encoded(pixels)])
    np.testing.assert_array_equal(padded[4:6], pixels.reshape(2, 10, 6, 10, 3).mean(axis=(1, 3)).round())
    assert not padded[:4].any()
    assert not padded[6:].any()


def test_bicubic_stays_within_a_byte() -> None:
    edge = np.zeros((6, 6, 1), np.uint8)
    edge[:, 3:] = 255
    made = pixels_of(
        [{"decode": "grayscale"}, {"resize": {"size": 24, "method": "bicubic"}}], [encoded(edge)]
    )
    assert (np.diff(made[0, 0, :, 0].astype(int)) >= -40).all()  # no 255 follows upon 256
    assert {made.min(), made.max()} == {0, 255}


def test_standardizing_gives_mean_0_and_deviation_1() -> None:
    images = drawn(11)
    pixels = pixels_of(["decode", {"resize": 9}], images).astype(np.float64)
    for chain, axes in (("standardize", (0, 1, 2)), ({"standardize": "dataset"}, None)):
        fitted = fit_images(["decode", {"resize": 9}, chain], images)
        (feature,) = fitted.features
        np.testing.assert_allclose(feature.shift, np.atleast_1d(pixels.mean(axis=axes)), rtol=1e-6)
        np.testing.assert_allclose(feature.divisor, np.atleast_1d(pixels.std(axis=axes)), rtol=1e-6)
        again = fit_images(["decode", {"resize": 9}, "scale", chain], images)
        assert again.features[0] == feature
        made = fitted.apply_numpy(rows(images))["image"].astype(np.float64)
        np.testing.assert_allclose([made.mean(axis=axes).max(), made.std(axis=axes).min()], [0, 1], atol=1e-5)


def test_numbers_stated_behind_scale_are_of_scaled_pixels() -> None:
    stated = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}
    image = [encoded(np.full((4, 4, 3), 200, np.uint8))]
    (torch,) = fit_images(["decode", {"resize": 4}, "scale", {"standardize": stated}], image).features
    (here,) = fit_images(["decode", {"resize": 4}, {"scale": "imagenet"}], image).features
    np.testing.assert_allclose(torch.shift, here.shift, rtol=1e-6)
    np.testing.assert_allclose(torch.divisor, here.divisor, rtol=1e-6)


def test_pixels_that_do_not_vary_become_0() -> None:
    image = [encoded(np.full((4, 4, 3), 77, np.uint8))] * 2
    made = fit_images(["decode", {"resize": 4}, "standardize"], image).apply_numpy(rows(image))["image"]
    np.testing.assert_array_equal(made, 0)


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        ("identity", "put decode before"),
        ({"resize": 8}, "put decode before"),
        ([{"resize": 8}, "decode"], "put decode before"),
        ("decode", "put {resize: [height, width]}"),
        (["decode", "scale"], "put {resize: [height, width]}"),
        (["decode", "scale", {"resize": 8}], "resize stands behind scale, and has to stand before it"),
        (["decode", {"resize": 8}, "decode"], "decode stands twice"),
        (["decode", {"resize": 8}, "z_score"], "z_score takes numbers"),
        (["decode", {"resize": 8}, "scale", "scale"], "scale takes pixels"),
        (
            [{"decode": "grayscale"}, {"resize": 8}, {"scale": "imagenet"}],
            "numbers for 3 channels, and there are 1",
        ),
        (["decode", {"resize": 0}], "a side has 1 to 8192 pixels, and 0 was given"),
        (["decode", {"resize": [8, 9, 10]}], "resize.size is [8, 9, 10]"),
        (["decode", {"resize": {"size": 8, "method": "cubic"}}], "resize.method is 'cubic'"),
        (["decode", {"resize": {"size": 8, "method": "area", "antialias": True}}], "not for area"),
        (["decode", {"resize": {"method": "area"}}], "resize needs the argument 'size'"),
        (["decode", {"resize": 8}, {"standardize": {"mean": 3}}], "stated together"),
        ({"from": ["image", "label"], "apply": ["decode", {"resize": 8}]}, "side by side"),
    ],
    ids=str,
)
def test_a_chain_that_can_not_be(chain: Any, told: str) -> None:
    assert told in "\n".join(problems_of(chain))


def test_decode_wants_a_column_of_images() -> None:
    (problem,) = problems_of(["decode", {"resize": 8}], "string")
    assert "image_examples reads files" in problem


def test_how_images_are_stored_is_said_where_there_are_some() -> None:
    images = {"image": ["decode", {"resize": 8}]}
    for features, store, told in (
        ({"x": "z_score"}, {"store": "png"}, ["store"]),
        ({"x": "z_score"}, {"store": "uint8", "jpeg_quality": 95}, []),
        (images, {"store": "png", "jpeg_quality": 80}, ["jpeg_quality"]),
        (images, {"store": "jpeg", "jpeg_quality": 80}, []),
        ("auto", {"store": "jpeg"}, []),
    ):
        problems, _ = check_transform({"label": "y", "features": features, **store}, {})
        assert [problem.argument for problem in problems] == told
