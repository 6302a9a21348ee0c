"""Images to test with: encoded files in memory, drawn by a seed, and transforms fitted on them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from headrace.components.preprocessing.analysis import analyze_batches
from headrace.components.preprocessing.features_checks import check_specs
from headrace.components.preprocessing.features_grammar import LabelSpec, parse_features
from headrace.components.preprocessing.fitted import FittedTransform
from headrace.components.preprocessing.fitting import Fitter

TYPES = {"image": "image", "label": "string"}
SIZES = [(1, 1), (1, 7), (8, 8), (9, 5), (40, 31), (33, 64), (150, 200)]


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """A file in memory; `pixels` is uint8 [h, w] or [h, w, 1, 3 or 4]."""
    stream = BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(stream, kind, **options)
    return stream.getvalue()


def drawn(seed: int = 0, sizes: Sequence[tuple[int, int]] = SIZES) -> list[bytes]:
    """JPEG and PNG, gray, colour, with alpha and palette, of each size."""
    rng = np.random.default_rng(seed)
    made = []
    for size in sizes:
        color = rng.integers(0, 256, (*size, 4), dtype=np.uint8)
        made += [encoded(color[..., :3]), encoded(color), encoded(color[..., 0]), encoded(color[..., :2])]
        made += [
            encoded(color[..., :3], "JPEG", quality=90),
            encoded(color[..., 0], "JPEG", progressive=True),
        ]
        stream = BytesIO()
        Image.fromarray(color[..., :3]).quantize(16).save(stream, "PNG")
        made.append(stream.getvalue())
    return made


def rows(images: Sequence[bytes | None]) -> pa.RecordBatch:
    """Raw rows."""
    labels = [("a", "b")[place % 2] for place in range(len(images))]
    return pa.record_batch({"image": pa.array(images, pa.binary()), "label": pa.array(labels)})


def problems_of(chain: Any, kind: str = "image") -> list[str]:
    """What is wrong with a feature made of a column of this type."""
    specs, problems = parse_features({"image": chain})
    types = {"image": kind, "label": "string"}
    found = problems or check_specs(specs, (LabelSpec("label"),), types, list(types))
    return [f"{problem.what} — {problem.remedy}" for problem in found]


def fit_images(chain: Any, images: Sequence[bytes | None], stored: Any = "pixels") -> FittedTransform:
    """A feature `image` of a column `image`, fitted on these images in two batches."""
    assert not problems_of(chain)
    whole = rows(images if len(images) > 1 else [*images, *images])
    cut = whole.num_rows // 2
    batches = [whole.slice(0, cut), whole.slice(cut)]
    fitter = Fitter(TYPES, lambda _, asked: analyze_batches(asked, batches), lambda _: None)
    return fitter.fit(parse_features({"image": chain})[0], (LabelSpec("label"),), stored=stored)


def pixels_of(chain: Any, images: Sequence[bytes]) -> np.ndarray:
    """uint8 [n, height, width, channels]."""
    made: np.ndarray = fit_images(chain, images).apply_numpy(rows(images), expand=False)["image"]
    return made
