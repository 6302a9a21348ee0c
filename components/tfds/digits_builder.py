"""scikit-learn's hand-written digits as a TensorFlow Dataset, written as users of TFDS write theirs.

Nothing is downloaded. `headrace.components.tfds.digits_builder:HandwrittenDigits` is the import path for
`tfds_examples`; it is also what `tfds.load("handwritten_digits")` finds once this module is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

NAMES = tuple(str(digit) for digit in range(10))


class HandwrittenDigits(tfds.core.GeneratorBasedBuilder):
    """1,797 digits of 8 by 8 gray pixels, in one split, `train`.

    The 17 shades of the source, 0 to 16, are stretched to 0 to 255. Source: Alpaydin and Kaynak, Optical
    Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=NAMES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Hand-written digits of 8 by 8 gray pixels.",
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        """One split; nothing to download."""
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each digit under its number in the source."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        for number, (image, label) in enumerate(zip(pixels, digits.target.tolist(), strict=True)):
            yield number, {"image": image, "label": label}
