"""The trials as a picture: the metric by each searched parameter, and the best so far by trial.

Drawn with Pillow. Which fonts there are depends on the machine, so the file is volatile in its artifact.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .settings import TuneSettings
from .space import Axis, Choices
from .trials import Trial, best_of, best_so_far, value_text

PAPER, INK, SOFT, LINE = (255, 255, 255), (28, 36, 48), (102, 112, 127), (227, 231, 236)
DOT, BEST, STEP = (49, 104, 190), (214, 92, 35), (214, 92, 35)
WIDTH, HEIGHT, COLUMNS, MARGIN = 460, 330, 3, 24
"""Of one panel in pixels; how many stand side by side; around all of them."""
LEFT, TOP, RIGHT, BOTTOM = 74, 40, 18, 52
"""Of a panel's drawing area, from the panel's edges."""
TICKS = 5


@dataclass(frozen=True)
class Scale:
    """How values are placed along an axis, from 0 to 1.

    Attributes:
        place: of a value.
        ticks: place and text.
    """

    place: Callable[[Any], float]
    ticks: Sequence[tuple[float, str]]

    def holds(self, value: Any) -> bool:
        """Whether a value lies on the scale, and not beyond its ends."""
        return 0 <= self.place(value) <= 1


def linear(low: float, high: float, log: bool = False) -> Scale:
    """A scale of numbers with round ticks, a little wider than from `low` to `high`."""
    bend: Callable[[float], float] = math.log10 if log else float
    start, end = bend(low), bend(high)
    room = (end - start) * 0.05 or abs(start) * 0.05 or 0.5
    start, end = start - room, end + room

    def place(value: float) -> float:
        return (bend(value) - start) / (end - start)

    values = _decades(start, end) if log else _round_steps(start, end)
    return Scale(place, [(place(value), f"{value:.4g}") for value in values])


def _round_steps(start: float, end: float) -> list[float]:
    """Some 1, 2 or 5 times a power of ten apart."""
    rough = (end - start) / TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(start / step)
    return [number * step for number in range(first, math.floor(end / step) + 1)]


def _decades(start: float, end: float) -> list[float]:
    """Powers of ten; where there are fewer than two, also 2 and 5 times them."""
    found = [10.0**power for power in range(math.ceil(start), math.floor(end) + 1)]
    if len(found) > 1:
        return found[:: max(1, math.ceil(len(found) / (TICKS + 1)))]
    near = range(math.floor(start), math.ceil(end) + 1)
    return [f * 10.0**p for p in near for f in (1, 2, 5) if start <= math.log10(f * 10.0**p) <= end]


def named(values: Sequence[Any]) -> Scale:
    """Choices side by side, in the order in which they were given."""

    def at(value: Any) -> float:
        return (_index(values, value) + 0.5) / len(values)

    every = max(1, math.ceil(len(values) / 8))
    return Scale(
        at, [((i + 0.5) / len(values), value_text(v)) for i, v in enumerate(values) if not i % every]
    )


def _index(values: Sequence[Any], value: Any) -> int:
    return next(i for i, v in enumerate(values) if type(v) is type(value) and v == value)


def scale_of(axis: Axis) -> Scale:
    """The scale on which an axis of the search is drawn."""
    if isinstance(axis, Choices):
        numbers = [v for v in axis.values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < len(axis.values) or len(numbers) < 4:
            return named(axis.values)
        return linear(min(numbers), max(numbers), axis.log)
    return linear(axis.low, axis.high, axis.log)


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Attributes:
        title: what is along the axis.
        across: the scale of x.
        dots: x and metric; `best` of them is marked.
        steps: x and metric of a line that goes in steps.
    """

    title: str
    across: Scale
    dots: Sequence[tuple[Any, float]]
    best: tuple[Any, float]
    steps: Sequence[tuple[Any, float]] = ()


def panels(trials: Sequence[Trial], settings: TuneSettings) -> list[Panel]:
    """The diagrams of a search of which at least one trial is done."""
    done = [(trial, trial.metric) for trial in trials if trial.metric is not None]
    best = best_of(trials, settings.direction)
    assert best is not None and best.metric is not None
    found = [
        Panel(name, scale_of(axis), [(t.values[name], m) for t, m in done], (best.values[name], best.metric))
        for name, axis in settings.over.items()
    ]
    steps = best_so_far(trials, settings.direction)
    across = linear(0, max(max(trial.number for trial in trials), 1))
    dots = [(trial.number, metric) for trial, metric in done]
    return [*found, Panel("trial: best so far", across, dots, (best.number, best.metric), steps)]


