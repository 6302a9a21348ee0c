"""What work on a unit gives, however it is run: by Beam or, where units are few, in this process."""

from __future__ import annotations

from typing import NamedTuple


class Result(NamedTuple):
    """Bytes that the driver folds, and the number of rows read."""

    payload: bytes
    rows: int = 0
