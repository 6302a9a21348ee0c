"""Which files a component is given: paths, folders, globs, and lists of them. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pipelines.errors import InvalidRequestError
from ..csv.sources import resolve as resolve_files
from .split_options import files_by_split

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


@dataclass(frozen=True)
class GivenFile:
    """A file that a component is given.

    Attributes:
        path: where it is.
        split: its split, where files are named by split, or "".
        folders: the names of the folders in which it lies below what was given.
    """

    path: Path
    split: str = ""
    folders: tuple[str, ...] = ()


def given_files(path: str | Sequence[str] | Mapping[str, str | list[str]], folder: Folder) -> list[GivenFile]:
    """The files that a component's `path` stands for, see `below_folders`; by split if it is a mapping.

    Raises:
        InvalidRequestError: nothing is there, or a file is in two splits.
    """
    if not isinstance(path, Mapping):
        return [GivenFile(file, "", between) for file, between in below_folders(path, folder).items()]
    found: dict[Path, tuple[str, ...]] = {}

    def resolve(given: str | list[str]) -> list[Path]:
        own = below_folders(given, folder)
        found.update(own)
        return list(own)

    files, splits = files_by_split(path, resolve)
    return [GivenFile(file, split, found[file]) for file, split in zip(files, splits, strict=True)]


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


def short_names(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """The files with the shortest names that tell them apart: below the folder that they share."""
    if len(paths) == 1:
        return [(paths[0], paths[0].name)]
    whole = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - keeps links
    base = os.path.commonpath([os.path.dirname(path) for path in whole])  # noqa: PTH120
    return [(path, Path(name).relative_to(base).as_posix()) for path, name in zip(paths, whole, strict=True)]
