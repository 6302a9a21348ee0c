"""Parquet: which files are meant, how Arrow's types become ours, and the pass over them. See the modules.

`sources` and `footer` (files and their columns, stdlib only), `options` (the parameters), `kinds` (types),
`values` (columns to values), `work` (one unit), `ingest` (the pass).
"""

from __future__ import annotations
