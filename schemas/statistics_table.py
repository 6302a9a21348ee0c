"""Statistics as a table of plain text for the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta

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
_IMAGES = ("images", "type", "missing", "bytes", "smallest", "mean", "largest", "formats")
_SHOWN = 5
_WIDEST = 40


def statistics_table(statistics: DatasetStatistics) -> str:
    """All splits, each with a table of its numeric, one of its string and bool and one of its image columns.

    `~` marks numbers that are estimates, `∞` columns that also hold infinite values; times are UTC. Behind
    them are the columns' correlations with the label, and the slices, where there are any.
    """
    return "\n".join(_split(split) for split in statistics)


def _split(split: SplitStatistics) -> str:
    lines = [f"{split.name}: {split.rows:,} rows, {len(split.features)} columns", ""]
    numeric = [f for f in split if f.numeric is not None]
    images = [f for f in split if f.images is not None]
    text = [f for f in split if f.numeric is None and f.images is None]
    if numeric:
        lines += [*_align([_NUMERIC, *map(_numeric_row, numeric)]), ""]
    if text:
        lines += [*_align([_TEXT, *map(_text_row, text)], left=(0, 1, 5)), ""]
    if images:
        lines += [*_align([_IMAGES, *map(_image_row, images)], left=(0, 1, 7)), ""]
    related = sorted((f for f in split if f.correlation is not None), key=_strength)
    if related:
        assert related[0].correlation is not None
        head = (f"with {_short(related[0].correlation.label)}", "method", "correlation", "rows")
        lines += [*_align([head, *map(_related_row, related)]), ""]
    if split.slices:
        rows = [(_short(part.name), f"{part.rows:,}") for part in split.slices]
        lines += [*_align([("slice", "rows"), *rows], left=(0,)), ""]
    return "\n".join(lines)


def _strength(feature: FeatureStatistics) -> tuple[float, str]:
    """The order of correlations: the strongest first."""
    value = feature.correlation.value if feature.correlation else None
    return -abs(value) if value is not None else 1.0, feature.name


def _related_row(feature: FeatureStatistics) -> Sequence[str]:
    found = feature.correlation
    assert found is not None
    value = "-" if found.value is None else f"{found.value:.4f}"
    return _short(feature.name), found.method, value, f"{found.rows:,}"


def _numeric_row(feature: FeatureStatistics) -> Sequence[str]:
    numbers = feature.numeric
    assert numbers is not None
    about = "" if feature.exact else "~"
    quantiles = dict(numbers.quantiles)
    number = _time if feature.type == "timestamp" else _number
    return (
        _short(feature.name) + (" ∞" if numbers.infinite else ""),
        feature.type,
        _share(feature),
        _distinct(feature),
        number(numbers.mean),
        "" if feature.type == "timestamp" else _number(numbers.deviation),
        "" if feature.type == "timestamp" else f"{numbers.zeros:,}",
        number(numbers.min),
        *(about + number(v) for v in (quantiles.get(0.25), numbers.median, quantiles.get(0.75))),
        number(numbers.max),
    )


def _text_row(feature: FeatureStatistics) -> Sequence[str]:
    about = "" if feature.exact else "~"
    sizes = feature.lengths
    lengths = "" if sizes is None or sizes.mean is None else f"{sizes.min}..{sizes.max}, ⌀ {sizes.mean:.1f}"
    whole = feature.lists.values if feature.lists is not None else feature.count
    shown = ", ".join(f"{_value(value)} {_percent(n, whole)}" for value, n in feature.top[:_SHOWN])
    more = ", …" if len(feature.top) > _SHOWN else ""
    return (
        _short(feature.name),
        feature.type,
        _share(feature),
        _distinct(feature),
        lengths,
        about + shown + more,
    )


def _image_row(feature: FeatureStatistics) -> Sequence[str]:
    images = feature.images
    assert images is not None
    sizes = (images.bytes, images.min_bytes, images.mean_bytes, images.max_bytes)
    formats = ", ".join(f"{name} {_percent(count, feature.count)}" for name, count in images.formats)
    return _short(feature.name), feature.type, _share(feature), *map(bytes_text, sizes), formats


def bytes_text(value: float | None) -> str:
    """A number of bytes with three significant digits and a unit of powers of ten, as `1.23 MB`."""
    if value is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def _distinct(feature: FeatureStatistics) -> str:
    if feature.count and not feature.distinct:
        return "?"
    return ("" if feature.exact else "~") + f"{feature.distinct:,}"


def _share(feature: FeatureStatistics) -> str:
    return "0" if not feature.missing else f"{feature.missing:,} ({_percent(feature.missing, feature.rows)})"


def _percent(part: int, whole: int) -> str:
    share = part / whole
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.5g}"


def _time(value: float | None) -> str:
    """Microseconds since 1970 as a date, or with its time where it isn't midnight."""
    try:
        when = datetime(1970, 1, 1) + timedelta(microseconds=value or 0)
    except OverflowError:
        return _number(value)
    return "-" if value is None else f"{when:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def _value(value: Value) -> str:
    # A value comes from the data: nothing of it may act on the terminal.
    return repr(_short(str(value)))


def _short(text: str) -> str:
    shown = text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
    return "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in shown)


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
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)
