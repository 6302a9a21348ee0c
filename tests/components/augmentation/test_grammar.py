from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from headrace.components.augmentation import AUGMENTATIONS
from headrace.components.augmentation.color import Cutout
from headrace.components.augmentation.geometry import Flip, Rotate, Rotate90, Shift
from headrace.components.augmentation.grammar import parse_augmentation

EVERY = [
    "flip", {"rotate90": [0, 2]}, {"rotate": 15}, {"shift": {"x": 2, "unit": "pixels"}}, {"zoom": 0.2},
    {"shear": [-5, 10]}, {"affine": {"degrees": 5, "shift": 0.1}}, {"random_crop": {"scale": [0.5, 1]}},
    {"brightness": 0.1}, {"contrast": [0.5, 2]}, {"noise": 0.02}, {"cutout": {"size": 0.3, "count": 2}},
]  # fmt: skip


def test_names_first_arguments_and_arguments_by_name() -> None:
    told = [
        "flip",
        {"rotate": 15},
        {"rotate": [0, 90]},
        {"shift": {"x": 3, "unit": "pixels", "fill": "constant", "fill_value": 255}},
        {"rotate90": [0, 2]},
        {"cutout": {"size": 0.5, "probability": 0.1}},
    ]
    chain, problems = parse_augmentation(told)
    assert not problems
    assert chain == (
        Flip(),
        Rotate(degrees=15.0),
        Rotate(degrees=(0.0, 90.0)),
        Shift(x=3.0, unit="pixels", fill="constant", fill_value=255.0),
        Rotate90(turns=(0, 2)),
        Cutout(size=0.5, probability=0.1),
    )
    assert parse_augmentation(None) == ((), [])
    assert parse_augmentation("flip")[0] == (Flip(),)


def test_every_augmentation_can_be_written() -> None:
    chain, problems = parse_augmentation(EVERY, (8, 8, 3))
    assert not problems
    assert [link.name for link in chain] == list(AUGMENTATIONS)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("flop", "there is no augmentation 'flop'; did you mean 'flip'?"),
        (3, "there is no augmentation 3"),
        ("rotate", "rotate needs the argument 'degrees'"),
        ({"rotate": "x"}, "rotate.degrees is 'x'"),
        ({"rotate": True}, "rotate.degrees is True"),
        ({"rotate": -5}, "can't be below 0"),
        ({"rotate": [5, 1]}, "5.0 is greater than 1.0"),
        ({"rotate": 400}, "has to lie between -360 and 360"),
        ({"rotate": float("nan")}, "degrees has to be finite"),
        ({"rotate": {"degrees": 5, "fil": "wrap"}}, "did you mean 'fill'?"),
        ({"rotate": {"degrees": 5, "fill": "mirror"}}, "available: reflect, nearest, wrap, constant"),
        ({"rotate": {"degrees": 5, "fill_value": 9}}, "fill_value is for fill: constant"),
        ({"rotate": {"degrees": 5, "fill": "constant", "fill_value": 256}}, "from 0 to 255"),
        ({"flip": "up"}, "available: horizontal, vertical, both"),
        ({"flip": {"probability": 1.5}}, "between 0 and 1"),
        ({"flip": {"fill": "wrap"}}, "flip has no argument 'fill'"),
        ({"rotate90": []}, "turns is empty"),
        ({"rotate90": 1}, "rotate90.turns is 1"),
        ({"shift": 3}, "for pixels write unit: pixels"),
        ({"shift": 0}, "it says nothing"),
        ({"shift": {"x": 1.5, "unit": "pixels"}}, "by whole ones"),
        ({"zoom": 1}, "has to lie between 0.1 and 10"),
        ({"shear": 90}, "has to lie between -80 and 80"),
        ("affine", "it says nothing"),
        ({"affine": {"zoom": 2}}, "has to lie between 0.1 and 10"),
        ("random_crop", "give either padding, in pixels, or scale"),
        ({"random_crop": {"padding": 2, "scale": [0.5, 1]}}, "give either"),
        ({"random_crop": {"scale": [0, 1]}}, "scale has to lie between 0.001 and 1"),
        ({"random_crop": -1}, "padding is a number of pixels"),
        ({"brightness": 30}, "in shares of 255"),
        ({"contrast": 2}, "has to lie between 0 and 10"),
        ({"noise": 5}, "in shares of 255"),
        ({"noise": -0.1}, "between 0 and 1"),
        ({"cutout": 0}, "between 0 and 1"),
        ({"cutout": {"size": 0.1, "count": 0}}, "count is 1 to 64"),
        ({"cutout": {"size": 0.1, "value": -1}}, "value is from 0 to 255"),
        ({"rotate": 5, "shift": 0.1}, "here are 2: rotate, shift"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(link: Any, said: str) -> None:
    chain, problems = parse_augmentation(["flip", link])
    assert chain == (Flip(),)
    assert len(problems) == 1
    assert problems[0].argument == "augment[1]"
    assert said in str(problems[0])


@pytest.mark.parametrize(
    ("link", "shape", "said"),
    [
        ("rotate90", (8, 6, 3), "write turns: [0, 2]"),
        ({"random_crop": 9}, (8, 20, 1), "fits the image"),
        ({"shift": {"y": 9, "unit": "pixels"}}, (8, 20, 1), "has to lie between -8 and 8"),
    ],
)
def test_shapes_are_checked_where_they_are_known(link: Any, shape: tuple[int, ...], said: str) -> None:
    assert not parse_augmentation([link])[1]
    assert said in str(parse_augmentation([link], shape)[1][0])


def test_the_grammar_imports_no_array_library() -> None:
    code = (
        "import sys; from headrace.components.augmentation.grammar import parse_augmentation as p\n"
        "assert not p(['flip'])[1]\n"
        "print({'numpy', 'tensorflow', 'pyarrow', 'PIL'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
