"""Images in columns of bytes: each is kept, made an upright PNG, or bad, as `images.admit` says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

from ..images.admit import Limits, Refused, admit
from .values import Bad, Values

LIMITS = Limits()


def read_images(column: pa.Array) -> Values:
    """The images of a column.

    Args:
        column: of bytes, or of structs with a field `bytes`, as Hugging Face's data sets have them. Null and
            no byte at all are missing.

    Returns:
        binary [n]. Files of several frames give the first one.
    """
    if at.is_struct(column.type):
        column = pc.struct_field(column, "bytes")
    made: list[bytes | None] = []
    refused: dict[str, list[int]] = {}
    for row in range(len(column)):
        # One at a time: as Python's bytes all together would be there twice.
        data = column[row].as_py()
        found = admit(data, "", LIMITS) if data else None
        if isinstance(found, Refused):
            refused.setdefault(found.reason, []).append(row)
        made.append(found[0].data if isinstance(found, list) else None)
    bad = [
        Bad(_mask(rows, len(column)), f"can't be used as an image: {why}") for why, rows in refused.items()
    ]
    return Values(pa.array(made, pa.binary()), bad)


def _mask(rows: list[int], count: int) -> Any:
    mask = np.zeros(count, bool)
    mask[rows] = True
    return mask
