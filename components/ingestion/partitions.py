"""Columns that stand in folders' names, `year=2024/month=05/part.parquet`, as Hive lays tables out.

Standard library only, since the static check comes through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from ...pipelines.errors import DataError

_MISSING = "__HIVE_DEFAULT_PARTITION__"
_INT = re.compile(r"-?[0-9]{1,18}")

Partition = Mapping[str, str | None]
"""The value of each column that a file's folders stand for; None where it is missing."""


def partition_of(folders: Iterable[str], file: str) -> dict[str, str | None]:
    """The columns in the names of folders, with percent signs decoded.

    Args:
        folders: names, outermost first; those that aren't `name=value` say nothing.
        file: the file, for messages.

    Raises:
        DataError: a column occurs twice, or a name isn't UTF-8.
    """
    found: dict[str, str | None] = {}
    for folder in folders:
        name, sign, value = folder.partition("=")
        if not name or not sign:
            continue
        try:
            name, value = unquote(name, errors="strict"), unquote(value, errors="strict")
        except UnicodeDecodeError as error:
            raise DataError(
                f"the folder's name {folder!r} isn't UTF-8 once it is decoded", file=file, remedy="rename it"
            ) from error
        if name in found:
            raise DataError(
                f"two folders on the way to the file tell {name!r}", file=file, remedy="rename one"
            )
        found[name] = None if value in ("", _MISSING) else value
    return found


def partition_kinds(partitions: Sequence[Partition], stated: Mapping[str, str]) -> dict[str, str]:
    """The type of each column over all files: int where all its values are whole numbers, else string.

    One whose type is stated is read from its text, so that `types: {month: string}` keeps the zero of `05`.
    """
    names = dict.fromkeys(name for partition in partitions for name in partition)
    kinds = {}
    for name in names:
        values = [value for partition in partitions if (value := partition.get(name)) is not None]
        whole = bool(values) and all(_INT.fullmatch(value) for value in values)
        kinds[name] = "int" if whole and name not in stated else "string"
    return kinds


def check_own_columns(partition: Partition, columns: Iterable[str], file: str) -> None:
    """Raises DataError where a folder tells a column that is in the file too."""
    both = [name for name in columns if name in partition]
    if both:
        raise DataError(
            f"column {both[0]!r} is in the file, and in the name of its folder", file=file,
            remedy="rename the folder, or give the files by a glob that begins below it",
        )  # fmt: skip
