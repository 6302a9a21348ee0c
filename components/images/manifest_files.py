"""What a manifest names: its columns, and where each image lies. Standard library only.

Paths are relative to the manifest, and confined to its folder unless something else is said. The files that a
manifest names decide what becomes of it, so a step's fingerprint has to know them, see `named_files`.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ...pipelines.errors import DataError, HeadraceError, Problem
from ..csv.sources import canonical_encoding, open_plain, read_head
from ..csv.sources import resolve as resolve_files
from ..ingestion.split_options import files_by_split
from .json_rows import Row, read_objects
from .options import IMAGE_NAMES, OWN, Given, ImageOptions
from .walking import inside

LOOKED_AT = 100
"""Objects of a JSON manifest that a quick look reads."""
_REMOTE = ("http://", "https://")
_BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "data:image/")
"""What PNG, JPEG, GIF and WebP begin with in base64."""
_LEAST_BASE64 = 60
"""Characters; no image is shorter."""


def is_csv(path: str) -> bool:
    """Whether a manifest is in CSV; else it is JSON."""
    return path.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def columns_of(paths: Sequence[Path], options: ImageOptions, most: int | None = None) -> tuple[str, ...]:
    """The columns of manifests: by the first one's header, or by the objects of all.

    Args:
        paths: the manifests.
        options: how they are written.
        most: how many objects of each to look at; all if None.

    Raises:
        DataError: one can't be read.
    """
    path = paths[0]
    if is_csv(path.name):
        csv_options = options.csv_options(path.name, {})
        head = read_head(path, csv_options.encoding, csv_options.delimiter, csv_options.quote)
        problems = csv_options.head_problems(head.names, str(path))
        if problems:
            raise DataError(problems)
        return head.names
    names: dict[str, None] = {}
    wrong = Row(0, None, "the manifest holds no rows")
    for row in (row for one in paths for row in islice(read_objects(one, options.encoding), most)):
        names.update(dict.fromkeys(row.value or {}))
        wrong = row if row.value is None and not wrong.line else wrong
    if not names:
        raise DataError(wrong.problem, file=str(path), line=wrong.line, remedy="write one object an image")
    return tuple(names)


def image_columns(columns: Sequence[str], options: ImageOptions) -> tuple[str, ...]:
    """The columns that tell of the image: one, or those of a template, or one for each pixel.

    Raises:
        DataError: there is none, or it isn't clear which one.
    """
    if options.spread:
        wanted = tuple(fnmatch.filter(columns, options.image or ""))
    elif options.image is not None:
        wanted = options.template or (options.image,)
    else:
        wanted = tuple(name for name in columns if name.lower() in IMAGE_NAMES)
        if len(wanted) > 1:
            raise _unclear(f"{', '.join(wanted)} may all be the images", columns)
    if not wanted:
        raise _unclear(f"no column is called {options.image or 'as one of images is'}", columns)
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(
            f"there is no column {missing[0]!r}", argument="image", given=missing[0], available=tuple(columns)
        )
    return wanted


def _unclear(what: str, columns: Sequence[str]) -> DataError:
    remedy = "image: NAME says which it is, image: NAME* of pixels that have a column each"
    return DataError(what, argument="image", available=tuple(columns), remedy=remedy)


def carried_columns(columns: Sequence[str], images: Sequence[str], options: ImageOptions) -> tuple[str, ...]:
    """The columns of a manifest that go along with the images: all but those that the images tell."""
    left_out = {*OWN, *(() if options.template else images)}
    chosen = columns if options.columns is None else options.columns
    return tuple(name for name in chosen if name not in left_out)


def manifests_of(given: Given) -> list[tuple[Path, str]]:
    """The manifests that paths stand for, each with its split.

    Raises:
        InvalidRequestError: one isn't there, or is in two splits.
    """
    by_split: dict[str, str | list[str]] = {}
    for path, split in given.paths:
        by_split.setdefault(split, [])
        by_split[split] = [*by_split[split], path]
    files, splits = files_by_split(by_split, resolve_files)
    return list(zip(files, splits, strict=True))


def option_problems(columns: Sequence[str], options: ImageOptions) -> list[Problem]:
    """Options that name columns which a manifest doesn't have."""
    asked = [("columns", name) for name in options.columns or ()]
    asked += [("types", name) for name in options.types or {}]
    asked += [("separators", name) for name in options.separators]
    labels = [options.labels] if isinstance(options.labels, str) else options.labels
    asked += [("labels", name) for name in labels if name != "label"]  # which there needn't be
    found = [
        Problem(f"there is no column {name!r}", argument=argument, given=name, available=tuple(columns))
        for argument, name in asked
        if name not in columns
    ]
    if options.label_pattern is not None or options.join is not None or options.split_folders:
        argument = "split_folders" if options.split_folders else "join" if options.join else "label_pattern"
        what = f"{argument} is for folders, and a manifest is given"
        found.append(Problem(what, argument=argument, remedy="name the labels in the manifest's columns"))
    return found


