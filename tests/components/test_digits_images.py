from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from headrace.components import digits_images
from headrace.pipelines.context import Context
from headrace.pipelines.errors import StepError


def test_the_files_hold_scikit_learns_digits(ctx: Context) -> None:
    made = digits_images.function(ctx)
    table = load_digits()
    assert len(made.files) == len(table.target) == 1797
    for number in (0, 17, 1796):
        with Image.open(made.file(f"{table.target[number]}/{number:05d}.png")) as image:
            assert image.mode == "L"
            assert np.abs(np.asarray(image) / 255 * 16 - table.images[number]).max() < 0.04


def test_without_scikit_learn_the_remedy_is_told(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(StepError, match=r"headrace\[examples\]"):
        digits_images.function(ctx)
    assert not list(ctx.staging.rglob("*.png"))
