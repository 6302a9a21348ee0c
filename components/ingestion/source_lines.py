"""Where the rows of a Parquet part are in the file that they were read from.

The record is a file beside the part, `part-00000.lines`, of some bytes a thousand rows. It differs where
the same rows stand at other lines, so it is volatile: not part of the artifact's digest. It may be absent.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

SUFFIX = ".lines"
PATTERN = f"*{SUFFIX}"
"""What `Draft.finish` is given as volatile."""


def write_lines(part: Path, file: str, lines: Any) -> None:
    """Writes the record of a part.

    Args:
        part: the part's path.
        file: the source, of which the base name is kept.
        lines: int64 [rows], ascending, from 1.
    """
    steps = np.diff(lines, prepend=0)
    first, steps = int(steps[0]) if len(steps) else 0, steps[1:]
    kind = "<u1" if not len(steps) or steps.max() < 256 else "<i8"
    head = json.dumps({"file": Path(file).name, "first": first, "rows": len(lines), "steps": kind}).encode()
    part.with_suffix(SUFFIX).write_bytes(head + b"\n" + zlib.compress(steps.astype(kind).tobytes(), 1))


def read_lines(part: Path) -> tuple[str, Any] | None:
    """The source's base name and the line of each row, int64 [rows]; None where there is no good record."""
    try:
        head, _, packed = part.with_suffix(SUFFIX).read_bytes().partition(b"\n")
        told = json.loads(head)
        steps = np.frombuffer(zlib.decompress(packed), told["steps"]).astype(np.int64)
    except (OSError, ValueError, KeyError, TypeError, zlib.error):
        return None
    lines = told["first"] + np.concatenate([[0], np.cumsum(steps)])
    return (str(told["file"]), lines) if len(lines) == told["rows"] else None
