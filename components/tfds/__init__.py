"""TensorFlow Datasets, read and written.

Standard library only: `naming` (names, and where a prepared set lies), `prepared` (what its folder says),
`columns` (its features as columns), `slices` (`train[:80%]`), `metadata` (the folder's notes, written). Then
`ingest` and `work` (records to Parquet parts), `prepare` (download and prepare, which alone imports TFDS),
`write` (raw examples to records). `digits_builder` is a builder as its users write them.
"""

from __future__ import annotations
