"""The user's own code on a worker that a run brought it to.

The wheel of such code holds it in folders below the package `headrace_user_code`, which says where each of
them was on the machine that the run was started on. Import paths such as `/home/me/project/clip.py:clip` go
on naming that place, in pickles, fitted transforms and messages; here they find the copy.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

STAGED = "headrace_user_code"
"""The package that staged code is below; `FOLDERS` in it holds the folders' names by original place."""


@lru_cache(maxsize=1)
def staged_folders() -> Mapping[str, Path]:
    """Where the code lies that a run brought here, by the place that it was at; empty but on a worker."""
    try:
        package: Any = importlib.import_module(STAGED)
    except ModuleNotFoundError:
        return {}
    home = Path(package.__file__).parent
    return {place: home / name for place, name in package.FOLDERS.items()}


def staged_file(place: str | Path) -> Path:
    """The file that a path names; on a worker that which the run brought, if it did."""
    path = Path(place)
    for original, folder in staged_folders().items():
        if path.is_relative_to(original) and (found := folder / path.relative_to(original)).is_file():
            return found
    return path


def as_written(value: Any) -> Any:
    """JSON values with the places of staged code in texts as they are on the machine of the run."""
    folders = staged_folders()
    if not folders:
        return value
    if isinstance(value, str):
        for original, folder in folders.items():
            value = value.replace(f"{folder}/", f"{original}/")
        return value
    if isinstance(value, Mapping):
        return {key: as_written(item) for key, item in value.items()}
    return [as_written(item) for item in value] if isinstance(value, list | tuple) else value
