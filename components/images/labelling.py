"""Labels of images by the folders that they lie in, or by a pattern over their names."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ...pipelines.errors import DataError
from ..ingestion.rejects import Reject
from .names import one_line
from .options import SPLIT_NAMES, ImageOptions
from .walking import Found

NO_CLASS = (
    r"labels: [] for images without labels, or label_pattern: (?P<label>[a-z]+)_\d+ for labels in names"
)
"""What to do where no folder tells a class."""


@dataclass(frozen=True)
class Labelled:
    """Images with their labels.

    Attributes:
        images: those that have got a place in the columns.
        columns: by name a text for each image, or None.
        rejects: the other images.
        say: what to tell of the folders, or "".
    """

    images: list[Found]
    columns: dict[str, list[str | None]]
    rejects: list[Reject]
    say: str = ""


def label(images: Sequence[Found], options: ImageOptions) -> Labelled:
    """Gives images their labels as `options` says: by a pattern, by the levels of folders, or none.

    Raises:
        DataError: there are no folders to tell a class, or they tell splits.
    """
    if options.label_pattern is not None:
        return _by_pattern(images, re.compile(options.label_pattern), options.label_names)
    names = options.label_names
    if not names:
        return Labelled(list(images), {}, [])
    _check_folders(images, options)
    deepest = max(len(image.folders) for image in images)
    if options.join is not None:
        texts: list[str | None] = [normalized(options.join.join(image.folders)) for image in images]
        return _split_off(images, {names[0]: texts})
    columns: dict[str, list[str | None]] = {
        name: [normalized(image.folders[level]) if level < len(image.folders) else None for image in images]
        for level, name in enumerate(names)
    }
    deep = [image for image in images if len(image.folders) > len(names)]
    say = ""
    if deep:
        say = (
            f"{len(deep)} of {len(images)} images lie in folders below those of a class, such as"
            f" {one_line(deep[0].name)}; the upper {len(names)} of {deepest} levels are labels"
            f" (labels: [one, for, each, level] keeps them, join: / joins them)"
        )
    kept = _split_off(images, columns)
    return replace(kept, say=say)


def _split_off(images: Sequence[Found], columns: dict[str, list[str | None]]) -> Labelled:
    """Images without the first label are rejects."""
    first = next(iter(columns.values()))
    if all(first):
        return Labelled(list(images), columns, [])
    keep = [bool(text) for text in first]
    reason, remedy = "lies in no folder that tells its class", "move it, or labels: [] for none"
    rejects = [
        Reject(image.file, 0, reason, remedy, "", image.name)
        for image, kept in zip(images, keep, strict=True)
        if not kept
    ]
    chosen = [place for place, kept in enumerate(keep) if kept]
    return Labelled(
        [images[place] for place in chosen],
        {name: [texts[place] for place in chosen] for name, texts in columns.items()},
        rejects,
    )


def _by_pattern(images: Sequence[Found], pattern: re.Pattern[str], names: Sequence[str]) -> Labelled:
    kept: list[Found] = []
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    rejects = []
    for image in images:
        found = pattern.search(image.name)
        if found is None:
            remedy = "mend label_pattern, or rename the file"
            rejects.append(
                Reject(image.file, 0, "label_pattern doesn't match its name", remedy, "", image.name)
            )
            continue
        kept.append(image)
        for place, name in enumerate(names, 1):
            text = found[name] if pattern.groupindex else found[place]
            columns[name].append(normalized(text) if text else None)
    return Labelled(kept, columns, rejects)


def _check_folders(images: Sequence[Found], options: ImageOptions) -> None:
    tops = Counter(image.folders[0] if image.folders else "" for image in images)
    if set(tops) == {""}:
        raise DataError(
            f"{len(images)} images lie in no folder that tells a class, such as {one_line(images[0].name)}",
            argument="labels",
            remedy=NO_CLASS,
        )
    if takes_splits_for_classes(tuple(tops), options):
        raise DataError(
            f"the folders {', '.join(sorted(tops))} are called as splits are, and would be the classes",
            argument="path",
            remedy="split_folders: true takes the splits from them",
        )


def takes_splits_for_classes(folders: Sequence[str], options: ImageOptions) -> bool:
    """Whether folders that are called as splits are would be the classes, and nobody has said so."""
    asked = options.split_folders or options.split.files is not None or not isinstance(options.labels, str)
    return not asked and looks_split(folders)


def looks_split(names: Sequence[str]) -> bool:
    """Whether folders are called as splits are, all of them and `train` among them."""
    lowered = [name.lower() for name in names]
    return (
        len(lowered) > 1
        and all(n in SPLIT_NAMES for n in lowered)
        and "train" in map(SPLIT_NAMES.get, lowered)
    )


def by_split_folder(images: Sequence[Found]) -> tuple[list[Found], list[Reject]]:
    """Takes each image's split from its uppermost folder; one in no folder is a reject."""
    kept, rejects = [], []
    for image in images:
        if image.folders:
            split = split_of(image.folders[0])
            kept.append(image._replace(split=split, folders=image.folders[1:]))
        else:
            reason, remedy = "lies in no folder that tells its split", "move it into one"
            rejects.append(Reject(image.file, 0, reason, remedy, "", image.name))
    return kept, rejects


def split_of(folder: str) -> str:
    """The split that a folder's name stands for: its own, or `validation` for `val`."""
    return SPLIT_NAMES.get(folder.lower(), normalized(folder))


def order_of_splits(names: Sequence[str]) -> tuple[str, ...]:
    """Splits as they are used: train, validation, test, then the others by name."""
    usual = ("train", "validation", "test")
    return (*(name for name in usual if name in names), *sorted(set(names) - set(usual)))


@lru_cache(maxsize=1 << 16)
def normalized(text: str) -> str:
    """A label in one form of Unicode: file systems keep `é` in either of two."""
    return unicodedata.normalize(
        "NFC", text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )
