"""What strings look like that a person should hear of: dates, and one category spelt in several ways."""

from __future__ import annotations

import re
from collections.abc import Sequence

LOOKED_AT = 1000
"""So many of the most frequent values of a column are looked at."""
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{4})"
    r"([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?(Z|[+-]\d{2}:?\d{2})?)?"
)


def text_warnings(column: str, values: Sequence[str]) -> list[str]:
    """Warnings for a column of strings.

    Args:
        column: its name.
        values: its most frequent values, each once.
    """
    found = []
    if values and all(_DATE.fullmatch(value.strip()) for value in values):
        found.append(
            f"column {column!r} looks like a date ({values[0]!r}), and a model gets it as text: make numbers"
            " of it beforehand, such as year, month and weekday"
        )
    pair = _same_but_for_case_or_spaces(values)
    if pair:
        found.append(
            f"column {column!r} holds values that differ in spaces or case alone, as {pair[0]!r} and"
            f" {pair[1]!r}; to a model these are different categories"
        )
    return found


def _same_but_for_case_or_spaces(values: Sequence[str]) -> tuple[str, str] | None:
    seen: dict[str, str] = {}
    for value in values:
        other = seen.setdefault(" ".join(value.split()).casefold(), value)
        if other != value:
            return other, value
    return None
