"""How rows come into splits, as the parameters of every ingestion component say it. Standard library only.

| `splits` | with | a row's split |
|---|---|---|
| `{train: 8, test: 2}` | | by a hash of its values |
| `{train: 8, test: 2}` | `split_by: user` | by a hash of that column: no group in two splits |
| `{train: 8, test: 2}` | `stratify: label` | exact shares of each class |
| `{train: 8, test: 2}` | `split_by_time: when` | exact shares of sorted time, oldest first |
| `{train: {before: 2024-01-01}, test: {from: 2024-01-01}}` | `split_by_time: when` | by its range |
| `{train: [0, 1, 2], test: [3]}` | `split_by_value: fold` | by the column's value |
| left out | `path: {train: a/*.csv, test: b.csv}` | by its file |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from ...pipelines.errors import InvalidRequestError, Problem

SplitValue = str | int | float | bool
Bound = Literal["from", "before"]
SplitRule = Annotated[float, Meta(gt=0)] | list[SplitValue] | dict[Bound, str | int | float]
"""A share, a list of values, or a range of time."""
DEFAULT_SPLITS: dict[str, SplitRule] = {"train": 8, "validation": 1, "test": 1}
Rest = Literal["refuse", "drop"]
Kind = Literal["hash", "stratify", "time_shares", "time_ranges", "values", "files"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = 255


@dataclass(frozen=True)
class SplitOptions:
    """The parameters that decide splits, see the module's table.

    Attributes:
        files: the splits named by `path`, where it is a mapping; then `splits` doesn't count.
    """

    splits: Mapping[str, Any]
    split_by: str | None = None
    split_by_time: str | None = None
    split_by_value: str | None = None
    stratify: str | None = None
    rest: str = "refuse"
    seed: int = 0
    files: tuple[str, ...] | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> SplitOptions:
        """The options among a component's arguments by name."""
        path = arguments.get("path")
        files = tuple(path) if isinstance(path, Mapping) else None
        own = {f.name: arguments[f.name] for f in fields(cls) if f.name in arguments}
        return cls(**{**own, "files": files})

    @property
    def names(self) -> tuple[str, ...]:
        """The splits in their order."""
        return tuple(self.splits) if self.files is None else self.files

    @property
    def kind(self) -> Kind:
        """Which row of the table this is."""
        if self.files is not None:
            return "files"
        if self.split_by_value:
            return "values"
        if self.split_by_time:
            shares = all(isinstance(rule, int | float) for rule in self.splits.values())
            return "time_shares" if shares else "time_ranges"
        return "stratify" if self.stratify else "hash"

    @property
    def column(self) -> str:
        """The column that decides, or ""."""
        return self.split_by_time or self.split_by_value or self.split_by or self.stratify or ""

    def shares(self) -> dict[str, float]:
        """The weights of the splits."""
        return {name: float(rule) for name, rule in self.splits.items()}

    def ranges(self) -> tuple[tuple[float | int | None, float | int | None], ...]:
        """From and before of each split; dates as microseconds since 1970-01-01 UTC."""
        return tuple((_point(rule.get("from")), _point(rule.get("before"))) for rule in self.splits.values())

    @property
    def dated(self) -> bool:
        """Whether the bounds of time are dates, and not numbers."""
        return any(isinstance(bound, str) for rule in self.splits.values() for bound in rule.values())

    def kind_problem(self, kind: str) -> Problem | None:
        """What doesn't fit the type of the column that decides: int, float, string, bool or timestamp."""
        name = self.column
        if self.kind == "values" and kind == "timestamp":
            remedy = "splits: {train: {before: 2024-01-01}, test: {from: 2024-01-01}} with split_by_time"
            return Problem(f"column {name!r} holds times", argument="split_by_value", remedy=remedy)
        if self.kind not in ("time_ranges", "time_shares"):
            return None
        if kind == "bool":
            return Problem(f"column {name!r} is true or false, and not a time", argument="split_by_time")
        numbers = kind in ("int", "float")
        if self.kind == "time_shares" or numbers != self.dated:
            return None
        held, bounds = ("numbers", "dates") if numbers else ("dates", "numbers")
        remedy = f"write the bounds as {held}"
        if numbers:
            remedy += f', or types: {{{name}: "timestamp:s"}} (or ms, us) if they count from 1970'
        what = f"column {name!r} holds {held}, and the bounds in `splits` are {bounds}"
        return Problem(what, argument="splits", remedy=remedy)

    def column_problems(self, columns: Sequence[str]) -> list[Problem]:
        """Arguments that name columns which aren't there."""
        asked = ("split_by", "split_by_time", "split_by_value", "stratify")
        return [
            Problem(f"there is no column {name!r}", argument=argument, given=name, available=tuple(columns))
            for argument in asked
            if (name := getattr(self, argument)) is not None and name not in columns
        ]

    def problems(self) -> list[Problem]:
        """What doesn't fit, known from the parameters alone."""
        found = list(split_name_problems(self.names))
        asked = [a for a in ("split_by", "split_by_time", "split_by_value", "stratify") if getattr(self, a)]
        if len(asked) > 1:
            found.append(
                Problem(
                    f"{asked[0]} and {asked[1]} exclude each other", argument=asked[1], remedy="leave one out"
                )
            )
        if self.files is not None:
            if asked or dict(self.splits) != DEFAULT_SPLITS:
                other = asked[0] if asked else "splits"
                what = f"`path` names files by split, so that {other} has nothing to decide"
                found.append(
                    Problem(what, argument=other, remedy=f"leave {other} out, or list the files in `path`")
                )
            return found
        return found + list(self._rule_problems())

    def _rule_problems(self) -> Iterator[Problem]:
        kind = self.kind
        wanted = {
            "values": (list, "a list of values of the column", "splits: {train: [0, 1], test: [2]}"),
            "time_ranges": (
                Mapping, "a range of time", "splits: {train: {before: 2024-01-01}, test: {from: 2024-01-01}}"
            ),
        }.get(kind, (int | float, "a share", "splits: {train: 8, test: 2}"))  # fmt: skip
        hints: dict[type, str] = {
            list: "; lists need `split_by_value`",
            dict: "; ranges need `split_by_time`",
        }
        for name, rule in self.splits.items():
            if isinstance(rule, bool) or not isinstance(rule, wanted[0]):
                hint = hints.get(type(rule), "")
                yield Problem(
                    f"split {name!r} has to be {wanted[1]}{hint}", argument="splits", remedy=wanted[2]
                )
            elif isinstance(rule, int | float) and not 0 < rule < float("inf"):
                yield Problem(
                    f"the share of split {name!r} has to be positive, not {rule}", argument="splits"
                )
            elif isinstance(rule, list | Mapping) and not rule:
                yield Problem(f"split {name!r} says nothing", argument="splits", remedy=wanted[2])
            else:
                continue
            return
        if kind == "values":
            yield from _twice(self.splits)
        elif kind == "time_ranges":
            yield from _range_problems(self.splits)


