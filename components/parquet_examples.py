"""`parquet_examples`: rows of Parquet files, in our types and in splits, as Parquet parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from ..pipelines.artifact import Examples, Files
from ..pipelines.component import Checked, Known, SplitSource, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError, InvalidRequestError
from .ingestion.column_options import ColumnOptions
from .ingestion.files import GivenFile, given_files
from .ingestion.partitions import check_own_columns, partition_kinds, partition_of
from .ingestion.split_options import DEFAULT_SPLITS, Rest, SplitOptions, SplitRule
from .parquet.footer import read_columns
from .parquet.sources import FOLDER

__all__ = ["parquet_examples"]


@component
def parquet_examples(
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
    columns: list[str] | None = None,
    types: dict[str, str] | None = None,
    max_rejects: Annotated[int, Meta(ge=0)] = 0,
    block_rows: Annotated[int, Meta(ge=1, le=1 << 20)] = 1 << 16,
    sample: Annotated[int, Meta(ge=1)] | None = None,
) -> Examples:
    """Reads Parquet files into rows of our types, placed in splits.

    Only the columns that are asked for are read. Whole numbers of any width become int; floats and decimals
    float; text, dictionaries of it, and bytes that are UTF-8 string; dates and timestamps of any unit and
    zone timestamp (one without a zone is UTC; what is below a microsecond is cut off); lists of text or
    numbers strings, ints or floats; a column without any value float. NaN, an empty text and an empty list
    are missing, and missing values in a list are left out. The files may hold their columns in different
    orders. Folders called `name=value` below the folder or the wildcard that is given are columns: int where
    all values are whole numbers, else string; `__HIVE_DEFAULT_PARTITION__` is missing.

    Args:
        path: a file, a folder (`*.parquet`, `*.parq`, `*.pq` below it), a glob, a list of them, or an
            artifact of type Files; or such paths by split, `{train: jan/, test: feb.parquet}`: then a row's
            file decides and `splits` is left out.
        splits: the splits and their shares; only the ratio counts. A row's split is decided by a hash of its
            values, so equal rows share a split.
        split_by: a column whose value decides instead, so that no group is in two splits; rows without a
            value are one group.
        split_by_time, split_by_value, stratify, rest: as in `csv_examples`: exact shares of sorted time, or
            ranges of it; listed values of a column; exact shares of each class; what to do with rows in no
            split.
        seed: another seed gives another placement.
        columns: the columns to read, in this order; all if not given, but for the index that pandas writes.
        types: columns that shall get another type than the file suggests: int, float, string, bool,
            timestamp (of texts: ISO 8601, or `timestamp:%d/%m/%Y`; of whole numbers: `timestamp:s`, `:ms` or
            `:us` since 1970), strings, ints, floats; image, of bytes or of structs with a field `bytes`: a
            JPEG or PNG that TensorFlow reads is kept, what else is an image becomes an upright PNG.
        max_rejects: how many bad rows to put into `rejects.jsonl` before it is an error: infinity, a whole
            number beyond int64 or the least int64 (which stands for a missing one at serving), bytes that
            aren't UTF-8, NUL, a point in time beyond int64 microseconds, a value that doesn't fit `types`,
            bytes that are no image.
            Their `line` is the number of the row in its file, from 1.
        block_rows: the greatest number of rows in a part. It decides the parts.
        sample: read only so many rows, from the beginning; of each split, if `path` names files by split.

    Returns:
        Examples: Parquet parts of int64, float64, string, bool, timestamp[us, UTC] columns, lists of string,
        int64 and float64, and binary columns of images, null where a value is missing.

    Raises:
        DataError: the files are not what they have to be; names file, row, column and value.
        InvalidRequestError: an argument doesn't fit.
    """
    files = tuple(path) if isinstance(path, Mapping) else None
    rule = SplitOptions(splits, split_by, split_by_time, split_by_value, stratify, rest, seed, files)
    options = ColumnOptions(rule, columns, types, max_rejects, block_rows, sample)
    problems = options.problems()
    if problems:
        raise InvalidRequestError(problems)
    from .parquet.ingest import ingest

    if isinstance(path, Files):
        return ingest(ctx, [path.file(entry.path) for entry in path.files], options)
    given = given_files(path, FOLDER)
    by_file, folders = [file.split for file in given], [file.folders for file in given]
    return ingest(ctx, [file.path for file in given], options, by_file, folders)


@parquet_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    options = ColumnOptions.of(arguments)
    problems = options.problems()
    columns = tuple(options.columns) if options.columns is not None else None
    types = dict(options.types or {})
    if "path" in arguments and not problems:
        try:
            found = _columns(given_files(arguments["path"], FOLDER), options)
            problems += [*options.column_problems(tuple(found)), *options.type_problems(found)]
            columns = options.chosen(tuple(found))
            types = {name: types.get(name) or found.get(name, "") for name in columns}
        except HeadraceError as error:
            problems += [problem.at(argument="path") for problem in error.problems]
        split = None if problems else options.split_problem(types)
        problems += [split] if split else []
    told = {name: stated.partition(":")[0] for name, stated in types.items() if stated}
    return problems, {"output": Known(columns, options.split.names, {"types": told} if told else {})}


def _columns(files: list[GivenFile], options: ColumnOptions) -> dict[str, str]:
    """The columns of the first file and of all folders, with their types as far as they are known."""
    partitions = [partition_of(file.folders, str(file.path)) for file in files]
    found = read_columns(files[0].path)
    check_own_columns(partitions[0], found, str(files[0].path))
    return {**found, **partition_kinds(partitions, options.types or {})}
