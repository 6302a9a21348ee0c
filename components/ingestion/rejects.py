"""Rows that can't be read: kept with their place and reason, or raised as errors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ...pipelines.errors import DataError

_SHOWN = 80


@dataclass(frozen=True)
class Reject:
    """One row that can't be read.

    Attributes:
        file: the file as the user knows it.
        line: the line, from 1, in which the row begins.
        reason: what is wrong, with column and value.
        remedy: how to mend it.
        text: the row's raw text; bytes that aren't UTF-8 as backslash escapes.
        name: the file as `rejects.jsonl` calls it; its base name if empty.
    """

    file: str
    line: int
    reason: str
    remedy: str = ""
    text: str = ""
    name: str = ""

    def error(self, allowed: int = 0) -> DataError:
        """The row as an error; `allowed` is how many rejects there may be."""
        what = (
            f"{self.reason}; more than {allowed} rows are rejected (max_rejects)" if allowed else self.reason
        )
        hint = "max_rejects: N puts up to N such rows into rejects.jsonl"
        return DataError(
            what, file=self.file, line=self.line, remedy=f"{self.remedy}; or {hint}" if self.remedy else hint
        )


def bad_value(column: str, value: str, kind: str) -> tuple[str, str]:
    """Reason and remedy for a value that doesn't fit its column."""
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
    if kind == "infinity":
        return (
            f"column {column!r}: {shown!r} is infinite",
            f"write a finite number, or missing_values: [..., {shown}]",
        )
    article = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "timestamp": "a date and time as stated",
    }[kind.partition(":")[0]]
    return (
        f"column {column!r}: {shown!r} is not {article}",
        f"mend the value; or types: {{{column}: string}}; or missing_values: [..., {shown}]",
    )


def to_json(rejects: Iterable[Reject]) -> list[dict[str, str | int]]:
    """Rejects as JSON values."""
    return [asdict(reject) for reject in rejects]


def from_json(values: Iterable[dict[str, str | int]]) -> list[Reject]:
    """The other way of `to_json`."""
    return [Reject(**value) for value in values]  # type: ignore[arg-type]


def write_rejects(stream: IO[str], rejects: Iterable[Reject]) -> None:
    """Writes one JSON object a line: the file's base name, line, reason, text; of a whole file no line."""
    for r in rejects:
        line = {"line": r.line} if r.line else {}
        told = {"file": r.name or Path(r.file).name, **line, "reason": r.reason, "text": r.text}
        stream.write(json.dumps(told, ensure_ascii=False) + "\n")
