"""The passes of reading a prepared TensorFlow Dataset: cut, read, publish. Runs in the driver."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..data_plane.few_units import run_few
from ..data_plane.result import Result
from ..ingestion.publishing import Read, publish
from ..ingestion.rejects import from_json
from ..ingestion.split_options import SplitOptions
from ..ingestion.writing import Placing
from ..tfrecords.framing import Cut, cut_file, shortened
from .array_records import cut_array_record
from .columns import Column, chosen, columns_of
from .prepared import Prepared
from .slices import RowRange, ShardRange, in_shards, overlaps, ranges_of
from .work import IngestUnit, Shard, Unit

UNIT_BYTES = 16 << 20
"""A unit has fewer records than asked for where they would have more bytes than this."""


@dataclass(frozen=True)
class Wanted:
    """What is read of a set, see `tfds_examples`."""

    splits: Mapping[str, str] | None
    columns: Sequence[str] | None
    max_rejects: int
    block_rows: int
    sample: int | None


@dataclass(frozen=True)
class CutShard:
    """Work on a shard: where it can be cut, with all its rows counted."""

    block_rows: int

    def __call__(self, file: Shard) -> Result:
        """Gives cuts as JSON."""
        path = Path(file.path)
        if not path.is_file():
            raise DataError(
                "a shard of the prepared set is missing",
                file=file.path,
                remedy="copy or prepare the set again",
            )
        if file.format == "array_record":
            cuts = cut_array_record(path, self.block_rows, UNIT_BYTES)
        else:
            cuts = cut_file(path, file.name, self.block_rows, UNIT_BYTES)
        return Result(json.dumps([asdict(cut) for cut in cuts]).encode(), sum(cut.records for cut in cuts))


def ingest(ctx: Context, prepared: Prepared, wanted: Wanted) -> Examples:
    """Reads a prepared set into raw examples.

    Raises:
        DataError: a shard is missing, damaged or has other rows than noted; records are bad beyond what is
            tolerated.
        InvalidRequestError: a split or a column isn't there.
    """
    ranges, problems = ranges_of(prepared.lengths, wanted.splits)
    found = chosen(*columns_of(prepared), wanted.columns)
    if isinstance(found, list) or problems:
        raise InvalidRequestError([*problems, *(found if isinstance(found, list) else [])])
    for one, other, shared in overlaps(ranges):
        ctx.warn(f"{shared:,} rows are in the split {one!r} and in {other!r}")
    for column in found.values():
        if column.note:
            ctx.say(f"{column.name}: {column.note}")
    units = units_of(ctx, prepared, ranges, wanted)
    rule = SplitOptions({}, files=tuple(ranges))
    placing = Placing(rule, False, str(ctx.scratch("parts")))
    work = IngestUnit(found, placing, wanted.max_rejects)
    reads = []
    for unit, payload in zip(units, run_few(ctx, "read", units, work), strict=True):
        reads.append(_read(unit, json.loads(payload)))
    rejects = [reject for read in reads for reject in read.rejects]
    if len(rejects) > wanted.max_rejects:
        raise rejects[wanted.max_rejects].error(wanted.max_rejects)
    return publish(
        ctx, reads, placing, {name: c.type for name, c in found.items()}, _more(ctx, prepared, found)
    )


def _more(ctx: Context, prepared: Prepared, columns: Mapping[str, Column]) -> dict[str, Any]:
    """What only a TensorFlow Dataset says: its name, its classes in their order, its label."""
    name = "/".join(part for part in (prepared.name, prepared.config, prepared.version) if part)
    told: dict[str, Any] = {"tfds": name}
    classes = {column.name: list(column.names) for column in columns.values() if column.kind == "class"}
    if classes:
        told["classes"] = classes
    label = label_of(prepared, columns)
    if label:
        told["label"] = label
        ctx.say(f"{name}: the label is {label!r}")
    return told


def label_of(prepared: Prepared, columns: Mapping[str, Any]) -> str:
    """The column that the set calls its label, or ""."""
    keys = prepared.supervised
    return keys[1] if len(keys) > 1 and keys[1] in columns else ""


def _read(unit: Unit, told: Mapping[str, Any]) -> Read:
    rejects = from_json(told["rejects"])
    return Read(
        unit, told["rows_in"], rejects, told["parts"], told["spill"], told["classes"], told["outside"]
    )


def units_of(
    ctx: Context, prepared: Prepared, ranges: Mapping[str, Sequence[RowRange]], wanted: Wanted
) -> list[Unit]:
    """Cuts what is asked for into units.

    Raises:
        DataError: a shard is missing, damaged or has other rows than noted.
    """
    pieces = [
        (split, piece)
        for split, rows in ranges.items()
        for one in rows
        for piece in in_shards(one, prepared.splits[one.split].lengths)
    ]
    cuts = _cuts(ctx, prepared, [piece for _, piece in pieces], wanted.block_rows)
    units: list[Unit] = []
    taken = dict.fromkeys(ranges, 0)
    for split, piece in pieces:
        path = prepared.shard(piece.split, piece.shard)
        file = Shard(str(path), path.name, split, prepared.file_format)
        for cut in _within(path, prepared.file_format, cuts[path], piece.first, piece.end):
            left = wanted.sample - taken[split] if wanted.sample is not None else cut.records
            if left <= 0:
                break
            cut = cut if left >= cut.records else _parted(path, prepared.file_format, cut, left)[0]
            taken[split] += cut.records
            units.append(Unit(len(units), file, cut))
    return units


def _cuts(
    ctx: Context, prepared: Prepared, pieces: Sequence[ShardRange], block_rows: int
) -> dict[Path, list[Cut]]:
    """The cuts of the shards that are needed, by file."""
    needed = {prepared.shard(piece.split, piece.shard): piece for piece in pieces}
    files = [Shard(str(path), path.name, "", prepared.file_format) for path in needed]
    found = {}
    for (path, piece), payload in zip(
        needed.items(), run_few(ctx, "cut", files, CutShard(block_rows)), strict=True
    ):
        found[path] = [Cut(**told) for told in json.loads(payload)]
        stated = prepared.splits[piece.split].lengths[piece.shard]
        held = sum(cut.records for cut in found[path])
        if held != stated:
            raise DataError(
                f"the shard holds {held:,} records, and dataset_info.json says {stated:,}", file=str(path),
                remedy="copy or prepare the set again",
            )  # fmt: skip
    return found


def _within(path: Path, file_format: str, cuts: Sequence[Cut], first: int, end: int) -> Iterator[Cut]:
    """The records from `first` to before `end` of a shard."""
    for cut in cuts:
        if cut.first < end and cut.first + cut.records > first:
            if cut.first < first:
                cut = _parted(path, file_format, cut, first - cut.first)[1]
            if cut.first + cut.records > end:
                cut = _parted(path, file_format, cut, end - cut.first)[0]
            yield cut


def _parted(path: Path, file_format: str, cut: Cut, records: int) -> tuple[Cut, Cut]:
    """A cut in two, the first of so many records."""
    head = shortened(path, cut, records) if file_format == "tfrecord" else replace(cut, records=records)
    return head, Cut(head.end, cut.end, cut.first + records, cut.records - records)
