"""Numbers, and tables of them, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .common import table


def number_text(value: Any) -> str:
    """A number with four significant digits, and all of those before the point; `-` for a missing one."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:.0f}"
    return f"{value:.4g}"


def right(rows: Sequence[Sequence[str]]) -> str:
    """A table of numbers, aligned to the right, under titles, aligned to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return table([[row[0], *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in rows])


def tasks_text(told: Mapping[str, Any]) -> str:
    """What a model does: `binary of sold`; of several outputs each."""
    tasks = told["tasks"] if "tasks" in told else [told["task"]]
    return "; ".join(f"{task['name']} of {task['label']}" for task in tasks)
