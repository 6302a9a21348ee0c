"""How rows are spread over shards, and the account of what was written: for tables and images alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...pipelines.artifact import Examples
from ...pipelines.errors import DataError, Problem
from ...schemas.pixel_sums import PixelSums
from ..data_plane.parts import Parts
from ..data_plane.row_hash import place_hash
from ..preprocessing.fitted_file import load_fitted
from .encoding import Encoder, Fault
from .layout import Layout

FEW_SHARDS, FEW_ROWS = 4, 10_000
"""A split of at least FEW_ROWS rows gets at least FEW_SHARDS, so that they can be read side by side."""


@dataclass(frozen=True)
class ShardPlan:
    """How the rows of one split are spread.

    Attributes:
        split: its name.
        shards: how many.
        seed: of the shuffle.
    """

    split: str
    shards: int
    seed: int

    def hashes(self, part: int, rows: int) -> np.ndarray[Any, Any]:
        """The place of each row of a part, uint64 [rows]."""
        hashed: np.ndarray[Any, Any] = place_hash(rows, self.seed, self.split, part)
        return hashed

    def name(self, shard: int) -> str:
        """The file of a shard, relative to the artifact."""
        return f"{self.split}/{self.split}-{shard:05d}-of-{self.shards:05d}.tfrecord"


@dataclass(frozen=True)
class Shard:
    """One shard to be written: a unit of work."""

    split: str
    number: int
    path: str


class WrittenShard(NamedTuple):
    """What was written: rows, and the SHA-256 in hex of the file's bytes."""

    rows: int
    sha256: str


class Written(NamedTuple):
    """The shards of all splits.

    Attributes:
        splits: the `splits` of the artifact's properties.
        digests: by the file's name its SHA-256 in hex.
        pixels: by feature the sums that were asked for, see `FittedFeature.deferred`.
    """

    splits: dict[str, Any]
    digests: dict[str, str]
    pixels: Mapping[str, PixelSums] = {}


@lru_cache(maxsize=2)
def load_encoder(fitted: str, layout: Layout) -> Encoder:
    """The encoder of a fitted transform in a folder, read once by each process."""
    return Encoder(load_fitted(Path(fitted)), layout)


def shards_of(plans: Mapping[str, ShardPlan], folder: Path) -> list[Shard]:
    """The shards of all splits, in order, below the artifact's folder."""
    return [Shard(p.split, i, str(folder / p.name(i))) for p in plans.values() for i in range(p.shards)]


def rows_by_split(examples: Examples) -> dict[str, int]:
    """The rows of each split."""
    return {split: told["rows"] for split, told in examples.splits.items()}


def written_shards(
    rows: Mapping[str, int],
    plans: Mapping[str, ShardPlan],
    shards: Sequence[Shard],
    written: Sequence[WrittenShard],
) -> Written:
    """The account of what was written.

    Args:
        rows: that went in, by split.
        plans: by split.
        shards: what was asked for.
        written: what was written of each.

    Raises:
        RuntimeError: rows were lost or doubled.
    """
    splits: dict[str, Any] = {split: {"rows": 0, "parts": []} for split in plans}
    digests = {}
    for shard, one in zip(shards, written, strict=True):
        name = plans[shard.split].name(shard.number)
        splits[shard.split]["parts"].append({"path": name, "rows": one.rows})
        splits[shard.split]["rows"] += one.rows
        digests[name] = one.sha256
    for split, count in rows.items():
        if splits[split]["rows"] != count:
            raise RuntimeError(f"{split}: {count} rows went in and {splits[split]['rows']} came out")
    return Written(splits, digests)


def raise_faults(units: Sequence[Parts], told: Sequence[Mapping[str, Any]]) -> None:
    """One error for everything that the units found, with counts by split and the first place of each."""
    by_fact: dict[tuple[str, str], dict[str, int]] = {}
    first: dict[tuple[str, str], tuple[Parts, Fault]] = {}
    rows: dict[str, int] = {}
    for unit, one in zip(units, told, strict=True):
        rows[unit.split] = rows.get(unit.split, 0) + unit.rows
        for fault in (Fault(*f) for f in one.get("faults", ())):
            counts = by_fact.setdefault((fault.where, fault.what), {})
            counts[unit.split] = counts.get(unit.split, 0) + fault.rows
            first.setdefault((fault.where, fault.what), (unit, fault))
    problems = []
    for key, counts in by_fact.items():
        unit, fault = first[key]
        shown = ", ".join(f"{count} of {rows[split]} rows of {split}" for split, count in counts.items())
        path, number, row = unit.place(fault.first)
        place = f"{unit.split}, part {number}, row {row + 1}"
        place += f", with {fault.value!r}" if fault.value else ""
        part = f"{unit.split}/{Path(path).name}"
        place += f" (a row of the Parquet file {part}, no line of the file that was ingested)"
        text = f"{fault.what} in {shown}; the first is {place}"
        problems.append(Problem(text, argument=fault.where, remedy=fault.remedy))
    if problems:
        raise DataError(problems)
