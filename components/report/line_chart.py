"""Line charts as a PNG file: panels with lines over a common axis, as of a training's loss by epoch.

    Learning curves                          Lines are drawn three times as large and reduced, so that they
    loss                                     are smooth; letters at their own size, so that they are sharp.
    1.0 ┤╲                                   A line is named at its end, in its color.
    0.5 ┤ ╲╲___ validation 0.41
    0.0 ┴──────
        1  5  10

Which fonts there are depends on the machine, so declare the file `volatile` in an artifact.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from ...pipelines.lettering import Color, Lettering
from .contact_sheet import INK, LINE, PAPER, SOFT
from .scales import Scale, scale_of

BLUE, ORANGE, GREEN = (47, 111, 237), (200, 84, 16), (15, 140, 120)
"""Colors that are told apart by people who don't see all colors, and on gray paper too."""
SHADE = (246, 248, 250)
TITLE, NAME, SMALL, TICK = Lettering(21, bold=True), Lettering(14, bold=True), Lettering(13), Lettering(12)
MARGIN, GAP, WIDTH = 28, 30, 1240
LARGER = 3
"""Times that lines are drawn larger than they are shown."""


@dataclass(frozen=True)
class Line:
    """A line of a panel.

    Attributes:
        name: written at its end; empty for a line that is only a background, drawn faintly.
        x, y: its points, in the order of x; where y is not finite the line is broken.
        color: its own.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: Color


@dataclass(frozen=True)
class Mark:
    """A place that is marked: a dashed line over the panel's height, and a dot where there is a `y`."""

    x: float
    text: str = ""
    y: float | None = None
    color: Color = INK


@dataclass(frozen=True)
class Band:
    """A part of the axis with a name, such as a stage."""

    start: float
    end: float
    name: str


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: above it.
        lines: those with a name lie above those without.
        axis: from left to right.
        unit: what stands at the end of the axis, such as `epoch`.
        bands: beside each other; every other one is shaded.
        marks: see `Mark`.
        log: see `scale_of`.
        note: smaller, behind the title.
    """

    title: str
    lines: Sequence[Line]
    axis: Scale
    unit: str = ""
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()
    log: bool | None = None
    note: str = ""


def line_charts(title: str, rows: Sequence[Sequence[Panel]], heights: Sequence[int], note: str = "") -> bytes:
    """Draws panels in rows.

    Args:
        title: the heading.
        rows: the panels of each row share its width; those of the last row are as wide as those above it.
        heights: of the panels of each row, in pixels, without title and ticks.
        note: smaller, under the heading.

    Returns:
        A PNG file.
    """
    told = SMALL.wrap(note, WIDTH - 2 * MARGIN, 3) if note else []
    top = MARGIN + TITLE.height + len(told) * SMALL.height + 14
    names = [NAME.height + 8 + _strip(row) for row in rows]
    tall = [name + height + TICK.height + 10 for name, height in zip(names, heights, strict=True)]
    gutters = _gutters([panel for row in rows for panel in row])
    sheet = Image.new("RGB", (WIDTH, top + sum(tall) + GAP * (len(rows) - 1) + MARGIN), PAPER)
    on = ImageDraw.Draw(sheet)
    TITLE.draw(on, (MARGIN, MARGIN - 4), TITLE.fit(title, WIDTH - 2 * MARGIN), INK)
    for i, line in enumerate(told):
        SMALL.draw(on, (MARGIN, MARGIN + TITLE.height + i * SMALL.height), line, SOFT)
    y, columns = top, 1
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        columns = max(len(row), columns if number == len(rows) - 1 else 1)
        width = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) // columns
        for i, panel in enumerate(row):
            left = MARGIN + i * (width + GAP)
            area = left + gutters[0], y + names[number], left + width - gutters[1], y + names[number] + height
            _Drawing(sheet, panel, (left, y), area).draw()
        y += tall[number] + GAP
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _scale(panel: Panel) -> Scale:
    return scale_of((value for line in panel.lines for value in line.y), 6, panel.log)


def _labels(panel: Panel) -> list[tuple[Line, str]]:
    """The lines that have a name and a last value, with both as a text."""
    named = [line for line in panel.lines if line.name and any(map(math.isfinite, line.y))]
    return [(line, f"{line.name} {_number(_last(line))}") for line in named]


def _gutters(panels: Sequence[Panel]) -> tuple[int, int]:
    """The room for ticks before, and for names behind all panels, so that their axes stand in line."""
    ticks = [TICK.width(text) for panel in panels for text in _scale(panel).texts]
    names = [SMALL.width(text) for panel in panels for _, text in _labels(panel)]
    return max(ticks, default=0) + 10, max(names, default=0) + 16


def _strip(row: Sequence[Panel]) -> int:
    """The height of the strip above a row's panels in which bands have their names."""
    return TICK.height if any(band.name for panel in row for band in panel.bands) else 0


