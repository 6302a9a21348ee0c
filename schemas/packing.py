"""Accumulators as bytes: a JSON header and NumPy arrays, without pickle."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Blob: TypeAlias = bytes | memoryview
Column: TypeAlias = pa.Array | pa.ChunkedArray


def pack(header: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
    """One blob of a header of JSON values and named arrays of numbers; `unpack` is its inverse."""
    shapes = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    first = json.dumps({"header": header, "arrays": shapes}).encode()
    return join([first, *(np.ascontiguousarray(array).tobytes() for array in arrays.values())])


def unpack(blob: Blob) -> tuple[Any, dict[str, np.ndarray]]:
    """Header and (read-only) arrays of `pack`."""
    first, *bodies = split(blob)
    described = json.loads(bytes(first))
    arrays = {
        name: np.frombuffer(body, np.dtype(dtype)).reshape(shape)
        for (name, dtype, shape), body in zip(described["arrays"], bodies, strict=True)
    }
    return described["header"], arrays


def join(blobs: Sequence[bytes]) -> bytes:
    """Several blobs as one, each behind its length (8 bytes, little-endian)."""
    return b"".join(chain.from_iterable((struct.pack("<q", len(blob)), blob) for blob in blobs))


def split(blob: Blob) -> list[memoryview]:
    """The blobs of `join`; views, nothing is copied."""
    view, blobs, place = memoryview(blob), [], 0
    while place < len(view):
        (size,) = struct.unpack_from("<q", view, place)
        blobs.append(view[place + 8 : place + 8 + size])
        place += 8 + size
    return blobs


def floats(column: Column) -> np.ndarray:
    """A numeric or boolean column as float64 [rows], NaN where a value is missing."""
    values = pc.cast(column, pa.float64(), safe=False)
    if values.null_count:
        values = pc.fill_null(values, float("nan"))
    array: np.ndarray = (
        values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    )
    return array
