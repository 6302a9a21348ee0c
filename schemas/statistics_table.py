"""Statistics as a table of plain text for the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from .statistics import DatasetStatistics, FeatureStatistics, SplitStatistics, Value

_NUMERIC = (
    "numeric",
    "type",
    "missing",
    "distinct",
    "mean",
    "deviation",
    "zeros",
    "min",
    "25%",
    "median",
    "75%",
    "max",
)
_TEXT = ("text", "type", "missing", "distinct", "lengths", "top values")
_SHOWN = 5
_WIDEST = 40


def statistics_table(statistics: DatasetStatistics) -> str:
    """All splits, each with a table of its numeric and one of its string and bool columns.

    `~` marks numbers that are estimates, `∞` columns that also hold infinite values.
    """
    return "\n".join(_split(split) for split in statistics)


def _split(split: SplitStatistics) -> str:
    lines = [f"{split.name}: {split.rows:,} rows, {len(split.features)} columns", ""]
    numeric = [f for f in split if f.numeric is not None]
    text = [f for f in split if f.numeric is None]
    if numeric:
        lines += [*_align([_NUMERIC, *map(_numeric_row, numeric)]), ""]
    if text:
        lines += [*_align([_TEXT, *map(_text_row, text)], left=(0, 1, 5)), ""]
    return "\n".join(lines)


def _numeric_row(feature: FeatureStatistics) -> Sequence[str]:
    numbers = feature.numeric
    assert numbers is not None
    about = "" if feature.exact else "~"
    quantiles = dict(numbers.quantiles)
    return (
        _short(feature.name) + (" ∞" if numbers.infinite else ""),
        feature.type,
        _share(feature),
        about + f"{feature.distinct:,}",
        _number(numbers.mean),
        _number(numbers.deviation),
        f"{numbers.zeros:,}",
        _number(numbers.min),
        *(about + _number(v) for v in (quantiles.get(0.25), numbers.median, quantiles.get(0.75))),
        _number(numbers.max),
    )


def _text_row(feature: FeatureStatistics) -> Sequence[str]:
    about = "" if feature.exact else "~"
    sizes = feature.lengths
    lengths = "" if sizes is None or sizes.mean is None else f"{sizes.min}..{sizes.max}, ⌀ {sizes.mean:.1f}"
    shown = ", ".join(f"{_value(value)} {_percent(n, feature.count)}" for value, n in feature.top[:_SHOWN])
    more = ", …" if len(feature.top) > _SHOWN else ""
    return (
        _short(feature.name),
        feature.type,
        _share(feature),
        about + f"{feature.distinct:,}",
        lengths,
        about + shown + more,
    )


def _share(feature: FeatureStatistics) -> str:
    return "0" if not feature.missing else f"{feature.missing:,} ({_percent(feature.missing, feature.rows)})"


def _percent(part: int, whole: int) -> str:
    share = part / whole
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.5g}"


def _value(value: Value) -> str:
    # A value comes from the data: nothing of it may act on the terminal.
    return repr(_short(str(value)))


def _short(text: str) -> str:
    clean = "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in text)
    return clean if len(clean) <= _WIDEST else clean[: _WIDEST - 1] + "…"


def _align(rows: Sequence[Sequence[str]], left: tuple[int, ...] = (0, 1)) -> list[str]:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text + " " * (width - _width(text)) if i in left else " " * (width - _width(text)) + text
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    """Terminal cells; wide East Asian characters take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)
