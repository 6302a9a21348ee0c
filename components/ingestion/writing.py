"""The end of the work on a unit of any ingestion: its rows are written in parts, or spilled."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ..csv.work import Placing, spill_rows, write_parts
from .placing import assign, why_outside


class Source(Protocol):
    """The file that rows are from."""

    @property
    def name(self) -> str:
        """The file as messages call it."""

    @property
    def split(self) -> str:
        """Its split, where `path` names files by split."""


def write_rows(rows: pa.Table, numbers: Any, placing: Placing, unit: int, source: Source) -> dict[str, Any]:
    """Places a unit's rows and writes them.

    Args:
        rows: the good rows.
        numbers: the place of each in its file (line or row), int64 [rows], from 1.
        placing: how rows are placed, and where they are written.
        unit: the unit's number.
        source: the file.

    Returns:
        JSON values: `parts` by split, or `spill` and `classes` where shares are exact; `outside` tells of
        the rows in no split.
    """
    told: dict[str, Any] = {"parts": {}, "spill": "", "classes": [], "outside": None}
    if placing.exact:
        told["spill"], told["classes"], outside = spill_rows(rows, placing, unit)
        np.save(f"{told['spill']}.lines.npy", numbers)
    else:
        assigned, outside = assign(rows, placing.rule, source.split)
        told["parts"] = write_parts(rows, assigned, placing, unit, (source.name, numbers))
    if outside.any():
        first = int(np.argmax(outside))
        told["outside"] = {
            "rows": int(np.count_nonzero(outside)),
            "line": int(numbers[first]),
            "reason": why_outside(rows, placing.rule, first),
        }
    return told
