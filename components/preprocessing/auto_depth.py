"""What `features: auto` makes of points in time and of columns with several values a row; the rules are in
`auto`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...schemas.moments import ColumnMoments
from ..transforms import Cyclic, DateParts
from ..transforms.dates import PERIODS
from .analysis import Found, Request, analyze
from .fitted_features import Branch, Stage
from .fitting import Fitter

SEASONS, WEEKS = 365, 14
"""Days that the train split has to span for the month, and for the day of the week, to be a feature."""
SLOTS = 100
"""Values of a column with several a row that get a slot each."""


@dataclass(frozen=True)
class Choice:
    """What becomes of a column.

    Attributes:
        made: how the feature of its name is made, in the grammar.
        beside: further features made of it, by name.
        dropped: why there is none.
    """

    made: Any = None
    beside: Mapping[str, Any] = field(default_factory=dict)
    dropped: str = ""


def choose_time(name: str, days: ColumnMoments, hours: ColumnMoments, missing: bool) -> Choice:
    """The choice for a point in time.

    Args:
        name: the column.
        days: of the days since 1970-01-01, in the train split.
        hours: of the hours of the day.
        missing: whether a value is missing in any split.
    """
    if not days.count:
        return Choice(dropped="it has no value in the train split")
    span = days.max - days.min
    parts = ["month"] * (span >= SEASONS) + ["weekday"] * (span >= WEEKS) + ["hour"] * (hours.max > hours.min)
    if not parts and not span:
        return Choice(dropped="it lies in the same hour in every row")
    since: list[Any] = [{"date_parts": "epoch_days"}, *[{"impute": "median"}] * missing, "z_score"]
    circles = _circles(name, parts, missing)
    if not span:  # the hour alone
        (made,) = circles.values()
        return Choice(made["apply"])
    return Choice(since, circles)


def _circles(name: str, parts: Sequence[str], missing: bool) -> dict[str, Any]:
    if not missing:
        return {f"{name}_cyclic": {"from": name, "apply": {Cyclic.name: list(parts)}}} if parts else {}
    chains = {
        part: [{"date_parts": part}, {"impute": "most_frequent"}, {"cyclic": {"period": PERIODS[part][1]}}]
        for part in parts
    }
    return {f"{name}_{part}": {"from": name, "apply": chain} for part, chain in chains.items()}


def choose_list(kind: str, found: Found | None) -> Choice:
    """The choice for a column with several values a row.

    Args:
        kind: its type.
        found: the counts of its values as strings; None for lists of floats.
    """
    if found is None or found.strings is None:
        return Choice(dropped=f"{kind} a row: there is no transform of lists of numbers yet")
    counts = found.strings
    if not counts.count:
        return Choice(dropped="it has no value in the train split")
    if 2 * counts.distinct > counts.count:
        text = f"{counts.distinct:,} distinct values among {counts.count:,}: hardly any occurs twice"
        return Choice(dropped=f"{text}; see bag, or vocabulary and pad")
    return Choice("multi_hot" if counts.distinct <= SLOTS else {"multi_hot": SLOTS})


def choose_deep(
    ctx: Context, fitter: Fitter, examples: Examples, columns: Sequence[str], others: Sequence[str]
) -> dict[str, Choice]:
    """The choices for points in time and lists, from one look at the train split and one at the others.

    Args:
        ctx: the step's context.
        fitter: what asks the train split.
        examples: raw examples.
        columns: the columns.
        others: the other splits.
    """
    times = [name for name in columns if fitter.types[name] == "timestamp"]
    lists = [name for name in columns if fitter.types[name] in ("strings", "ints")]
    parts = [_part(name, part) for part in ("epoch_days", "hour") for name in times]
    counted = [
        Request(Branch(name, fitter.types[name], ()), ("strings",), ("strings", "ints")) for name in lists
    ]
    answers = fitter.answer([*parts, *counted])
    elsewhere = analyze(ctx, "auto-times", examples, others, parts) if times and others else []
    counts = dict(zip(lists, answers[len(parts) :], strict=True))
    found = {name: choose_list(fitter.types[name], counts.get(name)) for name in columns if name not in times}
    for place, name in enumerate(times):
        days, hours = _moments(answers[place]), _moments(answers[len(times) + place])
        missing = bool(days.missing or (elsewhere and _moments(elsewhere[place]).missing))
        found[name] = choose_time(name, days, hours, missing)
    return found


def _part(name: str, part: Any) -> Request:
    stage = Stage(DateParts(part), {})
    return Request(Branch(name, "timestamp", (stage,)), ("moments",), ("float",))


def _moments(found: Found) -> ColumnMoments:
    assert found.moments is not None
    return found.moments
