"""`Predict`: the answers of an exported model in anyone's Beam pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.artifact import ExportedModel, load_artifact
from ...pipelines.errors import DataError
from ..data_plane import record_batch_coder
from .answering import unanswered, why_unanswered
from .batch_work import ERROR, MODEL, exported_in
from .image_rows import BATCH_IMAGES
from .loading import about_export
from .rows import PARQUET_ROWS

assert record_batch_coder  # importing it has registered the coder


class Predict(beam.PTransform):
    """PCollection of batches of raw rows → PCollection of batches with answers, a row in giving a row out.

        rows = pipeline | ReadCsv("new.csv", types={"size": "float", "city": "string"})
        answers = rows | Predict("store/artifacts/ExportedModel/…")

    A batch out has the columns that go along, then `prediction`, and for classes `probability` of that class
    and `probability:CLASS` of each, as `headrace predict` gives them; where `tell` says so, why a row has no
    answer in `error`; and the model's digest in `model`. An element may be a pair `(key, batch)`, which keeps
    its key. The SavedModel is loaded once by each worker process, where TensorFlow has to be installed.

    Args:
        exported: an ExportedModel artifact or its folder, which every worker has to reach.
        keep: the columns that go along; all but images if not given.
        top: in place of each class's probability the likeliest classes, so many, with theirs.
        tell: let rows without an answer through, with null for it and the reason in `error`.

    Raises:
        InvalidRequestError, StoreError: there is no exported model in the folder.
        DataError: a batch lacks a column that the model takes, or, without `tell`, a row has no answer.
    """

    def __init__(
        self,
        exported: ExportedModel | str | Path,
        *,
        keep: Sequence[str] | None = None,
        top: int = 0,
        tell: bool = False,
    ) -> None:
        super().__init__()
        folder, _ = about_export(exported.path if isinstance(exported, ExportedModel) else Path(exported))
        self._answer = _Answer(str(folder.absolute()), load_artifact(folder).digest, keep, top, tell)

    def expand(self, batches: Any) -> Any:
        """Answers each batch."""
        return batches | beam.ParDo(self._answer)


class _Answer(beam.DoFn):
    def __init__(self, folder: str, digest: str, keep: Sequence[str] | None, top: int, tell: bool) -> None:
        self._folder = folder
        self._digest = digest
        self._keep = keep
        self._top = top
        self._tell = tell

    def setup(self) -> None:
        self._exported = replace(exported_in(self._folder, self._digest), top=self._top)

    def process(self, element: Any) -> Iterator[Any]:
        key, batch = element if isinstance(element, tuple) else (None, element)
        answered = self._answered(batch)
        yield (key, answered) if isinstance(element, tuple) else answered

    def _answered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        types = self._exported.types
        images = "image" in types.values()
        at_once = BATCH_IMAGES if images else PARQUET_ROWS
        pieces = [batch.slice(start, at_once) for start in range(0, batch.num_rows, at_once)] or [batch]
        answers = pa.concat_tables(self._exported.answer(piece) for piece in pieces).combine_chunks()
        lost = unanswered(answers)
        if lost.any() and not self._tell:
            row = int(lost.argmax())
            why = why_unanswered(batch.select(list(types)), row, images)
            raise DataError(
                f"the model has no answer to {int(lost.sum())} of {batch.num_rows} rows of a batch;"
                f" the first is row {row + 1}: {why}",
                remedy="fill it in, or tell=True lets such rows through, with the reason in `error`",
            )
        columns = {name: batch.column(name) for name in self._kept(batch)}
        usable = pa.array(~lost)
        for name in answers.column_names:
            column = _whole(answers.column(name))
            columns[name] = pc.if_else(usable, column, None) if lost.any() else column
        if self._tell:
            rows = batch.select(list(types))
            reasons = [why_unanswered(rows, row, images) if gone else None for row, gone in enumerate(lost)]
            columns[ERROR] = pa.array(reasons, pa.string())
        columns[MODEL] = pa.repeat(pa.scalar(self._digest), batch.num_rows)
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def _kept(self, batch: pa.RecordBatch) -> list[str]:
        if self._keep is not None:
            return list(self._keep)
        return [field.name for field in batch.schema if not pa.types.is_binary(field.type)]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
