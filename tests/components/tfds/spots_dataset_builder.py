"""A builder as `tfds new` lays it out: the file is called `NAME_dataset_builder.py`, the class `Builder`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds


class Builder(tfds.core.GeneratorBasedBuilder):
    """Three numbers."""

    VERSION = tfds.core.Version("0.1.0")

    def _info(self) -> Any:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"n": tfds.features.Scalar(np.int64)})
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, int]]]:
        for n in range(3):
            yield n, {"n": n}
