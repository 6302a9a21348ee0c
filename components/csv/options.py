"""What `csv_examples` is asked to do, and what can be said of it before anything is read in earnest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...pipelines.errors import InvalidRequestError, Problem
from ..ingestion.split_options import SplitOptions
from ..ingestion.time_patterns import pattern_problem
from .sources import canonical_encoding, name_problems, other_delimiter

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A")
"""What stands for a missing value if nothing else is said."""
TYPES = ("int", "float", "string", "bool", "timestamp")
"""What a column may be; behind `timestamp:` may stand how its texts are written."""

SMALLEST_UNIT, LARGEST_UNIT = 4 << 20, 32 << 20
"""Bytes of plain text."""


def kind_of(stated: str) -> str:
    """The type in what is stated: `timestamp` of `timestamp:%d/%m/%Y`."""
    return stated.partition(":")[0]


@dataclass(frozen=True)
class Options:
    """The parameters of `csv_examples`, see there.

    Attributes:
        split: those that decide splits; the others go by their own names.
    """

    split: SplitOptions
    delimiter: str | None = None
    quote: str = '"'
    header: bool | None = None
    columns: Sequence[str] | None = None
    encoding: str = "utf-8"
    missing_values: Sequence[str] = MISSING
    types: Mapping[str, str] | None = None
    max_rejects: int = 0
    block_bytes: int | None = None
    sample: int | None = None

    @property
    def has_header(self) -> bool:
        """Whether the first row of a file names the columns."""
        return self.columns is None if self.header is None else self.header

    def unit_bytes(self, columns: int) -> int:
        """The size of a unit of work; where none is asked for, a wide table's has some thousand rows, too.

        What is done once for each column of a unit should be little beside what is done for its values.
        """
        return self.block_bytes or min(max(SMALLEST_UNIT, columns << 14), LARGEST_UNIT)

    def problems(self) -> list[Problem]:
        """What doesn't fit, known from the arguments alone."""
        found = [*self._dialect_problems(), *self.split.problems(), *self._type_problems()]
        if self.columns is not None:
            found += [problem.at(argument="columns") for problem in name_problems(self.columns, "")]
        elif self.header is False:
            found.append(
                Problem(
                    "without a header the columns need names", argument="columns", remedy="columns: [a, b, …]"
                )
            )
        try:
            canonical_encoding(self.encoding)
        except InvalidRequestError as error:
            found += error.problems
        return found

    def _dialect_problems(self) -> list[Problem]:
        found = []
        sign = self.delimiter
        if sign not in (None, "auto") and not _one_ascii(sign):
            what = f"the delimiter has to be one ASCII character, not {sign!r}"
            found.append(
                Problem(
                    what, argument="delimiter", remedy='for a tab write "\\t"; "auto" chooses by the header'
                )
            )
        if self.quote and not _one_ascii(self.quote):
            found.append(
                Problem(
                    f"the quote has to be one ASCII character or '', not {self.quote!r}", argument="quote"
                )
            )
        if self.quote and self.quote == sign:
            found.append(Problem(f"delimiter and quote are both {sign!r}", argument="quote"))
        return found

    def _type_problems(self) -> list[Problem]:
        found = []
        for name, kind in (self.types or {}).items():
            bare, colon, pattern = kind.partition(":")
            if bare not in TYPES or (colon and bare != "timestamp"):
                what = f"[{name}]: {kind!r} is not a type"
                available = (*TYPES, "timestamp:%d/%m/%Y", "timestamp:s")
                found.append(Problem(what, argument="types", given=kind, available=available))
            elif colon and (wrong := pattern_problem(pattern)):
                what = f"[{name}]: {wrong}"
                found.append(Problem(what, argument="types", remedy='types: {when: "timestamp:%d/%m/%Y"}'))
        return found

    def head_problems(self, names: Sequence[str], file: str) -> list[Problem]:
        """What doesn't fit the first row of a file."""
        if self.columns is not None:
            if len(names) == len(self.columns):
                return []
            what = f"the first row has {len(names)} fields, and {len(self.columns)} column names are given"
            return [Problem(what, argument="columns", file=file, line=1)]
        other = other_delimiter(names) if self.delimiter is None and not names[0].startswith("sep=") else ""
        if other:
            shown = {"\t": "\\t"}.get(other, other)
            what = f"the header has one column, and holds {shown!r}"
            remedy = f'delimiter: "{shown}" (or delimiter: "," if it really is one column)'
            return [Problem(what, argument="delimiter", file=file, line=1, remedy=remedy)]
        return name_problems(names, file)

    def column_problems(self, columns: Sequence[str]) -> list[Problem]:
        """Arguments that name columns which aren't there."""
        found = self.split.column_problems(columns)
        kind = (self.types or {}).get(self.split.column, "")
        problem = self.split.kind_problem(kind_of(kind)) if kind else None
        found += [problem] if problem else []
        return found + [
            Problem(f"there is no column {name!r}", argument="types", given=name, available=tuple(columns))
            for name in self.types or {}
            if name not in columns
        ]


def _one_ascii(text: str | None) -> bool:
    return text is not None and len(text) == 1 and text.isascii() and text not in "\r\n\0"
