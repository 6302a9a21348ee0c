"""Learning curves as a picture: loss, each metric and the learning rate over the epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...report.line_chart import BLUE, GREEN, ORANGE, Band, Line, Mark, Panel, line_charts
from ...report.scales import Scale, count_scale
from .record import RATE, Point, metric_names

FILE = "learning_curves.png"
MOST = 12
"""Metrics that are drawn; the picture says how many more there are."""
Row = Mapping[str, float]


def learning_curves(history: Sequence[Row], best_epoch: int, points: Sequence[Point] = ()) -> bytes:
    """Draws the curves.

    Args:
        history: a row an epoch, see `Trained`.
        best_epoch: the epoch, from 1, whose weights were kept.
        points: what was seen within the epochs.

    Returns:
        A PNG file.
    """
    last = int(history[-1]["epoch"])
    axis = count_scale(0 if points or last == 1 else 1, last, 10)
    narrow = count_scale(axis.low, axis.high, 6)
    names = [name for name in metric_names(history) if name != "loss"]
    loss = _metric(history, "loss", best_epoch, axis, points, told=True)
    metrics = [_metric(history, name, best_epoch, narrow) for name in names[:MOST]]
    smaller = [*metrics, *_rates(history, narrow if metrics else axis, points)]
    rows = [[loss], *(smaller[i : i + 2] for i in range(0, len(smaller), 2))]
    heights = [300, *(170 for _ in rows[1:])]
    return line_charts("Learning curves", rows, heights, _note(history, best_epoch, len(names) - MOST))


def _metric(
    history: Sequence[Row],
    name: str,
    best: int,
    axis: Scale,
    points: Sequence[Point] = (),
    told: bool = False,
) -> Panel:
    """A metric on the train and the validation split, with the best epoch marked."""
    lines = [_line(history, name, "train", BLUE), _line(history, f"val_{name}", "validation", ORANGE)]
    within = Line("", [one.epoch for one in points], [one.loss for one in points], BLUE)
    key = f"val_{name}" if f"val_{name}" in history[best - 1] else name
    color = ORANGE if key != name else BLUE
    mark = Mark(best, f"best epoch {best}" if told else "", history[best - 1].get(key), color)
    shown = [line for line in (within, *lines) if line.x]
    note = "the thin line: on the train split, within epochs" if points else ""
    stages = _stages(history) if told else _stages(history, "")
    return Panel(name, shown, axis, "epoch", stages, (mark,), note=note)


def _line(history: Sequence[Row], key: str, name: str, color: tuple[int, int, int]) -> Line:
    rows = [row for row in history if key in row]
    return Line(name, [row["epoch"] for row in rows], [row[key] for row in rows], color)


def _rates(history: Sequence[Row], axis: Scale, points: Sequence[Point]) -> list[Panel]:
    """The learning rate where it changes, as fine as it is known; else nothing."""
    known = [(row["epoch"], row[RATE]) for row in history if RATE in row]
    known += [(one.epoch, one.rate) for one in points if one.rate is not None]
    if len({rate for _, rate in known}) < 2:
        return []
    known.sort()
    line = Line("rate", [x for x, _ in known], [y for _, y in known], GREEN)
    return [Panel("learning rate", [line], axis, "epoch", _stages(history, ""))]


def _stages(history: Sequence[Row], name: str = "stage {}") -> tuple[Band, ...]:
    """Where each stage lies; nothing where there is one."""
    ends: dict[int, float] = {int(row["stage"]): row["epoch"] for row in history if row.get("stage")}
    starts = [0.0, *ends.values()]
    found = zip(ends.items(), starts, strict=False)
    return tuple(Band(start, end, name.format(number)) for (number, end), start in found)


def _note(history: Sequence[Row], best: int, left_out: int) -> str:
    row = history[best - 1]
    key = "val_loss" if "val_loss" in row else "loss"
    told = f"The weights are those of epoch {best} of {len(history)}"
    told += f", which has the least {key}, {row[key]:.4g}." if key == "val_loss" else ", the last."
    if left_out > 0:
        told += f" {left_out} more metrics are in history.csv."
    return told if math.isfinite(row[key]) else ""
