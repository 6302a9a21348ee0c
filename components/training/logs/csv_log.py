"""The history of a training as a CSV file: a row an epoch, nothing in it that differs between equal runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

FILE = "history.csv"


def history_csv(history: Sequence[Mapping[str, float]]) -> str:
    """The rows with a header; numbers are written so that they are read back without loss.

    Args:
        history: a row an epoch, see `Trained`; a cell is empty where an epoch doesn't have the column.
    """
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(history)
    return text.getvalue()
