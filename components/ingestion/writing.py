"""The end of the work on a unit of any ingestion: its rows are written in parts, or spilled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..data_plane.result import Result
from ..data_plane.row_hash import row_hash
from .placing import assign, whole, why_outside
from .source_lines import write_lines
from .split_options import SplitOptions
from .times import sort_keys

GROUP_BYTES = 2 << 20
"""Bytes of images in a row group, of which a reader has to hold one."""
_GROUP_ROWS = 1 << 16
MISSING_CLASS = "\0missing"
"""The class of rows without a value; no cell can be this, since NUL is refused."""


@dataclass(frozen=True)
class Placing:
    """How rows are placed in splits.

    Attributes:
        rule: what is asked for.
        exact: whether shares are exact, so that rows are spilled and placed once all are known.
        folder: where parts and spills are written, by whatever worker.
        key: a column whose hash stands for a row's, and which isn't written; "" for that of all columns.
    """

    rule: SplitOptions
    exact: bool
    folder: str
    key: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return self.rule.names


class Source(Protocol):
    """The file that rows are from."""

    @property
    def name(self) -> str:
        """The file as messages call it."""

    @property
    def split(self) -> str:
        """Its split, where `path` names files by split."""


def write_rows(rows: pa.Table, numbers: Any, placing: Placing, unit: int, source: Source) -> dict[str, Any]:
    """Places a unit's rows and writes them; see `place_rows`."""
    return place_rows(rows, numbers, placing, unit, source)[0]


def place_rows(
    rows: pa.Table, numbers: Any, placing: Placing, unit: int, source: Source
) -> tuple[dict[str, Any], Any]:
    """Places a unit's rows and writes them.

    Args:
        rows: the good rows.
        numbers: the place of each in its file (line or row), int64 [rows], from 1.
        placing: how rows are placed, and where they are written.
        unit: the unit's number.
        source: the file.

    Returns:
        JSON values: `parts` by split, or `spill` and `classes` where shares are exact; `outside` tells of
        the rows in no split. And the split of each row, uint8 [rows], or None where they are spilled.
    """
    told: dict[str, Any] = {"parts": {}, "spill": "", "classes": [], "outside": None}
    assigned = None
    if placing.exact:
        told["spill"], told["classes"], outside = spill_rows(rows, placing, unit)
        np.save(f"{told['spill']}.lines.npy", numbers)
    else:
        assigned, outside = assign(rows, placing.rule, source.split, placing.key)
        told["parts"] = write_parts(rows, assigned, placing, unit, (source.name, numbers))
    if outside.any():
        first = int(np.argmax(outside))
        told["outside"] = {
            "rows": int(np.count_nonzero(outside)),
            "line": int(numbers[first]),
            "reason": why_outside(rows, placing.rule, first),
        }
    return told, assigned


@dataclass(frozen=True)
class PlaceSpilled:
    """Work on a spilled unit whose rows have got their splits: (unit, rows file, splits file, source)."""

    placing: Placing

    def __call__(self, item: tuple[int, str, str, str]) -> Result:
        """Gives JSON: the parts written."""
        unit, rows, assigned, source_name = item
        with pa.memory_map(rows) as source:
            table = pa.ipc.open_file(source).read_all()
            lines = np.load(rows.removesuffix(".arrow") + ".lines.npy")
            parts = write_parts(table, np.load(assigned), self.placing, unit, (source_name, lines))
        return Result(json.dumps(parts).encode(), table.num_rows)


def spill_rows(rows: pa.Table, placing: Placing, unit: int) -> tuple[str, list[str], Any]:
    """Writes rows, the numbers of their classes (-1: in no split), and what they are ranked by.

    Returns:
        The files' common name, the names of the classes, and bool [rows] of those in no split.
    """
    path = Path(placing.folder) / f"{unit:06d}-{uuid.uuid4().hex}"
    with pa.OSFile(f"{path}.arrow", "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    column = rows.column(placing.rule.column)
    names: list[str] = []
    if placing.rule.kind == "time_shares":
        ranks, outside = sort_keys(whole(column))
        classes = np.where(outside, -1, 0)
    else:
        classes, names = _classes(column)
        ranks = row_hash(rows, (placing.key,) if placing.key else None, placing.rule.seed)
        outside = np.zeros(rows.num_rows, bool)
    np.save(f"{path}.classes.npy", classes.astype(np.int32))
    np.save(f"{path}.ranks.npy", ranks)
    return str(path), names, outside


def _classes(column: pa.ChunkedArray) -> tuple[Any, list[str]]:
    encoded = whole(pc.fill_null(pc.cast(column, pa.string()), MISSING_CLASS)).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def write_parts(
    rows: pa.Table, assigned: Any, placing: Placing, unit: int, source: tuple[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Writes the rows of each split to a Parquet file; a split without rows gets none.

    `source` is the file and the line of each row, for the record beside the part (`source_lines`); lines of 0
    are none.

    Returns:
        By split: `path` and `rows`.
    """
    parts: dict[str, dict[str, Any]] = {}
    rows = rows.drop_columns(placing.key) if placing.key else rows
    for number, split in enumerate(placing.splits):
        chosen = np.flatnonzero(assigned == number)
        if not len(chosen):
            continue
        path = Path(placing.folder) / f"{unit:06d}-{number}-{uuid.uuid4().hex}.parquet"
        own = rows if len(chosen) == rows.num_rows else rows.take(pa.array(chosen))
        write_parquet(own, path)
        if source is not None and source[1].any():
            write_lines(path, source[0], source[1][chosen])
        parts[split] = {"path": str(path), "rows": len(chosen)}
    return parts


def write_parquet(rows: pa.Table, path: Path) -> None:
    """Writes a Parquet file whose bytes depend on the rows and Arrow's version alone.

    Images are written as they are, since they are compressed, in row groups of few of them, so that a reader
    needn't hold many; the footer says how many are missing, so that validation needn't read them.
    """
    texts = [
        name
        for name, kind in zip(rows.schema.names, rows.schema.types, strict=True)
        if pa.types.is_string(kind)
    ]
    images = [field.name for field in rows.schema if pa.types.is_binary(field.type)]
    compression: Any = "lz4"
    if images:
        # By the names of the leaves; what isn't named is left as it is.
        others = [name for name in rows.schema.names if name not in images]
        compression = {leaf: "lz4" for name in others for leaf in (name, f"{name}.list.element")}
    with pq.ParquetWriter(
        path, rows.schema, compression=compression, use_dictionary=texts, write_statistics=images or False,
        store_schema=False,
    ) as writer:  # fmt: skip
        for group in _groups(rows, images):
            writer.write_table(group, row_group_size=_GROUP_ROWS)


def _groups(rows: pa.Table, images: Sequence[str]) -> Iterator[pa.Table]:
    """Rows that make a row group each; those of images by their bytes."""
    if not images:
        yield rows
        return
    lengths = np.zeros(rows.num_rows, np.int64)
    for name in images:
        lengths += pc.fill_null(pc.binary_length(rows.column(name)), 0).to_numpy()
    # By where a row begins: the first of a part may be missing, and then has no bytes.
    groups = (np.cumsum(lengths) - lengths) // GROUP_BYTES
    begins = np.flatnonzero(np.diff(groups, prepend=-1)).tolist() or [0]
    for begin, end in pairwise([*begins, rows.num_rows]):
        yield rows.slice(begin, end - begin)
