"""How features reach a network: as one matrix, as two packed tensors, or as a tensor each.

The model function says which by the keyword that it takes:

    inputs     the width of a matrix: the network is fed float32 `[batch, inputs]`
    packed     a `Packed`: the network is fed `{"dense": float32 [batch, dense], "ids": int64 [batch, ids]}`,
               which is what the shards hold; without ids a matrix
    features   a tuple of `FeatureInput`: the network is fed a tensor `[batch, width]` for each, by its key

Inside the framework rows always travel as `Tensors`, one or two matrices by name; a tensor a feature is cut
out of them just before the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ..models.inputs import DENSE, IDS, FeatureInput, Packed, packed_inputs
from ..tfrecords.layout import OutputFeature, as_matrix, check_matrix
from ..transforms.namespace import namespace_of

Tensors = Mapping[str, Any]
"""`dense` float32 [n, width] and `ids` int64 [n, width]; what a network isn't fed with is absent."""
FeedKind = Literal["matrix", "packed", "features"]


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
            DataError: it takes `inputs`, and a feature is ids, or there is none.
        """
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
        """The width of each of the tensors."""
        if self.kind == "matrix":
            return {DENSE: sum(feature.width for feature in self.columns)}
        found = {DENSE: self.packed.dense, IDS: self.packed.ids}
        return {name: width for name, width in found.items() if width}

    @property
    def row_bytes(self) -> int:
        """Of a row in the tensors."""
        return sum(width * (4 if name == DENSE else 8) for name, width in self.widths.items())

    @property
    def owners(self) -> tuple[str, ...]:
        """For each column of `dense` the feature that it belongs to."""
        if self.kind == "matrix":
            return tuple(f.name for f in self.columns for _ in range(f.width))
        return tuple(f.name for f in self.packed.features if f.dtype == "float32" for _ in range(f.width))

    def pack(self, xp: Any, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Features as they are stored, `[n, stored width]` by name, as tensors, with NumPy or TensorFlow."""
        space = namespace_of(xp)
        if self.kind == "matrix":
            expanded = {f.name: f.expand(space, stored[f.name]) for f in self.columns}
            return {DENSE: as_matrix(space, self.columns, expanded)}
        floats = [space.float32(stored[f.name]) for f in self.packed.features if f.dtype == "float32"]
        ids = [stored[f.name] for f in self.packed.features if f.dtype == "int64"]
        found = {DENSE: space.concat(floats)} if floats else {}
        return {**found, IDS: space.concat(ids)} if ids else found

    def network_input(self, tensors: Tensors) -> Any:
        """What the network is called with: the matrix, the tensors, or a tensor for each feature."""
        if self.kind == "matrix":
            return tensors[DENSE]
        if self.kind == "packed":
            return dict(tensors)
        return {f.key: _slice(f, tensors) for f in self.packed.features}


def _slice(feature: FeatureInput, tensors: Tensors) -> Any:
    source = tensors[DENSE if feature.dtype == "float32" else IDS]
    return source[:, feature.start : feature.start + feature.width]
