"""Manifests in CSV, read as any table is: cut at true row ends, typed over all rows, by all workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...pipelines.context import Context
from ..csv.ingest import Read, cut_files, prepare_files, read_all
from ..csv.known import Known, KnownCsv
from ..csv.options import kind_of
from ..csv.work import Table
from ..ingestion.kinds import ELEMENTS
from ..ingestion.known_files import KnownFiles
from ..ingestion.placing import whole
from ..ingestion.rejects import Reject
from ..ingestion.source_lines import read_lines
from ..ingestion.time_patterns import stated_patterns
from ..ingestion.values import Bad
from ..ingestion.writing import Placing
from .listing import Block, Source, typed
from .manifests import Blocks, Plan


def csv_source(ctx: Context, plan: Plan) -> Source:
    """The images that CSV files tell of.

    Raises:
        DataError: a manifest is not what it has to be; names file, line, column and value.
    """
    options = plan.options.csv_options(plan.files[0][0].name, {})
    paths = [path for path, _ in plan.files]
    known = Known(KnownFiles(ctx, {}, options.split, [], KnownCsv, sample=1))  # a manifest is read each time
    files, columns, dialect = prepare_files(ctx, paths, options, known)
    files = [replace(file, split=split) for file, (_, split) in zip(files, plan.files, strict=True)]
    units, _ = cut_files(ctx, files, dialect, options.unit_bytes(len(columns)), None, known)
    lists = {name for name in plan.carried if _is_list(name, plan)}
    types = dict(plan.options.types or {})
    # What isn't carried along need not be looked at; what is cut up is a text at first.
    texts = {name for name in columns if name not in plan.carried or name in plan.images or name in lists}
    types |= dict.fromkeys(texts, "string")
    table = Table(columns, dialect, options.encoding, types, {}, options.max_rejects)
    placing = Placing(options.split, False, str(ctx.scratch("manifest_rows")))
    reads, stated = read_all(ctx, units, table, placing, known)
    kinds = {name: kind_of(stated[name]) for name in plan.carried}
    kinds |= {name: _list_kind(name, plan).partition(":")[0] for name in lists}
    rejects = [reject for read in reads for reject in read.rejects]
    totals: Counter[str] = Counter()
    for read in reads:
        totals[read.unit.file.split] += sum(part["rows"] for part in read.parts.values())
    return Source(
        kinds, plan.labels, plan.options.split, totals, lambda: _blocks(reads, plan, rejects), rejects,
        stated_patterns(plan.options.types),
    )  # fmt: skip


def _is_list(name: str, plan: Plan) -> bool:
    stated = (plan.options.types or {}).get(name, "").partition(":")[0]
    return name in plan.options.separators or stated in ELEMENTS


def _list_kind(name: str, plan: Plan) -> str:
    return (plan.options.types or {}).get(name, "strings")


def _blocks(reads: list[Read], plan: Plan, rejects: list[Reject]) -> Iterator[Block]:
    made: dict[str, Blocks] = {}
    for read in reads:
        file = read.unit.file
        for part in read.parts.values():
            maker = made.setdefault(file.name, Blocks(Path(file.name), file.split, plan, rejects))
            with pq.ParquetFile(part["path"]) as source:
                rows = source.read(use_threads=False)
            yield _block(maker, rows, Path(part["path"]), plan)


def _block(maker: Blocks, rows: pa.Table, part: Path, plan: Plan) -> Block:
    columns: dict[str, pa.Array] = {}
    bad: list[tuple[str, Bad]] = []
    for name in plan.carried:
        column = whole(rows.column(name))
        if _is_list(name, plan):
            values = typed(column, _list_kind(name, plan), plan.options.separators.get(name, ""))
            column = values.array
            bad += [(name, each) for each in values.bad]
        columns[name] = column
    lines = read_lines(part)
    numbers = lines[1] if lines else np.zeros(rows.num_rows, np.int64)
    return maker.block(_texts(rows, plan), columns, bad, numbers)


def _texts(rows: pa.Table, plan: Plan) -> list[str | None]:
    """What tells of the image of each row."""
    told = [rows.column(name) for name in plan.images]
    if plan.options.spread:
        told = [pc.binary_join_element_wise(*told, " ")]  # a text a pixel would be some 50 bytes each
    lists: list[list[str | None]] = [column.to_pylist() for column in told]
    if len(lists) == 1 and not plan.options.template:
        return lists[0]
    return [
        plan.options.filled(dict(zip(plan.images, values, strict=True)))
        for values in zip(*lists, strict=True)
    ]
