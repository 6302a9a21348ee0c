"""The files that tell of a training, in the Model: curves, a CSV file, and what TensorBoard reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from . import csv_log, curves, event_files
from .record import Record

VOLATILE = (curves.FILE, f"{event_files.FOLDER}/*")
"""Those that hold times, or letters in the fonts of a machine."""
PICTURE = curves.FILE


def write_logs(
    folder: Path, history: Sequence[Mapping[str, float]], best_epoch: int, record: Record | None
) -> None:
    """Writes `learning_curves.png`, `history.csv` and, where there is a record, `tensorboard/`.

    Args:
        folder: of the Model.
        history: see `Trained`.
        best_epoch: the epoch, from 1, whose weights were kept.
        record: what was seen within the epochs.
    """
    points = record.points if record is not None else ()
    (folder / curves.FILE).write_bytes(curves.learning_curves(history, best_epoch, points))
    (folder / csv_log.FILE).write_text(csv_log.history_csv(history), "utf-8")
    if record is not None:
        event_files.EventFiles(folder / event_files.FOLDER, record, history)
