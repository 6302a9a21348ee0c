"""What `features: auto` makes of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components import infer_schema, statistics, transform
from headrace.components.preprocessing.auto_images import chosen_size
from headrace.components.preprocessing.fitted_file import load_fitted

from .image_cases import encoded
from .raw_examples import make_raw_examples


@pytest.mark.parametrize(
    ("ranges", "size"),
    [
        ([(8, 8, 8), (10, 10, 10)], [8, 10]),
        ([(100, 100, 100), (448, 448, 448)], [50, 224]),
        ([(3, 60, 90), (10, 80, 80)], [60, 60]),
        ([(375, 375, 4000), (500, 500, 3000)], [224, 224]),
        ([(1, 1, 1), (900, 900, 900)], [1, 224]),
    ],
    ids=str,
)
def test_the_size(ranges: Any, size: list[int]) -> None:
    assert chosen_size(ranges) == size


@pytest.mark.parametrize("gray", [True, False])
def test_auto_takes_the_image_and_leaves_out_what_tells_of_its_file(new_ctx: Any, gray: bool) -> None:
    rng = np.random.default_rng(0)
    sizes = [(12 + row % 3, 20) for row in range(60)]
    images = [encoded(rng.integers(0, 256, (*size, 1 if gray else 3), dtype=np.uint8)) for size in sizes]
    columns = {
        "image": pa.array(images, pa.binary()),
        "label": [("a", "b")[row % 2] for row in range(60)],
        "path": [f"{row}.png" for row in range(60)],
        "height": [size[0] for size in sizes],
        "width": [size[1] for size in sizes],
        "weight": rng.normal(size=60),
    }
    table = pa.table(columns)
    raw = make_raw_examples(new_ctx(), {"train": table, "test": table}, rows_per_part=9)
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), raw))
    ctx = new_ctx()
    _, fitted = transform.function(ctx, raw, label="label", schema=schema)
    features = load_fitted(fitted.path).features
    assert {feature.name: feature.shape for feature in features} == {
        "image": (13, 13, 1 if gray else 3), "weight": ()
    }  # fmt: skip
    assert features[0].divisor == (255.0,)
    said = fitted.file("auto.yaml").read_text("utf-8")
    assert "# dropped 'height': it is the size of the file's image" in said
    assert "resize" in said