def files_by_split(
    path: Mapping[str, str | list[str]], resolve: Callable[[str | list[str]], list[Path]]
) -> tuple[list[Path], list[str]]:
    """The files that `path` names by split, and the split of each.

    Args:
        path: a path, a glob or a list of them by split.
        resolve: gives the files that these stand for.

    Raises:
        InvalidRequestError: a file is in two splits, or what `resolve` raises.
    """
    owner: dict[Path, str] = {}
    for split, given in path.items():
        for file in resolve(given):
            if owner.setdefault(file, split) != split:
                raise InvalidRequestError(
                    f"the file is in split {owner[file]!r} and in {split!r}",
                    argument="path",
                    file=str(file),
                    remedy="name each file once",
                )
    return list(owner), list(owner.values())


def split_name_problems(names: Sequence[str]) -> Iterator[Problem]:
    """Splits that can't be called so, since their names are folders; or too many, or none."""
    if not names:
        yield Problem("there has to be a split", argument="splits", remedy="splits: {train: 8, test: 2}")
    if len(names) >= _NONE:
        yield Problem(f"there may be up to {_NONE - 1} splits", argument="splits")
    for name in names:
        if not name or name != name.strip() or "/" in name or "\\" in name or name.startswith("."):
            yield Problem(f"a split can't be called {name!r}: it names a folder", argument="splits")


def spelled(value: SplitValue) -> str:
    """A value as a cell of text has it; 1, 1.0 and "1" are one value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _twice(splits: Mapping[str, Any]) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, values in splits.items():
        for value in values:
            key = spelled(value)
            if owner.setdefault(key, name) != name:
                what = f"the value {value!r} is in split {owner[key]!r} and in {name!r}"
                yield Problem(what, argument="splits", remedy="name each value once")


def _range_problems(splits: Mapping[str, Any]) -> Iterator[Problem]:
    bounds = [(name, key, bound) for name, rule in splits.items() for key, bound in rule.items()]
    for name, key, bound in bounds:
        if _point(bound) is None:
            what = f"split {name!r}: {key} {bound!r} is no date"
            yield Problem(
                what, argument="splits", remedy="write 2024-01-31 or 2024-01-31T12:30:00Z, or a number"
            )
            return
    if len({isinstance(bound, str) for *_, bound in bounds}) > 1:
        yield Problem(
            "dates and numbers can't be mixed", argument="splits", remedy="write all bounds as dates"
        )
        return
    low, high = float("-inf"), float("inf")
    ranges = []
    for name, rule in splits.items():
        begin, end = _point(rule.get("from")), _point(rule.get("before"))
        ranges.append((low if begin is None else begin, high if end is None else end, name))
        if ranges[-1][0] >= ranges[-1][1]:
            yield Problem(f"split {name!r} is empty: `from` isn't before `before`", argument="splits")
    for (_, end, first), (begin, _, second) in pairwise(sorted(ranges)):
        if begin < end:
            what = f"the splits {first!r} and {second!r} overlap in time"
            yield Problem(
                what, argument="splits", remedy="let one begin `from` where the other ends `before`"
            )


def _point(bound: Any) -> float | int | None:
    """A bound as a number; a date as microseconds since 1970-01-01, UTC where no zone is given; else None."""
    if not isinstance(bound, str):
        return bound if isinstance(bound, int | float) and math.isfinite(bound) else None
    try:
        moment = datetime.fromisoformat(bound)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
