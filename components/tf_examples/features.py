"""Which types the features of tf.Examples suggest, seen over all records.

A feature whose values are all of one kind is that kind; one that has several values in any record is a list
of it in all; one that never has a value is float. An empty list of another kind means nothing: writers put
one in the place of a missing value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ...pipelines.errors import Problem
from ..ingestion.column_options import CONVERTIBLE
from ..ingestion.kinds import ELEMENTS
from ..ingestion.time_patterns import UNITS
from ..tfrecords.decoding import Columns

LISTS = {"int": "ints", "float": "floats", "string": "strings"}
_TF = {"int": "int64_list", "float": "float_list", "string": "bytes_list"}


@dataclass(frozen=True)
class Sighting:
    """What was seen of a feature's values of one kind.

    Attributes:
        unit: the unit of the first record that has one, -1 if none has.
        record: that record's number in its file, from 1.
        several: whether any record has several values.
    """

    unit: int = -1
    record: int = 0
    several: bool = False

    def merge(self, later: Sighting) -> Sighting:
        """With what was seen in later records."""
        first = self if self.unit >= 0 else later
        return Sighting(first.unit, first.record, self.several or later.several)


Seen = Mapping[str, Mapping[str, Sighting]]
"""By feature and kind."""


def look(columns: Columns, unit: int, first: int) -> dict[str, dict[str, Sighting]]:
    """What a unit's records show; `first` is the number, from 0, of its first record in the file."""
    seen: dict[str, dict[str, Sighting]] = {}
    for (name, kind), lists in columns.items():
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        most = counts.max(initial=0)
        found = Sighting(unit, first + int(np.argmax(counts > 0)) + 1, bool(most > 1)) if most else Sighting()
        seen.setdefault(name, {})[kind] = found
    return seen


def merge(one: Seen, later: Seen) -> dict[str, dict[str, Sighting]]:
    """What two units show, the one before the other."""
    merged = {name: dict(kinds) for name, kinds in one.items()}
    for name, kinds in later.items():
        own = merged.setdefault(name, {})
        for kind, found in kinds.items():
            own[kind] = own.get(kind, Sighting()).merge(found)
    return merged


def to_json(seen: Seen) -> dict[str, Any]:
    """As JSON values."""
    return {
        name: {kind: [found.unit, found.record, found.several] for kind, found in kinds.items()}
        for name, kinds in seen.items()
    }


def from_json(values: Mapping[str, Any]) -> dict[str, dict[str, Sighting]]:
    """The other way of `to_json`."""
    return {name: {kind: Sighting(*v) for kind, v in kinds.items()} for name, kinds in values.items()}


def natural_type(kinds: Mapping[str, Sighting]) -> str:
    """The type of a feature, or "" where its kinds conflict."""
    with_values = [kind for kind, found in kinds.items() if found.unit >= 0]
    if len(with_values) > 1:
        return ""
    if not with_values:
        return min(kinds, default="float")
    kind = with_values[0]
    return LISTS[kind] if kinds[kind].several else kind


def types_of(seen: Seen, names: Sequence[str], stated: Mapping[str, str]) -> dict[str, str]:
    """What each of some columns becomes; "" where kinds conflict and no type is stated."""
    return {name: stated.get(name) or natural_type(seen.get(name, {})) for name in names}


def problems_of(seen: Seen, types: Mapping[str, str], file_of: Callable[[int], str]) -> list[Problem]:
    """Conflicts of kinds, and stated types that can't be made of what the records hold.

    Args:
        seen: over all units.
        types: of the columns, as `types_of` gives them.
        file_of: gives the file of a unit.
    """
    problems = []
    for name, stated in types.items():
        found = {kind: one for kind, one in seen.get(name, {}).items() if one.unit >= 0}
        if not stated:
            problems.append(_conflict(name, found, file_of))
            continue
        element = ELEMENTS.get(stated.partition(":")[0], stated)
        for kind, one in found.items():
            if element != kind and not _fits(kind, element):
                what = f"feature {name!r} is {_TF[kind]} in record {one.record}, and can't become {stated}"
                unit = ("timestamp:s", "timestamp:ms", "timestamp:us") if kind == "int" else ()
                others = tuple(other for other in CONVERTIBLE[kind] if not (unit and other == "timestamp"))
                available = (kind, LISTS[kind], *others, *unit)
                problems.append(Problem(what, argument="types", file=file_of(one.unit), available=available))
    return problems


def _fits(kind: str, element: str) -> bool:
    bare, _, pattern = element.partition(":")
    unit_is_missing = kind == "int" and bare == "timestamp" and pattern not in UNITS
    return bare in CONVERTIBLE[kind] and not unit_is_missing


def _conflict(name: str, found: Mapping[str, Sighting], file_of: Callable[[int], str]) -> Problem:
    (kind, one), (other_kind, other) = sorted(found.items(), key=lambda item: (item[1].unit, item[1].record))[
        :2
    ]
    both = {kind, other_kind}
    wanted = "float" if both == {"int", "float"} else "string"
    here, there = file_of(other.unit), file_of(one.unit)
    where = f" of {there}" if there != here else ""
    return Problem(
        f"feature {name!r} is {_TF[other_kind]} in record {other.record}, and {_TF[kind]} in record"
        f" {one.record}{where}",
        argument="types",
        file=here,
        line=other.record,
        remedy=f"state what it shall be: types: {{{name}: {wanted}}}; or leave it out with `columns`",
    )
