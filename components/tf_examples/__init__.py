"""TFRecord files of tf.Examples made by anyone: files, features' types, and the passes over them.

`sources` (which files, standard library only), `unpacking` (gzip and zlib to plain files), `features` (which
types records suggest), `work` (one unit), `ingest` (the passes). Framing and decoding are in `tfrecords`.
"""

from __future__ import annotations
