"""Which files a component is given: paths, folders, globs, and lists of them. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pipelines.errors import InvalidRequestError
from ..csv.sources import resolve as resolve_files

_MAGIC = "*?["


@dataclass(frozen=True)
class Folder:
    """Which files below a folder count.

    Attributes:
        format: what they are called.
        accepts: whether a file is one.
        rule: says so in a message.
    """

    format: str
    accepts: Callable[[Path], bool]
    rule: str


def below_folders(path: str | Sequence[str], folder: Folder) -> dict[Path, tuple[str, ...]]:
    """The files that a path, a folder, a glob or a list of them stands for, each once.

    Names that begin with `_` or `.` below a folder are other software's notes.

    Returns:
        By file, the names of the folders in which it lies below what was given: below the folder, or from
        the first wildcard on.

    Raises:
        InvalidRequestError: nothing is there.
    """
    found: dict[Path, tuple[str, ...]] = {}
    for given in [path] if isinstance(path, str) else path:
        base = _base(given)
        for file in _inside(base, folder) if Path(given).is_dir() else resolve_files(given):
            between = file.relative_to(base).parts[:-1] if file != base else ()
            found.setdefault(file, between)
    if not found:
        raise InvalidRequestError("the list of files is empty", argument="path")
    return found


def _base(given: str) -> Path:
    """What is given, up to the first wildcard."""
    path = Path(given)
    if path.exists():
        return path
    parts = path.parts
    place = next((place for place, part in enumerate(parts) if set(part) & set(_MAGIC)), len(parts))
    return Path(*parts[:place])


def _inside(folder: Path, wanted: Folder) -> list[Path]:
    files = []
    for file in sorted(folder.rglob("*")):
        names = file.relative_to(folder).parts
        if wanted.accepts(file) and file.is_file() and not any(name[0] in "_." for name in names):
            files.append(file)
    if not files:
        raise InvalidRequestError(
            f"no {wanted.format} file is in this folder", file=str(folder), remedy=wanted.rule
        )
    return files
