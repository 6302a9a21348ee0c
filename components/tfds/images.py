"""The images of a dataset as they lie at rest: JPEG or PNG files of 8 bits a channel."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..ingestion.values import Bad, Values

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def read_images(content: pa.Array) -> Values:
    """Encoded files as they are at rest, binary [n]; an empty one is missing.

    Args:
        content: large_binary [n].
    """
    made = pc.if_else(pc.equal(pc.binary_length(content), 0), None, content).cast(pa.binary())
    known = np.array([item is None or item.startswith(_STARTS) for item in made.to_pylist()], bool)
    if known.all():
        return Values(made, [])
    return Values(pc.if_else(pa.array(known), made, None), [Bad(~known, "is neither a JPEG nor a PNG file")])