class _Drawing:
    """A panel on the sheet: its title at `place`, its lines in `area` (left, top, right, bottom)."""

    def __init__(
        self, sheet: Any, panel: Panel, place: tuple[int, int], area: tuple[int, int, int, int]
    ) -> None:
        self.sheet, self.panel = sheet, panel
        self.on = ImageDraw.Draw(sheet)
        self.left, self.top = place
        self.x0, self.y0, self.x1, self.y1 = area
        self.scale = _scale(panel)

    def x(self, value: float) -> float:
        return self.x0 + self.panel.axis.place(value) * (self.x1 - self.x0)

    def y(self, value: float) -> float:
        return self.y1 - self.scale.place(value) * (self.y1 - self.y0)

    def draw(self) -> None:
        self._bands()
        self._grid()
        self._title()
        self._lines()
        self._names()
        self._mark_texts()

    def _bands(self) -> None:
        for number, band in enumerate(self.panel.bands):
            left, right = round(self.x(band.start)), round(self.x(band.end))
            if number % 2 == 0:
                self.on.rectangle((left, self.y0, right, self.y1), fill=SHADE)
            if number:
                self.on.line((left, self.y0, left, self.y1), fill=LINE)
            if band.name and right - left > 20:
                text = TICK.fit(band.name, right - left - 4)
                TICK.draw(self.on, (left + 1, self.y0 - TICK.height - 1), text, SOFT)

    def _grid(self) -> None:
        for value, text in zip(self.scale.ticks, self.scale.texts, strict=True):
            y = round(self.y(value))
            self.on.line((self.x0, y, self.x1, y), fill=LINE)
            TICK.draw(self.on, (self.x0 - 8 - TICK.width(text), y - TICK.height // 2), text, SOFT)
        axis = self.panel.axis
        self.on.line((self.x0, self.y1, self.x1, self.y1), fill=SOFT)
        free = self.x1 + 10
        for value, text in zip(axis.ticks, axis.texts, strict=True):
            x, half = round(self.x(value)), TICK.width(text) // 2
            self.on.line((x, self.y1, x, self.y1 + 4), fill=SOFT)
            TICK.draw(self.on, (x - half, self.y1 + 6), text, SOFT)
            free = max(free, x + half + 8)
        TICK.draw(self.on, (free, self.y1 + 6), self.panel.unit, SOFT)

    def _title(self) -> None:
        room = self.x1 - self.left
        title = NAME.fit(self.panel.title, room)
        NAME.draw(self.on, (self.left, self.top), title, INK)
        notes = [self.panel.note, "log scale" if self.scale.log else ""]
        note = " · ".join(text for text in notes if text)
        at = self.left + NAME.width(title) + 10
        if note and at + SMALL.width(note) < self.x1:
            SMALL.draw(self.on, (at, self.top + 1), note, SOFT)

    def _lines(self) -> None:
        """Lines, dashes and dots, on a larger copy of what lies under them."""
        box = round(self.x0) - 6, self.y0 - 6, round(self.x1) + 7, self.y1 + 7
        part = self.sheet.crop(box)
        large = part.resize((part.width * LARGER, part.height * LARGER), Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(large)

        def at(x: float, y: float) -> tuple[float, float]:
            return (self.x(x) - box[0] + 0.5) * LARGER, (self.y(y) - box[1] + 0.5) * LARGER

        for mark in self.panel.marks:
            x = (self.x(mark.x) - box[0] + 0.5) * LARGER
            for y in range((self.y0 - box[1]) * LARGER, (self.y1 - box[1]) * LARGER, 8 * LARGER):
                pen.line((x, y, x, y + 4 * LARGER), fill=SOFT, width=LARGER)
        for line in sorted(self.panel.lines, key=lambda one: bool(one.name)):
            color, width = (line.color, 2 * LARGER) if line.name else (_faint(line.color), LARGER)
            for run in _runs(line):
                points = [at(x, y) for x, y in run]
                pen.line(points, fill=color, width=width, joint="curve")
                if len(run) == 1 or (line.name and len(line.x) <= 40):
                    for point in points:
                        _dot(pen, point, (3 if line.name else 1) * LARGER, color)
        for mark in self.panel.marks:
            if mark.y is not None and math.isfinite(mark.y):
                _dot(pen, at(mark.x, mark.y), 6 * LARGER, PAPER)
                _dot(pen, at(mark.x, mark.y), 5 * LARGER, mark.color)
        self.sheet.paste(large.resize(part.size, Image.Resampling.BOX), box[:2])

    def _names(self) -> None:
        """The names at the ends of the lines, pushed apart where these are close."""
        least = SMALL.height + 1
        labels = [(self.y(_last(line)), line, text) for line, text in _labels(self.panel)]
        wanted = sorted(labels, key=lambda one: one[0])
        places = [y for y, _, _ in wanted]
        for i in range(1, len(places)):
            places[i] = max(places[i], places[i - 1] + least)
        if places and (over := places[-1] - self.y1) > 0:
            places[-1] -= over
            for i in range(len(places) - 2, -1, -1):
                places[i] = min(places[i], places[i + 1] - least)
        for y, (_, line, text) in zip(places, wanted, strict=True):
            SMALL.draw(self.on, (round(self.x1) + 10, round(y) - SMALL.height // 2), text, line.color)

    def _mark_texts(self) -> None:
        """What a mark says, on paper beside its line, where there is room."""
        for mark in self.panel.marks:
            if not mark.text:
                continue
            width, x = TICK.width(mark.text), round(self.x(mark.x))
            left = x + 6 if x + 6 + width < self.x1 else x - 6 - width
            TICK.draw(self.on, (left, self.y0 + 2), mark.text, INK)


def _runs(line: Line) -> list[list[tuple[float, float]]]:
    """The points of a line between the gaps in it."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(line.x, line.y, strict=True):
        if math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _last(line: Line) -> float:
    return next(value for value in reversed(line.y) if math.isfinite(value))


def _faint(color: Color) -> Color:
    red, green, blue = ((5 * 255 + 4 * part) // 9 for part in color)
    return red, green, blue


def _dot(pen: Any, at: tuple[float, float], radius: float, color: Color) -> None:
    pen.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill=color)


def _number(value: float) -> str:
    """A value with three significant digits, `0.0412`, `12,300`."""
    if not math.isfinite(value):
        return ""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")
    digits = 0 if abs(value) >= 100 else max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"
