"""CSV ingestion as a whole, and what is said of tables as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError
from ..ingestion.publishing import is_exact, publish
from ..ingestion.time_patterns import stated_patterns
from ..ingestion.writing import Placing
from .inference import dressed_number
from .ingest import Read, cut_files, prepare_files, read_all
from .known import Known
from .options import MISSING, Options, kind_of
from .sources import Dialect, canonical_encoding
from .work import Table

_LOOKED_AT = 1000


def warn_of_empty_rows(ctx: Context, reads: Sequence[Read]) -> None:
    """Says once how many rows of delimiters alone were left out."""
    empty = sum(read.empty for read in reads)
    if empty:
        rows = "1 row" if empty == 1 else f"{empty:,} rows"
        ctx.warn(f"{rows} of delimiters alone left out, which spreadsheets write below a table")


def warn_of_dressed_numbers(ctx: Context, folder: Path, splits: Mapping[str, Any], types: Any) -> None:
    """Says which string columns look like numbers in their first rows; they are none to a model."""
    texts = [name for name, kind in types.items() if kind == "string"]
    part = next(part["path"] for split in splits.values() for part in split["parts"])
    if not texts:
        return
    with pq.ParquetFile(folder / part) as file:
        rows = next(file.iter_batches(_LOOKED_AT, columns=texts, use_threads=False))
    for name in texts:
        cell = dressed_number(rows.column(name))
        if cell:
            ctx.warn(
                f"column {name!r} is text, and looks like numbers ({cell!r}). Only plain ones such as"
                " 1234.5 are read as numbers: no decimal comma, no thousands separator, no unit"
            )


def _written_otherwise(dialect: Dialect, options: Options) -> dict[str, Any]:
    """How the files are written, as far as that isn't the default: `predict` reads rows the same way."""
    told: dict[str, Any] = {}
    if tuple(options.missing_values) != MISSING:
        told["missing_values"] = list(options.missing_values)
    if dialect.delimiter != ",":
        told["delimiter"] = dialect.delimiter
    if dialect.quote != '"':
        told["quote"] = dialect.quote
    if canonical_encoding(options.encoding) != "utf-8":
        told["encoding"] = options.encoding
    if times := stated_patterns(options.types):
        told["times"] = times
    if options.columns is not None:
        told["names"], told["header"] = list(options.columns), options.has_header
    return told


def ingest(ctx: Context, paths: Sequence[Path], options: Options, by_file: Sequence[str] = ()) -> Examples:
    """Does what `csv_examples` says, for files that are there.

    Args:
        ctx: the step's context.
        paths: the files.
        options: what is asked for.
        by_file: the split of each file, where `path` names files by split.

    Raises:
        DataError: the files are not what they have to be.
        InvalidRequestError: an option names a column that isn't there.
    """
    known = Known.of(ctx, paths, options, by_file)
    files, columns, dialect = prepare_files(ctx, paths, options, known)
    if by_file:
        files = [replace(file, split=split) for file, split in zip(files, by_file, strict=True)]
    units, rows = cut_files(ctx, files, dialect, options.unit_bytes(len(columns)), options.sample, known)
    rule = options.split
    exact = is_exact(rule, rows)
    table = Table(columns, dialect, options.encoding, dict(options.types or {}), {}, options.max_rejects)
    placing = Placing(rule, exact, str(ctx.scratch("parts")))
    reads, stated = read_all(ctx, units, table, placing, known)
    types = {name: kind_of(kind) for name, kind in stated.items()}
    warn_of_empty_rows(ctx, reads)
    if not any(read.rows_in for read in reads):
        raise DataError(
            "there is a header and no row" if options.has_header else "there is no row",
            file=str(paths[0]),
            remedy="add rows" if options.has_header else "",
        )
    made = publish(ctx, reads, placing, types, _written_otherwise(dialect, options), known.files)
    known.note(made, files, reads, stated)
    warn_of_dressed_numbers(ctx, made.path, made.properties["splits"], types)
    return made
