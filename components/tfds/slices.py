"""TFDS's way to name rows: `train`, `train[:80%]`, `train[10:-10]`, `train[:2shard]`, `all`, `train+test`.

Percentages are of the split's rows, rounded to the nearest row, as TFDS does it. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ...pipelines.errors import Problem
from ..ingestion.split_options import split_name_problems

_SPEC = re.compile(r"(?P<split>[\w-]+)(\[(?P<slice>[^\]]+)\])?")
_BOUND = re.compile(r"(?P<value>-?\d+(\.\d+)?)?(?P<unit>%|shard)?")
_HELP = "write train, train[:80%], train[100:200], train[-10%:], train[:2shard], or several with + between"


@dataclass(frozen=True)
class RowRange:
    """Rows of a split, from `start` to before `end`, in the order of its shards."""

    split: str
    start: int
    end: int


@dataclass(frozen=True)
class ShardRange:
    """Rows of one shard; `first` and `end` count from 0 within it."""

    split: str
    shard: int
    first: int
    end: int


def resolve(spec: str, lengths: Mapping[str, Sequence[int]]) -> list[RowRange] | Problem:
    """What a text names.

    Args:
        spec: as the module's text says.
        lengths: of each split, the rows of its shards.
    """
    found: list[RowRange] = []
    for part in spec.split("+"):
        if part.strip() == "all":
            found += [RowRange(name, 0, sum(shards)) for name, shards in lengths.items()]
            continue
        match = _SPEC.fullmatch(part.strip())
        if match is None:
            return Problem(f"{spec!r} names no rows of the dataset", remedy=_HELP)
        if match["split"] not in lengths:
            what = f"the dataset has no split {match['split']!r}"
            return Problem(what, given=match["split"], available=tuple(lengths))
        bounds = _bounds(match["slice"] or ":", lengths[match["split"]])
        if isinstance(bounds, str):
            return Problem(f"{part.strip()!r}: {bounds}", remedy=_HELP)
        found.append(RowRange(match["split"], *bounds))
    return found


def ranges_of(
    lengths: Mapping[str, Sequence[int]], splits: Mapping[str, str] | None
) -> tuple[dict[str, list[RowRange]], list[Problem]]:
    """The rows of each of our splits, and what is wrong with what was asked for.

    Args:
        lengths: of each of the dataset's splits, the rows of its shards.
        splits: what each of ours is made of; None for the dataset's own, as far as they have rows.
    """
    asked = splits if splits is not None else {name: name for name, rows in lengths.items() if sum(rows)}
    found: dict[str, list[RowRange]] = {}
    problems = list(split_name_problems(tuple(asked)))
    for name, spec in asked.items():
        rows = resolve(spec, lengths)
        if isinstance(rows, Problem):
            problems.append(rows.at(argument=f"splits.{name}"))
        elif not any(one.start < one.end for one in rows):
            what = f"{spec!r} has no rows"
            problems.append(Problem(what, argument=f"splits.{name}", remedy="take a larger part"))
        else:
            found[name] = rows
    return found, problems


def _bounds(text: str, shards: Sequence[int]) -> tuple[int, int] | str:
    """Start and end of a slice, in rows; or what is wrong."""
    read = [_BOUND.fullmatch(piece.strip()) for piece in text.split(":")]
    given = [(piece["value"], piece["unit"] or "") for piece in read if piece is not None]
    units = {unit for value, unit in given if value}
    if len(given) != len(read) or len(given) > 2 or any(unit and not value for value, unit in given):
        return "this is no slice"
    if len(units) > 1:
        return "both ends have to be of one kind"
    unit = next(iter(units), "")
    if unit != "%" and any(value and "." in value for value, _ in given):
        return "only percentages have fractions"
    total = sum(shards)
    low, high = given[0][0], given[-1][0]
    if unit == "%":
        if any(value and abs(float(value)) > 100 for value in (low, high)):
            return "a percentage lies between -100 and 100"
        low, high = (value and str(round(float(value) * total / 100)) for value in (low, high))
    if len(given) == 1:
        if unit != "shard":
            return "a single place is for shards only, as in train[2shard]"
        high = str(int(low) + 1) if low != "-1" else None
    if unit == "shard":
        places = _clipped(low, high, len(shards))
        return places if isinstance(places, str) else (sum(shards[: places[0]]), sum(shards[: places[1]]))
    return _clipped(low, high, total)


def _clipped(low: str | None, high: str | None, count: int) -> tuple[int, int] | str:
    """Two places among `count`; what is negative counts from the end."""
    places = [int(low) if low else 0, int(high) if high else count]
    if any(abs(place) > count for place in places):
        return f"there are {count}"
    start, end = (place + count if place < 0 else place for place in places)
    return start, max(start, end)


def in_shards(rows: RowRange, lengths: Sequence[int]) -> Iterator[ShardRange]:
    """The rows by shard, those without any left out."""
    begin = 0
    for number, length in enumerate(lengths):
        first, end = max(rows.start - begin, 0), min(rows.end - begin, length)
        if first < end:
            yield ShardRange(rows.split, number, first, end)
        begin += length


def overlaps(ranges: Mapping[str, Sequence[RowRange]]) -> list[tuple[str, str, int]]:
    """Pairs of our splits that share rows, and how many."""
    found = []
    for (one, these), (other, those) in combinations(ranges.items(), 2):
        shared = sum(
            max(min(a.end, b.end) - max(a.start, b.start), 0)
            for a in these
            for b in those
            if a.split == b.split
        )
        if shared:
            found.append((one, other, shared))
    return found
