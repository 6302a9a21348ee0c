"""Tables of predictions: for rows, where each has to have an answer, and for images, where some may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.errors import DataError
from .image_rows import ImageRows
from .loading import Exported


def row_answers(exported: Exported, batches: Iterator[pa.RecordBatch], file: str) -> Iterator[pa.Table]:
    """A table of predictions for each batch of rows.

    Raises:
        DataError: there is no answer to a row.
    """
    rows = 0
    for batch in batches:
        answers = exported.answer(batch)
        lost = np.flatnonzero(unanswered(answers))
        if len(lost):
            raise DataError(
                f"the model has no answer to row {rows + int(lost[0]) + 1}:"
                f" {why_unanswered(batch, int(lost[0]), False)}",
                file=file,
                remedy="fill it in, or impute the column in the transform step and train again",
            )
        rows += batch.num_rows
        yield answers


def image_answers(
    exported: Exported, batches: Iterator[ImageRows], unusable: Callable[[str, str], None] | None
) -> Iterator[pa.Table]:
    """A table of predictions for each batch, with `path` before and `error` behind them; see `predict`."""
    for batch in batches:
        answers = exported.answer(batch.rows)
        lost, reasons = unanswered(answers), list(batch.reasons)
        for row, name in enumerate(batch.names):
            if lost[row] and not reasons[row]:
                reasons[row] = why_unanswered(batch.rows, row, True)
            if reasons[row] and unusable is not None:
                unusable(name, reasons[row])
        told = pa.array([reason or None for reason in reasons], pa.string())
        usable = pc.is_null(told)
        columns = {name: pc.if_else(usable, answers.column(name), None) for name in answers.column_names}
        yield pa.table({"path": pa.array(batch.names, pa.string()), **columns, "error": told})


def why_unanswered(rows: pa.RecordBatch, row: int, images: bool) -> str:
    """Why there is no answer to a row, as far as the row tells; `images`: whether the model takes some."""
    missing = [name for name, value in rows.slice(row, 1).to_pylist()[0].items() if value is None]
    if missing:
        return f"{', '.join(missing)} missing"
    if images:
        return "the model can't decode it, or has no answer to it"
    return "a value is outside of what the model can take"


def unanswered(answers: pa.Table) -> Any:
    """`[n]` bool: which rows have no number for an answer."""
    numbers = [column.to_numpy() for column in answers.columns if pa.types.is_floating(column.type)]
    return ~np.isfinite(np.stack(numbers)).all(axis=0)
