"""Builders as other people write them, over images that scikit-learn bundles; named by this file's path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

SPECIES = ("bee", "Ölkäfer", "red ant")
ROWS = {"train": range(60), "test": range(60, 80)}


def pixels(number: int) -> np.ndarray:
    """A digit as uint8 [8, 8, 1]."""
    return np.rint(load_digits().images[number] * (255 / 16)).astype(np.uint8)[..., None]


class Insects(tfds.core.GeneratorBasedBuilder):
    """Every kind of feature that becomes a column, and some that become none."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self) -> Any:
        f = tfds.features
        features = f.FeaturesDict(
            {
                "image": f.Image(shape=(8, 8, 1)),
                "photo": f.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "deep": f.Image(shape=(8, 8, 1), dtype=np.uint16, encoding_format="png"),
                "label": f.ClassLabel(names=SPECIES),
                "grade": f.ClassLabel(num_classes=12),
                "note": f.Text(),
                "count": f.Scalar(np.int32),
                "weight": np.float32,
                "flag": np.bool_,
                "matrix": f.Tensor(shape=(2, 2), dtype=np.int64),
                "packed": f.Tensor(shape=(3,), dtype=np.uint8, encoding="zlib"),
                "cloud": f.Tensor(shape=(None, None), dtype=np.float32, encoding="bytes"),
                "words": f.Sequence(f.Text()),
                "marks": f.Sequence(f.ClassLabel(names=SPECIES)),
                "box": f.BBoxFeature(),
                "where": {"field": np.int64, "place": {"name": f.Text()}},
                "objects": f.Sequence({"size": np.float32, "kind": f.ClassLabel(names=["a", "b"])}),
                "clip": f.Video(shape=(None, 8, 8, 1)),
                "nested": f.Sequence(f.Sequence(np.int64)),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {split: self._generate_examples(rows) for split, rows in ROWS.items()}

    def _generate_examples(self, rows: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for n in rows:
            image = pixels(n)
            yield (
                n,
                {
                    "image": image,
                    "photo": np.repeat(image, 3, axis=2),
                    "deep": image.astype(np.uint16) * 257,
                    "label": n % 3 if n % 7 else -1,
                    "grade": n % 12,
                    "note": f"über {n}" if n % 5 else "",
                    "count": -n,
                    "weight": n / 4 if n % 6 else float("nan"),
                    "flag": n % 2 == 0,
                    "matrix": [[n, 1], [2, 3]],
                    "packed": np.array([n, 2, 255], np.uint8),
                    "cloud": np.full((n % 3, 2), n, np.float32),
                    "words": [f"w{i}" for i in range(n % 3)],
                    "marks": [SPECIES[i] for i in range(n % 4 % 3)],
                    "box": tfds.features.BBox(0.0, 0.25, 0.5, 1.0),
                    "where": {"field": n, "place": {"name": f"p{n}"}},
                    "objects": [{"size": i / 2, "kind": i % 2} for i in range(n % 3)],
                    "clip": np.zeros((2, 8, 8, 1), np.uint8),
                    "nested": [[1], [2, n]],
                },
            )


class BeamDigits(tfds.core.BeamBasedBuilder):
    """Prepared by a Beam pipeline, with configs."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="few"), tfds.core.BuilderConfig(name="more")]  # noqa: RUF012

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(12 if self.builder_config.name == "few" else 24)}

    def _generate_examples(self, rows: int) -> Any:
        import apache_beam as beam

        return beam.Create(range(rows)) | beam.Map(
            lambda n: (n, {"image": pixels(n), "label": int(load_digits().target[n])})
        )


class Homework(tfds.core.GeneratorBasedBuilder):
    """Made of files that everyone has to fetch."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Put pages.txt there."

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({"page": tfds.features.Text()})
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples(dl_manager.manual_dir / "pages.txt")}

    def _generate_examples(self, path: Any) -> Iterator[tuple[int, dict[str, str]]]:
        for number, line in enumerate(path.read_text().splitlines()):
            yield number, {"page": line}
