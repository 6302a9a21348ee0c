"""`csv_examples`: rows of CSV files, typed, in splits, as Parquet parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from ..pipelines.artifact import Examples, Files
from ..pipelines.component import Checked, Known, Source, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError, InvalidRequestError, Problem
from .csv.options import MISSING, Options
from .csv.sources import read_head, resolve

__all__ = ["MISSING", "csv_examples"]

ColumnType = Literal["int", "float", "string", "bool"]


@component
def csv_examples(
    ctx: Context,
    path: Source,
    *,
    splits: dict[str, Annotated[float, Meta(gt=0)]] = {"train": 8, "validation": 1, "test": 1},  # noqa: B006 - never changed
    split_by: str | None = None,
    stratify: str | None = None,
    seed: int = 0,
    delimiter: str | None = None,
    quote: str = '"',
    header: bool | None = None,
    columns: list[str] | None = None,
    encoding: str = "utf-8",
    missing_values: list[str] = list(MISSING),  # noqa: B006 - never changed
    types: dict[str, ColumnType] | None = None,
    max_rejects: Annotated[int, Meta(ge=0)] = 0,
    block_bytes: Annotated[int, Meta(ge=1, le=1 << 30)] = 4 << 20,
    sample: Annotated[int, Meta(ge=1)] | None = None,
) -> Examples:
    """Reads CSV files into typed rows, placed in splits.

    Files are read as they are or through gzip (told by its first bytes); a byte order mark is skipped. They
    are cut at true row ends, also where cells hold newlines, so that one large file is read by all workers.
    Blank lines are not rows, nor are rows in which every cell is empty, as spreadsheets write them below a
    table; a warning says how many of these there were. A number may have spaces around it. `nan` in a column
    of numbers is missing.

    Args:
        path: a file, a glob, a list of them, or an artifact of type Files.
        splits: the splits and their shares; only the ratio counts. A row's split is decided by a hash of its
            values, so equal rows share a split.
        split_by: a column whose value decides instead, so that no group is in two splits; rows without a
            value are one group.
        stratify: a column of classes; each split gets its share of each class exactly (largest remainder),
            up to 4 million rows, beyond which the hash alone decides. Property `stratified` says which.
        seed: another seed gives another placement.
        delimiter: one ASCII character; "auto" chooses by the header; a comma if not given.
        quote: around cells with delimiters, quotes (doubled) or newlines; "" for a file without quoting.
        header: whether the first row names the columns; if not given, it does unless `columns` is given.
        columns: column names for a file without a header, or, with `header: true`, in its place.
        encoding: any text encoding that Python knows.
        missing_values: what stands for a missing value, quoted or not.
        types: columns whose type is stated; the others' are inferred from all rows: int, float, bool (true
            and false) or string. A whole number beyond 64 bits makes a column float; a leading zero (007)
            makes it string; one without any value is float. A column of 100 values or more of which 99 % are
            numbers is one of numbers, and a word in it is an error. Where int is stated, 1.0 is 1. The least
            int64 is no int, as it stands for a missing one at serving.
        max_rejects: how many bad rows to put into `rejects.jsonl` before it is an error: a wrong number of
            fields, a value that doesn't fit its type, infinity, bytes that aren't text, NUL.
        block_bytes: the size of a unit of work, in bytes of plain text. It decides the parts.
        sample: read only so many rows, from the beginning.

    Returns:
        Examples: Parquet parts of int64, float64, string and bool columns, null where a value is missing.

    Raises:
        DataError: the files are not what they have to be; names file, line, column and value.
        InvalidRequestError: an argument doesn't fit.
    """
    options = Options(
        splits, split_by, stratify, seed, delimiter, quote, header, columns, encoding, missing_values, types,
        max_rejects, block_bytes, sample,
    )  # fmt: skip
    problems = options.problems()
    if problems:
        raise InvalidRequestError(problems)
    from .csv.place import ingest

    return ingest(ctx, _paths(path), options)


def _paths(path: Files | str | list[str]) -> list[Path]:
    if isinstance(path, Files):
        return [path.file(entry.path) for entry in path.files]
    return resolve(path)


@csv_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    options = Options(**{field.name: arguments[field.name] for field in fields(Options)})
    problems = options.problems()
    columns = tuple(options.columns) if options.columns is not None else None
    if "path" in arguments and not problems:
        try:
            columns, found = _read_heads(arguments["path"], options)
            problems += found
        except HeadraceError as error:
            problems += [problem.at(argument="path") for problem in error.problems]
    if columns is not None:
        problems += options.column_problems(columns)
    facts = {"types": dict(options.types)} if options.types else {}
    return problems, {"output": Known(columns, tuple(options.splits), facts)}


def _read_heads(path: str | list[str], options: Options) -> tuple[tuple[str, ...] | None, list[Problem]]:
    """The columns by the first file's header, and what is wrong with it."""
    first, *_ = resolve(path)
    head = read_head(first, options.encoding, options.delimiter, options.quote)
    problems = [p.at(argument="path") for p in options.head_problems(head.names, str(first))]
    if options.columns is not None:
        return tuple(options.columns), problems
    return (None, problems) if problems else (head.names, [])
