"""Work on a unit of batch prediction: rows in, a file of predictions out. Runs on Beam's workers."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...pipelines.artifact import file_digest
from ..data_plane.parts import Parts
from ..data_plane.result import Result
from .answering import unanswered, why_unanswered
from .batch_sources import FileRows, Piece, part_pieces
from .loading import Exported, load_export

if TYPE_CHECKING:
    from ..predict import CsvOptions

Format = Literal["parquet", "csv", "tfrecord"]
MODEL, ERROR = "model", "error"
"""The columns of the model's digest, and of why a row has no answer."""


@dataclass(frozen=True)
class Target:
    """A unit and the file that it becomes."""

    unit: Parts | FileRows
    path: str


@dataclass(frozen=True)
class PredictUnit:
    """Gives each row of a unit its answer, and writes the file.

    Attributes:
        export: the folder of the ExportedModel.
        model: its digest.
        inputs: the columns that the model takes, and their types.
        kept: the columns that go along, and their types.
        format: of the file.
        top: see `Exported`.
        tolerant: whether rows may be without an answer, and have the reason instead.
        options: how files of rows are written.
    """

    export: str
    model: str
    inputs: Mapping[str, str]
    kept: Mapping[str, str]
    format: Format
    top: int
    tolerant: bool
    options: CsvOptions

    def __call__(self, target: Target) -> Result:
        """Gives JSON: rows, the SHA-256 of the file, columns, and how many rows are without an answer."""
        exported = replace(exported_in(self.export, self.model), top=self.top)
        told: dict[str, Any] = {"rows": 0, "unanswered": 0, "first": ""}
        tables = [self._answered(exported, piece, told) for piece in self._pieces(target.unit)]
        table = pa.concat_tables(tables).combine_chunks()
        told["columns"] = {name: _kind(table.schema.field(name).type) for name in table.column_names}
        told["sha256"] = write_table(table, Path(target.path), self.format)
        return Result(json.dumps(told).encode(), told["rows"])

    def _pieces(self, unit: Parts | FileRows) -> Iterator[Piece]:
        types = {**self.inputs, **self.kept}
        if isinstance(unit, FileRows):
            return unit.pieces(types, self.options)
        return part_pieces(unit, list(types), "image" in self.inputs.values())

    def _answered(self, exported: Exported, piece: Piece, told: dict[str, Any]) -> pa.Table:
        answers = exported.answer(piece.rows)
        lost = unanswered(answers)
        reasons: list[str | None] = [None] * len(lost)
        images = "image" in self.inputs.values()
        for row in lost.nonzero()[0].tolist():
            reasons[row] = why_unanswered(piece.rows.select(list(self.inputs)), row, images)
            told["first"] = told["first"] or f"{piece.place(row)}: {reasons[row]}"
        told["rows"] += len(lost)
        told["unanswered"] += int(lost.sum())
        columns = {
            **piece.identity,
            **{name: piece.rows.column(name) for name in self.kept},
            **{name: answers.column(name) for name in answers.column_names},
        }
        if self.tolerant:
            usable = pa.array(~lost)
            for name in answers.column_names:
                columns[name] = pc.if_else(usable, columns[name], None)
            columns[ERROR] = pa.array(reasons, pa.string())
        return pa.table({**columns, MODEL: pa.repeat(pa.scalar(self.model), len(lost))})


_LOADING = threading.Lock()


def exported_in(folder: str, digest: str) -> Exported:
    """An exported model, loaded once by each process however many threads ask for it."""
    with _LOADING:
        return _loaded(folder, digest)


@lru_cache(maxsize=1)
def _loaded(folder: str, digest: str) -> Exported:
    return load_export(Path(folder))


def write_table(table: pa.Table, path: Path, format: Format) -> str:  # noqa: A002 - as users call it
    """Writes a file of predictions, there whole or not at all, and gives its SHA-256 in hex."""
    partly = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partly")
    digest = ""
    if format == "parquet":
        pq.write_table(table, partly, compression="zstd")
    elif format == "csv":
        from .answer_files import write_csv

        with partly.open("w", encoding="utf-8", newline="") as stream:
            write_csv(iter([table]), stream)
    else:
        digest = _write_records(table, partly)
    digest = digest or file_digest(partly)
    partly.replace(path)
    return digest


def _write_records(table: pa.Table, path: Path) -> str:
    """TFRecords of tf.Examples with a feature for each column; missing text is empty, a number NaN."""
    from ..tfds.encode import RawEncoder, Seen
    from ..tfrecords.tfrecord import framed, record_file

    types = {name: _kind(table.schema.field(name).type) for name in table.column_names}
    digest = hashlib.sha256()
    with record_file(path, digest) as stream:
        for batch in table.to_batches():
            records, _ = RawEncoder(types, {}).records(batch, Seen())
            for record in records:
                stream.writelines(framed(record))
    return digest.hexdigest()


def _kind(kind: pa.DataType) -> str:
    from ..ingestion.kinds import kind_of

    return kind_of(kind)
