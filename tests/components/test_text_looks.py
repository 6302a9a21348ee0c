"""Warnings of what strings look like."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from headrace.components.infer_schema import infer_schema
from headrace.components.preprocessing.text_looks import text_warnings
from headrace.components.statistics import statistics
from headrace.components.transform import transform

from .raw_examples import make_raw_examples


@pytest.mark.parametrize(
    ("values", "date"),
    [
        (["2024-01-31", "2024-02-01"], True),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00"], True),
        (["31.01.2024", "1.2.24"], True),
        (["1/31/2024 10:05 PM"], True),
        (["31 Jan 2024", "1-March-2024"], True),
        (["2024-01-31", "soon"], False),
        (["1.2.3.4"], False),
        (["1234-56"], False),
        ([], False),
    ],
)
def test_dates(values: list[str], date: bool) -> None:
    told = text_warnings("when", values)
    assert ["'when' looks like a date" in one for one in told] == [True] * date


@pytest.mark.parametrize(
    ("values", "pair"),
    [
        (["Bonn", "bonn"], "'Bonn' and 'bonn'"),
        (["Bonn", "Köln", "Bonn "], "'Bonn' and 'Bonn '"),
        (["a  b", "a b"], "'a  b' and 'a b'"),
        (["ab", "a b"], ""),
        (["Bonn", "Köln"], ""),
    ],
)
def test_spellings(values: list[str], pair: str) -> None:
    told = text_warnings("city", values)
    assert len(told) == bool(pair) and all(pair in one for one in told)


def test_auto_warns(new_ctx: Any) -> None:
    columns = {
        "when": ["2024-01-31", "2024-02-01"] * 20,
        "city": ["Bonn", "bonn ", "Essen", "Ulm"] * 10,
        "fine": ["x", "y"] * 20,
        "price": [float(i) for i in range(40)],
    }
    raw = make_raw_examples(new_ctx(), {"train": pa.table(columns)})
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), raw))
    ctx = new_ctx()
    transform.function(ctx, raw, schema=schema, features="auto", label="price")
    told = [event["warn"] for event in ctx.events if "warn" in event]
    assert [one.split("(")[0].split(",")[0] for one in told] == [
        "column 'when' looks like a date ",
        "column 'city' holds values that differ in spaces or case alone",
    ]
