"""Which rows of a column depart from its feature, for a whole part at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...schemas.schema import INTEGERS, MULTI, NUMBERS, Feature

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_WIDER = {("int", "float"), ("ints", "floats")}
_LENGTH = 200


@dataclass(frozen=True)
class Offending:
    """The offending values of one kind in one column.

    Attributes:
        rows: int64 [n], ascending; a row with several such values is there several times.
        values: the values [n], or None where there is nothing to show.
    """

    rows: Any
    values: Any = None

    def first(self, most: int) -> list[tuple[str, int]]:
        """Up to `most` different values as text, each with its first row."""
        if self.values is None:
            return []
        seen: dict[str, int] = {}
        for value, row in zip(self.values[: 50 * most].to_pylist(), self.rows.tolist(), strict=False):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            seen.setdefault(text if len(text) <= _LENGTH else text[:_LENGTH] + "…", row)
            if len(seen) == most:
                break
        return list(seen.items())

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return 0 if self.values is None else int(pc.count_distinct(self.values).as_py())


def fits(found: str, feature: Feature) -> bool:
    """Whether a column's type is the schema's, or an int where the schema says float."""
    return found == feature.type or (found, feature.type) in _WIDER


def missing_rows(column: Any) -> Any:
    """bool [rows]: null, NaN or an empty list."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.equal(pc.fill_null(pc.list_value_length(column), 0), 0).to_numpy(zero_copy_only=False)
    return pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)


def offences(feature: Feature, found: str, column: Any) -> dict[str, Offending]:
    """What is wrong with one column of one part, by kind; kinds without a row are left out.

    Args:
        feature: what is expected.
        found: the type that the column has.
        column: a `pa.Array`; of images a bool one, null where there is no image.
    """
    missing = missing_rows(column)
    made = {"too_many_missing": Offending(np.flatnonzero(missing))}
    values, rows = column, np.arange(len(column))
    if found in MULTI:
        values, rows = pc.list_flatten(column), pc.list_parent_indices(column).to_numpy()
        if feature.value_count is not None:
            made["value_count"] = _wrong_count(feature.value_count, column, missing)
    if not fits(found, feature):
        bad = _misfits(feature, found, values)
        made["type_changed"] = Offending(
            rows[bad], None if found == "image" else values.filter(pa.array(bad))
        )
    else:
        for kind, bad in (
            ("unexpected_value", _unexpected(feature, values)),
            ("out_of_range", _outside(feature, values)),
        ):
            if bad is not None:
                made[kind] = Offending(rows[bad], values.filter(pa.array(bad)))
    return {kind: offending for kind, offending in made.items() if len(offending.rows)}


def _wrong_count(bounds: tuple[int, int | None], column: Any, missing: Any) -> Offending:
    sizes = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    least, most = bounds
    wrong = (sizes < least) & ~missing
    if most is not None:
        wrong |= sizes > most
    return Offending(np.flatnonzero(wrong), pa.array(sizes[wrong]))


def _mask(found: Any) -> Any:
    """A bool array of Arrow as NumPy's; null is no."""
    return pc.fill_null(found, False).to_numpy(zero_copy_only=False)


def _unexpected(feature: Feature, values: Any) -> Any:
    if feature.values is None:
        return None
    texts = list(feature.values)
    if feature.type in INTEGERS:
        known = pa.array([int(text) for text in texts], values.type)
    else:
        values = pc.cast(values, pa.string())
        known = pa.array(texts, pa.string())
    return _mask(pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=known))))


def _outside(feature: Feature, values: Any) -> Any:
    if feature.type not in NUMBERS or (feature.min is None and feature.max is None):
        return None
    bad = np.zeros(len(values), bool)
    integers = pa.types.is_integer(values.type) and feature.type in INTEGERS
    if not integers and pa.types.is_integer(values.type):
        values = pc.cast(values, pa.float64(), safe=False)  # Arrow refuses to compare those past 2^53
    for bound, beyond in ((feature.min, pc.less), (feature.max, pc.greater)):
        if bound is not None:
            limit = pa.scalar(int(bound), pa.int64()) if integers else pa.scalar(float(bound))
            bad |= _mask(beyond(values, limit))
    return bad


def _misfits(feature: Feature, found: str, values: Any) -> Any:
    """The values that keep a column from having the feature's type; all, where that can't be told."""
    valid = pc.is_valid(values)
    if found in ("string", "strings") and feature.type in NUMBERS:
        pattern = r"^\s*[+-]?\d+\s*$" if feature.type in INTEGERS else _NUMBER
        return _mask(pc.and_(valid, pc.invert(pc.match_substring_regex(values, pattern))))
    if found in ("float", "floats") and feature.type in INTEGERS:
        broken = _mask(pc.not_equal(pc.trunc(values), values))
        return broken if broken.any() else _mask(valid)
    return _mask(valid)
