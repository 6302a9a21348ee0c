"""The passes of CSV ingestion: prepare, cut, read, mend, place. Runs in the driver, which folds results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...pipelines.context import Context
from ...pipelines.errors import DataError, Problem
from ..data_plane.work import Result, run_units
from .boundaries import BlockScan, Cut
from .cutting import Block, blocks_of, fold_file, offset_of_row
from .inference import Profile
from .options import Options, kind_of
from .prepare import TableFile, needs_copy, open_files, write_plain
from .reading import Unit, find_rows
from .rejects import Reject, bad_value, from_json
from .sources import Dialect
from .work import IngestUnit, Placing, Table, read_unit

_HINT_BYTES = 1 << 16


@dataclass(frozen=True)
class Copy:
    """Work on a file that can't be read by offset: writes it as plain UTF-8."""

    encoding: str
    folder: str

    def __call__(self, path: str) -> Result:
        """Gives the path of the copy."""
        return Result(str(write_plain(Path(path), self.encoding, Path(self.folder))).encode())


def prepare_files(
    ctx: Context, paths: Sequence[Path], options: Options
) -> tuple[list[TableFile], tuple[str, ...], Dialect]:
    """Files that can be read by offset, copied where needed; their columns; how cells are written.

    Raises:
        DataError: a file can't be read or unpacked, or its header doesn't fit.
    """
    plain = {path: path for path in paths}
    copied = [path for path in paths if needs_copy(path, options.encoding)]
    if copied:
        work = Copy(options.encoding, str(ctx.scratch("plain")))
        copies = run_units(ctx, "unpack", [str(path) for path in copied], work)
        plain.update((path, Path(copy.decode())) for path, copy in zip(copied, copies, strict=True))
    return open_files(paths, [plain[path] for path in paths], options)


@dataclass(frozen=True)
class ScanBlock:
    """Work on a block: where rows may end."""

    dialect: Dialect

    def __call__(self, block: Block) -> Result:
        """Gives a BlockScan as JSON."""
        return Result(json.dumps(asdict(block.scan(self.dialect))).encode(), 0)


def cut_files(
    ctx: Context, files: Sequence[TableFile], dialect: Dialect, block_bytes: int, sample: int | None
) -> tuple[list[Unit], int]:
    """Cuts the files into units at true row ends; also gives how many rows, blank or not, they hold.

    Raises:
        DataError: a quote is never closed.
    """
    blocks = [block for file in files for block in blocks_of(file, block_bytes)]
    scans: dict[TableFile, list[BlockScan]] = {file: [] for file in files}
    for block, scan in zip(blocks, _scans(ctx, blocks, dialect), strict=True):
        scans[block.file].append(scan)
    units: list[Unit] = []
    rows: Counter[str] = Counter()
    for file in files:
        own = blocks_of(file, block_bytes)
        folded = fold_file(file, own, scans[file], dialect)
        cuts: Sequence[Cut] = folded.cuts
        if sample is not None:
            limit = offset_of_row(own, folded, sample - rows[file.split], dialect)
            cuts = [replace(c, end=min(c.end, limit)) for c in cuts if c.start < limit]
        rows[file.split] += folded.all_rows
        first = len(units)
        units += [Unit(first + place, file, c.start, c.end, c.line, c.plain) for place, c in enumerate(cuts)]
    return units, sum(count if sample is None else min(count, sample) for count in rows.values())


def _scans(ctx: Context, blocks: Sequence[Block], dialect: Dialect) -> Iterator[BlockScan]:
    if len(blocks) == 1:  # not worth starting Beam for
        return iter([blocks[0].scan(dialect)])
    payloads = run_units(ctx, "cut", blocks, ScanBlock(dialect))
    return (BlockScan.from_json(json.loads(payload)) for payload in payloads)


def hinted(units: Sequence[Unit], table: Table) -> Table:
    """The table with hints from the first rows; only of use if there are several units."""
    if len(units) < 2 or all(name in table.types for name in table.columns):
        return table
    first = units[0]
    short = replace(first, end=min(first.end, first.start + _HINT_BYTES))
    ends = find_rows(short, short.read(), table.dialect, len(table.columns)).ends
    if len(ends) > 1:
        short = replace(short, end=first.start + int(ends[-2]))
    try:
        return replace(table, hints=read_unit(short, replace(table, max_rejects=1 << 30)).kinds)
    except DataError:
        return table


