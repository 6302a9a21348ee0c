"""How far a running step is, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .common import duration

_KNOWN = ("done", "total", "rows", "epoch", "epochs", "validated")


@dataclass
class Progress:
    """The last progress event of a step, and where the pass that it belongs to began.

    A step may pass over its data several times; a count that goes down begins a new pass.

    Attributes:
        values: the values of the last event.
        since: the time of the pass's first event, in seconds.
        first: the values of that event.
    """

    values: dict[str, Any] = field(default_factory=dict)
    since: float = 0.0
    first: dict[str, Any] = field(default_factory=dict)
    _now: float = 0.0

    def update(self, values: Mapping[str, Any], now: float) -> None:
        """Takes an event."""
        restarted = any(_number(values, k) < _number(self.values, k) for k in ("done", "rows") if k in values)
        if not self.values or (restarted and "epoch" not in values):
            self.since, self.first = now, dict(values)
        self.values, self._now = dict(values), now

    @property
    def share(self) -> float:
        """The part that is done, between 0 and 1; 0 where it isn't known."""
        return _share(self.values)

    @property
    def rate(self) -> float:
        """Rows per second since the pass began; 0 where it isn't known."""
        seconds = self._now - self.since
        rows = _number(self.values, "rows") - _number(self.first, "rows")
        return rows / seconds if seconds > 0 and rows > 0 else 0.0

    @property
    def left(self) -> float:
        """Seconds left, if it goes on as it did; 0 where it isn't known."""
        gained = self.share - _share(self.first)
        return (self._now - self.since) * (1 - self.share) / gained if gained > 0 else 0.0

    def parts(self) -> list[str]:
        """Short phrases, the most important first."""
        values, found = self.values, []
        if "epoch" in values:
            found.append(f"epoch {values['epoch']}" + (f"/{values['epochs']}" if "epochs" in values else ""))
        elif values.get("total"):
            found.append(f"{values.get('done', 0)}/{values['total']}")
        if "loss" in values:
            found.append(f"loss {_shown(values['loss'])}")
        if "val_loss" in values:
            found.append(f"val_loss {_shown(values['val_loss'])}")
        if self.left:
            found.append(f"{duration(self.left)} left")
        if self.rate:
            found.append(f"{_count(self.rate)} {'examples' if 'epoch' in values else 'rows'}/s")
        elif values.get("rows"):
            found.append(f"{_count(values['rows'])} rows")
        said = (*_KNOWN, "loss", "val_loss", "rate")
        found += [f"{k} {_shown(v)}" for k, v in values.items() if k not in said]
        return found


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _share(values: Mapping[str, Any]) -> float:
    done, total = _number(values, "done"), _number(values, "total")
    if total > 0:
        return min(done / total, 1.0)
    # `epoch` is the one that is at work, counted from 1.
    epochs = _number(values, "epochs")
    return max(0.0, min((_number(values, "epoch") - 1) / epochs, 1.0)) if epochs > 0 else 0.0


def _count(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{number:.0f}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
