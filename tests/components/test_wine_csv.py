from __future__ import annotations

import csv
import sys

import pytest
from sklearn.datasets import load_wine

from headrace.components import wine_csv
from headrace.pipelines.context import Context
from headrace.pipelines.errors import StepError


def test_the_file_holds_scikit_learns_table(ctx: Context) -> None:
    made = wine_csv.function(ctx)
    with made.file("wine.csv").open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    table = load_wine()
    assert header == [*table.feature_names, "cultivar"]
    assert [[float(cell) for cell in row[:-1]] for row in rows] == table.data.tolist()
    assert [row[-1] for row in rows] == [str(table.target_names[t]) for t in table.target]


def test_without_scikit_learn_the_remedy_is_told(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(StepError, match=r"headrace\[examples\]"):
        wine_csv.function(ctx)
    assert not list(ctx.staging.rglob("*.csv"))
