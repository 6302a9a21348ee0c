"""The passes of TFRecord ingestion: unpack, cut, read, mend, publish. Runs in the driver."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..data_plane.few_units import run_few
from ..data_plane.result import Result
from ..ingestion.column_options import ColumnOptions
from ..ingestion.files import GivenFile
from ..ingestion.publishing import is_exact, publish
from ..ingestion.rejects import Reject, from_json
from ..ingestion.time_patterns import stated_patterns
from ..ingestion.writing import Placing
from ..tfrecords.framing import Cut, cut_file, shortened
from .features import Seen, Sighting, look, merge, problems_of, to_json, types_of
from .features import from_json as seen_from_json
from .sources import is_packed
from .unpacking import unpack
from .work import IngestUnit, RecordFile, Table, Unit, decode_unit

UNIT_BYTES = 64 << 20
"""A unit has fewer records than asked for where they would have more bytes than this."""
_HINT_RECORDS = 1000


@dataclass
class Read:
    """The results of a unit, as the driver keeps them."""

    unit: Unit
    rows_in: int
    types: list[list[str]] | None
    rejects: list[Reject]
    parts: dict[str, dict[str, Any]]
    spill: str
    classes: list[str]
    outside: dict[str, Any] | None


@dataclass(frozen=True)
class Unpack:
    """Work on a compressed file: writes its plain bytes."""

    folder: str

    def __call__(self, path: str) -> Result:
        """Gives the path of the copy."""
        return Result(str(unpack(Path(path), Path(self.folder))).encode())


@dataclass(frozen=True)
class CutFile:
    """Work on a file: where it can be cut."""

    block_rows: int
    limit: int | None
    unit_bytes: int = UNIT_BYTES

    def __call__(self, file: RecordFile) -> Result:
        """Gives cuts as JSON."""
        cuts = cut_file(Path(file.path), file.name, self.block_rows, self.unit_bytes, self.limit)
        return Result(json.dumps([asdict(cut) for cut in cuts]).encode(), sum(cut.records for cut in cuts))


def open_files(ctx: Context, given: Sequence[GivenFile]) -> list[RecordFile]:
    """Files that can be read by offset, unpacked where needed.

    Raises:
        DataError: a file can't be read or unpacked, or is another format.
    """
    plain = {file.path: file.path for file in given}
    packed = [path for path in plain if is_packed(path)]
    if packed:
        work = Unpack(str(ctx.scratch("plain")))
        copies = run_few(ctx, "unpack", [str(path) for path in packed], work)
        plain.update((path, Path(copy.decode())) for path, copy in zip(packed, copies, strict=True))
    return [RecordFile(str(file.path), str(plain[file.path]), file.split) for file in given]


def cut_files(ctx: Context, files: Sequence[RecordFile], options: ColumnOptions) -> list[Unit]:
    """Cuts the files into units.

    Raises:
        DataError: a file is no TFRecord file, damaged or cut short.
    """
    units: list[Unit] = []
    taken: Counter[str] = Counter()
    for file, cuts in zip(files, _cuts(ctx, files, options), strict=True):
        for cut in cuts:
            if options.sample is not None:
                wanted = options.sample - taken[file.split]
                if wanted <= 0:
                    break
                if wanted < cut.records:
                    cut = shortened(Path(file.path), cut, wanted)
            taken[file.split] += cut.records
            units.append(Unit(len(units), file, cut))
    return units


def _cuts(ctx: Context, files: Sequence[RecordFile], options: ColumnOptions) -> Iterator[list[Cut]]:
    work = CutFile(options.block_rows, options.sample, options.unit_bytes(UNIT_BYTES))
    payloads = run_few(ctx, "cut", files, work)
    return ([Cut(**values) for values in json.loads(payload)] for payload in payloads)


def hinted(units: Sequence[Unit], options: ColumnOptions) -> Table:
    """The table with what the first records tell of types; only of use if there are several units."""
    table = Table(options)
    if len(units) < 2:
        return table
    first = units[0]
    try:
        cuts = cut_file(Path(first.file.path), first.file.name, _HINT_RECORDS, UNIT_BYTES, _HINT_RECORDS)
        short = replace(first, cut=cuts[0])
        return replace(table, hints=to_json(look(decode_unit(short).columns, 0, 0)))
    except DataError:  # told when the unit is read in earnest
        return table


def read_all(
    ctx: Context, units: Sequence[Unit], options: ColumnOptions, placing: Placing
) -> tuple[list[Read], dict[str, str]]:
    """Reads every unit with types that hold for all.

    Units are read with the types that they suggest themselves, and those whose types turn out not to be the
    table's are read again.

    Returns:
        The results in the order of the units, and what each column becomes.

    Raises:
        DataError: a feature's kinds conflict, records are bad beyond what is tolerated, a file is damaged.
        InvalidRequestError: an option names a column that isn't there, or doesn't fit its type.
    """
    table = hinted(units, options)
    reads: list[Read] = []
    seen: Seen = {}
    for unit, told in zip(units, _run(ctx, "read", units, table, placing), strict=True):
        seen = merge(seen, seen_from_json(told["seen"]))
        reads.append(_read(unit, told))
    types = _settled(seen, options, [unit.file.name for unit in units])
    final = [list(item) for item in types.items()]
    again = [read.unit for read in reads if read.types != final]
    told_again = _run(ctx, "read_again", again, replace(table, types=types), placing)
    for unit, told in zip(again, told_again, strict=True):
        reads[unit.number] = _read(unit, told)
    rejects = [reject for read in reads for reject in read.rejects]
    if len(rejects) > options.max_rejects:
        raise rejects[options.max_rejects].error(options.max_rejects)
    return reads, types


def _run(
    ctx: Context, stage: str, units: Sequence[Unit], table: Table, placing: Placing
) -> Iterator[dict[str, Any]]:
    return (json.loads(payload) for payload in run_few(ctx, stage, units, IngestUnit(table, placing)))


def _read(unit: Unit, told: Mapping[str, Any]) -> Read:
    return Read(
        unit, told["rows_in"], told["types"], from_json(told.get("rejects", ())), told.get("parts", {}),
        told.get("spill", ""), told.get("classes", []), told.get("outside"),
    )  # fmt: skip


def _settled(seen: Seen, options: ColumnOptions, files: Sequence[str]) -> dict[str, str]:
    """What each column becomes."""
    unnamed = [name for name in seen if not name.strip() or "\0" in name]
    if unnamed and options.columns is None:
        first = min(seen[unnamed[0]].values(), key=lambda one: (one.unit, one.record), default=Sighting())
        raise DataError(
            f"a feature is called {unnamed[0]!r}, which is no name for a column",
            file=files[first.unit], line=first.record, remedy="name the features to read with `columns`",
        )  # fmt: skip
    if not seen and options.columns is None:
        raise DataError("no record has a feature", file=files[0], remedy="are these tf.Examples?")
    names = sorted(seen)
    problems = options.column_problems(names)
    if problems:
        raise InvalidRequestError(problems)
    types = types_of(seen, options.chosen(names), options.types or {})
    problems = problems_of(seen, types, files.__getitem__)
    if problems:
        raise DataError(problems)
    problem = options.split_problem(types)
    if problem:
        raise InvalidRequestError([problem])
    return types


def ingest(ctx: Context, given: Sequence[GivenFile], options: ColumnOptions) -> Examples:
    """Does what `tfrecord_examples` says, for files that are there.

    Args:
        ctx: the step's context.
        given: the files.
        options: what is asked for.

    Raises:
        DataError: the files are not what they have to be.
        InvalidRequestError: an option names a column that isn't there.
    """
    files = open_files(ctx, given)
    units = cut_files(ctx, files, options)
    if not units:
        raise DataError("there is no record", file=files[0].name, remedy="add records")
    rule = options.split
    exact = is_exact(rule, sum(unit.cut.records for unit in units))
    placing = Placing(rule, exact, str(ctx.scratch("parts")))
    reads, types = read_all(ctx, units, options, placing)
    kinds = {name: stated.partition(":")[0] for name, stated in types.items()}
    times = stated_patterns(options.types)
    return publish(ctx, reads, placing, kinds, {"times": times} if times else None)
