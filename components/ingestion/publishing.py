"""The end of any ingestion: exact shares of classes, the parts in the artifact, and the account of rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, StepError
from ..data_plane.few_units import run_few
from .known_files import KnownFiles, taken_digests
from .placing import NOWHERE
from .rejects import Reject, write_rejects
from .shares import stratified
from .source_lines import PATTERN, SUFFIX
from .split_options import SplitOptions
from .writing import MISSING_CLASS, PlaceSpilled, Placing

EXACT_ROWS = 4_000_000
"""Up to so many rows the shares of classes are exact; beyond, each row is placed by its hash alone."""
MOST_TIMES = 100_000_000
"""Up to so many rows are sorted by time, in about 30 bytes of memory each."""
MOST_CLASSES = 1000


class ReadUnit(Protocol):
    """What a unit of work gave.

    Attributes:
        unit: has a `number` among all units, and a `file` with a `name`.
        rows_in: rows that it read, good or bad.
        rejects: the bad ones.
        parts: by split `path` (in the artifact once it is published) and `rows`; filled in later where shares
            are exact.
        spill, classes, outside: see `writing.write_rows`.
    """

    unit: Any
    rows_in: int
    rejects: list[Reject]
    parts: dict[str, dict[str, Any]]
    spill: str
    classes: list[str]
    outside: dict[str, Any] | None


@dataclass
class Read:
    """What a unit of work gave, as the driver keeps it; see `ReadUnit`."""

    unit: Any
    rows_in: int
    rejects: list[Reject]
    parts: dict[str, dict[str, Any]]
    spill: str
    classes: list[str]
    outside: dict[str, Any] | None


def publish(
    ctx: Context,
    reads: Sequence[ReadUnit],
    placing: Placing,
    types: Mapping[str, str],
    more: Mapping[str, Any] | None = None,
    known: KnownFiles[Any] | None = None,
    beside: Callable[[Path], Mapping[str, Any]] | None = None,
) -> Examples:
    """Makes the artifact of what all units gave.

    Args:
        ctx: the step's context.
        reads: the units' results, in order.
        placing: how rows were placed.
        types: of the columns.
        more: properties that only this kind of file has.
        known: what was taken over from earlier artifacts.
        beside: writes more files into the artifact's folder, once all rows are placed, and gives properties.

    Raises:
        DataError: rows are in no split, a split has no rows, or the column that decides doesn't fit.
        StepError: rows were lost or doubled.
    """
    rule = placing.rule
    dropped = account_outside(ctx, reads, placing, types)
    if placing.exact:
        place_exactly(ctx, reads, placing)
    draft = ctx.output(Examples)
    properties: dict[str, Any] = {
        "format": "parquet",
        "columns": dict(types),
        "splits": publish_parts(reads, rule, dropped, draft.path),
        "rejects": publish_rejects(ctx, reads, draft.path),
        **(more or {}),
        **(beside(draft.path) if beside else {}),
    }
    if dropped:
        properties["dropped"] = dropped
    if rule.stratify:
        properties["stratified"] = "exact" if placing.exact else "hashed"
    summary: dict[str, Any] = {"rows": {name: split["rows"] for name, split in properties["splits"].items()}}
    summary |= known.told(ctx) if known else {}
    digests = taken_digests([read.parts for read in reads])
    return draft.finish(properties, summary, volatile=[PATTERN], digests=digests)


def is_exact(rule: SplitOptions, rows: int) -> bool:
    """Whether shares are exact; raises DataError for more times than are sorted."""
    if rule.kind == "time_shares" and rows > MOST_TIMES:
        raise DataError(
            f"the times of {rows:,} rows can't be sorted; {MOST_TIMES:,} can",
            argument="split_by_time",
            remedy="give ranges: splits: {train: {before: 2024-01-01}, test: {from: 2024-01-01}}",
        )
    return rule.kind == "time_shares" or (rule.kind == "stratify" and rows <= EXACT_ROWS)


def place_exactly(ctx: Context, reads: Sequence[ReadUnit], placing: Placing) -> None:
    """Gives each class, or the sorted times, exact shares of each split, and writes the parts of all units.

    Args:
        ctx: the step's context.
        reads: the units' results, with spilled rows; their `parts` are filled in.
        placing: names the column and the shares.

    Raises:
        DataError: the column has too many distinct values to be a class.
    """
    classes, ranks, names = _gathered(reads)
    shares, column = list(placing.rule.shares().values()), placing.rule.column
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"column {column!r} has {len(names)} distinct values, of {MOST_CLASSES} allowed",
            argument="stratify",
            remedy="stratify by a column of classes, or leave it out",
        )
    sizes = np.bincount(classes) if names else ()
    few = [names[place] for place, size in enumerate(sizes) if size < len(shares)]
    if few:
        shown = ", ".join("missing" if name == MISSING_CLASS else repr(name) for name in few[:5])
        values = f"1 value of {column} has" if len(few) == 1 else f"{len(few)} values of {column} have"
        ctx.warn(f"{values} fewer rows than there are splits: {shown}")
    assigned = np.full(len(classes), NOWHERE, np.uint8)
    placed = classes >= 0
    assigned[placed] = stratified(classes[placed], ranks[placed], shares)
    offsets = np.cumsum([0, *(read.rows_in - len(read.rejects) for read in reads)])
    items = []
    for read, begin, end in zip(reads, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        np.save(f"{read.spill}.splits.npy", assigned[begin:end])
        own = f"{read.spill}.arrow", f"{read.spill}.splits.npy"
        items.append((read.unit.number, *own, read.unit.file.name))
    for read, payload in zip(reads, run_few(ctx, "place", items, PlaceSpilled(placing)), strict=True):
        read.parts = json.loads(payload)


def _gathered(reads: Sequence[ReadUnit]) -> tuple[Any, Any, list[str]]:
    """Class numbers int32 [n], ranks uint64 [n], and the classes' names, over all units in order."""
    numbers: dict[str, int] = {}
    classes, ranks = [], []
    for read in reads:
        own = np.array([numbers.setdefault(name, len(numbers)) for name in read.classes] or [0], np.int32)
        seen = np.load(f"{read.spill}.classes.npy")
        classes.append(np.where(seen < 0, -1, own[seen]))
        ranks.append(np.load(f"{read.spill}.ranks.npy"))
    return np.concatenate(classes), np.concatenate(ranks), list(numbers)


