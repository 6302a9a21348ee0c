"""Images: which files there are, what a file is and what becomes of it, and how files come from the network.

What there is to read, standard library only: `options` and `remote_settings` (the parameters), `names` and
`walking` (the images in folders), `labelling` (labels by folder or pattern), `json_rows` and `manifest_files`
(what a manifest names), `looking` (what can be said before anything runs). Then `listing`, `manifests`,
`csv_manifest` and `json_manifest` (all of it as tables), `units` (how it is cut), `embedded` (pixels in
cells), `work` (one unit: read, admit, place, write), `duplicates`, and `ingest`.

What a file is: `admit`, with `sniffing`, `jpeg`, `png`, `orientation`, and `convert` for what TensorFlow
can't read as it is. How files come from the network: `remote`, with `web_client`, `addresses` and
`remote_cache`.
"""

from __future__ import annotations
