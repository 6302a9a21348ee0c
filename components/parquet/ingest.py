"""The pass of Parquet ingestion: look at the files, cut, read, publish. Runs in the driver."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..csv.sources import name_problems
from ..data_plane.few_units import run_few
from ..ingestion.column_options import ColumnOptions
from ..ingestion.kinds import ARROW, can_be_images, kind_of, unsupported
from ..ingestion.known_files import KnownFiles, KnownUnit
from ..ingestion.partitions import Partition, check_own_columns, partition_kinds, partition_of
from ..ingestion.publishing import Read, is_exact, publish
from ..ingestion.rejects import from_json
from ..ingestion.time_patterns import stated_patterns
from ..ingestion.writing import Placing
from .known import KnownParquet, known_blocks, known_values
from .sources import check_magic, partition_columns
from .work import Block, IngestUnit, Table, Unit, open_parquet

BLOCK_BYTES = 64 << 20
"""A block has fewer rows than asked for where they would have more bytes than this, as the file tells."""
_FEW_GROUPS = 16
_PIECES = 4


@dataclass(frozen=True)
class File:
    """A file as its footer describes it.

    Attributes:
        path: the file.
        arrow: its columns' Arrow types.
        groups: rows, and bytes when unpacked, of each row group.
        split: the file's, where `path` names files by split.
        partition: the columns that its folders stand for, which are among `arrow` too.
    """

    path: str
    arrow: Mapping[str, Any]
    groups: tuple[tuple[int, int], ...]
    split: str = ""
    partition: Partition = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file as messages call it."""
        return self.path


@dataclass(frozen=True)
class Place:
    """Which block this is, and of which file."""

    number: int
    file: File


def look_at(path: Path, split: str = "", folders: Sequence[str] = ()) -> File:
    """Reads a file's footer; `folders` are the names of those that may stand for columns.

    Raises:
        DataError: it is damaged or no Parquet file, has no column or two of one name, or one that a folder
            stands for.
    """
    check_magic(path)
    with open_parquet(str(path)) as file:
        schema, metadata = file.schema_arrow, file.metadata
        groups = tuple(_size(metadata, group) for group in range(metadata.num_row_groups))
    problems = name_problems(schema.names, str(path))
    if problems:
        raise DataError(problems)
    if not schema.names:
        raise DataError("the file has no columns", file=str(path))
    partition = partition_of(folders, str(path))
    check_own_columns(partition, schema.names, str(path))
    _check_folders(partition, str(path))
    arrow = dict(zip(schema.names, schema.types, strict=True))
    return File(str(path), arrow, groups, split, partition)


def _check_folders(partition: Partition, file: str) -> None:
    """Raises DataError where a folder stands for a column whose name no column may have."""
    unnamed = [name for name in partition if not name.strip() or "\0" in name]
    if unnamed:
        raise DataError(
            f"a folder on the way to the file tells a column {unnamed[0]!r}, which is no name for one",
            file=file,
            remedy="rename the folder, or give the files by a glob that begins below it",
        )


def with_partitions(files: Sequence[File], stated: Mapping[str, str]) -> list[File]:
    """The files with the columns that their folders stand for, whose types all folders decide."""
    kinds = partition_kinds([file.partition for file in files], stated)
    return [
        replace(file, arrow={**file.arrow, **{name: ARROW[kinds[name]] for name in file.partition}})
        for file in files
    ]


def _size(metadata: pq.FileMetaData, group: int) -> tuple[int, int]:
    about = metadata.row_group(group)
    return about.num_rows, about.total_byte_size


def common_kinds(files: Sequence[File], chosen: Sequence[str], options: ColumnOptions) -> dict[str, str]:
    """The type of each chosen column in the files.

    Raises:
        DataError: a column is of no type that can be read, or files don't agree.
    """
    first = files[0]
    kinds: dict[str, str] = {}
    seen_in: dict[str, File] = {}
    for file in files:
        _check_names(first, file, chosen, options)
        for name in chosen:
            kind = kind_of(file.arrow[name])
            if (options.types or {}).get(name) == "image" and can_be_images(file.arrow[name]):
                kind = "image"
            if not kind:
                raise DataError(unsupported(name, file.arrow[name], file.path))
            if kinds.get(name, "null") == "null":
                kinds[name], seen_in[name] = kind, file
            elif kind not in ("null", kinds[name]) and not (options.types or {}).get(name):
                _refuse_types(name, seen_in[name], file)
    return kinds


def _refuse_types(name: str, one: File, other: File) -> None:
    raise DataError(
        f"column {name!r} is {other.arrow[name]} here, and {one.arrow[name]} in {one.path}",
        file=other.path,
        remedy=f"state what it shall be, for example types: {{{name}: float}}, or write both files alike",
    )


def _check_names(first: File, file: File, chosen: Sequence[str], options: ColumnOptions) -> None:
    here = set(options.chosen(list(file.arrow)))
    lacks = [name for name in chosen if name not in file.arrow]
    more = [] if options.columns is not None else sorted(here - set(chosen))
    if lacks or more:
        what = f"column {(lacks or more)[0]!r} is " + ("missing" if lacks else "not")
        told = f"{what} here, and in {first.path}" if lacks else f"{what} in {first.path}, and here"
        raise DataError(
            f"the files' columns differ: {told}",
            file=file.path,
            available=tuple(file.arrow),
            remedy="write the files with the same columns, or name those that all have with `columns`",
        )


def cut(
    files: Sequence[File], block_rows: int, sample: int | None, block_bytes: int = BLOCK_BYTES
) -> list[Unit]:
    """Cuts the files into units.

    A block is at most `block_rows` rows of one row group, and about `block_bytes`. To read one, a row group
    has to be read from its beginning, so that a group is cut into few units, and only where there are few
    groups.
    """
    groups = [(file, place) for file in files for place in range(len(file.groups))]
    pieces = _PIECES if len(groups) < _FEW_GROUPS else 1
    units: list[Unit] = []
    number = 0
    before: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for file, place in groups:
        rows, size = file.groups[place]
        wanted = rows if sample is None else min(rows, sample - taken[file.split])
        each = max(1, min(block_rows, block_bytes * rows // max(size, 1)))
        blocks = [
            Block(number + i, at, min(each, wanted - at)) for i, at in enumerate(range(0, wanted, each))
        ]
        step = max(1, -(-len(blocks) // pieces))
        units += [
            Unit(file.path, place, before[file.path], own, file.split, file.partition)
            for own in (tuple(blocks[at : at + step]) for at in range(0, len(blocks), step))
        ]
        number += len(blocks)
        before[file.path] += rows
        taken[file.split] += wanted
    return units


def ingest(
    ctx: Context,
    paths: Sequence[Path],
    options: ColumnOptions,
    by_file: Sequence[str] = (),
    folders: Sequence[Sequence[str]] = (),
) -> Examples:
    """Does what `parquet_examples` says, for files that are there.

    Args:
        ctx: the step's context.
        paths: the files.
        options: what is asked for.
        by_file: the split of each file, where `path` names files by split.
        folders: the names of the folders of each file that may stand for columns.

    Raises:
        DataError: the files are not what they have to be.
        InvalidRequestError: an option names a column that isn't there.
    """
    splits, between = by_file or [""] * len(paths), folders or [()] * len(paths)
    files = [look_at(*file) for file in zip(paths, splits, between, strict=True)]
    files = with_partitions(files, options.types or {})
    types = _settled(ctx, files, options)
    units = cut(files, options.block_rows, options.sample, options.unit_bytes(BLOCK_BYTES))
    if not units:
        raise DataError("there is no row", file=files[0].path, remedy="add rows")
    rule = options.split
    exact = is_exact(rule, sum(block.rows for unit in units for block in unit.blocks))
    placing = Placing(rule, exact, str(ctx.scratch("parts")))
    known = _known(ctx, files, options)
    reads = _read(ctx, files, units, Table(types, options.max_rejects), placing, known)
    kinds = {name: stated.partition(":")[0] for name, stated in types.items()}
    times = stated_patterns(options.types)
    made = publish(ctx, reads, placing, kinds, {"times": times} if times else None, known)
    if known.notes:
        known.note(made, known_values(made, files, reads, types))
    return made


def _settled(ctx: Context, files: Sequence[File], options: ColumnOptions) -> dict[str, str]:
    """What each column that is read becomes.

    Raises:
        DataError: the files don't hold such columns, or not alike.
        InvalidRequestError: an option names a column that isn't there, or doesn't fit its type.
    """
    names = list(files[0].arrow)
    problems = options.column_problems(names)
    if problems:
        raise InvalidRequestError(problems)
    _warn_of_left_out(ctx, files, names, options)
    types = _types(files, options.chosen(names), options)
    problem = options.split_problem(types)
    if problem:
        raise InvalidRequestError([problem])
    return types


def _types(files: Sequence[File], chosen: Sequence[str], options: ColumnOptions) -> dict[str, str]:
    """What each column becomes; one without any value is float."""
    stated = options.types or {}
    problems = []
    for file in files if stated else ():
        problems = options.type_problems(
            {name: kind_of(file.arrow[name]) for name in chosen if name in file.arrow}
        )
        if problems:
            raise DataError([problem.at(file=file.path) for problem in problems])
    kinds = common_kinds(files, chosen, options)
    return {name: stated.get(name) or {"null": "float"}.get(kinds[name], kinds[name]) for name in chosen}


def _warn_of_left_out(
    ctx: Context, files: Sequence[File], names: Sequence[str], options: ColumnOptions
) -> None:
    left = sorted(set(names) - set(options.chosen(names))) if options.columns is None else []
    if left:
        ctx.warn(
            f"column {', '.join(left)} left out: pandas wrote its index; name it in `columns` to have it"
        )
    folders = [name for name in partition_columns([Path(file.path) for file in files]) if name not in names]
    if folders:
        ctx.warn(f"{', '.join(folders)} stands in the folders' names only, and is no column of the examples")


def _known(ctx: Context, files: Sequence[File], options: ColumnOptions) -> KnownFiles[KnownParquet]:
    """What is known of the files that are read with the same options."""
    beside = {Path(file.path): [file.split, dict(file.partition)] for file in files}
    facts = ["parquet", msgspec.json.encode(options).decode()]
    return KnownFiles(ctx, beside, options.split, facts, KnownParquet, options.sample)


def _read(
    ctx: Context,
    files: Sequence[File],
    units: Sequence[Unit],
    table: Table,
    placing: Placing,
    known: KnownFiles[KnownParquet],
) -> list[Read]:
    """The results of all blocks, in their order; those of known files with copies of their parts."""
    by_path = {file.path: file for file in files}
    found = _taken_over(units, table, placing, known, by_path)
    rest = [unit for unit in units if any(block.number not in found for block in unit.blocks)]
    work = IngestUnit(table, placing)
    for unit, payload in zip(rest, run_few(ctx, "read", rest, work), strict=True):
        for block, told in zip(unit.blocks, json.loads(payload), strict=True):
            told["rejects"] = from_json(told["rejects"])
            found[block.number] = Read(Place(block.number, by_path[unit.path]), **told)
    reads = [found[number] for number in sorted(found)]
    rejects = [reject for read in reads for reject in read.rejects]
    if len(rejects) > table.max_rejects:
        raise rejects[table.max_rejects].error(table.max_rejects)
    return reads


def _taken_over(
    units: Sequence[Unit],
    table: Table,
    placing: Placing,
    known: KnownFiles[KnownParquet],
    by_path: Mapping[str, File],
) -> dict[int, Read]:
    """Results of the blocks of known files whose types are the table's, with copies of their parts."""
    own = known_blocks(known, units, table.types)
    parts = known.take_over([(number, *told) for number, told in own.items()], placing.folder)
    return {
        number: _known_read(number, by_path[own[number][0]], own[number][1], made)
        for number, made in parts.items()
    }


def _known_read(number: int, file: File, block: KnownUnit, parts: dict[str, dict[str, Any]]) -> Read:
    rejects = [replace(reject, file=file.path) for reject in from_json(block.rejects)]
    return Read(Place(number, file), block.rows_in, rejects, parts, "", [], block.outside)
