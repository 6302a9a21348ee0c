"""A DAG as an SVG picture, after Sugiyama's method in its simplest form.

Layers by the longest path; an edge that skips layers gets a place of its own in each of them, so that it
doesn't run behind boxes; the order within a layer is by the mean position of the neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .graph import Graph

_CHARACTER, _BOX_HEIGHT, _GAP_X, _GAP_Y, _MARGIN, _PASSAGE = 7.6, 46, 32, 54, 16, 12
_SWEEPS = 6
_Cell = tuple[str, ...]
"""A step `(name,)`, or the place `(source, target, layer)` where an edge passes a layer."""
_Point = tuple[float, float]


@dataclass
class _Layout:
    """Cells in layers, with their neighbours above and below."""

    rows: list[list[_Cell]]
    above: dict[_Cell, list[_Cell]] = field(default_factory=dict)
    below: dict[_Cell, list[_Cell]] = field(default_factory=dict)
    routes: dict[tuple[str, str], list[_Cell]] = field(default_factory=dict)

    def join(self, upper: _Cell, lower: _Cell) -> None:
        """Makes two cells of neighbouring layers neighbours."""
        self.below.setdefault(upper, []).append(lower)
        self.above.setdefault(lower, []).append(upper)


def svg(graph: Graph) -> str:
    """The picture as a standalone SVG document, in CSS pixels."""
    layout = _layout(graph)
    _sort(layout)
    widths: dict[_Cell, float] = {(name,): _width(name, uses) for name, uses in graph.steps.items()}
    place, width = _places(layout, widths)
    height = max(len(layout.rows) * (_BOX_HEIGHT + _GAP_Y) - _GAP_Y, 0) + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{escape(graph.name)}</title>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#5b6b7b"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
    ]
    labelled: dict[str, int] = {}
    for (source, target), route in layout.routes.items():
        label = graph.labels(source, target)
        labelled[target] = labelled.get(target, -1) + bool(label)
        dashed = not graph.reads(source, target)
        parts.append(_edge([place[cell] for cell in route], label, labelled[target], dashed))
    for name, uses in graph.steps.items():
        parts.append(_box(name, uses, place[(name,)], widths[(name,)]))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _width(name: str, uses: str) -> float:
    return max(len(name), 0.85 * len(uses), 8) * _CHARACTER + 24


def _layout(graph: Graph) -> _Layout:
    depth: dict[str, int] = {}
    for name in graph.steps:  # topological, so what a step reads from is known already
        depth[name] = max((depth[source] + 1 for source in graph.upstream(name)), default=0)
    layout = _Layout([[] for _ in range(max(depth.values(), default=-1) + 1)])
    for name, row in depth.items():
        layout.rows[row].append((name,))
    for target in graph.steps:
        for source in graph.upstream(target):
            between = range(depth[source] + 1, depth[target])
            passages: list[_Cell] = [(source, target, str(row)) for row in between]
            for row, cell in zip(between, passages, strict=True):
                layout.rows[row].append(cell)
            route = [(source,), *passages, (target,)]
            layout.routes[source, target] = route
            for upper, lower in pairwise(route):
                layout.join(upper, lower)
    return layout


def _sort(layout: _Layout) -> None:
    """Sorts each layer by the mean position of its neighbours, downwards and upwards in turn."""
    for sweep in range(_SWEEPS):
        neighbours = layout.below if sweep % 2 else layout.above
        for row in reversed(layout.rows) if sweep % 2 else layout.rows:
            position = {cell: (i + 0.5) / len(r) for r in layout.rows for i, cell in enumerate(r)}
            means = {cell: _mean([position[n] for n in neighbours.get(cell, [cell])]) for cell in row}
            row.sort(key=means.__getitem__)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _places(layout: _Layout, widths: dict[_Cell, float]) -> tuple[dict[_Cell, _Point], float]:
    """The middle of the top of every cell, and the width of the picture."""
    spans = [sum(widths.get(cell, _PASSAGE) + _GAP_X for cell in row) - _GAP_X for row in layout.rows]
    width = max(spans, default=0.0) + 2 * _MARGIN
    place: dict[_Cell, _Point] = {}
    for number, (row, span) in enumerate(zip(layout.rows, spans, strict=True)):
        x = (width - span) / 2
        for cell in row:
            taken = widths.get(cell, _PASSAGE)
            place[cell] = (x + taken / 2, _MARGIN + number * (_BOX_HEIGHT + _GAP_Y))
            x += taken + _GAP_X
    return place, width


def _box(name: str, uses: str, place: _Point, width: float) -> str:
    x, y = place
    text = f'<text x="{x:.1f}" text-anchor="middle"'
    return (
        f'<g><rect x="{x - width / 2:.1f}" y="{y}" width="{width:.1f}" height="{_BOX_HEIGHT}" rx="7" '
        'fill="#eef4fa" stroke="#5b6b7b"/>'
        f'{text} y="{y + 20}" font-weight="600" fill="#16222e">{escape(name)}</text>'
        f'{text} y="{y + 36}" font-size="11" fill="#5b6b7b">{escape(uses)}</text></g>'
    )


def _edge(points: list[_Point], label: str, number: int, dashed: bool) -> str:
    """A curve from the bottom of the first box, straight through each passage, to the top of the last.

    The label is written by the arrow's end, above those of `number` other edges that end there. What a
    condition looks at is a dashed line.
    """
    (x, y), *rest = points
    path = f"M{x:.1f} {y + _BOX_HEIGHT}"
    for passed, (x2, y2) in enumerate(rest):
        y1 = y + _BOX_HEIGHT
        path += f"C{x:.1f} {y1 + _GAP_Y / 2} {x2:.1f} {y2 - _GAP_Y / 2} {x2:.1f} {y2}"
        path += f"V{y2 + _BOX_HEIGHT}" if passed < len(rest) - 1 else ""
        x, y = x2, y2
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    drawn = f'<path d="{path}" fill="none" stroke="#5b6b7b"{dashes} marker-end="url(#end)"/>'
    if not label:
        return drawn
    x, y = x + 6, y - 10 - 12 * number
    return f'{drawn}<text x="{x:.1f}" y="{y:.1f}" font-size="10" fill="#5b6b7b">{escape(label)}</text>'
