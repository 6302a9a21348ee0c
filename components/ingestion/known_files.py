"""Files that an earlier attempt of the same step has read, whose parts are taken over as they are.

What a file gives depends on its content, on its name (which stands beside its rows and rejects), on the
folders that stand for columns, on the split that it was named in, and on the step's parameters and code. All
that is in a file's key. It depends on the other files only through the types of the columns, which are
compared when all are known. Where more than that depends on all rows (`stratify`, shares of time, `sample`)
nothing is taken over.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from ...pipelines.artifact import Artifact, confined
from ...pipelines.context import Context
from ...pipelines.errors import StoreError
from .rejects import Reject, to_json
from .source_lines import SUFFIX
from .split_options import SplitOptions

K = TypeVar("K")


class KnownPart(msgspec.Struct, frozen=True):
    """A part in an earlier artifact.

    Attributes:
        path: its name there.
        rows: how many it has.
        sha256: of its bytes.
        lines: of those of the record of lines beside it; "" if there is none.
    """

    path: str
    rows: int
    sha256: str
    lines: str = ""


class KnownUnit(msgspec.Struct, frozen=True):
    """What a unit of a file gave: see `IngestUnit`."""

    rows_in: int
    rejects: list[dict[str, str | int]]
    outside: dict[str, str | int] | None
    parts: dict[str, KnownPart]


class KnownFiles(Generic[K]):
    """What is known of some of a step's files.

    Attributes:
        values: what was noted, by the file's path as the step got it.
    """

    def __init__(
        self,
        ctx: Context,
        files: Mapping[Path, Any],
        rule: SplitOptions,
        facts: Any,
        kind: type[K],
        sample: int | None = None,
    ) -> None:
        """Recalls what there is.

        Args:
            ctx: the step's context.
            files: JSON values of what stands beside each file: its split, what its folders tell.
            rule: how rows come into splits.
            facts: JSON values of all else that decides what a file gives.
            kind: the type of what is noted.
            sample: how many rows are read of all.
        """
        self.values: dict[str, K] = {}
        self._reuse = ctx.reuse
        self._keys: dict[str, str] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self._folders: dict[str, Path] = {}
        self._taken: set[str] = set()
        if self._reuse is None or sample is not None or rule.kind in ("stratify", "time_shares"):
            self._reuse = None
            return
        try:
            self._stamps = {str(path): _stamp(path) for path in files}
            digests = self._reuse.digests(list(files))
        except OSError:  # reading the file will tell
            self._reuse = None
            return
        for path, beside in files.items():
            key = self._reuse.key([digests[str(path)], path.name, beside, facts])
            found = self._reuse.recall(key, kind)
            self._keys[str(path)] = key
            if found is not None:
                self.values[str(path)], self._folders[str(path)] = found

    @property
    def notes(self) -> bool:
        """Whether there is any use in noting what is read."""
        return self._reuse is not None

    def told(self, ctx: Context) -> dict[str, Any]:
        """Says how many files needn't be read again; the same for the artifact's summary."""
        if not self.values:
            return {}
        ctx.say(f"{len(self._taken)} of {len(self._keys)} files reused")
        return {"files": len(self._keys), "reused": len(self._taken)}

    def take_over(
        self, units: Sequence[tuple[int, str, KnownUnit]], folder: str
    ) -> dict[int, dict[str, dict[str, Any]]]:
        """Copies the parts of units into `folder`.

        Args:
            units: number, file, and what is known of each.
            folder: where parts wait for publishing.

        Returns:
            By the unit's number its parts as `write_parts` tells them, with their SHA-256 (`sha256`, and
            `lines` for the record beside it); without the units of which something is missing or damaged.
        """
        jobs = [(number, file, split, part) for number, file, u in units for split, part in u.parts.items()]
        found: dict[int, dict[str, dict[str, Any]]] = {number: {} for number, _, _ in units}
        lost: set[int] = set()
        copies: list[tuple[Path, Path, str]] = []
        owners: list[int] = []
        for number, file, split, part in jobs:
            target = Path(folder) / f"{number:06d}-{uuid.uuid4().hex}.parquet"
            files = self._files(file, part, target)
            copies += files
            owners += [number] * len(files)
            lost |= set() if files else {number}
            told = {"path": str(target), "rows": part.rows, "sha256": part.sha256, "lines": part.lines}
            found[number][split] = told
        if self._reuse is not None:
            done = self._reuse.copy(copies)
            lost |= {number for number, copied in zip(owners, done, strict=True) if not copied}
        self._taken = {file for _, file, _ in units} - {file for number, file, _ in units if number in lost}
        return {number: parts for number, parts in found.items() if number not in lost}

    def _files(self, file: str, part: KnownPart, target: Path) -> list[tuple[Path, Path, str]]:
        """What to copy for a part; nothing where its name leads out of its artifact."""
        try:
            source = confined(self._folders[file], part.path)
        except StoreError:
            return []
        files = [(source, target, part.sha256)]
        if part.lines:
            files.append((source.with_suffix(SUFFIX), target.with_suffix(SUFFIX), part.lines))
        return files

    def note(self, artifact: Artifact, values: Mapping[str, K]) -> None:
        """Notes what is known now, by file; not of one that was written to in the meantime.

        The artifact is finished, so that a full disk is no error here.
        """
        assert self._reuse is not None
        for path, value in values.items():
            with suppress(OSError):
                if _stamp(Path(path)) == self._stamps[path]:
                    self._reuse.note(self._keys[path], artifact, value)


def known_rejects(rejects: Sequence[Reject]) -> list[dict[str, str | int]]:
    """Rejects without their file, which may be called otherwise when they are recalled."""
    return to_json(replace(reject, file="") for reject in rejects)


def known_parts(parts: Mapping[str, Mapping[str, Any]], digests: Mapping[str, str]) -> dict[str, KnownPart]:
    """What is to be known of a unit's parts.

    Args:
        parts: `path` in the artifact and `rows`, by split.
        digests: SHA-256 of the artifact's files by name.
    """
    return {
        split: KnownPart(
            part["path"],
            part["rows"],
            digests[part["path"]],
            digests.get(Path(part["path"]).with_suffix(SUFFIX).as_posix(), ""),
        )
        for split, part in parts.items()
    }


def taken_digests(parts: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """SHA-256 by name of the files of parts that were taken over, which needn't be read once more."""
    found = {}
    for part in (part for own in parts for part in own.values() if "sha256" in part):
        found[part["path"]] = part["sha256"]
        if part["lines"]:
            found[Path(part["path"]).with_suffix(SUFFIX).as_posix()] = part["lines"]
    return found


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_ctime_ns
