"""One column of the data as a card: all splits side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...schemas.anomalies import Anomaly
from ...schemas.statistics import Correlation, FeatureStatistics, SplitStatistics
from ...schemas.statistics_table import bytes_text
from . import charts
from .text import NONE, moment, number, safe, share

TOP = 8
"""How many values a card lists for a split."""
_METHODS = {"pearson": "r", "eta": "η", "cramers_v": "V"}

Found = Sequence[tuple[SplitStatistics, FeatureStatistics | None]]
"""The splits, in order, each with its statistics of the column."""


def card(
    place: int,
    name: str,
    found: Found,
    anomalies: Sequence[Anomaly],
    pictures: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The card of the column `name`, the `place`-th of the data; `pictures` are data URIs by split."""
    some = [feature for _, feature in found if feature is not None]
    first = some[0]
    worst = "error" if any(a.severity == "error" for a in anomalies) else "warning" if anomalies else ""
    missing = max((1 - feature.presence for feature in some), default=0.0)
    related = first.correlation.value if first.correlation else None
    keys = (
        f'data-n="{safe(name.lower(), 200)}" data-t="{first.type}" data-m="{missing:.6f}" '
        f'data-d="{max(feature.distinct for feature in some)}" data-a="{len(anomalies)}" '
        f'data-r="{abs(related or 0):.6f}"'
    )
    head = f'<h3 title="{safe(name, 400)}">{safe(name)}</h3><span class="tag">{first.type}</span>'
    if worst:
        counted = "1 anomaly" if len(anomalies) == 1 else f"{len(anomalies)} anomalies"
        head += f'<span class="tag {worst}">{counted}</span>'
    if first.correlation is not None:
        head += _correlation(first.correlation)
    ranges = _ranges(some)
    columns = "".join(
        _split(number_, split, feature, ranges, (pictures or {}).get(split.name, ()))
        for number_, (split, feature) in enumerate(found)
    )
    return (
        f'<article id="f{place}" {keys}><header>{head}</header>{_notes(anomalies)}'
        f'<div class="splits">{columns}</div>{_slices(found, name)}</article>'
    )


def _correlation(found: Correlation) -> str:
    symbol = _METHODS.get(found.method, found.method)
    value = NONE if found.value is None else f"{found.value:.2f}"
    title = f"{found.method} with {found.label}, {found.rows} rows"
    return f'<span class="tag soft" title="{safe(title, 200)}">{safe(symbol)} {value}</span>'


def _notes(anomalies: Sequence[Anomaly]) -> str:
    lines = "".join(f'<p class="note {safe(a.severity)}">{safe(a.message, 400)}</p>' for a in anomalies[:5])
    return lines + (f"<p class=note>and {len(anomalies) - 5} more</p>" if len(anomalies) > 5 else "")


def _ranges(some: Sequence[FeatureStatistics]) -> tuple[float, float, float]:
    numbers = [f.numeric.histogram if f.numeric else None for f in some]
    sizes = [(f.images or f.lengths) for f in some]
    lengths = [one.histogram if one else None for one in sizes]
    return charts.spread(numbers if any(numbers) else lengths)


def _split(
    place: int,
    split: SplitStatistics,
    feature: FeatureStatistics | None,
    ranges: tuple[float, float, float],
    pictures: Sequence[str],
) -> str:
    head = f'<section class="s{place % 6}"><h4>{safe(split.name)}</h4>'
    if feature is None:
        return f"{head}<p class=none>not in this split</p></section>"
    if feature.images is not None:
        body = _images(feature, ranges, pictures)
    else:
        body = _numbers(feature, ranges) if feature.numeric is not None else _texts(feature, ranges)
    return f"{head}{_facts(_common(feature))}{body}</section>"


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in pairs) + "</dl>"


def _common(feature: FeatureStatistics) -> list[tuple[str, str]]:
    about = "" if feature.exact else "~"
    gone = f'<b class="{"high" if feature.presence < 0.5 else ""}">{share(feature.missing, feature.rows)}</b>'
    error = f" ±{feature.distinct_error:.1%}" if feature.distinct_error else ""
    unknown = feature.count > 0 and not feature.distinct
    facts = [
        ("missing", f"{gone} <i>{number(feature.missing)}</i>" if feature.missing else "0"),
    ]
    if feature.images is None:
        facts.append(("distinct", "?" if unknown else f"{about}{number(feature.distinct)}{error}"))
    if feature.weighted is not None:
        whole = feature.weighted.count + feature.weighted.missing
        facts.append(("weighted missing", share(feature.weighted.missing, whole)))
    if feature.lists is not None:
        lists = feature.lists
        facts.append(("values a row", f"{number(lists.min)} to {number(lists.max)}, ⌀ {number(lists.mean)}"))
    if feature.invalid_utf8:
        facts.append(("invalid UTF-8", f'<b class="high">{number(feature.invalid_utf8)}</b>'))
    return facts


