"""What can be seen of images before anything is read: the top of a folder, the head of a manifest.

The static check comes through here: standard library only, and nothing that takes long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pipelines.errors import InvalidRequestError, Problem
from ..csv.sources import resolve as resolve_files
from ..ingestion.column_options import ColumnOptions
from .labelling import NO_CLASS, order_of_splits, split_of, takes_splits_for_classes
from .manifest_files import (
    LOOKED_AT,
    carried_columns,
    columns_of,
    image_columns,
    is_csv,
    manifests_of,
    option_problems,
)
from .names import kind_of_name
from .options import Given, ImageOptions, given, is_manifest
from .walking import top_level

_SMALL = 1 << 20
"""Bytes of JSON that are read to their end."""


@dataclass(frozen=True)
class Seen:
    """What was seen.

    Attributes:
        columns: of the examples, with their types, "" where these are inferred.
        whole: whether these are all columns; a long JSON manifest is not read to its end.
        splits: the names of the splits.
        problems: what doesn't fit.
    """

    columns: dict[str, str]
    whole: bool
    splits: tuple[str, ...]
    problems: list[Problem]


def look(path: str | Sequence[str] | Mapping[str, str | Sequence[str]], options: ImageOptions) -> Seen:
    """Looks at what `path` names.

    Raises:
        InvalidRequestError: nothing is there, or nobody may look at it.
        DataError: a manifest can't be read.
    """
    try:
        columns, whole, splits, problems = _seen(given(path), options)
    except OSError as error:
        raise InvalidRequestError(
            f"it can't be read: {error.strerror}", file=str(error.filename), remedy="mind its permissions"
        ) from error
    types = {"image": "image", **columns, "path": "string", "height": "int", "width": "int"}
    if whole and not problems:
        asked = {name: kind for name, kind in types.items() if name != "image"}
        problems += options.split.column_problems(tuple(asked))
        wrong = None if problems else ColumnOptions(options.split).split_problem(asked)
        problems += [wrong] if wrong else []
    return Seen(types, whole, splits, problems)


def _seen(named: Given, options: ImageOptions) -> tuple[dict[str, str], bool, tuple[str, ...], list[Problem]]:
    """The columns that are carried along, whether these are all, the splits, and what is wrong."""
    if named.manifests:
        columns, whole, problems = _manifest(named, options)
        return columns, whole, options.split.names, problems
    columns = {name: options.kind_told(name) for name in options.label_names}
    splits, problems = _folders(named, options)
    return columns, True, splits, options.folder_problems() or problems


def _manifest(named: Given, options: ImageOptions) -> tuple[dict[str, str], bool, list[Problem]]:
    """The columns that are carried along, whether these are all, and what is wrong."""
    paths = [path for path, _ in manifests_of(named)]
    whole = is_csv(paths[0].name) or sum(path.stat().st_size for path in paths) <= _SMALL
    columns = columns_of(paths, options, None if whole else LOOKED_AT)
    problems = option_problems(columns, options) if whole else []
    carried = carried_columns(columns, image_columns(columns, options), options)
    return {name: options.kind_told(name, "") for name in carried}, whole, problems


def _folders(named: Given, options: ImageOptions) -> tuple[tuple[str, ...], list[Problem]]:
    """The splits, and what is wrong with the folders as far as their top tells."""
    splits: list[str] = []
    for path, _ in named.paths:
        if not Path(path).is_dir():
            resolve_files(path)
            continue
        top = list(top_level(path))
        folders = [name for name, is_folder in top if is_folder]
        files = [name for name, is_folder in top if not is_folder]
        problem = _folder_problem(path, folders, files, options)
        if problem:
            return options.split.names, [problem]
        splits += map(split_of, folders)
    if options.split_folders:
        return order_of_splits(splits), []
    return options.split.names, []


def _folder_problem(
    path: str, folders: Sequence[str], files: Sequence[str], options: ImageOptions
) -> Problem | None:
    images = [name for name in files if kind_of_name(name) == "image"]
    by_folder = options.label_pattern is None and bool(options.label_names)
    if not folders and not images:
        manifest = next((name for name in files if is_manifest(name)), "")
        what = "there is no image in this folder" if files else "the folder is empty"
        remedy = (
            f"give the manifest itself: path: {path.rstrip('/')}/{manifest}" if manifest else "check the path"
        )
        return Problem(what, argument="path", file=path, available=tuple(files[:20]), remedy=remedy)
    if options.split_folders and not folders:
        what = f"there is no folder that could be a split, and there are {len(images)} images"
        return Problem(what, argument="split_folders", file=path, remedy="leave split_folders out")
    if by_folder and not folders:
        what = (
            f"there is no folder that tells a class, and there are {len(images)} images, such as {images[0]}"
        )
        return Problem(what, argument="labels", file=path, remedy=NO_CLASS)
    if by_folder and takes_splits_for_classes(folders, options):
        what = f"the folders {', '.join(folders)} are called as splits are, and would be the classes"
        return Problem(
            what, argument="path", file=path, remedy="split_folders: true takes the splits from them"
        )
    return None
