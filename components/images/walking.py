"""The images below folders, in an order that no file system decides. Standard library only.

Links are not followed where they lead out of the folder, nor are folders that are links: what is refused is
told, and what is neither an image nor litter is counted.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...pipelines.errors import InvalidRequestError
from ..csv.sources import resolve as resolve_files
from ..ingestion.rejects import Reject
from .names import begins_as_image, foreign_format, is_litter, kind_of_name, one_line, shown
from .sniffing import ending

_MAGIC = "*?["
_DEEPEST = 100


class Found(NamedTuple):
    """An image.

    Attributes:
        file: where it is.
        name: relative to what was given, with slashes.
        folders: the names of the folders in which it lies below what was given.
        size: bytes.
        split: its split where paths are given by split, or "".
    """

    file: str
    name: str
    folders: tuple[str, ...]
    size: int
    split: str


@dataclass
class Walked:
    """What was found.

    Attributes:
        images: in their order.
        refused: what can't be read or must not be.
        others: how many files are no images, by the ends of their names.
        example: the first of these.
        empty: folders in which there is no image at any depth.
    """

    images: list[Found] = field(default_factory=list)
    refused: list[Reject] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    example: str = ""
    empty: list[str] = field(default_factory=list)


def walk(
    paths: Sequence[tuple[str, str]], allow_outside: bool = False, passed: Collection[str] = ()
) -> Walked:
    """The images that paths name: folders with all below them, files, globs.

    Args:
        paths: each with its split, or "".
        allow_outside: whether links may lead out of the folder that is given.
        passed: files that are passed over.

    Raises:
        InvalidRequestError: a path isn't there, or a file is in two splits.
    """
    walked = Walked()
    bases = [base_of(path) for path, _ in paths]
    common = os.path.commonpath([os.path.abspath(base) for base in bases])  # noqa: PTH100 - keeps links
    for (path, split), base in zip(paths, bases, strict=True):
        above = Path(os.path.relpath(os.path.abspath(base), common)).parts  # noqa: PTH100
        walker = _Walker(walked, base, above, split, allow_outside, passed)
        if Path(path).is_dir():
            walker.folder(base, ())
            continue
        for file in resolve_files(path):
            *folders, name = file.relative_to(base).parts
            # Of `[photos/cat/*.jpg, photos/dog/*.jpg]` the classes are in what is given.
            walker.file(str(file), name, tuple(folders), told=tuple(folders) or above)
    if len(paths) > 1:
        walked.images = _once(walked.images)
    return walked


def _once(images: Sequence[Found]) -> list[Found]:
    """Images that several paths name, once; raises InvalidRequestError for one that is in two splits."""
    found: dict[str, Found] = {}
    for image in images:
        first = found.setdefault(image.file, image)
        if first.split != image.split:
            raise InvalidRequestError(
                f"the file is in split {first.split!r} and in {image.split!r}",
                argument="path", file=image.file, remedy="name each file once",
            )  # fmt: skip
    return list(found.values())


def base_of(path: str) -> str:
    """The folder that names are relative to: a folder itself, that of a file, a glob's up to a wildcard."""
    if Path(path).is_dir():
        return path
    if Path(path).exists() or not set(path) & set(_MAGIC):
        return str(Path(path).parent)
    parts = Path(path).parts
    return str(Path(*parts[: next(place for place, part in enumerate(parts) if set(part) & set(_MAGIC))]))


class _Walker:
    def __init__(
        self,
        walked: Walked,
        base: str,
        above: tuple[str, ...],
        split: str,
        allow_outside: bool,
        passed: Collection[str],
    ) -> None:
        self._walked = walked
        self._prefix = "".join(f"{name}/" for name in above)
        self._split = split
        self._allow_outside = allow_outside
        self._passed = passed
        self._root = os.path.realpath(base)
        self._above: list[str] = []

    def folder(self, path: str, folders: tuple[str, ...]) -> None:
        """Adds what is below a folder, in the order of the names."""
        before = len(self._walked.images) + len(self._walked.refused)
        if len(folders) > _DEEPEST:
            self._refuse(path, folders, f"lies more than {_DEEPEST} folders deep", "move it up")
            return
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(path, folders, f"the folder can't be read: {error.strerror}", "mind its permissions")
            return
        self._above.append(os.path.realpath(path))
        for entry in found:
            if is_litter(entry.name) or entry.path in self._passed:
                continue
            is_folder = leads_to_folder(entry)
            if is_folder and not entry.is_symlink():
                self.folder(entry.path, (*folders, entry.name))
            elif is_folder:
                self._linked_folder(entry.path, (*folders, entry.name))
            else:
                self.file(entry.path, entry.name, folders, entry)
        self._above.pop()
        if folders and before == len(self._walked.images) + len(self._walked.refused):
            self._walked.empty.append(shown("/".join(folders)))

    def _linked_folder(self, path: str, parts: tuple[str, ...]) -> None:
        target = os.path.realpath(path)
        if not self._allow_outside:
            what = "is a link to a folder, and such links are not followed"
            self._refuse(path, parts, what, "allow_outside: true follows it")
        elif target in self._above:
            self._refuse(path, parts, "is a link to a folder that it lies in", "remove it")
        else:
            self.folder(path, parts)

    def file(
        self, path: str, name: str, folders: tuple[str, ...],
        entry: os.DirEntry[str] | None = None, told: tuple[str, ...] | None = None,
    ) -> None:  # fmt: skip
        """Adds a file, if it is an image.

        Args:
            path: where it is.
            name: its own name.
            folders: those that it lies in below what was given.
            entry: saves asking the file system again.
            told: the folders that may tell its class, where these are others.
        """
        kind = kind_of_name(name)
        parts = (*folders, name)
        if kind == "foreign":
            what = f"its name says {foreign_format(name)}, which can't be read"
            self._refuse(path, parts, what, "convert it to JPEG or PNG")
            return
        if kind == "other" or is_litter(name):
            self._other(parts)
            return
        status = self._status(path, entry)
        if not isinstance(status, os.stat_result):
            self._refuse(path, parts, *status)
        elif kind == "bare" and not begins_as_image(path):
            self._other(parts)
        else:
            classes = folders if told is None else told
            self._walked.images.append(Found(path, self._name(parts), classes, status.st_size, self._split))

    def _name(self, parts: Sequence[str]) -> str:
        return shown(self._prefix + "/".join(parts))

    def _status(self, path: str, entry: os.DirEntry[str] | None) -> os.stat_result | tuple[str, str]:
        """What the file system says of a file, or why it isn't read, and what to do."""
        try:
            status = entry.stat(follow_symlinks=False) if entry else os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                target = os.path.realpath(path)
                if not self._allow_outside and not inside(target, self._root):
                    return "is a link that leads out of the folder", "copy the file, or allow_outside: true"
                status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            return f"can't be read: {error.strerror}", "remove the link, or mend it"
        return status if stat.S_ISREG(status.st_mode) else ("is no plain file", "remove it")

    def _other(self, parts: Sequence[str]) -> None:
        end = ending(parts[-1])
        self._walked.others[f".{end}" if end else "without an ending"] += 1
        self._walked.example = self._walked.example or shown("/".join(parts))

    def _refuse(self, path: str, parts: Sequence[str], reason: str, remedy: str) -> None:
        self._walked.refused.append(Reject(one_line(path), 0, reason, remedy, "", self._name(parts)))


def inside(path: str, folder: str) -> bool:
    """Whether a real path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link that leads to itself is none, and no error."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def top_level(path: str) -> Iterator[tuple[str, bool]]:
    """The names in a folder that aren't litter, and whether each is a folder, in their order."""
    with os.scandir(path) as entries:
        found = [(entry.name, leads_to_folder(entry)) for entry in entries if not is_litter(entry.name)]
    yield from sorted(found)
