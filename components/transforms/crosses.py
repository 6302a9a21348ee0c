"""Combinations of columns, and the wish to have ids embedded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec

from .base import Constants, Kind, Transform


@dataclass(frozen=True)
class Cross(Transform):
    """The combination of several columns or buckets, hashed into `buckets`.

    As `keras.layers.HashedCrossing`, bit by bit: TensorFlow's FingerprintCat64 over FarmHash's fingerprints
    of strings, and over ids and whole numbers as they are.

    Attributes:
        buckets: how many ids there are.
    """

    buckets: Annotated[int, msgspec.Meta(ge=2, le=2**31)]
    name: ClassVar[str] = "cross"
    takes: ClassVar[tuple[Kind, ...]] = ("ids", "one_hot", "string", "int")
    first: ClassVar[tuple[str, ...]] = ("buckets",)
    joins: ClassVar[bool] = True

    def gives(self, kind: Kind) -> Kind:
        """Ids."""
        return "ids"

    def size(self, constants: Constants, size: int) -> int:
        """The number of buckets."""
        return self.buckets

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """See the class; `column` is the list of columns."""
        return xp.cross_bucket(column, self.buckets)


@dataclass(frozen=True)
class Embedding(Transform):
    """Asks the model to embed these ids: the ids are in the data, the table is in the model.

    Attributes:
        dims: dimensions of the table's rows; without it `embedding_size` of the number of ids.
    """

    dims: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    name: ClassVar[str] = "embedding"
    takes: ClassVar[tuple[Kind, ...]] = ("ids", "sequence", "one_hot")
    first: ClassVar[tuple[str, ...]] = ("dims",)

    def gives(self, kind: Kind) -> Kind:
        """Ids, as they came in."""
        return "sequence" if kind == "sequence" else "ids"

    def size(self, constants: Constants, size: int) -> int:
        """As many ids as before."""
        return size

    def dimensions(self, size: int) -> int:
        """What was asked for, or by the rule."""
        return self.dims or embedding_size(size)

    def apply(self, xp: Any, column: Any, constants: Constants) -> Any:
        """The ids."""
        return column


def embedding_size(ids: int) -> int:
    """`min(50, round(1.6 * ids ** 0.56))`, the rule of thumb of the fastai library."""
    return int(max(1, min(50, round(1.6 * float(ids) ** 0.56))))
