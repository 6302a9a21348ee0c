"""Globally shuffled TFRecord shards: each unit encodes and sorts its rows, each shard merges its slices.

A row's place is a hash of (seed, split, part, row): its remainder names the shard, and the rows of a shard
lie in the order of it. So the shards are the same however the work was spread, and need no further
shuffling to be read in random order. What a unit encoded is spilled beside the shards' folder, sorted
by shard, and only file names and offsets cross a stage.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ..data_plane.parts import Parts, units_of
from ..data_plane.result import Result
from ..data_plane.work import run_units
from ..preprocessing.fitted_features import Places
from ..preprocessing.fitted_file import save_fitted
from ..preprocessing.fitting import TRAIN
from .encoding import Encoder
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
from .tfrecord import FOOTER, HEADER, frame_pieces, gathered

SHARD_BYTES = 64 * 2**20
"""About how many bytes a shard gets if their number is not given."""
MERGE_BYTES = 16 * 2**20
"""Bytes of records that are merged at once, whatever a shard's size."""


class Spilled(NamedTuple):
    """What one unit encoded.

    Attributes:
        path: framed records sorted by (shard, hash), then their hashes as uint64, then as int64 the first
            row of each shard and the end.
        rows: how many.
    """

    path: str
    rows: int


@dataclass(frozen=True)
class EncodeParts:
    """Transforms, encodes and sorts some Parquet parts; the payload says where the result lies.

    Attributes:
        fitted: the folder of the fitted transform, which may hold large vocabularies.
        layout: how a record is laid out.
        plans: how each split is spread.
        folder: where the records are spilled; every worker has to reach it.
        own: the split that the transform was fitted on; empty if it is none of these.
    """

    fitted: str
    layout: Layout
    plans: Mapping[str, ShardPlan]
    folder: str
    own: str = TRAIN

    def __call__(self, unit: Parts) -> Result:
        """Spills the records of some parts."""
        columns = load_encoder(self.fitted, self.layout).columns
        return self.encoded(unit.read(columns), unit.split, unit.places)

    def encoded(self, batch: pa.RecordBatch, split: str, places: Places) -> Result:
        """Spills the records of the rows of some parts, whose number and rows are `places`."""
        records, faults = load_encoder(self.fitted, self.layout).encode(
            batch, places if split == self.own else None
        )
        if records is None:
            return Result(json.dumps({"faults": faults}).encode(), batch.num_rows)
        plan = self.plans[split]
        hashes = np.concatenate([plan.hashes(part, rows) for part, rows in places])
        shards = hashes % np.uint64(plan.shards)
        order = np.lexsort((hashes, shards))
        offsets = np.searchsorted(shards[order], np.arange(plan.shards + 1, dtype=np.uint64))
        path = Path(self.folder) / f"{split}-{places[0][0]:06d}-{uuid.uuid4().hex}"
        with path.open("wb") as stream:
            stream.writelines(frame_pieces(records, order))
            stream.write(hashes[order].astype("<u8").tobytes())
            stream.write(offsets.astype("<i8").tobytes())
        return Result(json.dumps({"spilled": Spilled(str(path), batch.num_rows)}).encode(), batch.num_rows)


