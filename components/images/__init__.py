"""Images as files in folders, or as a manifest names them, on their way to raw Examples.

Standard library only: `options` (the parameters), `walking` (which files of a folder are images), `labelling`
(labels by folder or pattern), `manifest_files` (the rows of a manifest as text, and which files it names).
Then `listing` (what there is to read, as tables), `csv_manifest` and `json_manifest`, `units` (how it is cut),
`embedded` (pixels in cells), `work` (one unit: read, admit, place, write), `duplicates`, `ingest` (all of it).
"""

from __future__ import annotations
