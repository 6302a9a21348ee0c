"""How features reach a network: as one matrix, as two packed tensors, or as a tensor each.

The model function says which by the keyword that it takes:

    inputs     the width of a matrix: the network is fed float32 `[batch, inputs]`
    packed     a `Packed`: the network is fed `{"dense": float32 [batch, dense], "ids": int64 [batch, ids]}`,
               which is what the shards hold; without ids a matrix
    features   a tuple of `FeatureInput`: the network is fed a tensor `[batch, width]` for each, by its key,
               and float32 `[batch, height, width, channels]` for an image, which only this way takes

Inside the framework rows always travel as `Tensors`, one or two matrices by name, and images by their keys as
they are stored; a tensor a feature is cut out of them, and pixels become floats, just before the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ...pipelines.errors import DataError
from ..models import IMAGE_MODELS
from ..models.inputs import DENSE, IDS, FeatureInput, Packed, packed_inputs
from ..tfrecords.layout import OutputFeature, as_matrix, check_matrix
from ..transforms.namespace import namespace_of

Tensors = Mapping[str, Any]
"""`dense` float32 [n, width] and `ids` int64 [n, width], and each image by its key, uint8 (or float32, where
it is stored so) [n, height, width, channels]; what a network isn't fed with is absent."""
FeedKind = Literal["matrix", "packed", "features"]
_BYTES = {"float32": 4, "int64": 8, "uint8": 1}


@dataclass(frozen=True)
class Feed:
    """Features on their way to a network.

    Attributes:
        kind: "matrix", "packed" or "features"; see the module's text.
        columns: the transform's features, in their order.
    """

    kind: FeedKind
    columns: tuple[OutputFeature, ...]

    @classmethod
    def of(cls, keyword: str, columns: Sequence[OutputFeature]) -> Feed:
        """The feed of a model function that takes `inputs`, `packed` or `features`.

        Raises:
            DataError: it takes `inputs`, and a feature is ids, or there is none; or a feature is an image,
                and it doesn't take `features`.
        """
        if keyword != "features":
            _require_no_images(columns)
        feed = cls("packed" if keyword == "packed" else "features", tuple(columns))
        if keyword == "inputs" or (keyword == "packed" and not feed.packed.ids):
            check_matrix(columns)
            return cls("matrix", tuple(columns))
        return feed

    @cached_property
    def packed(self) -> Packed:
        """Where each feature lies in the tensors; not of a matrix."""
        return packed_inputs(self.columns)

    @property
    def widths(self) -> dict[str, int]:
        """The width of each of the matrices."""
        if self.kind == "matrix":
            return {DENSE: sum(feature.width for feature in self.columns)}
        found = {DENSE: self.packed.dense, IDS: self.packed.ids}
        return {name: width for name, width in found.items() if width}

    @cached_property
    def images(self) -> Mapping[str, OutputFeature]:
        """The images by their keys."""
        if self.kind == "matrix":
            return {}
        both = zip(self.packed.features, self.columns, strict=True)
        return {fed.key: column for fed, column in both if column.is_image}

    @property
    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Dtype and shape of a row, of each of the tensors."""
        told: dict[str, tuple[str, tuple[int, ...]]] = {
            name: ("float32" if name == DENSE else "int64", (width,)) for name, width in self.widths.items()
        }
        for key, image in self.images.items():
            told[key] = ("float32" if image.stored == "dense" else "uint8", image.shape)
        return told

    @property
    def row_bytes(self) -> int:
        """Of a row in the tensors."""
        return sum(math.prod(shape) * _BYTES[dtype] for dtype, shape in self.shapes.values())

    @property
    def owners(self) -> tuple[str, ...]:
        """For each column of `dense` the feature that it belongs to."""
        if self.kind == "matrix":
            return tuple(f.name for f in self.columns for _ in range(f.width))
        return tuple(f.name for f in self._in_matrix("float32") for _ in range(f.width))

    def pack(self, xp: Any, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Features as they are stored, by name, as tensors, with NumPy or TensorFlow.

        Args:
            xp: NumPy or TensorFlow.
            stored: `[n, stored width]` each; an image decoded, `[n, height, width, channels]`.
        """
        space = namespace_of(xp)
        if self.kind == "matrix":
            expanded = {f.name: f.expand(space, stored[f.name]) for f in self.columns}
            return {DENSE: as_matrix(space, self.columns, expanded)}
        found = {key: stored[image.name] for key, image in self.images.items()}
        floats = [space.float32(stored[f.name]) for f in self._in_matrix("float32")]
        ids = [stored[f.name] for f in self._in_matrix("int64")]
        found |= {DENSE: space.concat(floats)} if floats else {}
        return {**found, IDS: space.concat(ids)} if ids else found

    def _in_matrix(self, dtype: str) -> tuple[FeatureInput, ...]:
        """The features that lie side by side in the matrix of a dtype."""
        return tuple(f for f in self.packed.features if f.dtype == dtype and f.kind != "image")

    def network_input(self, tensors: Tensors) -> Any:
        """What the network is called with: the matrix, the tensors, or a tensor for each feature."""
        if self.kind == "matrix":
            return tensors[DENSE]
        if self.kind == "packed":
            return dict(tensors)
        return {f.key: self._one(f, tensors) for f in self.packed.features}

    def _one(self, feature: FeatureInput, tensors: Tensors) -> Any:
        if feature.kind != "image":
            return _slice(feature, tensors)
        from ..transforms.namespace_tf import TensorFlowNamespace

        return self.images[feature.key].expand(TensorFlowNamespace(), tensors[feature.key])


def _slice(feature: FeatureInput, tensors: Tensors) -> Any:
    source = tensors[DENSE if feature.dtype == "float32" else IDS]
    return source[:, feature.start : feature.start + feature.width]


def _require_no_images(columns: Sequence[OutputFeature]) -> None:
    images = ", ".join(column.name for column in columns if column.is_image)
    if images:
        raise DataError(
            f"{images}: the model takes rows of numbers, and this is an image",
            argument="model",
            remedy=f"use a model for images: {', '.join(IMAGE_MODELS)} or keras.applications.NAME; a "
            "function of your own takes `features`",
        )
