"""`csv_examples`: rows of CSV files, typed, in splits, as Parquet parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Examples, Files
from ..pipelines.component import Checked, Known, SplitSource, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError, InvalidRequestError, Problem
from .csv.options import MISSING, Options, kind_of
from .csv.sources import read_head, resolve
from .ingestion.split_options import DEFAULT_SPLITS, Rest, SplitOptions, SplitRule, files_by_split

__all__ = ["MISSING", "csv_examples"]

_TYPE = r"^(int|float|string|bool|timestamp(:.+)?)$"
ColumnType = Annotated[str, Meta(extra_json_schema={"pattern": _TYPE})]


@component
def csv_examples(
    ctx: Context,
    path: SplitSource,
    *,
    splits: dict[str, SplitRule] = DEFAULT_SPLITS,
    split_by: str | None = None,
    split_by_time: str | None = None,
    split_by_value: str | None = None,
    stratify: str | None = None,
    rest: Rest = "refuse",
    seed: int = 0,
    delimiter: str | None = None,
    quote: str = '"',
    header: bool | None = None,
    columns: list[str] | None = None,
    encoding: str = "utf-8",
    missing_values: list[str] = list(MISSING),  # noqa: B006 - never changed
    types: dict[str, ColumnType] | None = None,
    max_rejects: Annotated[int, Meta(ge=0)] = 0,
    block_bytes: Annotated[int, Meta(ge=1, le=1 << 30)] | None = None,
    sample: Annotated[int, Meta(ge=1)] | None = None,
) -> Examples:
    """Reads CSV files into typed rows, placed in splits.

    Files are read as they are or through gzip (told by its first bytes); a byte order mark is skipped. They
    are cut at true row ends, also where cells hold newlines, so that one large file is read by all workers.
    Blank lines are not rows, nor are rows in which every cell is empty, as spreadsheets write them below a
    table; a warning says how many of these there were. A number may have spaces around it. `nan` in a column
    of numbers is missing, and makes it one of floats unless it is among `missing_values`.

    Args:
        path: a file, a glob, a list of them, or an artifact of type Files; or such paths by split, as in
            `{train: jan/*.csv, test: feb.csv}`, and then a row's file decides and `splits` is left out.
        splits: the splits and their shares; only the ratio counts. A row's split is decided by a hash of its
            values, so equal rows share a split.
        split_by: a column whose value decides instead, so that no group is in two splits; rows without a
            value are one group.
        split_by_time: a column of times: a timestamp, ISO 8601 text, or a number. With shares the rows are
            sorted by it, and the oldest are in the first split; the shares are exact, rows of the same time
            keep their order. With ranges, `{train: {before: 2024-01-01}, test: {from: 2024-01-01}}`, its
            range decides; dates are UTC.
        split_by_value: a column whose values are listed: `{train: [0, 1], test: [2]}`.
        stratify: a column of classes; each split gets its share of each class exactly (largest remainder),
            up to 4 million rows, beyond which the hash alone decides. Property `stratified` says which.
        rest: what to do with rows in no split, by value or time, such as those without a value: refuse
            them, or drop them. Property `dropped` counts them.
        seed: another seed gives another placement.
        delimiter: one ASCII character; "auto" chooses by the header; a comma if not given.
        quote: around cells with delimiters, quotes (doubled) or newlines; "" for a file without quoting.
        header: whether the first row names the columns; if not given, it does unless `columns` is given.
        columns: column names for a file without a header, or, with `header: true`, in its place.
        encoding: any text encoding that Python knows.
        missing_values: what stands for a missing value, quoted or not.
        types: columns whose type is stated: int, float, bool, string, or timestamp (ISO 8601; UTC if it names
            no zone), `timestamp:%d/%m/%Y` for other texts, `timestamp:s`, `ms` or `us` for numbers since
            1970. The others' are inferred from all rows: int, float, bool (true and false) or string. A whole
            number beyond 64 bits makes a column float; a leading zero (007) makes it string; one without any
            value is float. A column of 100 values or more of which 99 % are numbers is one of numbers, and a
            word in it is an error. Where int is stated, 1.0 is 1. The least int64 is no int, as it stands
            for a missing one at serving.
        max_rejects: how many bad rows to put into `rejects.jsonl` before it is an error: a wrong number of
            fields, a value that doesn't fit its type, infinity, bytes that aren't text, NUL.
        block_bytes: the size of a unit of work, in bytes of plain text, which decides the parts; without it
            4 MiB, and up to 32 MiB for tables of more than 256 columns.
        sample: read only so many rows, from the beginning; of each split, if `path` names files by split.

    Returns:
        Examples: Parquet parts of int64, float64, string, bool and timestamp[us, UTC] columns, null where a
            value is missing.

    Raises:
        DataError: the files are not what they have to be; names file, line, column and value.
        InvalidRequestError: an argument doesn't fit.
    """
    files = tuple(path) if isinstance(path, Mapping) else None
    rule = SplitOptions(splits, split_by, split_by_time, split_by_value, stratify, rest, seed, files)
    options = Options(
        rule, delimiter, quote, header, columns, encoding, missing_values, types,
        max_rejects, block_bytes, sample,
    )  # fmt: skip
    problems = options.problems()
    if problems:
        raise InvalidRequestError(problems)
    from .csv.place import ingest

    if isinstance(path, Files):
        return ingest(ctx, [path.file(entry.path) for entry in path.files], options)
    paths, by_file = _files(path)
    return ingest(ctx, paths, options, by_file)


def _files(path: str | list[str] | dict[str, str | list[str]]) -> tuple[list[Path], list[str]]:
    """The files, and the split of each where `path` tells it."""
    return files_by_split(path, resolve) if isinstance(path, dict) else (resolve(path), [])


@csv_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    options = Options(
        SplitOptions.of(arguments),
        **{field.name: arguments[field.name] for field in fields(Options) if field.name != "split"},
    )
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
    types = {name: kind_of(kind) for name, kind in (options.types or {}).items()}
    return problems, {"output": Known(columns, options.split.names, {"types": types} if types else {})}


def _read_heads(path: Any, options: Options) -> tuple[tuple[str, ...] | None, list[Problem]]:
    """The columns by the first file's header, and what is wrong with it."""
    first = _files(path)[0][0]
    head = read_head(first, options.encoding, options.delimiter, options.quote)
    problems = [p.at(argument="path") for p in options.head_problems(head.names, str(first))]
    if options.columns is not None:
        return tuple(options.columns), problems
    return (None, problems) if problems else (head.names, [])
