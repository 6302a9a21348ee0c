"""What a network is fed with: each feature's name, shape and meaning. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..exporting.serving_names import serving_names
from ..tfrecords.layout import OutputFeature

Kind = Literal["numbers", "one_hot", "ids", "sequence", "image"]
DENSE, IDS = "dense", "ids"
"""The two inputs of a packed network: float32 [batch, dense width], int64 [batch, ids width]."""


@dataclass(frozen=True)
class FeatureInput:
    """One feature as a network gets it.

    Attributes:
        name: the feature's name in the transform step.
        key: the name of the network's input, which Keras takes: `Income ($)` → `Income`, mostly the name.
        kind: "numbers"; "one_hot" (a one-hot or multi-hot: float32 zeros and ones, or, for wide ones, the
            ids of the ones, int64); "ids", one of each source column; "sequence", ids of one vocabulary of
            which 0 is padding; or "image".
        dtype: "float32" or "int64", of the tensor that the network gets.
        width: values a row, the tensor being `[batch, width]`.
        sizes: the number of ids of each source column; for a sequence `(size,)`; empty for numbers. An id
            outside of 0 … size - 1 stands for a missing value.
        embedding: the dimensions that were asked for, 0 where none were.
        start: where its values begin in the packed tensor of its dtype; not of an image, which is a tensor of
            its own.
        shape: of an image (height, width, channels), the tensor being float32 `[batch, *shape]`; else empty.
    """

    name: str
    key: str
    kind: Kind
    dtype: Literal["float32", "int64"]
    width: int
    sizes: tuple[int, ...] = ()
    embedding: int = 0
    start: int = 0
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Packed:
    """All features in two tensors, `dense` float32 `[batch, dense]` and `ids` int64 `[batch, ids]`.

    Attributes:
        features: in order; those of one dtype lie side by side in its tensor, each from its `start`.
            Images lie in neither.
        dense, ids: the widths of the two; what has none is not fed.
    """

    features: tuple[FeatureInput, ...]
    dense: int
    ids: int

    def of(self, *kinds: Kind, dtype: str) -> tuple[FeatureInput, ...]:
        """The features of some kinds that lie in the tensor of a dtype."""
        return tuple(f for f in self.features if f.kind in kinds and f.dtype == dtype)


def packed_inputs(features: Sequence[OutputFeature]) -> Packed:
    """How a network gets the transform's features."""
    keys = serving_names(feature.name for feature in features)
    position = {"float32": 0, "int64": 0}
    found = []
    for feature in features:
        kind, dtype, width = _as_fed(feature)
        sizes = feature.sizes[:1] if feature.sequence else feature.sizes
        start = position[dtype]
        found.append(
            FeatureInput(
                feature.name,
                _key(keys[feature.name], feature),
                kind,
                dtype,
                width,
                sizes,
                feature.embedding,
                start,
                feature.shape,
            )
        )
        position[dtype] += 0 if feature.is_image else width
    return Packed(tuple(found), position["float32"], position["int64"])


def _key(key: str, feature: OutputFeature) -> str:
    """An image's tensor lies beside the two matrices, so that it can't have the name of one."""
    return f"{key}_image" if feature.is_image and key in (DENSE, IDS) else key


def _as_fed(feature: OutputFeature) -> tuple[Kind, Literal["float32", "int64"], int]:
    """Kind, dtype and width; whole numbers are numbers, and so floats."""
    if feature.is_image:
        return "image", "float32", feature.width
    if feature.stored == "ids":
        one_hot: Kind = "one_hot" if feature.expands else "ids"
        return "sequence" if feature.sequence else one_hot, "int64", feature.stored_width
    return "one_hot" if feature.sizes else "numbers", "float32", feature.width