class Resolver:
    """Finds the files that a manifest names."""

    def __init__(self, manifest: Path, allow_outside: bool) -> None:
        self._folder = os.path.abspath(manifest.parent)  # noqa: PTH100 - keeps links
        self._root = os.path.realpath(manifest.parent)
        self._allow_outside = allow_outside
        self._real: dict[str, str] = {}

    def place(self, text: str) -> tuple[str, str]:
        """The file that a path names, and "", or "" and what is wrong."""
        if "\0" in text:
            return "", "the path holds a NUL character"
        if is_base64(text):
            return "", "it is no path, but an image as base64"
        scheme, sign, _ = text.partition("://")
        if sign and scheme.isalnum():
            return "", f"addresses that begin with {scheme}:// are not read"
        path = os.path.join(self._folder, os.path.expanduser(text) if self._allow_outside else text)  # noqa: PTH111, PTH118
        if "\\" in text and os.sep == "/" and not os.path.lexists(path):
            path = os.path.join(self._folder, text.replace("\\", "/"))  # noqa: PTH118 - written on Windows
        path = os.path.normpath(path)
        if not self._allow_outside and not inside(self._target(path), self._root):
            return "", "the path leads out of the manifest's folder"
        return path, ""

    def _target(self, path: str) -> str:
        """The real path, of which each folder is looked up once."""
        folder, name = os.path.split(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        real = os.path.join(self._real[folder], name)  # noqa: PTH118
        return os.path.realpath(real) if os.path.islink(real) else real  # noqa: PTH114


def is_remote(text: str) -> bool:
    """Whether an image is told by its address on the network."""
    return text[:8].lower().startswith(_REMOTE)


def is_base64(text: str) -> bool:
    """Whether a cell holds an image itself where a path is looked for."""
    return len(text) >= _LEAST_BASE64 and text.startswith(_BASE64) and "." not in text[:_LEAST_BASE64]


def named_files(paths: Sequence[str], options: ImageOptions) -> list[str]:
    """The files that manifests name and that are there, each manifest's by the names as they are written.

    It says nothing of what is wrong with a manifest: that is found out, and told, when it is read.
    """
    if options.image_as != "path":
        return []
    found: list[str] = []
    for path in paths:
        resolver = Resolver(Path(path), options.allow_outside)
        own: dict[str, str] = {}
        with suppress(HeadraceError, OSError, UnicodeError, csv.Error, EOFError, zlib.error):
            for text in _texts(Path(path), options):
                if text in own or is_remote(text):
                    continue
                place, problem = resolver.place(text)
                if not problem and os.path.isfile(place):  # noqa: PTH113 - many
                    own[text] = place
        found += [own[name] for name in sorted(own)]
    return found


def _texts(path: Path, options: ImageOptions) -> Iterator[str]:
    """What tells of the image of each row that tells of one."""
    wanted = image_columns(columns_of([path], options, LOOKED_AT), options)
    rows = _csv_rows(path, wanted, options) if is_csv(path.name) else _json_rows(path, wanted, options)
    for values in rows:
        if not options.template and isinstance(values[0], str):
            yield values[0]
        elif all(isinstance(value, str | int) for value in values):
            yield options.filled({name: str(value) for name, value in zip(wanted, values, strict=True)}) or ""


def _json_rows(path: Path, wanted: Sequence[str], options: ImageOptions) -> Iterator[list[object]]:
    rows = (row.value for row in read_objects(path, options.encoding))
    return ([row.get(name) for name in wanted] for row in rows if row is not None)


def _csv_rows(path: Path, wanted: Sequence[str], options: ImageOptions) -> Iterator[list[str]]:
    given = options.csv_options(path.name, {})
    csv.field_size_limit(sys.maxsize)
    encoding = canonical_encoding(given.encoding)
    encoding += "-sig" if encoding == "utf-8" else ""
    sign = read_head(path, given.encoding, given.delimiter, given.quote).delimiter
    with open_plain(path) as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
        rows = filter(None, csv.reader(text, delimiter=sign, quotechar=given.quote))
        head = next(rows, [])
        places = [head.index(name) for name in wanted if name in head]
        for row in rows:
            if len(row) == len(head) and len(places) == len(wanted):
                yield [row[place] for place in places]
