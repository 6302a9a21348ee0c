"""What several components look at before anything runs: which examples they get, and which split."""

from __future__ import annotations

from typing import Any

from ..pipelines.component import Known
from ..pipelines.errors import Problem

SLICES_NEED_RAW = "slices need the raw columns, and these examples are transformed"
ALREADY_TRANSFORMED = "these examples are transformed already"
EXPORT_NEEDS_RAW = "export needs the raw examples, and these are transformed"
RAW_REMEDY = "wire the step that ingests them: examples: ${steps.examples}"


def split_problems(split: Any, examples: Known) -> list[Problem]:
    """The problem of a split that isn't among those known of the examples, if so."""
    if not isinstance(split, str) or examples.splits is None or split in examples.splits:
        return []
    what = f"the examples have no split {split!r}"
    return [Problem(what, argument="split", given=split, available=examples.splits)]


def are_transformed(examples: Known) -> bool:
    """Whether the examples are known to be transformed ones."""
    return examples.facts.get("format") == "tfrecord"
