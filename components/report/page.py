"""The page as a whole: head, anomalies, cards."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from ...schemas.anomalies import Anomaly
from ...schemas.statistics import DatasetStatistics
from .cards import card
from .look import SCRIPT, STYLE
from .text import number, safe, share

MOST_ANOMALIES = 500
_ORDERS = (
    ("", "order of the data"),
    ("n", "name"),
    ("m", "missing"),
    ("d", "distinct values"),
    ("a", "anomalies"),
    ("r", "correlation"),
)


def page(
    statistics: DatasetStatistics,
    anomalies: Sequence[Anomaly] | None,
    title: str,
    pictures: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> str:
    """One HTML document that needs nothing but a browser.

    Nothing in it is loaded, and a content security policy lets its own script run and no other. Equal for
    equal arguments.

    Args:
        statistics: of the splits, which are shown side by side.
        anomalies: what was found; None where nobody looked.
        title: the heading.
        pictures: data URIs of a few images by split and column.
    """
    names = list(dict.fromkeys(feature.name for split in statistics for feature in split))
    splits = [(split, {feature.name: feature for feature in split}) for split in statistics]
    by_name: dict[str, list[Anomaly]] = {}
    for anomaly in anomalies or ():
        by_name.setdefault(anomaly.feature, []).append(anomaly)
    cards = [
        card(
            place,
            name,
            [(split, held.get(name)) for split, held in splits],
            by_name.get(name, []),
            {split: uris for (split, column), uris in (pictures or {}).items() if column == name},
        )
        for place, name in enumerate(names)
    ]
    places = {name: place for place, name in enumerate(names)}
    types = sorted({feature.type for split in statistics for feature in split})
    return (
        f"{_head(title, bool(pictures))}<main><h1>{safe(title, 200)}</h1>"
        f"<p class=lead>{number(len(names))} columns, {_budget(statistics)}</p>"
        f"{_tiles(statistics, anomalies)}{_anomalies(anomalies, places)}<h2>Columns</h2>{_tools(types)}"
        f'<div id="list">{"".join(cards)}</div></main><script>{SCRIPT}</script></body></html>\n'
    )


def _head(title: str, pictures: bool) -> str:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    policy += "; img-src data:" if pictures else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{safe(title, 200)}</title><style>{STYLE}</style></head><body>"
    )


def _budget(statistics: DatasetStatistics) -> str:
    inexact = len({feature.name for split in statistics for feature in split if not feature.exact})
    if not inexact:
        return "all counts exact"
    within = f" past {number(statistics.budget)} bytes a column" if statistics.budget else ""
    return f"counts of {number(inexact)} columns estimated (~){within}"


def _tiles(statistics: DatasetStatistics, anomalies: Sequence[Anomaly] | None) -> str:
    total = sum(split.rows for split in statistics)
    tiles = [
        f'<div class="tile s{place % 6}"><b>{number(split.rows)}</b><span>rows in {safe(split.name)}'
        f" · {share(split.rows, total)}</span></div>"
        for place, split in enumerate(statistics)
    ]
    if anomalies is not None:
        errors = sum(anomaly.severity == "error" for anomaly in anomalies)
        told = f"<b>{errors}</b><span>errors, {len(anomalies) - errors} warnings</span>"
        tiles.append(f'<div class="tile">{told}</div>')
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _anomalies(anomalies: Sequence[Anomaly] | None, places: Mapping[str, int]) -> str:
    if anomalies is None:
        return ""
    if not anomalies:
        return '<h2>Anomalies</h2><p class="ok">None found.</p>'
    rows = "".join(_anomaly(one, places) for one in anomalies[:MOST_ANOMALIES])
    more = len(anomalies) - MOST_ANOMALIES
    rest = f"<p class=more>and {more} more in anomalies.json</p>" if more > 0 else ""
    head = "".join(f"<th>{name}</th>" for name in ("", "column", "kind", "what", "rows", "examples"))
    return f"<h2>Anomalies</h2><table class=plain><tr>{head}</tr>{rows}</table>{rest}"


def _anomaly(one: Anomaly, places: Mapping[str, int]) -> str:
    name = safe(one.feature) or "<i>table</i>"
    if one.feature in places:
        name = f'<a href="#f{places[one.feature]}">{name}</a>'
    split = f" <i>{safe(one.split)}</i>" if one.split else ""
    counted = f"{number(one.count)} · {share(one.share, 1)}" if one.count else f"{one.share:.3g}"
    examples = "<br>".join(f"<code>{safe(example, 120)}</code>" for example in one.examples)
    return (
        f'<tr><td><span class="sev {safe(one.severity)}">{safe(one.severity)}</span></td>'
        f"<td class=name>{name}{split}</td><td class=key>{safe(one.kind)}</td>"
        f"<td>{safe(one.message, 600)}</td><td class=num>{counted}</td><td>{examples}</td></tr>"
    )


def _tools(types: Sequence[str]) -> str:
    orders = "".join(f'<option value="{key}">{name}</option>' for key, name in _ORDERS)
    kinds = "".join(f"<option>{kind}</option>" for kind in types)
    return (
        '<div class="tools"><input id="find" type="search" placeholder="Filter columns by name" '
        'aria-label="filter"><select id="type" aria-label="type"><option value="">all types</option>'
        f'{kinds}</select><select id="sort" aria-label="order">{orders}</select>'
        '<span id="count"></span></div>'
    )
