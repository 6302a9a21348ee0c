"""One pass over raw examples: offending rows and value counts of each part, folded in their order."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...schemas.anomalies import MOST_EXAMPLES, Offence
from ...schemas.folding import fold, in_threads
from ...schemas.numeric_counts import NumericCounts
from ...schemas.packing import Blob, join
from ...schemas.packing import split as split_blobs
from ...schemas.schema import MULTI, Feature
from ...schemas.string_counts import StringCounts
from ..data_plane.image_parts import image_presence
from ..data_plane.parts import read_part
from ..data_plane.result import Result
from ..data_plane.work import run_units
from .offences import offences


@dataclass(frozen=True)
class Part:
    """A unit of work: one Parquet part, `name` being its path within the artifact."""

    number: int
    split: str
    path: str
    name: str


@dataclass
class Finding:
    """What was found of one kind in one column of one split.

    Attributes:
        count: rows.
        distinct: different offending values, the most of any part.
        examples: up to ten of them.
    """

    count: int = 0
    distinct: int = 0
    examples: dict[str, Offence] = field(default_factory=dict)

    def add(self, told: Mapping[str, Any]) -> None:
        """Takes in what a part told."""
        self.count += told["count"]
        self.distinct = max(self.distinct, told["distinct"])
        for value, file, line, row in told["examples"]:
            if len(self.examples) < MOST_EXAMPLES:
                self.examples.setdefault(value, Offence(value, file, line, row))
        self.distinct = max(self.distinct, len(self.examples))


@dataclass
class Examined:
    """What a pass found.

    Attributes:
        rows: by split.
        findings: by split, column and kind.
        texts, numbers: value counts of compared columns, by split and column.
        drops: files with offending rows by part, see `Examine`.
    """

    rows: dict[str, int]
    findings: dict[tuple[str, str, str], Finding]
    texts: dict[tuple[str, str], StringCounts]
    numbers: dict[tuple[str, str], NumericCounts]
    drops: dict[Part, str]


@dataclass(frozen=True)
class Examine:
    """Work on a part.

    Attributes:
        features: what to check, by column.
        types: the columns' types.
        texts, numbers: columns whose values are counted one by one, or as numbers.
        droppable: pairs of column and kind whose rows may have to be dropped.
        folder: where the rows to be dropped are written: int64 [n, 2] of row and index in `droppable`.
    """

    features: tuple[Feature, ...]
    types: Mapping[str, str]
    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    droppable: tuple[tuple[str, str], ...]
    folder: str

    def __call__(self, part: Part) -> Result:
        """Gives JSON of findings and the file of rows that may be dropped; then the counts of each column."""
        table = self._read(part)
        told: dict[str, Any] = {"findings": [], "drop": ""}
        dropped: list[Any] = []
        lines: Any = None
        for feature in self.features:
            for kind, found in offences(
                feature, self.types[feature.name], _column(table, feature.name)
            ).items():
                rows = np.unique(found.rows)
                if (feature.name, kind) in self.droppable:
                    index = self.droppable.index((feature.name, kind))
                    dropped.append(np.stack([rows, np.full(len(rows), index)], axis=1))
                first = found.first(MOST_EXAMPLES)
                if first and lines is None:
                    lines = source_lines(part.path)
                shown = [(value, *place(part, lines, row), row) for value, row in first]
                told["findings"].append(
                    {
                        "feature": feature.name,
                        "kind": kind,
                        "count": len(rows),
                        "distinct": found.distinct,
                        "examples": shown,
                    }
                )
        counts = [StringCounts.of(_values(table, name, self.types)).to_bytes() for name in self.texts]
        for name in self.numbers:
            values = _values(table, name, self.types)
            values = pc.cast(values, pa.int64()) if self.types[name] == "timestamp" else values
            counts.append(NumericCounts.of(values).to_bytes())
        if dropped:
            told["drop"] = str(Path(self.folder) / f"{part.number:06d}-{uuid.uuid4().hex}.npy")
            np.save(told["drop"], np.concatenate(dropped))
        return Result(join([json.dumps(told).encode(), *counts]), table.num_rows)

    def _read(self, part: Part) -> pa.Table:
        """The columns that are looked at; of images nothing but whether there is one."""
        wanted = list(dict.fromkeys([*(f.name for f in self.features), *self.texts, *self.numbers]))
        images = [name for name in wanted if self.types[name] == "image"]
        if not images:
            return read_part(part.path, wanted).combine_chunks()
        columns = {name: image_presence(part.path, name) for name in images}
        if len(images) < len(wanted):
            rest = read_part(part.path, [name for name in wanted if name not in images])
            columns |= dict(zip(rest.column_names, rest.combine_chunks().columns, strict=True))
        return pa.table(columns)

    def read_counts(self, blobs: Sequence[Blob]) -> list[StringCounts | NumericCounts]:
        """The counts of texts, then of numbers."""
        few = len(self.texts)
        return [
            *(StringCounts.from_bytes(blob) for blob in blobs[:few]),
            *(NumericCounts.from_bytes(blob) for blob in blobs[few:]),
        ]


def source_lines(path: str) -> tuple[str, Any] | None:
    """The source's base name and the line of each row, int64 [rows]; None where no record was kept."""
    from ..ingestion.source_lines import read_lines

    return read_lines(Path(path))


def place(part: Part, lines: tuple[str, Any] | None, row: int) -> tuple[str, int]:
    """File and line of a row; the part and 0 where they aren't known."""
    return (part.name, 0) if lines is None else (lines[0], int(lines[1][row]))


def _column(table: Any, name: str) -> Any:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _values(table: Any, name: str, types: Mapping[str, str]) -> Any:
    column = _column(table, name)
    return pc.list_flatten(column) if types[name] in MULTI else column


def parts_of(examples: Examples, splits: Sequence[str]) -> list[Part]:
    """The parts of some splits, in order."""
    named = [(split, told["path"]) for split in splits for told in examples.splits[split]["parts"]]
    return [Part(i, split, str(examples.file(name)), name) for i, (split, name) in enumerate(named)]


def examine(ctx: Context, stage: str, examples: Examples, splits: Sequence[str], work: Examine) -> Examined:
    """Runs the pass and folds it in the order of the parts."""
    found = Examined({split: examples.rows(split) for split in splits}, {}, {}, {}, {})
    parts = parts_of(examples, splits)
    payloads = run_units(ctx, stage, parts, work)
    for split in splits:
        own = [part for part in parts if part.split == split]
        counts = fold(_counts(own, payloads, work, found), _merge_all, _size, [])
        found.texts.update(zip([(split, name) for name in work.texts], counts, strict=False))
        numbers = counts[len(work.texts) :]
        found.numbers.update(zip([(split, name) for name in work.numbers], numbers, strict=False))
    return found


def _counts(
    parts: Sequence[Part], payloads: Iterator[bytes], work: Examine, found: Examined
) -> Iterator[list[Any]]:
    """The counts of each part; the rest of what it told goes into `found`."""
    for part, payload in zip(parts, payloads, strict=False):
        first, *blobs = split_blobs(payload)
        told = json.loads(bytes(first))
        for one in told["findings"]:
            key = (part.split, one["feature"], one["kind"])
            found.findings.setdefault(key, Finding()).add(one)
        if told["drop"]:
            found.drops[part] = told["drop"]
        yield work.read_counts(blobs)


def _merge_all(several: Sequence[list[Any]]) -> list[Any]:
    return in_threads(lambda same: type(same[0]).merge_all(same), list(zip(*several, strict=True)))


def _size(counts: list[Any]) -> int:
    return sum(each.nbytes for each in counts)
