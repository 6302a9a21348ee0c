from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.components.data_report import data_report
from headrace.components.report.page import page
from headrace.components.report.text import moment, number, safe, share
from headrace.components.statistics import statistics
from headrace.pipelines import Statistics
from headrace.pipelines.artifact import Anomalies
from headrace.pipelines.errors import DataError
from headrace.schemas.anomalies import Anomaly, Offence, to_json
from headrace.schemas.statistics import DatasetStatistics, FeatureStatistics, SplitStatistics

from .raw_examples import make_raw_examples

EVIL = "<script>alert('x')</script>"


class Tags(HTMLParser):
    """Counts tags, and complains of what isn't closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.outward: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.outward += [
            (k, v) for k, v in attrs if (k in ("src", "href") and not str(v).startswith("#")) or k[:2] == "on"
        ]
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def looked_at(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert not tags.open and not tags.outward and "http" not in re.sub("http-equiv", "", html)
    return tags


def made(new_ctx: Any, anomalies: list[Anomaly] | None) -> str:
    ctx = new_ctx()
    data = pa.table(
        {
            EVIL: pa.array([1.0, 2.0, None, 40.0]),
            "city": pa.array([EVIL, EVIL, "\u202egnp.exe", "x" * 500]),
            "when": pa.array([0, 86_400_000_000, None, 5], pa.timestamp("us", "UTC")),
            "tags": pa.array([["a"], [], None, ["b", "c"]], pa.list_(pa.string())),
            "gone": pa.nulls(4, pa.int64()),
        }
    )
    examples = make_raw_examples(ctx, {"train": data, "<b>": data.slice(0, 2), "none": data.slice(0, 0)})
    found = statistics.function(ctx, examples, label="when", slices=["city"])
    given = None
    if anomalies is not None:
        draft = ctx.output(Anomalies, "anomalies")
        (draft.path / "anomalies.json").write_text(to_json(anomalies), "utf-8")
        given = draft.finish()
    report = data_report.function(new_ctx(), found, anomalies=given, title=EVIL)
    return report.file("report.html").read_text("utf-8")


def test_a_page_that_nothing_in_the_data_can_harm(new_ctx: Any) -> None:
    anomalies = [
        Anomaly(
            EVIL, "out_of_range", "error", f"{EVIL} is out of range", 3, 0.5, (Offence(EVIL, "a.csv", 7),)
        ),
        Anomaly("new", "new_column", "warning", "not in the schema"),
    ]
    html = made(new_ctx, anomalies)
    tags = looked_at(html)
    assert tags.seen.count("script") == 1 and EVIL not in html and "\u202e" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in html
    assert tags.seen.count("article") == 5 and "out_of_range" in html and "a.csv line 7" in html
    assert 'href="#f0"' in html and "1970-01-02" in html and "x" * 100 not in html.split("title=", 1)[0]
    policy = re.search(r"script-src 'sha256-[^']+'", html)
    assert policy and "default-src 'none'" in html


def test_without_anomalies(new_ctx: Any) -> None:
    assert "Anomalies" not in made(new_ctx, None)


def test_none_found(new_ctx: Any) -> None:
    assert "None found." in made(new_ctx, [])


def test_five_thousand_columns_stay_a_page(tmp_path: Path) -> None:
    data = pa.table({"x": [1.5, 2.5, 9.0, 4.0], "s": ["a", "b", "b", None]})
    from headrace.schemas.table_summary import TableSummary, column_types

    x, s = TableSummary.of(column_types(data.schema), data).compute("train")
    renamed = [FeatureStatistics(**{**vars(one), "name": f"c{i}"}) for i in range(2_500) for one in (x, s)]
    columns = [FeatureStatistics(**{**vars(one), "name": f"{one.name}{i}"}) for i, one in enumerate(renamed)]
    splits = tuple(SplitStatistics(name, 4, tuple(columns)) for name in ("train", "test"))
    html = page(DatasetStatistics(splits), None, "wide")
    assert html.count("<article") == 5_000 and len(html) < 20_000_000


def test_damaged_inputs_are_named(new_ctx: Any) -> None:
    ctx = new_ctx()
    draft = ctx.output(Statistics, "statistics")
    (draft.path / "statistics.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="format 99"):
        data_report.function(ctx, draft.finish())


def test_texts() -> None:
    assert safe("a" * 100) == "a" * 60 + "…" and safe('"&') == "&quot;&amp;"
    assert (number(None), number(1234567.0), number(0.123456), number(1e300)) == (
        "\u2013", "1\u202f234\u202f567", "0.12346", "1e+300",
    )  # fmt: skip
    assert (share(1, 3), share(1, 10**6), share(10**6 - 1, 10**6), share(0, 0)) == (
        "33.3%", "&lt;0.1%", "&gt;99.9%", "\u2013",
    )  # fmt: skip
    assert (moment(0), moment(1.5e6), moment(9e18)) == ("1970-01-01", "1970-01-01 00:00:01", "9e+18")
