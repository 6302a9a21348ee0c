"""What `features: auto` makes of points in time and of several values a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components import infer_schema, statistics, transform
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.schemas.yaml12 import load

from .raw_examples import make_raw_examples

ROWS = 120


def table(days: float, hours: float, missing: bool = False) -> pa.Table:
    """Times every so many days and hours, and lists."""
    times: list[Any] = [datetime(2021, 3, 1) + i * timedelta(days=days, hours=hours) for i in range(ROWS)]
    times[7] = None if missing else times[7]
    colours = ["red", "blue", "green"]
    return pa.table(
        {
            "when": pa.array(times, pa.timestamp("us", "UTC")),
            "tags": [colours[: i % 4] for i in range(ROWS)],
            "many": [[f"v{j}" for j in range(i % 3 * 150 + 10)] for i in range(ROWS)],
            "ids": [[f"{i}"] for i in range(ROWS)],
            "points": [[float(i), 1.0] for i in range(ROWS)],
            "y": np.arange(float(ROWS)),
        }
    )


def choose(new_ctx: Callable[..., Any], data: pa.Table, test: pa.Table | None = None) -> tuple[Any, str, Any]:
    splits = {"train": data, "test": data.slice(0, 20) if test is None else test}
    raw = make_raw_examples(new_ctx(), splits, rows_per_part=50)
    schema = infer_schema.function(new_ctx(), statistics.function(new_ctx(), raw))
    made = transform.function(new_ctx(), raw, label="y", schema=schema)
    text = made.transform.file("auto.yaml").read_text("utf-8")
    return load(text)["features"], text, load_fitted(made.transform.path)


def test_times_and_lists(new_ctx: Callable[..., Any]) -> None:
    chosen, text, fitted = choose(new_ctx, table(5, 1))
    assert chosen == {
        "when": [{"date_parts": "epoch_days"}, "z_score"],
        "when_cyclic": {"from": "when", "apply": {"cyclic": ["month", "weekday", "hour"]}},
        "tags": "multi_hot",
        "many": {"multi_hot": 100},
    }
    assert "# dropped 'ids': 120 distinct values among 120: hardly any occurs twice" in text
    assert "# dropped 'points': floats a row" in text
    assert [f.width for f in fitted.features] == [1, 6, 4, 101]


def test_missing_times_are_imputed(new_ctx: Callable[..., Any]) -> None:
    chosen, _, fitted = choose(new_ctx, table(1, 1).drop(["many", "tags"]), table(1, 1, missing=True))
    assert chosen["when"] == [{"date_parts": "epoch_days"}, {"impute": "median"}, "z_score"]
    assert list(chosen) == ["when", "when_weekday", "when_hour"]
    assert [f.width for f in fitted.features] == [1, 2, 2]


@pytest.mark.parametrize(
    ("days", "hours", "expected"),
    [
        (1.0, 0, ["weekday"]),
        (0.1, 0, ["hour"]),
        (0, 0.01, None),
        (4.0, 0, ["month", "weekday"]),
    ],
)
def test_only_parts_that_the_train_split_spans(
    new_ctx: Callable[..., Any], days: float, hours: float, expected: list[str] | None
) -> None:
    chosen, _, _ = choose(new_ctx, table(days, hours).select(["when", "tags", "y"]))
    if expected is None:  # 72 minutes of one day
        assert chosen["when"] == {"cyclic": ["hour"]}
        return
    assert chosen["when_cyclic"] == {"from": "when", "apply": {"cyclic": expected}}


def test_a_time_that_never_changes_is_dropped(new_ctx: Callable[..., Any]) -> None:
    _, text, _ = choose(new_ctx, table(0, 0).select(["when", "tags", "y"]))
    assert "# dropped 'when': it lies in the same hour in every row" in text
