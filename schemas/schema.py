"""What the columns of a table are expected to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

FeatureType = Literal["int", "float", "string", "bool"]
"""int: int64; float: float64 at rest, float32 at serving; string: UTF-8; bool: 0 or 1 at serving."""


@dataclass(frozen=True)
class Feature:
    """One column.

    Attributes:
        name: the column's name, as in the file.
        type: see `FeatureType`.
        presence: the least share of rows, from 0 to 1, in which a value has to be there.
        values: the domain of a categorical column, as strings, in the order of descending count; None
            where the column has no closed domain.
        min, max: the range of a numeric column, both inclusive; None where it is open.
    """

    name: str
    type: FeatureType
    presence: float = 1.0
    values: tuple[str, ...] | None = None
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Schema:
    """The features of a table, in the order of its columns."""

    features: tuple[Feature, ...]

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __contains__(self, name: object) -> bool:
        return any(feature.name == name for feature in self.features)

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names."""
        return tuple(feature.name for feature in self.features)
