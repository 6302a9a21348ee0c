"""How the texts of a timestamp column are written, as `types` states it. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
"""Microseconds in the units in which numbers count from 1970-01-01 UTC."""


def pattern_problem(pattern: str) -> str:
    """What is wrong with the part of `timestamp:…` behind the colon, or ""."""
    if pattern in UNITS:
        return ""
    if "%" not in pattern:
        return f"{pattern!r} is neither s, ms, us nor a pattern such as %d/%m/%Y"
    try:
        datetime.strptime("", pattern)
    except ValueError as error:
        # A text that doesn't fit is no news; anything else is about the pattern.
        return "" if str(error).startswith("time data") else f"{pattern!r} is no pattern: {error}"
    return ""


def stated_patterns(types: Mapping[str, str] | None) -> dict[str, str]:
    """By column the part of `timestamp:…` behind the colon, of those that have one.

    Examples carry it in their property `times`, so that `predict` reads rows the same way.
    """
    told = {name: kind.partition(":") for name, kind in (types or {}).items()}
    return {name: pattern for name, (_, _, pattern) in told.items() if pattern}