@dataclass
class Read:
    """The results of a unit, as the driver keeps them."""

    unit: Unit
    rows_in: int
    rejects: list[Reject]
    kinds: dict[str, str]
    infinite: frozenset[str]
    parts: dict[str, dict[str, Any]]
    spill: str
    classes: list[str]
    empty: int
    outside: dict[str, Any] | None


def read_all(
    ctx: Context, units: Sequence[Unit], table: Table, placing: Placing
) -> tuple[list[Read], dict[str, str]]:
    """Reads every unit with types that hold for the whole table.

    Units are read with the types that they suggest themselves, and those whose types turn out not to be the
    table's are read again.

    Returns:
        The results in the order of the units, and the type of each column, without a pattern.

    Raises:
        DataError: bad rows beyond what is tolerated, or stray words in columns of numbers.
    """
    profiles: dict[str, Profile] = {}
    reads: list[Read] = []
    for unit, told in zip(units, _run(ctx, "read", units, hinted(units, table), placing), strict=True):
        seen = {name: Profile.from_json(values) for name, values in told["profiles"].items()}
        for name, own in seen.items():
            profiles[name] = profiles[name].merge(own) if name in profiles else own
        reads.append(_read(unit, told, frozenset(name for name, own in seen.items() if own.infinite)))
    types = {name: table.types.get(name) or profiles.get(name, Profile()).kind for name in table.columns}
    _refuse_strays(profiles, units, table)
    mixed = {name for name, seen in profiles.items() if seen.mixed}
    again = [read.unit for read in reads if _has_to_be_read_again(read, types, mixed)]
    told_again = _run(ctx, "read_again", again, replace(table, types=types), placing)
    for unit, told in zip(again, told_again, strict=True):
        reads[unit.number] = _read(unit, told, frozenset())
    rejects = [reject for read in reads for reject in read.rejects]
    if len(rejects) > table.max_rejects:
        raise rejects[table.max_rejects].error(table.max_rejects)
    return reads, {name: kind_of(kind) for name, kind in types.items()}


def _has_to_be_read_again(read: Read, types: Mapping[str, str], mixed: set[str]) -> bool:
    if any(types[name] == "float" for name in read.infinite):
        return True
    return any(kind != kind_of(types[name]) for name, kind in read.kinds.items())


def _run(
    ctx: Context, stage: str, units: Sequence[Unit], table: Table, placing: Placing
) -> Iterator[dict[str, Any]]:
    return (json.loads(payload) for payload in run_units(ctx, stage, units, IngestUnit(table, placing)))


def _read(unit: Unit, told: Mapping[str, Any], infinite: frozenset[str]) -> Read:
    return Read(
        unit, told["rows_in"], from_json(told["rejects"]), told["kinds"], infinite, told["parts"],
        told["spill"], told["classes"], told["empty"], told["outside"],
    )  # fmt: skip


def _refuse_strays(profiles: Mapping[str, Profile], units: Sequence[Unit], table: Table) -> None:
    """Raises DataError for words in columns of numbers, unless their rows may be rejected."""
    problems = []
    for name, seen in profiles.items():
        count = seen.values - seen.numbers
        if not seen.mixed or count <= table.max_rejects or seen.stray is None:
            continue
        reason, remedy = bad_value(name, seen.stray.text, "float" if seen.number_kind == "float" else "int")
        share = f"{seen.numbers} of {seen.values} values of the column are numbers"
        remedy += f"; or max_rejects: {count} to put such rows into rejects.jsonl"
        unit = units[seen.stray.unit]
        line = find_rows(unit, unit.read(), table.dialect, len(table.columns)).line(seen.stray.row)
        problems.append(Problem(f"{reason}; {share}", file=unit.file.name, line=line, remedy=remedy))
    if problems:
        raise DataError(problems)