def trials_plot(trials: Sequence[Trial], settings: TuneSettings) -> bytes:
    """A PNG file of `panels`.

    A metric that is far worse than the others would press them together: what lies beyond three times the
    range of the better half is drawn hollow, at the edge.
    """
    from PIL import Image, ImageDraw

    from ..lettering import Lettering

    drawn = panels(trials, settings)
    columns = min(COLUMNS, len(drawn))
    rows = math.ceil(len(drawn) / columns)
    image = Image.new("RGB", (2 * MARGIN + columns * WIDTH, 2 * MARGIN + 34 + rows * HEIGHT), PAPER)
    on = ImageDraw.Draw(image)
    title, small = Lettering(20, bold=True), Lettering(12)
    head = f"{settings.metric} of {len(trials)} trials"
    title.draw(on, (MARGIN, MARGIN - 6), title.fit(head, image.width - 2 * MARGIN), INK)
    metrics = [metric for _, metric in drawn[0].dots]
    up = _up(metrics, settings)
    small.draw(on, (MARGIN, MARGIN + 22), note_of(len(trials), metrics, up), SOFT)
    for number, panel in enumerate(drawn):
        left, top = MARGIN + number % columns * WIDTH, MARGIN + 34 + number // columns * HEIGHT
        _Drawing(on, left, top, small).panel(panel, up)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def note_of(trials: int, metrics: Sequence[float], up: Scale) -> str:
    """What the picture doesn't show of the trials, or not at its place; empty if it shows all."""
    notes = []
    if trials > len(metrics):
        notes.append(f"{trials - len(metrics)} pruned or failed are not shown")
    far = sum(not up.holds(metric) for metric in metrics)
    if far:
        notes.append(f"{far} far worse than the others: hollow, at the edge of the scale")
    return "; ".join(notes)


def _up(metrics: Sequence[float], settings: TuneSettings) -> Scale:
    """The scale of the metric, which leaves out what is far worse than the rest."""
    best_first = sorted(metrics, reverse=settings.direction == "maximize")
    best, median = best_first[0], best_first[len(best_first) // 2]
    limit = best + 3 * (median - best)
    kept = [m for m in best_first if m == best or abs(m - best) <= abs(limit - best) or limit == best]
    return linear(min(kept), max(kept))


class _Drawing:
    """One panel on its place."""

    def __init__(self, on: Any, left: int, top: int, small: Any) -> None:
        self.on, self.small = on, small
        self.left, self.right = left + LEFT, left + WIDTH - RIGHT
        self.top, self.bottom = top + TOP, top + HEIGHT - BOTTOM

    def panel(self, panel: Panel, up: Scale) -> None:
        """Draws it."""
        self._frame(panel, up)
        corners: list[tuple[int, int]] = []
        for x, y in panel.steps:
            here = self._at(panel.across, up, x, y)
            corners += [(here[0], corners[-1][1]), here] if corners else [here]
        if corners:
            self.on.line([*corners, (self.right, corners[-1][1])], fill=STEP, width=2)
        for x, y in panel.dots:
            self._dot(self._at(panel.across, up, x, y), 4, DOT, hollow=not up.holds(y))
        self._dot(self._at(panel.across, up, *panel.best), 6, BEST)

    def _frame(self, panel: Panel, up: Scale) -> None:
        width, height = self.right - self.left, self.bottom - self.top
        for place, text in up.ticks:
            y = round(self.bottom - place * height)
            self.on.line([(self.left, y), (self.right, y)], fill=LINE)
            self.small.draw(self.on, (self.left - 8 - self.small.width(text), y - 9), text, SOFT)
        for place, text in panel.across.ticks:
            x = round(self.left + place * width)
            shown = self.small.fit(text, width // max(len(panel.across.ticks), 1) - 4)
            self.on.line([(x, self.bottom), (x, self.bottom + 4)], fill=SOFT)
            self.small.draw(self.on, (x - self.small.width(shown) // 2, self.bottom + 7), shown, SOFT)
        self.on.rectangle([self.left, self.top, self.right, self.bottom], outline=SOFT)
        name = self.small.fit(panel.title, width)
        middle = self.left + (width - self.small.width(name)) // 2
        self.small.draw(self.on, (middle, self.bottom + 25), name, INK)

    def _at(self, across: Scale, up: Scale, x: Any, y: float) -> tuple[int, int]:
        """The pixel of a value; at the edge for one beyond it."""
        place_x, place_y = (min(max(p, 0.0), 1.0) for p in (across.place(x), up.place(y)))
        return (
            round(self.left + place_x * (self.right - self.left)),
            round(self.bottom - place_y * (self.bottom - self.top)),
        )

    def _dot(
        self, place: tuple[int, int], radius: int, color: tuple[int, int, int], hollow: bool = False
    ) -> None:
        x, y = place
        fill, outline = (PAPER, color) if hollow else (color, PAPER)
        self.on.ellipse([x - radius, y - radius, x + radius, y + radius], fill=fill, outline=outline)