def account_outside(
    ctx: Context, reads: Sequence[ReadUnit], placing: Placing, types: Mapping[str, str]
) -> int:
    """How many rows are in no split and left out; says so.

    Raises:
        DataError: there are any, and `rest` is "refuse"; or the column's type doesn't fit the rule.
    """
    rule = placing.rule
    problem = rule.kind_problem(types[rule.column]) if rule.column else None
    if problem:
        raise DataError([problem])
    found = [(read.unit.file.name, read.outside) for read in reads if read.outside]
    count: int = sum(outside["rows"] for _, outside in found)
    if not count:
        return 0
    file, first = found[0]
    if rule.rest == "refuse":
        rows = "1 row is" if count == 1 else f"{count:,} rows are"
        raise DataError(
            f"{first['reason']}; {rows} in no split", file=file, line=first["line"],
            remedy="name what they hold in `splits`, or leave such rows out with rest: drop",
        )  # fmt: skip
    rows = "1 row" if count == 1 else f"{count:,} rows"
    place = f"{Path(file).name}:{first['line']}" if first["line"] else Path(file).name
    ctx.warn(f"{rows} in no split left out; the first: {place}: {first['reason']}")
    return count


def publish_parts(
    reads: Sequence[ReadUnit], rule: SplitOptions, dropped: int, folder: Path
) -> dict[str, dict[str, Any]]:
    """Moves the parts into the artifact, and checks the account of rows against the files themselves.

    Returns:
        The `splits` of the artifact's properties.

    Raises:
        DataError: a split has no rows.
        StepError: rows were lost or doubled.
    """
    stated: dict[str, dict[str, Any]] = {split: {"rows": 0, "parts": []} for split in rule.names}
    for read in reads:
        for split, part in read.parts.items():
            name = f"{split}/part-{read.unit.number:05d}.parquet"
            (folder / split).mkdir(exist_ok=True)
            Path(part["path"]).rename(folder / name)
            lines = Path(part["path"]).with_suffix(SUFFIX)
            if lines.is_file():
                lines.rename((folder / name).with_suffix(SUFFIX))
            rows = pq.read_metadata(folder / name).num_rows
            stated[split]["rows"] += rows
            stated[split]["parts"].append({"path": name, "rows": rows})
            part["path"] = name
    rows_in = sum(read.rows_in for read in reads)
    rows_out = sum(split["rows"] for split in stated.values())
    rejected = sum(len(read.rejects) for read in reads)
    if rows_in != rows_out + rejected + dropped:
        raise StepError(
            f"the account of rows doesn't balance: {rows_in} rows in, {rows_out} out,"
            f" {rejected} rejected, {dropped} dropped",
            remedy="run the step again; if it stays so, this is a bug of headrace",
        )
    empty = [split for split, values in stated.items() if not values["rows"]]
    if empty:
        remedies = {
            "hash": "give it a larger share, leave it out, or take more rows or another seed",
            "stratify": "take more rows of each class, fewer splits, or leave stratify out (null)",
        }
        raise DataError(
            f"no row falls into split {', '.join(map(repr, empty))}: there are {rows_out} rows",
            argument="path" if rule.kind == "files" else "splits",
            remedy=remedies.get(rule.kind, "change what it holds, or leave it out"),
        )
    return stated


def publish_rejects(ctx: Context, reads: Sequence[ReadUnit], folder: Path) -> int:
    """Writes `rejects.jsonl` if any row was rejected, and says so; gives their number."""
    rejects = [reject for read in reads for reject in read.rejects]
    if rejects:
        # A file's name that isn't UTF-8 becomes escapes, which are JSON's too.
        with (folder / "rejects.jsonl").open("w", encoding="utf-8", errors="backslashreplace") as stream:
            write_rejects(stream, rejects)
        first = f"{rejects[0].name}: {rejects[0].reason}" if rejects[0].name else rejects[0].reason
        rows = "1 row was rejected" if len(rejects) == 1 else f"{len(rejects)} rows were rejected; the first"
        ctx.warn(f"{rows}: {first} (see rejects.jsonl)")
    return len(rejects)
