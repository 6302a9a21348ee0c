"""What `csv_examples` is asked to do, and what can be said of it before anything is read in earnest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...pipelines.errors import InvalidRequestError, Problem
from .sources import canonical_encoding, name_problems, other_delimiter

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A")
"""What stands for a missing value if nothing else is said."""


@dataclass(frozen=True)
class Options:
    """The parameters of `csv_examples`, see there."""

    splits: Mapping[str, float]
    split_by: str | None = None
    stratify: str | None = None
    seed: int = 0
    delimiter: str | None = None
    quote: str = '"'
    header: bool | None = None
    columns: Sequence[str] | None = None
    encoding: str = "utf-8"
    missing_values: Sequence[str] = MISSING
    types: Mapping[str, str] | None = None
    max_rejects: int = 0
    block_bytes: int = 4 << 20
    sample: int | None = None

    @property
    def has_header(self) -> bool:
        """Whether the first row of a file names the columns."""
        return self.columns is None if self.header is None else self.header

    def problems(self) -> list[Problem]:
        """What doesn't fit, known from the arguments alone."""
        found = [*self._dialect_problems(), *self._split_problems()]
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

    def _split_problems(self) -> list[Problem]:
        found = []
        if not self.splits:
            found.append(
                Problem("there has to be a split", argument="splits", remedy="splits: {train: 8, test: 2}")
            )
        if len(self.splits) > 255:
            found.append(Problem("there may be up to 255 splits", argument="splits"))
        for name, share in self.splits.items():
            if not name or name != name.strip() or "/" in name or "\\" in name or name.startswith("."):
                found.append(
                    Problem(f"a split can't be called {name!r}: it names a folder", argument="splits")
                )
            if not 0 < share < float("inf"):
                found.append(
                    Problem(f"the share of split {name!r} has to be positive, not {share}", argument="splits")
                )
        if self.split_by and self.stratify:
            what = "split_by and stratify exclude each other: a group would have to be cut to keep the shares"
            found.append(Problem(what, argument="stratify"))
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
        asked = [("split_by", self.split_by), ("stratify", self.stratify)]
        asked += [("types", name) for name in self.types or {}]
        return [
            Problem(f"there is no column {name!r}", argument=argument, given=name, available=tuple(columns))
            for argument, name in asked
            if name is not None and name not in columns
        ]


def _one_ascii(text: str | None) -> bool:
    return text is not None and len(text) == 1 and text.isascii() and text not in "\r\n\0"
