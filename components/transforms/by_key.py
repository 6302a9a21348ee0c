"""Constants by key: `{z_score: {by: city}}` scales each city's values by that city's mean and deviation.

As tensorflow-transform's `scale_to_z_score_per_key` and its like. The array math stays the transform's own:
`of_rows` gives it, in place of each number, a column with the number of each row's key. A key that the train
split doesn't have, or only in rows without a value, gets the statistics of all rows; rows without a key are a
group of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from .base import Constants, Kind, Results, Transform

KEYS = "keys"
"""The constant that holds the keys; the others have one value for each of them, and one more behind."""


@dataclass(frozen=True)
class ByKey(Transform):
    """A transform whose constants may be each key's own.

    Attributes:
        by: a column of strings, whole numbers or bools: rows of one value make a group.
    """

    by: Annotated[str, msgspec.Meta(min_length=1)] | None = field(default=None, kw_only=True)

    @property
    def key(self) -> str:
        """The column."""
        return self.by or ""


def fit_by_key(
    transform: Transform, overall: Results, groups: Mapping[str, Results], kind: Kind
) -> dict[str, Any]:
    """The constants of each key that has values, by name [keys + 1], those of all rows behind.

    Args:
        transform: the transform.
        overall: what the analyzers found in all rows.
        groups: what they found in the rows of each key, in the order of the keys.
        kind: the column's kind.
    """
    import numpy as np

    found = {key: transform.fit(one, kind) for key, one in groups.items() if one.count}
    dtypes: dict[type, type] = {np.str_: np.str_, np.int64: np.int64, np.float64: np.float32}
    made: dict[str, Any] = {KEYS: list(found)}
    for name, value in transform.fit(overall, kind).items():
        column = [*(constants[name] for constants in found.values()), value]
        whole = np.array(column)
        made[name] = whole.astype(dtypes.get(whole.dtype.type, whole.dtype.type), copy=False)
    return made


def of_rows(xp: Any, key: Any, constants: Constants) -> dict[str, Any]:
    """The constants of each row's key, [n] each.

    Args:
        xp: the plane.
        key: the key column, strings or int64 [n].
        constants: as `fit_by_key` made them, prepared for the plane.
    """
    keys = constants[KEYS]
    found = xp.look_up(xp.to_string(key), keys)
    places = xp.where(found < 0, xp.full_like(found, xp.length(keys)), found)
    return {name: xp.take(values, places) for name, values in constants.items() if name != KEYS}
