"""What the columns of a table are expected to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

FeatureType = Literal["int", "float", "string", "bool", "timestamp", "strings", "ints", "floats", "image"]
"""int: int64; float: float64 at rest, float32 at serving; string: UTF-8; bool: 0 or 1 at serving;
timestamp: microseconds since 1970-01-01 UTC; strings, ints and floats: any number of values a row;
image: an upright JPEG or PNG file of 8 bits a channel, as bytes."""

MULTI: tuple[FeatureType, ...] = ("strings", "ints", "floats")
INTEGERS: tuple[FeatureType, ...] = ("int", "ints")
NUMBERS: tuple[FeatureType, ...] = ("int", "ints", "float", "floats")
CATEGORICAL: tuple[FeatureType, ...] = ("string", "strings", "bool", "int", "ints")
"""Types whose values are counted one by one, so that an infinity norm says something."""

LIFECYCLES = (
    "planned", "alpha", "beta", "production", "deprecated", "debug_only", "disabled", "validation_derived",
)  # fmt: skip
UNCHECKED = ("planned", "alpha", "deprecated", "debug_only", "disabled")
"""Stages of life in which a column need not be there and nothing is asked of it, as in TFDV."""


@dataclass(frozen=True)
class Comparator:
    """The greatest distances between two distributions that are no anomaly; None where there is no bound.

    Attributes:
        infinity_norm: the greatest difference of a value's shares.
        jensen_shannon_divergence: to the base 2, from 0 to 1; see `headrace.schemas.drift`.
    """

    infinity_norm: float | None = None
    jensen_shannon_divergence: float | None = None


@dataclass(frozen=True)
class Domain:
    """A named list of values that several columns share."""

    name: str
    values: tuple[str, ...]


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
        min_count: the least number of rows in which a value has to be there.
        domain: the name of the shared domain that `values` come from, or "".
        min_domain_mass: the least share of values, from 0 to 1, that have to be in the domain.
        value_count: the least and the greatest number of values in a row that has any; the greatest may
            be None. A row without any counts as missing, which `presence` is about.
        drift: bounds of the distance from the span before.
        skew: bounds of the distance between splits.
        in_environment, not_in_environment: exceptions from the schema's default environments.
        lifecycle: one of `LIFECYCLES`, or "".
    """

    name: str
    type: FeatureType
    presence: float = 1.0
    values: tuple[str, ...] | None = None
    min: float | None = None
    max: float | None = None
    min_count: int = 0
    domain: str = ""
    min_domain_mass: float = 1.0
    value_count: tuple[int, int | None] | None = None
    drift: Comparator | None = None
    skew: Comparator | None = None
    in_environment: tuple[str, ...] = ()
    not_in_environment: tuple[str, ...] = ()
    lifecycle: str = ""


@dataclass(frozen=True)
class Schema:
    """The features of a table, in the order of its columns.

    Attributes:
        features: the columns.
        domains: those that several columns share.
        default_environments: where every column is expected, but for those that say otherwise.
    """

    features: tuple[Feature, ...]
    domains: tuple[Domain, ...] = ()
    default_environments: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Feature:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> Mapping[str, Feature]:
        return {feature.name: feature for feature in self.features}

    @property
    def names(self) -> tuple[str, ...]:
        """The column names."""
        return tuple(feature.name for feature in self.features)

    @property
    def environments(self) -> tuple[str, ...]:
        """Every environment that is named anywhere, in the order of appearance."""
        named = [*self.default_environments]
        for feature in self.features:
            named += [*feature.in_environment, *feature.not_in_environment]
        return tuple(dict.fromkeys(named))

    def expects(self, feature: Feature, environment: str | None) -> bool:
        """Whether a column is expected in an environment; None stands for all of them together.

        As in TFDV `in_environment` comes first, then `not_in_environment`, then the default ones.
        """
        if environment is None or environment in feature.in_environment:
            return True
        return environment not in feature.not_in_environment and environment in self.default_environments
