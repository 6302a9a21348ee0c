"""The images of a dataset as they lie at rest: JPEG or PNG files of 8 bits a channel."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..images.admit import Limits, Refused, admit
from ..ingestion.values import Bad, Values

_LIMITS = Limits()


def read_images(content: pa.Array) -> Values:
    """Encoded files as they are at rest, binary [n]; an empty one is missing.

    Args:
        content: large_binary [n].
    """
    files: list[bytes | None] = []
    wrong: dict[str, list[int]] = {}
    for row, data in enumerate(content.to_pylist()):
        found = admit(data, "", _LIMITS) if data else None
        if isinstance(found, Refused):
            wrong.setdefault(found.reason, []).append(row)
        files.append(found[0].data if isinstance(found, list) else None)
    return Values(
        pa.array(files, pa.binary()), [Bad(_mask(rows, len(files)), why) for why, rows in wrong.items()]
    )


def _mask(rows: list[int], count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    mask = np.zeros(count, bool)
    mask[rows] = True
    return mask
