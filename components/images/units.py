"""Images cut into units of work, each with a small table in a file that says what to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .listing import Block, Source

UNIT_BYTES = 16 << 20
"""Of files in a unit of work,"""
UNIT_IMAGES = 2048
"""and images."""


@dataclass(frozen=True)
class ImageFile:
    """Where a unit's images are told of.

    Attributes:
        name: the manifest, or the folder, as messages call it.
        split: that of its images, where files are given by split.
    """

    name: str
    split: str = ""


@dataclass(frozen=True)
class Unit:
    """Images that are read together.

    Attributes:
        number: from 0 over all units.
        table: the file with their rows, see `listing.Block`.
        file: where they are told of.
        images: how many.
    """

    number: int
    table: str
    file: ImageFile
    images: int


def cut(source: Source, folder: Path, name: str, sample: int | None, enough: int) -> list[Unit]:
    """Cuts what there is into units, and writes their tables.

    Args:
        source: what there is.
        folder: where the tables go, reached by every worker.
        name: what images are told by that no manifest tells of.
        sample: how many images to take of each split that is given, evenly over all.
        enough: how many rejects are enough to stop at.
    """
    units: list[Unit] = []
    before: Counter[str] = Counter()
    for block in source.blocks():
        rows, sizes = _sampled(block, before, source.totals, sample)
        for begin, end in spans(sizes):
            path = folder / f"{len(units):06d}.arrow"
            table = rows.slice(begin, end - begin)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            units.append(
                Unit(len(units), str(path), ImageFile(block.manifest or name, block.split), end - begin)
            )
        if len(source.rejects) > enough:
            break
    return units


def _sampled(
    block: Block, before: Counter[str], totals: Mapping[str, int], sample: int | None
) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """The rows of a block that are among so many, taken at equal distances from all of its split."""
    begin, total = before[block.split], totals.get(block.split, 0)
    before[block.split] += block.rows.num_rows
    if sample is None or sample >= total:
        return block.rows, block.sizes
    places = np.arange(begin, begin + block.rows.num_rows + 1, dtype=np.int64) * sample // total
    chosen = np.flatnonzero(np.diff(places))
    return block.rows.take(pa.array(chosen)), block.sizes[chosen]


def spans(sizes: Any) -> Iterator[tuple[int, int]]:
    """Ranges of rows with at most so many bytes and images each; a larger image is alone."""
    ends = np.cumsum(sizes)
    begin = 0
    while begin < len(sizes):
        held = int(ends[begin - 1]) if begin else 0
        fits = int(np.searchsorted(ends, held + UNIT_BYTES, side="right"))
        end = min(max(fits, begin + 1), begin + UNIT_IMAGES, len(sizes))
        yield begin, end
        begin = end
