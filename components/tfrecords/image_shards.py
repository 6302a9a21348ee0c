"""Globally shuffled TFRecord shards of rows with images, which are too large to be held and sorted.

The rows' places are those of tables: a hash of (seed, split, part, row), whose remainder names the shard, and
which orders its rows. But a record may have any length and some hundred kilobytes, and a unit of work some
thousands of them. So a unit's records are spilled one by one, framed, in the order of its rows, with an index
of where each begins; and since hashes are a function of the rows' numbers alone, each shard knows its records
without asking, and copies them one by one in their order. Neither stage holds more than
`image_encoding.SLICE_BYTES` of images, or one record.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...schemas.pixel_sums import PixelSums
from ..data_plane.parts import Parts, units_of
from ..data_plane.result import Result
from ..data_plane.work import run_units
from ..images.addresses import in_message
from ..preprocessing.fitted_file import save_fitted
from ..preprocessing.fitting import TRAIN
from .encoding import Encoder, Fault
from .image_encoding import ImageEncoder, Seen
from .layout import Layout
from .shard_blocks import block_file
from .shard_plan import (
    FEW_ROWS,
    FEW_SHARDS,
    Shard,
    ShardPlan,
    Written,
    WrittenShard,
    load_encoder,
    raise_faults,
    rows_by_split,
    shards_of,
    written_shards,
)
from .tfrecord import framed, record_file

SHARD_BYTES = 200 * 10**6
"""The most bytes that a shard has, on average, if their number is not given; more than one so have at least
half of it, but for FEW_SHARDS."""
FEW_BYTES = 64 * 2**20
"""A split of at least so many bytes gets at least FEW_SHARDS, as one of FEW_ROWS rows does."""
MOST_TOGETHER, ENOUGH_GROUPS = 16, 32
"""So many shards are written by one unit of work, if there are so many units then."""
WRITTEN_TOGETHER = 64
"""Records that are written at once where the shard has no blocks."""
_OPEN_FILES = 64
PATH = "path"
"""The column of raw examples that tells where an image was read."""


Read = Callable[[int, int, int], bytes]
"""The bytes of a file, by its number, from a first one on."""


class SpilledImages(NamedTuple):
    """What one unit encoded.

    Attributes:
        path: framed records in the order of the rows, then int64 [rows + 1]: where each begins, and the end.
        places: number and rows of each of the unit's parts.
        size: bytes of the framed records.
    """

    path: str
    places: Sequence[tuple[int, int]]
    size: int

    @property
    def rows(self) -> int:
        """How many records there are."""
        return sum(rows for _, rows in self.places)

    def starts(self) -> np.ndarray[Any, Any]:
        """Where each record begins, and the end of the last, int64 [rows + 1]."""
        return np.fromfile(self.path, "<i8", self.rows + 1, offset=self.size)


@dataclass(frozen=True)
class EncodeImages:
    """Transforms and encodes some Parquet parts; the payload says where the result lies.

    Attributes:
        fitted: the folder of the fitted transform.
        layout: how a record is laid out.
        folder: where the records are spilled; every worker has to reach it.
        own: the split that the transform was fitted on; empty if it is none of these.
    """

    fitted: str
    layout: Layout
    folder: str
    own: str = TRAIN

    @property
    def encoder(self) -> ImageEncoder:
        """What makes records of rows."""
        return _image_encoder(self.fitted, self.layout)

    def __call__(self, unit: Parts) -> Result:
        """Spills the records of some parts."""
        images = self.encoder
        encoder = images.encoder
        batch = unit.read(list(dict.fromkeys([*encoder.columns, *images.columns])))
        others, faults = encoder.encode(batch, unit.places if unit.split == self.own else None)
        faults += images.faults(batch)
        if others is None or faults:
            return _refused(unit, images, faults)
        seen = Seen(faults, unit.split == self.own)
        path = Path(self.folder) / f"{unit.split}-{unit.places[0][0]:06d}-{uuid.uuid4().hex}"
        starts = [0]
        with record_file(path) as stream:
            for record in images.records(batch, others, seen):
                pieces = framed(record)
                stream.writelines(pieces)
                starts.append(starts[-1] + sum(map(len, pieces)))
            stream.write(np.array(starts, "<i8").tobytes())
        if seen.faults:
            path.unlink()
            return _refused(unit, images, seen.faults)
        spilled = SpilledImages(str(path), unit.places, starts[-1])
        pixels = {name: asdict(sums) for name, sums in seen.pixels.items()}
        return Result(json.dumps({"spilled": spilled, "pixels": pixels}).encode(), unit.rows)


def _refused(unit: Parts, images: ImageEncoder, faults: Sequence[Fault]) -> Result:
    """What is wrong; of an image with its path, where the raw examples tell it."""
    names = [f"features.{feature.name}" for feature in images.encoder.layout.images]
    if PATH in pq.read_schema(unit.paths[0]).names:
        paths = unit.read([PATH]).column(0)
        faults = [
            fault._replace(value=in_message(str(paths[fault.first].as_py() or "")))
            if fault.where in names
            else fault
            for fault in faults
        ]
    return Result(json.dumps({"faults": faults}).encode(), unit.rows)


@lru_cache(maxsize=2)
def _image_encoder(fitted: str, layout: Layout) -> ImageEncoder:
    return ImageEncoder(load_encoder(fitted, layout))


@dataclass(frozen=True)
class GatherShards:
    """Writes some shards: their records out of all units, in the order of their hashes.

    Attributes:
        index: a JSON file: by split the `SpilledImages` of each unit.
        plans: how each split is spread.
        compression: empty or `gzip`.
        block_rows: records in a block of the shard; 0 for a shard without a sidecar file.
    """

    index: str
    plans: Mapping[str, ShardPlan]
    compression: str
    block_rows: int

    def __call__(self, shards: Sequence[Shard]) -> Result:
        """Writes the files of consecutive shards of one split; each there whole or not at all."""
        told = json.loads(Path(self.index).read_text("utf-8"))[shards[0].split]
        spilled = [SpilledImages(*one) for one in told]
        with _files([one.path for one in spilled]) as read:
            written = [
                self._write(shard, records, read)
                for shard, records in zip(shards, self._records(shards, spilled), strict=True)
            ]
        return Result(json.dumps(written).encode(), sum(one.rows for one in written))

    def _write(self, shard: Shard, records: Any, read: Read) -> WrittenShard:
        partly = Path(f"{shard.path}.{uuid.uuid4().hex}.partly")
        digest = hashlib.sha256()
        with block_file(partly, self.compression, self.block_rows or WRITTEN_TOGETHER, digest) as file:
            for unit, start, size in records.tolist():
                file.write_record(read(unit, start, size))
            blocks = file.end()
        if self.block_rows:
            blocks.save(Path(shard.path))
        partly.replace(shard.path)
        return WrittenShard(len(records), digest.hexdigest())

    def _records(self, shards: Sequence[Shard], spilled: Sequence[SpilledImages]) -> Iterator[Any]:
        """The unit, first byte and bytes of the records of each shard, in their order, int64 [records, 3]."""
        plan, first = self.plans[shards[0].split], shards[0].number
        found = []
        for number, unit in enumerate(spilled):
            hashes = np.concatenate([plan.hashes(part, rows) for part, rows in unit.places])
            place = (hashes % np.uint64(plan.shards)).astype(np.int64) - first
            own = np.flatnonzero((place >= 0) & (place < len(shards)))
            if len(own):
                starts = unit.starts()
                facts = np.column_stack([np.full(len(own), number), starts[own], np.diff(starts)[own]])
                found.append((place[own], hashes[own], facts))
        if not found:
            return iter([np.empty((0, 3), np.int64)] * len(shards))
        places, hashes, facts = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.lexsort((hashes, places))
        bounds = np.searchsorted(places[order], np.arange(len(shards) + 1))
        return (facts[order[begin:end]] for begin, end in itertools.pairwise(bounds.tolist()))


@contextmanager
def _files(paths: Sequence[str]) -> Iterator[Read]:
    """Reads files by their numbers; the last used ones stay open."""
    held: OrderedDict[int, int] = OrderedDict()

    def read(file: int, start: int, size: int) -> bytes:
        if file not in held:
            if len(held) == _OPEN_FILES:
                os.close(held.popitem(last=False)[1])
            held[file] = os.open(paths[file], os.O_RDONLY)
        held.move_to_end(file)
        found = os.pread(held[file], size, start)
        if len(found) != size:
            raise RuntimeError(f"{paths[file]} ends before its records do")
        return found

    try:
        yield read
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def image_shard_count(rows: int, size: int) -> int:
    """How many shards a split of so many rows and bytes gets if their number is not given."""
    few = rows < FEW_ROWS and size < FEW_BYTES
    return max(-(-size // SHARD_BYTES), 1 if few else FEW_SHARDS)


def write_image_shards(
    ctx: Context, examples: Examples, encoder: Encoder, folder: Path, *, shards: int | None, seed: int
) -> Written:
    """Transforms all splits and writes their shards; see `shards.write_shards`."""
    for split in examples.splits:
        (folder / split).mkdir()
    units = units_of(examples, list(examples.splits))
    fitted = ctx.scratch("fitted")
    save_fitted(encoder.fitted, fitted)
    fitted_on = "" if encoder.of_others else TRAIN
    work = EncodeImages(str(fitted), encoder.layout, str(ctx.scratch("spill")), fitted_on)
    told = [json.loads(payload) for payload in run_units(ctx, "encode", units, work)]
    raise_faults(units, told)
    spilled: dict[str, list[SpilledImages]] = {split: [] for split in examples.splits}
    for unit, one in zip(units, told, strict=True):
        spilled[unit.split].append(SpilledImages(*one["spilled"]))
    plans = {}
    for split, own in spilled.items():
        rows = examples.rows(split)
        count = shards or image_shard_count(rows, sum(one.size for one in own))
        plans[split] = ShardPlan(split, min(count, max(rows, 1)), seed)
    layout = encoder.layout
    gather = GatherShards(str(Path(work.folder) / "index.json"), plans, layout.compression, layout.block_rows)
    made = gather_shards(partial(run_units, ctx, "write"), examples, gather, spilled, folder)
    return made._replace(pixels=_pixels(told))


def gather_shards(
    run: Callable[[Sequence[Any], GatherShards], Iterable[bytes]],
    examples: Examples,
    gather: GatherShards,
    spilled: Mapping[str, Sequence[SpilledImages]],
    folder: Path,
) -> Written:
    """Writes the shards of all splits out of what the units spilled, which is removed.

    Args:
        run: does the work on groups of shards; gives what it told of each, in their order.
        examples: the raw examples.
        gather: the work.
        spilled: by split what each unit encoded.
        folder: the artifact's.
    """
    Path(gather.index).write_text(json.dumps(spilled), "utf-8")
    plans = gather.plans
    groups = [group for plan in plans.values() for group in _grouped(shards_of({plan.split: plan}, folder))]
    told = [json.loads(payload) for payload in run(groups, gather)]
    for each in spilled.values():
        for one in each:
            Path(one.path).unlink()
    wanted, written = itertools.chain(*groups), itertools.chain(*told)
    return written_shards(
        rows_by_split(examples), plans, list(wanted), [WrittenShard(*one) for one in written]
    )


def _grouped(shards: Sequence[Shard]) -> list[tuple[Shard, ...]]:
    """Shards of a split that are written together. The hashes of all rows are looked at for each group."""
    size = max(1, min(MOST_TOGETHER, len(shards) // ENOUGH_GROUPS))
    return [tuple(shards[begin : begin + size]) for begin in range(0, len(shards), size)]


def _pixels(told: Sequence[Mapping[str, Any]]) -> dict[str, PixelSums]:
    """The sums of all units, by feature."""
    found: dict[str, PixelSums] = {}
    for one in told:
        for name, sums in one["pixels"].items():
            own = PixelSums(sums["count"], tuple(sums["sums"]), tuple(sums["squares"]))
            found[name] = found.get(name, PixelSums()).merge(own)
    return found
