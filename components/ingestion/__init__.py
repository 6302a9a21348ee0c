"""What all ingestion shares.

Standard library only: `split_options` (the grammar of splits), `column_options`, `files` (paths, folders,
globs), `partitions` (columns in folders' names), `time_patterns`. Then `kinds` (types), `times` and `values`
(Arrow columns to values), `sifting` (bad rows taken out), `rejects`, `placing` and `shares` (a row's split),
`writing` (the end of a unit's work), `source_lines` (where rows were), `publishing` (the artifact).
"""

from __future__ import annotations
