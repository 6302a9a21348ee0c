"""What ingestion of typed columns is asked to do (Parquet, TFRecords), as far as no value is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ...pipelines.errors import Problem
from ..csv.sources import name_problems
from .split_options import SplitOptions
from .time_patterns import UNITS, pattern_problem

KINDS = ("int", "float", "string", "bool", "timestamp", "strings", "ints", "floats", "image")
CONVERTIBLE = {
    "int": ("float", "string", "bool", "timestamp"),
    "float": ("int", "string"),
    "bool": ("int", "float", "string"),
    "string": ("int", "float", "bool", "timestamp", "image"),
    "timestamp": ("int", "string"),
    "strings": ("ints", "floats"),
    "ints": ("floats", "strings"),
    "floats": ("ints", "strings"),
    "null": KINDS,
}
"""What `types` can make of a column of a type."""
IMAGE_BYTES = 16 << 20


@dataclass(frozen=True)
class ColumnOptions:
    """The parameters that `parquet_examples` and `tfrecord_examples` share, see there."""

    split: SplitOptions
    columns: Sequence[str] | None = None
    types: Mapping[str, str] | None = None
    max_rejects: int = 0
    block_rows: int = 1 << 16
    sample: int | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> ColumnOptions:
        """The options among a component's arguments by name."""
        own = {f.name: arguments[f.name] for f in fields(cls) if f.name != "split"}
        return cls(SplitOptions.of(arguments), **own)

    def unit_bytes(self, usual: int) -> int:
        """How many bytes are read at once: fewer where there are images, as parts with images are small."""
        return min(usual, IMAGE_BYTES) if "image" in (self.types or {}).values() else usual

    def problems(self) -> list[Problem]:
        """What doesn't fit, known from the arguments alone."""
        found = self.split.problems()
        if self.columns is not None:
            if not self.columns:
                found.append(Problem("the list of columns is empty", argument="columns"))
            found += [problem.at(argument="columns") for problem in name_problems(self.columns, "")]
        for name, stated in (self.types or {}).items():
            kind, _, pattern = stated.partition(":")
            if kind not in KINDS:
                what = f"column {name!r} can't have the type {stated!r}"
                found.append(Problem(what, argument="types", given=kind, available=KINDS))
            elif pattern and kind != "timestamp":
                what = f"column {name!r}: only timestamp:… has a second part, not {stated!r}"
                found.append(Problem(what, argument="types"))
            elif pattern and (wrong := pattern_problem(pattern)):
                found.append(Problem(f"column {name!r}: {wrong}", argument="types"))
        return found

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns to read, of those that are there; without `columns`, all but pandas' index."""
        if self.columns is not None:
            return tuple(self.columns)
        return tuple(name for name in names if not name.startswith("__index_level_"))

    def column_problems(self, names: Sequence[str]) -> list[Problem]:
        """Arguments that name columns which aren't there, or aren't read.

        Args:
            names: the columns of the first file.
        """
        chosen = self.chosen(names)
        asked = [("columns", name, names) for name in self.columns or ()]
        asked += [("types", name, chosen) for name in self.types or {}]
        found = [
            Problem(f"there is no column {name!r}", argument=argument, given=name, available=tuple(there))
            for argument, name, there in asked
            if name not in there
        ]
        return found + self.split.column_problems(chosen)

    def type_problems(self, found: Mapping[str, str], argument: str = "types") -> list[Problem]:
        """Types that can't be made of those that the file has; unknown ones ("") pass."""
        problems = []
        for name, stated in (self.types or {}).items():
            kind, has = stated.partition(":")[0], found.get(name, "")
            if has and kind != has and kind not in CONVERTIBLE[has]:
                what = f"column {name!r} is {has} in the file, and can't become {kind}"
                problems.append(Problem(what, argument=argument, available=(has, *CONVERTIBLE[has])))
            elif has == "int" and kind == "timestamp" and stated.partition(":")[2] not in UNITS:
                what = f"column {name!r} is int in the file, and its unit has to be stated"
                remedy = "timestamp:s, timestamp:ms or timestamp:us"
                problems.append(Problem(what, argument=argument, remedy=remedy))
        return problems

    def split_problem(self, types: Mapping[str, str]) -> Problem | None:
        """What doesn't fit the type of the column that decides splits, where that is known."""
        name = self.split.column
        kind = types.get(name, "").partition(":")[0]
        if not kind:
            return None
        if (kind == "image" or kind.endswith("s")) and not self.split.split_by:
            argument = {"values": "split_by_value", "stratify": "stratify"}.get(
                self.split.kind, "split_by_time"
            )
            holds = "images" if kind == "image" else "lists"
            return Problem(f"column {name!r} holds {holds}, and no split is made by them", argument=argument)
        return self.split.kind_problem(kind)
