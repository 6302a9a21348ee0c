"""What all ingestion shares: `split_options` (the grammar of splits, standard library only) and `times`."""

from __future__ import annotations
