"""`tfrecord_examples`: tf.Examples in TFRecord files, in our types and in splits, as Parquet parts."""

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
from .ingestion.split_options import DEFAULT_SPLITS, Rest, SplitOptions, SplitRule
from .tf_examples.sources import FOLDER, is_packed

__all__ = ["tfrecord_examples"]


@component
def tfrecord_examples(
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
    """Reads TFRecord files of tf.Examples into rows of our types, placed in splits.

    Files made by TFX, TFDS, `tf.io.TFRecordWriter` or anyone else are read as they are, or through gzip or
    zlib (told by their first bytes). The checksums of all lengths and data are looked at. Every record may be
    written in any way that protobuf allows. A feature is a column: `int64_list` becomes int, `float_list`
    float, `bytes_list` string; ints, floats or strings if any record has several values. A feature that a
    record lacks, or an empty list, is missing; so are NaN and an empty text, also in a list. The columns are
    sorted by name.

    Args:
        path: a file, a folder (files below it whose names hold `tfrec`), a glob, a list of them, or an
            artifact of type Files; or such paths by split, `{train: train/, test: eval/*.gz}`: then a
            record's file decides and `splits` is left out.
        splits: the splits and their shares; only the ratio counts. A row's split is decided by a hash of its
            values, so equal rows share a split.
        split_by: a column whose value decides instead, so that no group is in two splits; rows without a
            value are one group.
        split_by_time, split_by_value, stratify, rest: as in `csv_examples`: exact shares of sorted time, or
            ranges of it; listed values of a column; exact shares of each class; what to do with rows in no
            split.
        seed: another seed gives another placement.
        columns: the features to read, in this order; all if not given.
        types: columns that shall get another type than the records suggest: int, float, string, bool,
            timestamp (of texts: ISO 8601, or `timestamp:%d/%m/%Y`; of whole numbers: `timestamp:s`, `:ms` or
            `:us` since 1970), strings, ints, floats; image, of bytes: a JPEG or PNG that TensorFlow reads is
            kept, what else is an image becomes an upright PNG. A feature with values of two kinds has to be
            stated.
        max_rejects: how many bad records to put into `rejects.jsonl` before it is an error: no tf.Example, a
            tf.SequenceExample, infinity, the least int64 (which stands for a missing one at serving), bytes
            that aren't UTF-8, NUL, a value that doesn't fit `types`, bytes that are no image. Their `line` is
            the number of the record in its file, from 1. A wrong checksum is always an error.
        block_rows: the greatest number of rows in a part. It decides the parts.
        sample: read only so many records, from the beginning; of each split, if `path` names files by split.

    Returns:
        Examples: Parquet parts of int64, float64, string, bool, timestamp[us, UTC] columns, lists of string,
        int64 and float64, and binary columns of images, null where a value is missing.

    Raises:
        DataError: the files are not what they have to be; names file, record, byte or feature.
        InvalidRequestError: an argument doesn't fit.
    """
    files = tuple(path) if isinstance(path, Mapping) else None
    rule = SplitOptions(splits, split_by, split_by_time, split_by_value, stratify, rest, seed, files)
    options = ColumnOptions(rule, columns, types, max_rejects, block_rows, sample)
    problems = options.problems()
    if problems:
        raise InvalidRequestError(problems)
    from .tf_examples.ingest import ingest

    if isinstance(path, Files):
        return ingest(ctx, [GivenFile(path.file(entry.path)) for entry in path.files], options)
    return ingest(ctx, given_files(path, FOLDER), options)


@tfrecord_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    options = ColumnOptions.of(arguments)
    problems = options.problems()
    columns = tuple(options.columns) if options.columns is not None else None
    if "path" in arguments and not problems:
        try:
            is_packed(given_files(arguments["path"], FOLDER)[0].path)
        except HeadraceError as error:
            problems += [problem.at(argument="path") for problem in error.problems]
    if columns is not None and not problems:
        problems += options.column_problems(columns)
    types = {name: stated.partition(":")[0] for name, stated in (options.types or {}).items()}
    return problems, {"output": Known(columns, options.split.names, {"types": types} if types else {})}
