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
import json
import os
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
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
from ..preprocessing.fitted_file import save_fitted
from ..preprocessing.fitting import TRAIN
from .encoding import Encoder, Fault
from .image_encoding import ImageEncoder, Seen
from .layout import Layout
from .shard_plan import (
    FEW_ROWS,
    FEW_SHARDS,
    Shard,
    ShardPlan,
    Written,
    WrittenShard,
    load_encoder,
    raise_faults,
    shards_of,
    written_shards,
)
from .tfrecord import framed, record_file

SHARD_BYTES = 200 * 10**6
"""The most bytes that a shard has, on average, if their number is not given; more than one so have at least
half of it, but for FEW_SHARDS."""
FEW_BYTES = 64 * 2**20
"""A split of at least so many bytes gets at least FEW_SHARDS, as one of FEW_ROWS rows does."""
_OPEN_FILES = 64
PATH = "path"
"""The column of raw examples that tells where an image was read."""


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
    """

    fitted: str
    layout: Layout
    folder: str

    @property
    def encoder(self) -> ImageEncoder:
        """What makes records of rows."""
        return _image_encoder(self.fitted, self.layout)

    def __call__(self, unit: Parts) -> Result:
        """Spills the records of some parts."""
        images = self.encoder
        encoder = images.encoder
        batch = unit.read(list(dict.fromkeys([*encoder.columns, *images.columns])))
        others, faults = encoder.encode(batch, unit.places if unit.split == TRAIN else None)
        faults += images.faults(batch)
        if others is None or faults:
            return _refused(unit, images, faults)
        seen = Seen(faults, unit.split == TRAIN)
        path = Path(self.folder) / f"{unit.split}-{unit.places[0][0]:06d}-{uuid.uuid4().hex}"
        starts = [0]
        with record_file(path, "") as stream:
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
            fault._replace(value=paths[fault.first].as_py() or "") if fault.where in names else fault
            for fault in faults
        ]
    return Result(json.dumps({"faults": faults}).encode(), unit.rows)


@lru_cache(maxsize=2)
def _image_encoder(fitted: str, layout: Layout) -> ImageEncoder:
    return ImageEncoder(load_encoder(fitted, layout))


@dataclass(frozen=True)
class GatherShard:
    """Writes one shard: its records out of all units, in the order of their hashes.

    Attributes:
        index: a JSON file: by split the `SpilledImages` of each unit.
        plans: how each split is spread.
        compression: empty or `gzip`.
    """

    index: str
    plans: Mapping[str, ShardPlan]
    compression: str

    def __call__(self, shard: Shard) -> Result:
        """Writes the file; there whole or not at all."""
        told = json.loads(Path(self.index).read_text("utf-8"))[shard.split]
        spilled = [SpilledImages(*one) for one in told]
        units, starts, sizes = self._records(shard, spilled)
        partly = Path(f"{shard.path}.{uuid.uuid4().hex}.partly")
        digest = hashlib.sha256()
        with record_file(partly, self.compression, digest) as stream, _files() as opened:
            for unit, start, size in zip(units, starts, sizes, strict=True):
                record = os.pread(opened(spilled[unit].path), size, start)
                if len(record) != size:
                    raise RuntimeError(f"{spilled[unit].path} ends before its records do")
                stream.write(record)
        partly.replace(shard.path)
        return WrittenShard(len(units), digest.hexdigest()).as_result()

    def _records(self, shard: Shard, spilled: Sequence[SpilledImages]) -> list[list[int]]:
        """The unit, first byte and bytes of each of the shard's records, in their order."""
        plan = self.plans[shard.split]
        found = []
        for number, unit in enumerate(spilled):
            hashes = np.concatenate([plan.hashes(part, rows) for part, rows in unit.places])
            own = np.flatnonzero(hashes % np.uint64(plan.shards) == np.uint64(shard.number))
            if len(own):
                starts = unit.starts()
                found.append((hashes[own], np.full(len(own), number), starts[own], np.diff(starts)[own]))
        if not found:
            return [[], [], []]
        hashes, *facts = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        order = np.argsort(hashes, kind="stable")
        return [fact[order].tolist() for fact in facts]


@contextmanager
def _files() -> Iterator[Any]:
    """Opens files to read, of which the last used ones stay open: `opened(path) -> descriptor`."""
    held: OrderedDict[str, int] = OrderedDict()

    def opened(path: str) -> int:
        if path not in held:
            if len(held) == _OPEN_FILES:
                os.close(held.popitem(last=False)[1])
            held[path] = os.open(path, os.O_RDONLY)
        held.move_to_end(path)
        return held[path]

    try:
        yield opened
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
    work = EncodeImages(str(fitted), encoder.layout, str(ctx.scratch("spill")))
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
    index = Path(work.folder) / "index.json"
    index.write_text(json.dumps(spilled), "utf-8")
    gather = GatherShard(str(index), plans, encoder.layout.compression)
    wanted = shards_of(plans, folder)
    payloads = list(run_units(ctx, "write", wanted, gather))
    for each in spilled.values():
        for one in each:
            Path(one.path).unlink()
    return written_shards(examples, plans, wanted, payloads)._replace(pixels=_pixels(told))


def _pixels(told: Sequence[Mapping[str, Any]]) -> dict[str, PixelSums]:
    """The sums of all units, by feature."""
    found: dict[str, PixelSums] = {}
    for one in told:
        for name, sums in one["pixels"].items():
            own = PixelSums(sums["count"], tuple(sums["sums"]), tuple(sums["squares"]))
            found[name] = found.get(name, PixelSums()).merge(own)
    return found
