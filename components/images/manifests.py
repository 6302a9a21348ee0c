"""The images that a manifest names, or holds: its rows as blocks, whatever the manifest is written in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...pipelines.context import Context
from ...pipelines.errors import InvalidRequestError
from ..ingestion.rejects import Reject
from ..ingestion.values import Bad
from .addresses import without_secrets
from .listing import FILE, LINE, TEXT, Block
from .manifest_files import (
    Resolver,
    carried_columns,
    columns_of,
    image_columns,
    is_base64,
    is_remote,
    manifests_of,
    option_problems,
)
from .options import OWN, Given, ImageOptions

_GUESSED = 1 << 16
"""Bytes of an image on the network, as long as nobody knows."""
_SHOWN = 200


@dataclass(frozen=True)
class Plan:
    """Which columns of manifests are read, and as what.

    Attributes:
        files: the manifests, and the split of each, or "".
        images: the columns that tell of the image.
        carried: those that are carried along, in their order.
        labels: those of them that are labels.
        options: what is asked for.
    """

    files: tuple[tuple[Path, str], ...]
    images: tuple[str, ...]
    carried: tuple[str, ...]
    labels: tuple[str, ...]
    options: ImageOptions


def plan(ctx: Context, given: Given, options: ImageOptions) -> Plan:
    """Looks at the manifests' columns.

    Raises:
        DataError: a manifest can't be read, or no column tells of images.
        InvalidRequestError: a path isn't there, or an option names a column that isn't.
    """
    files = manifests_of(given)
    columns = columns_of([path for path, _ in files], options)
    problems = option_problems(columns, options)
    if problems:
        raise InvalidRequestError(problems)
    images = image_columns(columns, options)
    carried = carried_columns(columns, images, options)
    own = [name for name in OWN if name in columns and name not in (*images, *carried)]
    if own and options.columns is None:
        ctx.warn(f"column {', '.join(own)} of the manifest left out, as the images themselves tell it")
    labels = [options.labels] if isinstance(options.labels, str) else options.labels
    return Plan(tuple(files), images, carried, tuple(name for name in labels if name in carried), options)


@dataclass
class Blocks:
    """Makes blocks of the rows of one manifest.

    Attributes:
        manifest: the file.
        split: its split.
        plan: which columns are what.
        rejects: takes the rows that can't be used.
    """

    manifest: Path
    split: str
    plan: Plan
    rejects: list[Reject]

    def __post_init__(self) -> None:
        self._resolver = Resolver(self.manifest, self.plan.options.allow_outside)

    def block(
        self, texts: Sequence[str | None], columns: Mapping[str, pa.Array],
        bad: Sequence[tuple[str, Bad]], lines: Any,
    ) -> Block:  # fmt: skip
        """A block.

        Args:
            texts: what tells of the image of each row.
            columns: the values of those that are carried along.
            bad: which of these don't fit, by column.
            lines: of each row in the manifest, int64 [rows].
        """
        keep = np.ones(len(lines), bool)
        for name, values in bad:
            for row in np.flatnonzero(values.mask & keep).tolist():
                self._reject(int(lines[row]), f"column {name!r}: a value {values.what}", "mend the value", "")
            keep &= ~values.mask
        rows = [row for row in range(len(lines)) if keep[row] and self._has(texts[row], int(lines[row]))]
        if self.plan.options.image_as == "path":
            rows, files, addresses = self._placed(rows, texts, lines)
            sizes = [_size(file) if file else _GUESSED for file in files]
            names = [texts[row] for row in rows]
        else:
            files, addresses = [None] * len(rows), [texts[row] for row in rows]
            sizes = [len(text or "") for text in addresses]
            names = [f"{self.manifest.name}:{lines[row]}" for row in rows]
        chosen = pa.array(rows, pa.int64())
        made = {
            FILE: pa.array([os.fsencode(file) if file else None for file in files], pa.binary()),
            TEXT: pa.array(addresses, pa.string()),
            LINE: pa.array(lines).take(chosen),
            "path": pa.array(names, pa.string()),
            **{name: columns[name].take(chosen) for name in self.plan.carried},
        }
        return Block(pa.table(made), np.array(sizes, np.int64), str(self.manifest), self.split)

    def _has(self, text: str | None, line: int) -> bool:
        if text is None or not text.strip():
            self._reject(line, "the row tells of no image", f"fill in column {self.plan.images[0]!r}", "")
            return False
        return True

    def _placed(
        self, rows: Sequence[int], texts: Sequence[str | None], lines: Any
    ) -> tuple[list[int], list[str | None], list[str | None]]:
        """The rows whose image has a place: a file, or an address."""
        kept: list[int] = []
        files: list[str | None] = []
        addresses: list[str | None] = []
        for row in rows:
            text = texts[row] or ""
            place, problem = ("", "") if is_remote(text) else self._resolver.place(text)
            if problem:
                remedy = "allow_outside: true reads it" if "leads out" in problem else "mend it"
                remedy = "image_as: base64 reads it" if is_base64(text) else remedy
                told = without_secrets(text)
                self._reject(int(lines[row]), f"{told[:_SHOWN]!r}: {problem}", remedy, told)
                continue
            kept.append(row)
            files.append(place or None)
            addresses.append(None if place else text)
        return kept, files, addresses

    def _reject(self, line: int, reason: str, remedy: str, text: str) -> None:
        self.rejects.append(Reject(str(self.manifest), line, reason, remedy, text))


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size  # noqa: PTH116 - one a row
    except OSError:
        return 0  # whoever reads it will tell
