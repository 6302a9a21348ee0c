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
from ..data_plane.few_units import run_few
from ..data_plane.result import Result
from ..ingestion.rejects import Reject, bad_value, from_json
from ..ingestion.writing import Placing
from .boundaries import BlockScan, Cut
from .cutting import Block, blocks_of, fold_file, offset_of_row
from .inference import Profile
from .known import Known, KnownCut
from .options import Options, kind_of
from .prepare import TableFile, needs_copy, open_files, write_plain
from .reading import Unit, find_rows
from .sources import Dialect
from .work import IngestUnit, Table, read_unit

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
    ctx: Context, paths: Sequence[Path], options: Options, known: Known
) -> tuple[list[TableFile], tuple[str, ...], Dialect]:
    """Files that can be read by offset, copied where needed; their columns; how cells are written.

    A known file is not copied before there is need to read it, see `readable`.

    Raises:
        DataError: a file can't be read or unpacked, or its header doesn't fit.
    """
    seen = {path: (own.table_file(path), own.names) for path in paths if (own := known[str(path)])}
    copied = [str(path) for path in paths if path not in seen and needs_copy(path, options.encoding)]
    plain = _unpacked(ctx, "unpack", copied, options.encoding)
    known.copied = {*copied, *(file.name for file, _ in seen.values() if not file.path)}
    places = [Path(plain.get(str(path), path)) for path in paths]
    files, heads, columns, dialect = open_files(paths, places, options, seen)
    known.heads = {file.name: head for file, head in zip(files, heads, strict=True)}
    return files, columns, dialect


def _unpacked(ctx: Context, stage: str, names: Sequence[str], encoding: str) -> dict[str, str]:
    """Plain copies of files, by name."""
    if not names:
        return {}
    work = Copy(encoding, str(ctx.scratch(f"{stage}_plain")))
    copies = run_few(ctx, stage, names, work)
    return {name: copy.decode() for name, copy in zip(names, copies, strict=True)}


def readable(ctx: Context, stage: str, units: Sequence[Unit], encoding: str) -> list[Unit]:
    """Units of files that are there as plain bytes; those of known files that aren't are unpacked now."""
    names = dict.fromkeys(unit.file.name for unit in units if not unit.file.path)
    plain = _unpacked(ctx, stage, list(names), encoding)
    return [
        unit if unit.file.path else replace(unit, file=replace(unit.file, path=plain[unit.file.name]))
        for unit in units
    ]


@dataclass(frozen=True)
class ScanBlock:
    """Work on a block: where rows may end."""

    dialect: Dialect

    def __call__(self, block: Block) -> Result:
        """Gives a BlockScan as JSON."""
        return Result(json.dumps(asdict(block.scan(self.dialect))).encode(), 0)


def cut_files(
    ctx: Context,
    files: Sequence[TableFile],
    dialect: Dialect,
    block_bytes: int,
    sample: int | None,
    known: Known,
) -> tuple[list[Unit], int]:
    """Cuts the files into units at true row ends; also gives how many rows, blank or not, they hold.

    Raises:
        DataError: a quote is never closed.
    """
    blocks = [block for file in files if not known[file.name] for block in blocks_of(file, block_bytes)]
    scans: dict[TableFile, list[BlockScan]] = {file: [] for file in files}
    for block, scan in zip(blocks, _scans(ctx, blocks, dialect), strict=True):
        scans[block.file].append(scan)
    units: list[Unit] = []
    rows: Counter[str] = Counter()
    for file in files:
        wanted = None if sample is None else sample - rows[file.split]
        cuts, known.rows[file.name] = _cuts(file, scans[file], dialect, block_bytes, wanted, known)
        rows[file.split] += known.rows[file.name]
        first = len(units)
        known.number(file.name, first)
        units += [Unit(first + place, file, c.start, c.end, c.line, c.plain) for place, c in enumerate(cuts)]
    return units, sum(count if sample is None else min(count, sample) for count in rows.values())


def _cuts(
    file: TableFile,
    scans: Sequence[BlockScan],
    dialect: Dialect,
    block_bytes: int,
    wanted: int | None,
    known: Known,
) -> tuple[Sequence[Cut], int]:
    """The cuts of a file, up to its first rows where not all are wanted, and how many rows it has."""
    if own := known[file.name]:
        return [cut.place for cut in own.cuts], own.rows
    blocks = blocks_of(file, block_bytes)
    folded = fold_file(file, blocks, scans, dialect)
    cuts = folded.cuts
    if wanted is not None:
        limit = offset_of_row(blocks, folded, wanted, dialect)
        cuts = tuple(replace(c, end=min(c.end, limit)) for c in cuts if c.start < limit)
    return cuts, folded.all_rows


def _scans(ctx: Context, blocks: Sequence[Block], dialect: Dialect) -> Iterator[BlockScan]:
    if len(blocks) == 1:  # not worth starting Beam for
        return iter([blocks[0].scan(dialect)])
    payloads = run_few(ctx, "cut", blocks, ScanBlock(dialect))
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
    ctx: Context, units: Sequence[Unit], table: Table, placing: Placing, known: Known
) -> tuple[list[Read], dict[str, str]]:
    """Reads every unit with types that hold for the whole table.

    Units are read with the types that they suggest themselves, and those whose types turn out not to be the
    table's are read again. Of known files the parts are taken over where their types are the table's.

    Returns:
        The results in the order of the units, and the type of each column, as it may be stated.

    Raises:
        DataError: bad rows beyond what is tolerated, or stray words in columns of numbers.
    """
    unknown = [unit for unit in units if unit.number not in known.units]
    hints = _hinted(unknown, table, known)
    found: dict[int, Read] = {}
    for unit, told in zip(unknown, _run(ctx, "read", unknown, hints, placing), strict=True):
        seen = {name: Profile.from_json(values) for name, values in told["profiles"].items()}
        known.add(unit.file.name, seen)
        found[unit.number] = _read(unit, told, frozenset(name for name, own in seen.items() if own.infinite))
    profiles = known.merged()
    types = {name: table.types.get(name) or profiles.get(name, Profile()).kind for name in table.columns}
    _refuse_strays(ctx, profiles, units, table)
    _warn_of_lost_digits(ctx, profiles, types)
    found.update(_taken_over(units, types, placing, known))
    again = [u for u in units if u.number not in found or _has_to_be_read_again(found[u.number], types)]
    again = readable(ctx, "unpack_again", again, table.encoding)
    told_again = _run(ctx, "read_again", again, replace(table, types=types), placing)
    for unit, told in zip(again, told_again, strict=True):
        found[unit.number] = _read(unit, told, frozenset())
    reads = [found[unit.number] for unit in units]
    rejects = [reject for read in reads for reject in read.rejects]
    if len(rejects) > table.max_rejects:
        raise rejects[table.max_rejects].error(table.max_rejects)
    return reads, types


def _warn_of_lost_digits(ctx: Context, profiles: Mapping[str, Profile], types: Mapping[str, str]) -> None:
    """Says where whole numbers are too large for an int, so that different ones may become one float."""
    for name, seen in profiles.items():
        if seen.beyond and types[name] == "float":
            ctx.warn(
                f"column {name!r} holds {seen.beyond} whole numbers beyond 64 bits; they are read as floats,"
                f" which keep some 16 digits. If they are identifiers: types: {{{name}: string}}"
            )


def _hinted(units: Sequence[Unit], table: Table, known: Known) -> Table:
    """The table with hints from what is known already, or from the first rows."""
    seen = known.merged()
    return (
        replace(table, hints={name: own.kind for name, own in seen.items()}) if seen else hinted(units, table)
    )


def _taken_over(
    units: Sequence[Unit], types: Mapping[str, str], placing: Placing, known: Known
) -> dict[int, Read]:
    """Results of units of known files whose types are the table's, with copies of their parts."""
    own = {unit.number: unit for unit in units if known.fits(unit, types)}
    items = [(number, unit.file.name, known.units[number]) for number, unit in own.items()]
    parts = known.files.take_over(items, placing.folder)
    return {number: _known_read(own[number], known.units[number], told) for number, told in parts.items()}


def _known_read(unit: Unit, cut: KnownCut, parts: dict[str, dict[str, Any]]) -> Read:
    rejects = [replace(reject, file=unit.file.name) for reject in from_json(cut.rejects)]
    return Read(unit, cut.rows_in, rejects, {}, frozenset(), parts, "", [], cut.empty, cut.outside)


def _has_to_be_read_again(read: Read, types: Mapping[str, str]) -> bool:
    if any(types[name] == "float" for name in read.infinite):
        return True
    return any(kind != kind_of(types[name]) for name, kind in read.kinds.items())


def _run(
    ctx: Context, stage: str, units: Sequence[Unit], table: Table, placing: Placing
) -> Iterator[dict[str, Any]]:
    return (json.loads(payload) for payload in run_few(ctx, stage, units, IngestUnit(table, placing)))


def _read(unit: Unit, told: Mapping[str, Any], infinite: frozenset[str]) -> Read:
    return Read(
        unit, told["rows_in"], from_json(told["rejects"]), told["kinds"], infinite, told["parts"],
        told["spill"], told["classes"], told["empty"], told["outside"],
    )  # fmt: skip


def _refuse_strays(
    ctx: Context, profiles: Mapping[str, Profile], units: Sequence[Unit], table: Table
) -> None:
    """Raises DataError for words in columns of numbers, unless their rows may be rejected."""
    strays = {
        name: seen.stray
        for name, seen in profiles.items()
        if seen.mixed and seen.values - seen.numbers > table.max_rejects and seen.stray
    }
    own = readable(ctx, "unpack_strays", [units[stray.unit] for stray in strays.values()], table.encoding)
    problems = []
    for (name, stray), unit in zip(strays.items(), own, strict=True):
        seen = profiles[name]
        count = seen.values - seen.numbers
        reason, remedy = bad_value(name, stray.text, "float" if seen.number_kind == "float" else "int")
        share = f"{seen.numbers} of {seen.values} values of the column are numbers"
        remedy += f"; or max_rejects: {count} to put such rows into rejects.jsonl"
        line = find_rows(unit, unit.read(), table.dialect, len(table.columns)).line(stray.row)
        problems.append(Problem(f"{reason}; {share}", file=unit.file.name, line=line, remedy=remedy))
    if problems:
        raise DataError(problems)
