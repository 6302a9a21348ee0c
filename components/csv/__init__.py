"""CSV: where rows end, how cells become values, and a PTransform to read them. See the modules.

`sources` (files and headers, stdlib only), `prepare` (to plain UTF-8), `boundaries` (exact cuts),
`reading` (bytes to cells), `inference` (types), `conversion` (cells to values), `work` (one unit),
`ingest` (the passes), `read_csv` (the public PTransform).
"""

from __future__ import annotations
