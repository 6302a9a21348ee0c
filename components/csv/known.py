"""What is known of CSV files that were read before: where their rows are, what they hold, their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...pipelines.artifact import Artifact
from ...pipelines.context import Context
from ..ingestion.known_files import KnownFiles, KnownUnit, known_parts, known_rejects
from .boundaries import Cut
from .inference import Profile
from .options import Options
from .prepare import TableFile, delimiter_of
from .reading import Unit

if TYPE_CHECKING:
    from .ingest import Read


class KnownCut(KnownUnit, frozen=True):
    """A unit of a file, and what it gave.

    Attributes:
        place: where in the file.
        empty: how many rows of delimiters alone were left out.
    """

    place: Cut
    empty: int


class KnownCsv(msgspec.Struct, frozen=True):
    """A file that was read.

    Attributes:
        names: the cells of its first row.
        copied: whether it can be read by offset only from a plain copy.
        start, line, size: see `TableFile`.
        rows: how many rows it has, blank or not.
        types: those with which its parts were written, of all columns.
        profiles: of the columns whose type isn't stated; the unit of a stray counts from the file's first.
        cuts: its units.
    """

    names: tuple[str, ...]
    copied: bool
    start: int
    line: int
    size: int
    rows: int
    types: dict[str, str]
    profiles: dict[str, Profile]
    cuts: list[KnownCut]

    def table_file(self, path: Path) -> TableFile:
        """The file, without a place of plain bytes where that takes a copy."""
        return TableFile(str(path), "" if self.copied else str(path), self.start, self.line, self.size)


@dataclass
class Known:
    """What is known of a step's files, from earlier attempts and from this one.

    Attributes:
        files: from earlier attempts.
        heads, rows, profiles: by file, filled in as this attempt finds them.
        copied: the files that can't be read by offset as they are.
        units: of known files, by their number in this attempt.
    """

    files: KnownFiles[KnownCsv]
    heads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    profiles: dict[str, dict[str, Profile]] = field(default_factory=dict)
    copied: set[str] = field(default_factory=set)
    units: dict[int, KnownCut] = field(default_factory=dict)

    @classmethod
    def of(cls, ctx: Context, paths: Sequence[Path], options: Options, by_file: Sequence[str]) -> Known:
        """Recalls what was noted of the files that are read with the same options."""
        sign = delimiter_of(paths[0], options) if ctx.reuse else ""
        facts = ["csv", sign, msgspec.json.encode(options).decode()]
        files = dict(zip(paths, by_file or [""] * len(paths), strict=True))
        return cls(KnownFiles(ctx, files, options.split, facts, KnownCsv, options.sample))

    def __getitem__(self, name: str) -> KnownCsv | None:
        """What is known of a file from before."""
        return self.files.values.get(name)

    def number(self, name: str, first: int) -> None:
        """Gives the units of a known file their numbers in this attempt, from `first` on."""
        value = self[name]
        if value is not None:
            self.units.update(enumerate(value.cuts, first))
            self.profiles[name] = {column: _moved(seen, first) for column, seen in value.profiles.items()}

    def add(self, name: str, profiles: Mapping[str, Profile]) -> None:
        """Adds what a unit of a file tells of its columns."""
        own = self.profiles.setdefault(name, {})
        own.update(
            (column, own[column].merge(seen) if column in own else seen) for column, seen in profiles.items()
        )

    def merged(self) -> dict[str, Profile]:
        """What all files tell of the columns."""
        found: dict[str, Profile] = {}
        for profiles in self.profiles.values():
            for name, seen in profiles.items():
                found[name] = found[name].merge(seen) if name in found else seen
        return found

    def fits(self, unit: Unit, types: Mapping[str, str]) -> bool:
        """Whether a unit is known, and its parts were written with these types."""
        value = self[unit.file.name]
        return value is not None and list(value.types.items()) == list(types.items())

    def note(
        self, artifact: Artifact, files: Sequence[TableFile], reads: Sequence[Read], types: Mapping[str, str]
    ) -> None:
        """Notes all files of an artifact that is finished.

        Args:
            artifact: it.
            files: what was read.
            reads: the units' results, with their parts as they are called in it.
            types: those of all columns, as they may be stated.
        """
        if not self.files.notes:
            return
        digests = {entry.path: entry.sha256 for entry in artifact.files}
        units: dict[str, list[Read]] = {file.name: [] for file in files}
        for read in reads:
            units[read.unit.file.name].append(read)
        self.files.note(
            artifact,
            {file.name: self._value(file, units[file.name], dict(types), digests) for file in files},
        )

    def _value(
        self, file: TableFile, reads: Sequence[Read], types: dict[str, str], digests: Mapping[str, str]
    ) -> KnownCsv:
        first = reads[0].unit.number if reads else 0
        seen = {name: _moved(own, -first) for name, own in self.profiles.get(file.name, {}).items()}
        return KnownCsv(
            self.heads[file.name], file.name in self.copied, file.start, file.line, file.size,
            self.rows[file.name], types, seen, [_cut(read, digests) for read in reads],
        )  # fmt: skip


def _cut(read: Read, digests: Mapping[str, str]) -> KnownCut:
    unit = read.unit
    return KnownCut(
        read.rows_in, known_rejects(read.rejects), read.outside, known_parts(read.parts, digests),
        Cut(unit.start, unit.end, unit.line, unit.plain), read.empty,
    )  # fmt: skip


def _moved(seen: Profile, by: int) -> Profile:
    return replace(seen, stray=replace(seen.stray, unit=seen.stray.unit + by)) if seen.stray else seen
