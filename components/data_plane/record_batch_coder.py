"""How Beam carries a `pyarrow.RecordBatch` between stages: as an Arrow IPC stream, deterministic.

Importing this module registers the coder; Beam would otherwise pickle batches.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pyarrow as pa


class RecordBatchCoder(beam.coders.Coder):
    """Encodes a RecordBatch with its schema; equal batches have equal bytes."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """The batch as an IPC stream; offsets of slices and validity bits without use are normalised."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_batch(value)
        return bytes(sink.getvalue())

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """The other way of `encode`; the batch refers to `encoded` and copies nothing."""
        with pa.ipc.open_stream(pa.py_buffer(encoded)) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        """True, so that batches may be keys, though nobody should want that."""
        return True

    def to_type_hint(self) -> Any:
        """The type that this coder is for."""
        return pa.RecordBatch


beam.coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