def _numbers(feature: FeatureStatistics, ranges: tuple[float, float, float]) -> str:
    numbers = feature.numeric
    assert numbers is not None
    show: Callable[[float | None], str] = moment if feature.type == "timestamp" else number
    about = "~" if numbers.relative_error else ""
    facts = [("mean", show(numbers.mean))]
    if feature.type != "timestamp":
        facts.append(("deviation", number(numbers.deviation)))
    facts.append(("median", about + show(numbers.median)))
    if feature.weighted is not None and feature.weighted.mean is not None:
        facts.append(("weighted mean", show(feature.weighted.mean)))
    if feature.type != "timestamp":
        facts.append(("zeros", share(numbers.zeros, feature.count) if numbers.zeros else "0"))
    if numbers.infinite:
        facts.append(("infinite", f'<b class="high">{number(numbers.infinite)}</b>'))
    facts.append(("range", f"{show(numbers.min)} … {show(numbers.max)}"))
    drawn = charts.histogram(numbers.histogram, *ranges, charts.quartiles(feature))
    axis = f"<p class=axis><span>{show(ranges[0])}</span><span>{show(ranges[1])}</span></p>" if drawn else ""
    return f"{_facts(facts)}{drawn}{axis}"


def _texts(feature: FeatureStatistics, ranges: tuple[float, float, float]) -> str:
    whole = feature.lists.values if feature.lists is not None else feature.count
    most = feature.top[0][1] if feature.top else 1
    rows = [
        f'<tr><td title="{safe(value, 300)}">{safe(value, 40) or "<i>empty</i>"}</td>'
        f'<td><div class="bar" style="width:{100 * count / most:.1f}%"></div></td>'
        f"<td>{share(count, whole)}</td></tr>"
        for value, count in feature.top[:TOP]
    ]
    more = feature.distinct - len(rows)
    rest = f"<p class=more>and {number(more)} more</p>" if more > 0 else ""
    table = f'<table class="top">{"".join(rows)}</table>{rest}' if rows else ""
    sizes = feature.lengths
    if sizes is None or sizes.mean is None:
        return table
    told = f"{number(sizes.min)} to {number(sizes.max)}, ⌀ {sizes.mean:.1f}"
    drawn = charts.histogram(sizes.histogram, *ranges) if sizes.min != sizes.max else ""
    return f"{table}{_facts([('characters', told)])}<div class=small>{drawn}</div>"


def _images(feature: FeatureStatistics, ranges: tuple[float, float, float], pictures: Sequence[str]) -> str:
    images = feature.images
    assert images is not None
    shown = "".join(f'<img src="{safe(uri, len(uri))}" alt="an image of the split">' for uri in pictures)
    shown = f"<div class=pictures>{shown}</div>" if shown else ""
    if images.mean_bytes is None:
        return shown
    formats = ", ".join(f"{safe(name)} {share(count, feature.count)}" for name, count in images.formats)
    facts = [
        ("formats", formats),
        ("bytes", bytes_text(images.bytes)),
        ("mean", bytes_text(images.mean_bytes)),
        ("range", f"{bytes_text(images.min_bytes)} … {bytes_text(images.max_bytes)}"),
    ]
    drawn = charts.histogram(images.histogram, *ranges) if images.min_bytes != images.max_bytes else ""
    ends = f"<span>{bytes_text(ranges[0])}</span><span>{bytes_text(ranges[1])}</span>"
    return f"{shown}{_facts(facts)}{drawn}{f'<p class=axis>{ends}</p>' if drawn else ''}"


def _slices(found: Found, name: str) -> str:
    rows = []
    for split, _ in found:
        for part in split.slices:
            try:
                feature = part[name]
            except KeyError:
                continue
            told = feature.numeric.mean if feature.numeric else None
            top = safe(feature.top[0][0], 30) if feature.top and feature.numeric is None else ""
            rows.append(
                f"<tr><td>{safe(split.name)}</td><td>{safe(part.name)}</td><td>{number(part.rows)}</td>"
                f"<td>{share(feature.missing, feature.rows)}</td><td>{top or number(told)}</td></tr>"
            )
    if not rows:
        return ""
    head = "<tr><th>split</th><th>slice</th><th>rows</th><th>missing</th><th>mean or top value</th></tr>"
    return f"<details><summary>slices</summary><table class=plain>{head}{''.join(rows)}</table></details>"
