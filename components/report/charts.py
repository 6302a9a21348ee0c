"""Small charts as inline SVG: a histogram with a box, and bars of values."""

from __future__ import annotations

from collections.abc import Sequence

from ...schemas.statistics import FeatureStatistics, Histogram

WIDTH, HEIGHT, BOX = 240, 56, 10


def spread(histograms: Sequence[Histogram | None]) -> tuple[float, float, float]:
    """What histograms that are drawn alike share: least and greatest edge, and the greatest density."""
    some = [one for one in histograms if one is not None]
    low = min((one.edges[0] for one in some), default=0.0)
    high = max((one.edges[-1] for one in some), default=0.0)
    return low, high, max((max(_densities(one, low, high)) for one in some), default=0.0)


def histogram(
    found: Histogram | None, low: float, high: float, top: float, quartiles: Sequence[float] = ()
) -> str:
    """A histogram on the axis from `low` to `high`, as high as `top` at the most; "" without one.

    Args:
        found: the histogram; heights are densities, so that buckets of different widths compare.
        low, high, top: from `spread`.
        quartiles: 25%, 50% and 75%, drawn as a box below.
    """
    if found is None:
        return ""
    bars = []
    densities = _densities(found, low, high)
    for left, right, density in zip(found.edges, found.edges[1:], densities, strict=False):
        if density:
            x, end = _x(left, low, high), _x(right, low, high)
            if low == high:
                x, end = WIDTH / 2 - 6, WIDTH / 2 + 6
            width, height = max(end - x - 1, 1), max(HEIGHT * density / top, 1)
            bars.append(f"M{x:.1f} {HEIGHT}v-{height:.1f}h{width:.1f}v{height:.1f}z")
    box = ""
    if len(quartiles) == 3 and low < high:
        a, b, c = (_x(value, low, high) for value in quartiles)
        ends = _x(found.edges[0], low, high), _x(found.edges[-1], low, high)
        y = HEIGHT + 3
        box = (
            f'<path class="w" d="M{ends[0]:.1f} {y + 3.5}H{ends[1]:.1f}"/>'
            f'<rect class="q" x="{a:.1f}" y="{y}" width="{max(c - a, 1):.1f}" height="7" rx="1.5"/>'
            f'<path class="m" d="M{b:.1f} {y - 1}v9"/>'
        )
    whole = HEIGHT + (BOX + 2 if box else 1)
    return (
        f'<svg viewBox="0 0 {WIDTH} {whole}" role="img" aria-label="histogram">'
        f'<path class="b" d="{"".join(bars)}"/><path class="a" d="M0 {HEIGHT}.5H{WIDTH}"/>{box}</svg>'
    )


def quartiles(feature: FeatureStatistics) -> tuple[float, ...]:
    """25%, 50% and 75% of a column of numbers; empty without them."""
    if feature.numeric is None:
        return ()
    at = dict(feature.numeric.quantiles)
    found = (at.get(0.25), feature.numeric.median, at.get(0.75))
    return tuple(value for value in found if value is not None) if None not in found else ()


def _densities(found: Histogram, low: float, high: float) -> list[float]:
    """Share by share of the axis, so that the area of all bars is one."""
    total = sum(found.counts) or 1
    # Halved, so that the widest range is finite.
    whole = high / 2 - low / 2
    widths = (
        (b / 2 - a / 2) / whole if whole else 1.0 for a, b in zip(found.edges, found.edges[1:], strict=False)
    )
    return [count / total / max(width, 1e-3) for count, width in zip(found.counts, widths, strict=True)]


def _x(value: float, low: float, high: float) -> float:
    whole = high / 2 - low / 2
    return WIDTH * min(max((value / 2 - low / 2) / whole, 0.0), 1.0) if whole else WIDTH / 2
