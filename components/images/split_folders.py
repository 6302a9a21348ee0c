"""Whether folders of images are splits, where nobody says so. Standard library only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .labelling import looks_split
from .names import is_litter
from .options import ImageOptions


def with_splits_told(options: ImageOptions, path: Any) -> ImageOptions:
    """The options with `split_folders: auto` decided.

    Args:
        options: as they were given.
        path: as it was given; only a single folder can have splits within.
    """
    if options.split_folders != "auto":
        return options
    if not isinstance(path, str) or not Path(path).is_dir() or not looks_split(_folders(path)):
        return replace(options, split_folders=False)
    rule = replace(options.split, split_by=None, split_by_time=None, split_by_value=None, stratify=None)
    return replace(options, split_folders=True, split=rule)


def _folders(path: str) -> list[str]:
    try:
        return [one.name for one in Path(path).iterdir() if one.is_dir() and not is_litter(one.name)]
    except OSError:  # told by who reads it
        return []
