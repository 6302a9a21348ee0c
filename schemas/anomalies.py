"""Where data departs from its schema, as values, and as JSON to and from. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "missing_column", "new_column", "type_changed", "too_many_missing", "too_few_values", "unexpected_value",
    "out_of_range", "value_count", "drift", "skew",
]  # fmt: skip
Severity = Literal["error", "warning"]
Action = Literal["fail", "warn", "drop"]

MOST_EXAMPLES = 10
ROW_KINDS = ("too_many_missing", "unexpected_value", "out_of_range", "value_count")
"""Kinds that are about single rows, which can be dropped."""

Policy = Mapping[str, Action | Mapping[str, Action]]
"""What is done, by kind or by column, or by column and kind: `{out_of_range: drop, city: {drift: warn}}`."""


@dataclass(frozen=True)
class Offence:
    """One offending value, and where it is.

    Attributes:
        value: as text.
        file, line: in the source, by its base name and from 1; where that is not known, the Parquet part
            within the artifact and line 0.
        row: the row within the part, from 0.
    """

    value: str
    file: str = ""
    line: int = 0
    row: int = 0

    def __str__(self) -> str:
        place = f"{self.file} line {self.line}" if self.line else f"{self.file} row {self.row}"
        return f"{self.value!r} ({place})" if self.file else repr(self.value)


@dataclass(frozen=True)
class Anomaly:
    """One way in which one column departs from the schema.

    Attributes:
        feature: the column; "" for the whole table.
        kind: see `Kind`.
        severity: an "error" stops what is below the gate, a "warning" doesn't.
        message: what is wrong, with a remedy; for people.
        count: how many rows; for drift and skew 0.
        share: of the rows looked at; for drift and skew the distance.
        examples: up to ten different offending values, each where it is first.
        split: the split, or "" for all.
        dropped: whether its rows are left out of what goes on.
    """

    feature: str
    kind: Kind
    severity: Severity
    message: str
    count: int = 0
    share: float = 0.0
    examples: tuple[Offence, ...] = ()
    split: str = ""
    dropped: bool = False


def to_json(anomalies: Iterable[Anomaly]) -> str:
    """A JSON list, a line an anomaly; equal for equal anomalies."""
    lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False, allow_nan=False) for one in anomalies)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def from_json(text: str) -> tuple[Anomaly, ...]:
    """The inverse of `to_json`."""
    return tuple(_anomaly(told) for told in json.loads(text))


def _anomaly(told: Mapping[str, Any]) -> Anomaly:
    return Anomaly(**{**told, "examples": tuple(Offence(**example) for example in told["examples"])})


def action(policy: Policy, feature: str, kind: Kind) -> Action:
    """What the policy says: the column's word on the kind, then the column's, then the kind's, then `fail`.

    A name that is both a kind and a column stands for the kind, unless kinds are given below it. `drop` on
    what isn't about single rows is `fail`.
    """
    own, general = policy.get(feature), policy.get(kind)
    found: Any = own.get(kind) if isinstance(own, Mapping) else None
    if found is None and isinstance(own, str) and feature not in Kind.__args__:  # type: ignore[attr-defined]
        found = own
    if found is None and isinstance(general, str):
        found = general
    if found == "drop" and kind not in ROW_KINDS:
        return "fail"
    return found or "fail"
