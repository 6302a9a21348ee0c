"""The end of ingestion: exact shares of classes, the parts in the artifact, and the account of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, StepError
from ..data_plane.work import run_units
from .inference import dressed_number
from .ingest import Read, cut_files, prepare_files, read_all
from .options import MISSING, Options
from .rejects import write_rejects
from .sources import Dialect, canonical_encoding
from .splits import stratified, thresholds
from .work import MISSING_CLASS, PlaceSpilled, Placing, Table

EXACT_ROWS = 4_000_000
"""Up to so many rows the shares of classes are exact; beyond, each row is placed by its hash alone."""
MOST_CLASSES = 1000
_LOOKED_AT = 1000


def place_classes(ctx: Context, reads: Sequence[Read], placing: Placing, shares: Mapping[str, float]) -> None:
    """Gives each class its exact share of each split, and writes the parts of all units.

    Args:
        ctx: the step's context.
        reads: the units' results, with spilled rows; their `parts` are filled in.
        placing: names the column.
        shares: weights of the splits.

    Raises:
        DataError: the column has too many distinct values to be a class.
    """
    classes, hashes, names = _gathered(reads)
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"column {placing.stratify!r} has {len(names)} distinct values, of {MOST_CLASSES} allowed",
            argument="stratify",
            remedy="stratify by a column of classes, or leave it out",
        )
    few = [names[place] for place, size in enumerate(np.bincount(classes)) if size < len(shares)]
    if few:
        shown = ", ".join("missing" if name == MISSING_CLASS else repr(name) for name in few[:5])
        ctx.warn(f"{len(few)} values of {placing.stratify} have fewer rows than there are splits: {shown}")
    assigned = stratified(classes, hashes, list(shares.values()))
    offsets = np.cumsum([0, *(read.rows_in - len(read.rejects) for read in reads)])
    items = []
    for read, begin, end in zip(reads, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        np.save(f"{read.spill}.splits.npy", assigned[begin:end])
        items.append((read.unit.number, f"{read.spill}.arrow", f"{read.spill}.splits.npy"))
    for read, payload in zip(reads, run_units(ctx, "place", items, PlaceSpilled(placing)), strict=True):
        read.parts = json.loads(payload)


def _gathered(reads: Sequence[Read]) -> tuple[Any, Any, list[str]]:
    """Class numbers int32 [n], hashes uint64 [n], and the classes' names, over all units in order."""
    numbers: dict[str, int] = {}
    classes, hashes = [], []
    for read in reads:
        own = np.array([numbers.setdefault(name, len(numbers)) for name in read.classes] or [0], np.int32)
        classes.append(own[np.load(f"{read.spill}.classes.npy")])
        hashes.append(np.load(f"{read.spill}.hashes.npy"))
    return np.concatenate(classes), np.concatenate(hashes), list(numbers)


def publish_parts(reads: Sequence[Read], splits: Sequence[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Moves the parts into the artifact, and checks the account of rows against the files themselves.

    Returns:
        The `splits` of the artifact's properties.

    Raises:
        DataError: a split has no rows.
        StepError: rows were lost or doubled.
    """
    stated: dict[str, dict[str, Any]] = {split: {"rows": 0, "parts": []} for split in splits}
    for read in reads:
        for split, part in read.parts.items():
            name = f"{split}/part-{read.unit.number:05d}.parquet"
            (folder / split).mkdir(exist_ok=True)
            Path(part["path"]).rename(folder / name)
            rows = pq.read_metadata(folder / name).num_rows
            stated[split]["rows"] += rows
            stated[split]["parts"].append({"path": name, "rows": rows})
    rows_in = sum(read.rows_in for read in reads)
    rows_out = sum(split["rows"] for split in stated.values())
    rejected = sum(len(read.rejects) for read in reads)
    if rows_in != rows_out + rejected:
        raise StepError(
            f"the account of rows doesn't balance: {rows_in} rows in, {rows_out} out, {rejected} rejected",
            remedy="run the step again; if it stays so, this is a bug of headrace",
        )
    empty = [split for split, values in stated.items() if not values["rows"]]
    if empty:
        raise DataError(
            f"no row falls into split {', '.join(map(repr, empty))}: there are {rows_out} rows",
            argument="splits",
            remedy="give it a larger share, leave it out, or take more rows or another seed",
        )
    return stated


def publish_rejects(ctx: Context, reads: Sequence[Read], folder: Path) -> int:
    """Writes `rejects.jsonl` if any row was rejected, and says so; gives their number."""
    rejects = [reject for read in reads for reject in read.rejects]
    if rejects:
        with (folder / "rejects.jsonl").open("w", encoding="utf-8") as stream:
            write_rejects(stream, rejects)
        ctx.warn(
            f"{len(rejects)} rows were rejected; the first: {rejects[0].reason} (rejects.jsonl has them all)"
        )
    return len(rejects)


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
    return told


def ingest(ctx: Context, paths: Sequence[Path], options: Options) -> Examples:
    """Does what `csv_examples` says, for files that are there.

    Raises:
        DataError: the files are not what they have to be.
        InvalidRequestError: an option names a column that isn't there.
    """
    files, columns, dialect = prepare_files(ctx, paths, options)
    units, rows = cut_files(ctx, files, dialect, options.block_bytes, options.sample)
    exact = bool(options.stratify) and rows <= EXACT_ROWS
    table = Table(columns, dialect, options.encoding, dict(options.types or {}), {}, options.max_rejects)
    placing = Placing(
        tuple(options.splits),
        thresholds(options.splits),
        (options.split_by,) if options.split_by else None,
        options.seed,
        (options.stratify or "") if exact else "",
        str(ctx.scratch("parts")),
    )
    reads, types = read_all(ctx, units, table, placing)
    warn_of_empty_rows(ctx, reads)
    if not any(read.rows_in for read in reads):
        raise DataError(
            "there is a header and no row" if options.has_header else "there is no row",
            file=str(paths[0]),
            remedy="add rows" if options.has_header else "",
        )
    if exact:
        place_classes(ctx, reads, placing, options.splits)
    draft = ctx.output(Examples)
    properties: dict[str, Any] = {
        "format": "parquet",
        "columns": types,
        "splits": publish_parts(reads, placing.splits, draft.path),
        "rejects": publish_rejects(ctx, reads, draft.path),
    }
    warn_of_dressed_numbers(ctx, draft.path, properties["splits"], types)
    properties.update(_written_otherwise(dialect, options))
    if options.stratify:
        properties["stratified"] = "exact" if exact else "hashed"
    return draft.finish(
        properties, {"rows": {name: split["rows"] for name, split in properties["splits"].items()}}
    )
