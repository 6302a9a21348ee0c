"""How every column goes with the label: the accumulator behind `FeatureStatistics.correlation`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .co_moments import CoMoments
from .group_moments import GroupMoments, PairCounts
from .packing import Blob, Column, join, split
from .schema import FeatureType
from .statistics import Correlation, finite

NUMBERS = ("int", "float", "timestamp")
CATEGORIES = ("string", "bool")


@dataclass(frozen=True)
class LabelRelation:
    """An accumulator over the scalar columns of a table and one of them, the label.

    Attributes:
        label: the label's column.
        numbers, categories: the other columns, by kind.
        numeric: whether the label is a number.
        co: with a numeric label: its co-moments with `numbers`, in order.
        groups: with a numeric label by `categories`, else of `numbers` by the label.
        pairs: of `categories` with the label, where that isn't a number.
    """

    label: str
    numbers: Sequence[str]
    categories: Sequence[str]
    numeric: bool
    co: CoMoments
    groups: Mapping[str, GroupMoments]
    pairs: Mapping[str, PairCounts]

    @classmethod
    def empty(cls, columns: Mapping[str, FeatureType], label: str) -> LabelRelation:
        """The neutral element of `merge`."""
        numbers = [name for name, kind in columns.items() if kind in NUMBERS and name != label]
        categories = [name for name, kind in columns.items() if kind in CATEGORIES and name != label]
        numeric = columns[label] in NUMBERS
        groups = {name: GroupMoments({}) for name in (categories if numeric else numbers)}
        pairs = {} if numeric else {name: PairCounts({}) for name in categories}
        co = CoMoments.empty(len(numbers) if numeric else 0)
        return cls(label, numbers, categories, numeric, co, groups, pairs)

    @classmethod
    def of(
        cls,
        columns: Mapping[str, FeatureType],
        label: str,
        values: Mapping[str, np.ndarray],
        texts: Mapping[str, Column],
    ) -> LabelRelation:
        """Of one batch.

        Args:
            columns: types by name.
            label: one of them.
            values: of each numeric column, float64 [rows], NaN where missing.
            texts: the string and bool columns.
        """
        empty = cls.empty(columns, label)
        if empty.numeric:
            y = values[label]
            rows = [values[name] for name in empty.numbers]
            co = CoMoments.of(np.stack(rows) if rows else np.empty((0, len(y))), y)
            groups = {name: GroupMoments.of(*_codes(texts[name]), y) for name in empty.categories}
            return cls(label, empty.numbers, empty.categories, True, co, groups, {})
        codes, names = _codes(texts[label])
        groups = {name: GroupMoments.of(codes, names, values[name]) for name in empty.numbers}
        pairs = {name: PairCounts.of(*_codes(texts[name]), codes, names) for name in empty.categories}
        return cls(label, empty.numbers, empty.categories, False, empty.co, groups, pairs)

    def merge(self, other: LabelRelation) -> LabelRelation:
        """Of the rows of both."""
        return LabelRelation(
            self.label,
            self.numbers,
            self.categories,
            self.numeric,
            self.co.merge(other.co),
            {name: group.merge(other.groups[name]) for name, group in self.groups.items()},
            {name: pairs.merge(other.pairs[name]) for name, pairs in self.pairs.items()},
        )

    def compute(self) -> dict[str, Correlation]:
        """The result by column, without the label and list columns."""
        found = {}
        if self.numeric:
            for i, name in enumerate(self.numbers):
                found[name] = self._told("pearson", self.co.pearson(i), int(self.co.count[i]))
        for name, group in self.groups.items():
            found[name] = self._told("eta", *group.eta())
        for name, pairs in self.pairs.items():
            found[name] = self._told("cramers_v", *pairs.cramers_v())
        return found

    def _told(self, method: str, value: float, rows: int) -> Correlation:
        return Correlation(self.label, method, finite(value), rows)

    def to_bytes(self) -> bytes:
        """The accumulator as bytes, exactly."""
        groups = [group.to_json() for group in self.groups.values()]
        pairs = [found.to_json() for found in self.pairs.values()]
        return join([self.co.to_bytes(), json.dumps([groups, pairs]).encode()])

    @classmethod
    def from_bytes(cls, columns: Mapping[str, FeatureType], label: str, blob: Blob) -> LabelRelation:
        """The inverse of `to_bytes`."""
        empty = cls.empty(columns, label)
        co, rest = split(blob)
        groups, pairs = json.loads(bytes(rest))
        return cls(
            label,
            empty.numbers,
            empty.categories,
            empty.numeric,
            CoMoments.from_bytes(co),
            dict(zip(empty.groups, map(GroupMoments.from_json, groups), strict=True)),
            dict(zip(empty.pairs, map(PairCounts.from_json, pairs), strict=True)),
        )


def _codes(column: Column) -> tuple[np.ndarray, list[str]]:
    """A category as int64 codes [rows], -1 where missing, and the names."""
    text = pc.cast(column, pa.large_string())
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    encoded = text.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    # By way of bytes, since a value needn't be UTF-8.
    raw = pc.cast(encoded.dictionary, pa.large_binary()).to_pylist()
    return codes, [name.decode("utf-8", "replace") for name in raw]
