"""What is told before a run of models and augmentations that don't fit the features."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.components import train, transform
from headrace.pipelines.component import Known

TABLE = Known(columns=("image", "age", "label"), splits=("train",), facts={"types": {"age": "float"}})
IMAGE = {"image": ["decode", {"resize": [8, 12]}, {"scale": "zero_one"}]}


def told(features: Any, **arguments: Any) -> list[str]:
    """The problems of a `train` step behind a `transform` step."""
    assert transform.checker is not None and train.checker is not None
    problems, known = transform.checker({"features": features, "label": "label"}, {"examples": TABLE})
    assert not problems
    given = {"model": "cnn", "model_args": None, "augment": None, **arguments}
    return [str(problem) for problem in train.checker(given, known)[0]]


def test_what_fits_is_fine() -> None:
    assert told(IMAGE, augment=["flip"]) == []
    assert told({**IMAGE, "age": "z_score"}) == []
    assert told({"age": "z_score"}, model="mlp") == []
    assert told(IMAGE, model="keras.applications.MobileNetV3Small") == []


@pytest.mark.parametrize(
    ("features", "arguments", "what"),
    [
        (IMAGE, {"model": "mlp"}, "mlp takes rows of numbers, and the feature 'image' is an image"),
        ({"age": "z_score"}, {"model": "cnn"}, "cnn is a model of images, and no feature is one"),
        ({"age": "z_score"}, {"model": "mlp", "augment": ["flip"]}, "no image to augment"),
        (IMAGE, {"augment": ["rotate90"]}, "images of 8 by 12 don't fit when turned"),
    ],
)
def test_what_does_not_fit_is_told(features: Any, arguments: dict[str, Any], what: str) -> None:
    (problem,) = told(features, **arguments)
    assert what in problem