@dataclass(frozen=True)
class MergeShard:
    """Writes one shard from the slices of all units, in the order of their hashes.

    Attributes:
        index: a JSON file: by split the `Spilled` of each unit.
        record: the bytes of a framed record.
        compression: empty or `gzip`.
        block_rows: records in a block of the shard.
    """

    index: str
    record: int
    compression: str
    block_rows: int

    def __call__(self, shard: Shard) -> Result:
        """Writes the file; there whole or not at all."""
        spilled = json.loads(Path(self.index).read_text("utf-8"))[shard.split]
        slices = [self._slice(Spilled(*one), shard.number) for one in spilled]
        hashes = np.sort(np.concatenate([own for _, own in slices]))
        # Slices are sorted, so a range of hashes is a run of each, and one range at a time is in memory.
        step = max(MERGE_BYTES // self.record, 1)
        bounds = [*hashes[step::step], None]
        places = [0] * len(slices)
        partly = Path(f"{shard.path}.{uuid.uuid4().hex}.partly")
        digest = hashlib.sha256()
        with block_file(partly, self.compression, self.block_rows, digest) as file:
            for bound in bounds:
                runs = []
                for i, (first, own) in enumerate(slices):
                    end = len(own) if bound is None else int(np.searchsorted(own, bound))
                    runs.append((spilled[i][0], first, own, places[i], end))
                    places[i] = end
                for records in self._merged(runs):
                    file.write(records)
            blocks = file.end()
        blocks.save(Path(shard.path))
        partly.replace(shard.path)
        return Result(json.dumps(WrittenShard(len(hashes), digest.hexdigest())).encode(), len(hashes))

    def _slice(self, spilled: Spilled, number: int) -> tuple[int, np.ndarray[Any, Any]]:
        """The first of a unit's rows that is the shard's, and the hashes of these rows, ascending."""
        with Path(spilled.path).open("rb") as stream:
            stream.seek(spilled.rows * (self.record + 8) + number * 8)
            start, end = (int(row) for row in np.fromfile(stream, "<i8", 2))
            stream.seek(spilled.rows * self.record + start * 8)
            return start, np.fromfile(stream, "<u8", end - start)

    def _merged(
        self, runs: Sequence[tuple[str, int, np.ndarray[Any, Any], int, int]]
    ) -> Iterator[np.ndarray[Any, Any]]:
        """The records of runs by their hashes, in pieces; a run is (path, first row, hashes, start, end)."""
        records = np.empty((sum(end - start for *_, start, end in runs), self.record), np.uint8)
        hashes = [own[start:end] for _, _, own, start, end in runs]
        filled = 0
        for path, first, _, start, end in runs:
            if start == end:
                continue
            target = records[filled : filled + end - start]
            with Path(path).open("rb", buffering=0) as stream:
                stream.seek((first + start) * self.record)
                if stream.readinto(target.data) != target.nbytes:
                    raise RuntimeError(f"{path} ends before its records do")
            filled += end - start
        order = np.argsort(np.concatenate(hashes), kind="stable")
        return gathered(records, order)


def shard_count(rows: int, record_bytes: int) -> int:
    """How many shards a split gets if their number is not given."""
    by_size = -(-rows * (record_bytes + HEADER + FOOTER) // SHARD_BYTES)
    return max(by_size, FEW_SHARDS if rows >= FEW_ROWS else 1)


def write_shards(
    ctx: Context, examples: Examples, encoder: Encoder, folder: Path, *, shards: int | None, seed: int
) -> Written:
    """Transforms all splits and writes their shards.

    Args:
        ctx: the step's context.
        examples: raw examples.
        encoder: from a batch of raw rows to records.
        folder: the artifact's folder.
        shards: how many for each split; by size if None. No split gets more shards than rows.
        seed: of the shuffle.

    Raises:
        DataError: values are missing or not finite where the model would get them.
    """
    plans = {}
    for split, told in examples.splits.items():
        count = min(shards or shard_count(told["rows"], encoder.template.length), max(told["rows"], 1))
        plans[split] = ShardPlan(split, count, seed)
        (folder / split).mkdir()
    reads = units_of(examples, list(plans))
    fitted = ctx.scratch("fitted")
    save_fitted(encoder.fitted, fitted)
    own = "" if encoder.of_others else TRAIN
    work = EncodeParts(str(fitted), encoder.layout, plans, str(ctx.scratch("spill")), own)
    told_by_unit = [json.loads(payload) for payload in run_units(ctx, "encode", reads, work)]
    raise_faults(reads, told_by_unit)
    spilled: dict[str, list[Spilled]] = {split: [] for split in plans}
    for read, told in zip(reads, told_by_unit, strict=True):
        spilled[read.split].append(Spilled(*told["spilled"]))
    units = shards_of(plans, folder)
    index = Path(work.folder) / "index.json"
    index.write_text(json.dumps(spilled), "utf-8")
    layout, record = encoder.layout, encoder.template.length + HEADER + FOOTER
    merge = MergeShard(str(index), record, layout.compression, layout.block_rows)
    written = [WrittenShard(*json.loads(payload)) for payload in run_units(ctx, "write", units, merge)]
    for path in {s.path for each in spilled.values() for s in each}:
        Path(path).unlink()
    return written_shards(rows_by_split(examples), plans, units, written)
