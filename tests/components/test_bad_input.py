"""Data and requests that no care was taken of: each ends soon, with a right result or a sentence to act on.

What a single component refuses is tested beside it (`csv/test_csv_bad_input.py`, `test_features_grammar.py`,
`../schemas/test_schema_pbtxt.py` …); here is what goes through several.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.components import csv_examples, infer_schema, statistics, transform
from headrace.components.data_plane.result import Result
from headrace.components.data_plane.work import run_units
from headrace.pipelines.artifact import Examples, Schema
from headrace.pipelines.errors import DataError, StepError

Path_ = Callable[..., tuple[Examples, Schema]]


@pytest.fixture
def path(new_ctx: Callable[..., Any], tmp_path: Path) -> Path_:
    """Content of a CSV file → examples and their schema."""

    def run(content: str, **options: Any) -> tuple[Examples, Schema]:
        (tmp_path / "t.csv").write_text(content)
        examples = csv_examples.function(new_ctx(), str(tmp_path / "t.csv"), **options)
        return examples, infer_schema.function(new_ctx(), statistics.function(new_ctx(), examples))

    return run


def table(*cells: str, rows: int = 40) -> str:
    """A table of a column `a`, whose cells take turns, a label, and the number of the row."""
    return "a,y,n\n" + "".join(f"{cells[n % len(cells)]},{n % 2},{n}\n" for n in range(rows))


def test_a_cell_of_10_megabytes(path: Path_, new_ctx: Callable[..., Any]) -> None:
    long = "word " * 2_000_000
    splits = {"train": 1, "test": 1}
    examples, schema = path(table(*"abcde", long, rows=12), splits=splits, stratify="y")
    assert "word word" not in schema.file("schema.yaml").read_text()
    made = transform.function(
        new_ctx(), examples, label={"y": "identity"}, features={"a": ["tokens", {"bag": 4}]}
    )
    assert sum(made.examples.summary["rows"].values()) == 12


@pytest.mark.parametrize("expression", ["(a+)+$", "(a|a)*b", "(.*)*x"])
def test_an_expression_that_would_backtrack_for_ever(
    path: Path_, new_ctx: Callable[..., Any], expression: str
) -> None:
    examples, _ = path(table("a" * 2_000 + "!", "b"), splits={"train": 1, "test": 1})
    features = {"a": [{"tokens": expression}, {"bag": 4}]}
    made = transform.function(new_ctx(), examples, label="y", features=features)
    assert sum(made.examples.summary["rows"].values()) == 40


def test_an_expression_that_only_its_use_shows_to_be_wrong(path: Path_, new_ctx: Callable[..., Any]) -> None:
    examples, _ = path(table("x", "z"), splits={"train": 1, "test": 1})
    with pytest.raises(DataError) as caught:
        transform.function(
            new_ctx(), examples, label="y", features={"a": [{"tokens": r"\p{Foo}"}, "multi_hot"]}
        )
    (problem,) = caught.value.problems
    assert r"\\p{Foo}" in problem.what and "RE2" in problem.what and problem.remedy


def test_whole_numbers_past_2_to_the_53_stay_as_they_are(path: Path_) -> None:
    import pyarrow.parquet as pq

    numbers = [2**53 + n for n in range(1, 40)] + [2**63 - 1]
    examples, schema = path(table(*map(str, numbers)), splits={"train": 1})
    (part,) = examples.parts("train")
    assert sorted(pq.read_table(part)["a"].to_pylist()) == numbers
    assert "type: int" in schema.file("schema.yaml").read_text().partition("y:")[0]


def halve(unit: int) -> Result:
    return Result(str(1 / unit).encode())


def test_an_error_that_nobody_foresaw_comes_without_the_runners_frames(new_ctx: Callable[..., Any]) -> None:
    with pytest.raises(StepError) as caught:
        run_units(new_ctx(), "halve", [1, 0], halve)
    (problem,) = caught.value.problems
    assert problem.what == "ZeroDivisionError: division by zero"
    assert problem.file == __file__ and problem.line
    (note,) = caught.value.__notes__
    assert "in halve" in note and "apache_beam" not in note and len(note.splitlines()) < 10
    assert caught.value.__suppress_context__


def test_5000_columns(path: Path_, new_ctx: Callable[..., Any]) -> None:
    names = [f"c{n}" for n in range(5000)]
    rows = "".join(f"{k}," + ",".join(["1"] * 4999) + "\n" for k in range(6))
    (examples, schema) = path(",".join(names) + "\n" + rows, splits={"train": 1})
    assert list(examples.properties["columns"]) == names
    assert schema.file("schema.yaml").read_text().count("type: int") == 5000
