"""Every kind of split of `csv_examples`, and what is said of rows and rules that don't fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from headrace.components.csv.conversion import convert
from headrace.components.csv_examples import csv_examples
from headrace.components.ingestion.times import TIMESTAMP
from headrace.pipelines.cli import cli
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, HeadraceError, InvalidRequestError, Problem

from .test_csv_examples import rows

AGES = {"train": {"before": "2024-01-01"}, "test": {"from": "2024-01-01"}}
SHARES = {"train": 2, "test": 1}


@pytest.fixture
def ingest(new_ctx: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, list[int]]]:
    """Ingests a column `x` beside `n` = 0, 1, 2, …; gives the `n` of each split."""

    def run(cells: list[str], runner: Mapping[str, str] | None = None, **options: Any) -> Any:
        (tmp_path / "t.csv").write_text("n,x\n" + "".join(f"{n},{cell}\n" for n, cell in enumerate(cells)))
        run.ctx = new_ctx(**(runner or {}))  # type: ignore[attr-defined]
        made = csv_examples.function(run.ctx, str(tmp_path / "t.csv"), **options)  # type: ignore[attr-defined]
        run.made = made  # type: ignore[attr-defined]
        return {split: [row["n"] for row in rows(made, split)] for split in made.splits}

    return run


def problems_of(path: Any, **options: Any) -> list[Problem]:
    arguments = {name: argument.default for name, argument in csv_examples.arguments.items()}
    assert csv_examples.checker
    found, known = csv_examples.checker({**arguments, "path": path, **options}, {})
    assert isinstance(known["output"], Known)
    return found


@pytest.mark.parametrize(
    ("cells", "splits"),
    [
        (["0", "1", "2", "0"], {"train": [0, 1], "test": [2]}),
        (["0.5", "1", "2", "0.5"], {"train": [0.5, 1], "test": ["2"]}),
        (["a", "0", "b", "a"], {"train": ["a", 0], "test": ["b"]}),
        (["true", "true", "false", "true"], {"train": [True], "test": [False]}),
    ],
)
def test_by_value(ingest: Callable[..., Any], cells: list[str], splits: dict[str, list[Any]]) -> None:
    found = ingest(cells, splits=splits, split_by_value="x", block_bytes=8)
    assert found == {"train": [0, 1, 3], "test": [2]}


DAYS = ["2023-12-31", "2024-01-01", "2023-12-31T23:59:59.999999Z", "2024-01-01T00:30:00+01:00", "1969-07-20"]
EPOCHS = ["1703980800", "1704067200", "1704067199", "1704065400", "-14256000"]


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (DAYS, {}),
        (DAYS, {"types": {"x": "timestamp"}}),
        (EPOCHS, {"types": {"x": "timestamp:s"}}),
        (EPOCHS, {"splits": {"train": {"before": 1704067200}, "test": {"from": 1704067200}}}),
        (EPOCHS, {"splits": {"train": {"before": 1704067199.5}, "test": {"from": 1704067199.5}}}),
        ([f"{cell}.0" for cell in EPOCHS],
         {"types": {"x": "float"},
          "splits": {"train": {"before": 1704067200}, "test": {"from": 1704067200}}}),
        (["31.12.2023", "01.01.2024", "30.12.2023", "29.12.2023", "20.07.1969"],
         {"types": {"x": "timestamp:%d.%m.%Y"}}),
    ],
)  # fmt: skip
def test_by_range_of_time(ingest: Callable[..., Any], cells: list[str], options: dict[str, Any]) -> None:
    found = ingest(cells, **{"splits": AGES, "split_by_time": "x", "block_bytes": 20, **options})
    assert found == {"train": [0, 2, 3, 4], "test": [1]}


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["2024-03-01", "2024-01-01T12:00", "2024-02-01", "2024-01-01", "1999-01-01", "2024-02-02"], {}),
        (["2024-03-01", "2024-01-02", "2024-02-01", "2024-01-01", "1999-01-01", "2024-02-02"],
         {"types": {"x": "timestamp"}}),
        (["9", "4", "7", "3", "-5", "8"], {}),
        (["1.5", "-1", "0.5", "-2.5", "-1e9", "0.75"], {}),
    ],
)  # fmt: skip
def test_exact_shares_of_sorted_time(
    ingest: Callable[..., Any], cells: list[str], options: dict[str, Any]
) -> None:
    found = ingest(cells, splits=SHARES, split_by_time="x", block_bytes=20, **options)
    assert found == {"train": [1, 2, 3, 4], "test": [0, 5]}


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["a", "0", "b", "a"], {"splits": {"train": ["a", 0], "test": ["b"]}, "split_by_value": "x"}),
        (["2023-12-31", "2023-01-01", "2024-01-01", "1999-01-01"], {"splits": AGES, "split_by_time": "x"}),
        (["3", "1", "7", "2"], {"splits": {"train": 3, "test": 1}, "split_by_time": "x"}),
    ],
)
def test_a_file_that_is_one_unit(
    ingest: Callable[..., Any], cells: list[str], options: dict[str, Any]
) -> None:
    assert ingest(cells, **options) == {"train": [0, 1, 3], "test": [2]}


def test_equal_times_keep_their_order_with_any_number_of_workers(ingest: Callable[..., Any]) -> None:
    cells = [f"2024-01-{1 + n % 7:02d}" for n in range(700)]
    options: dict[str, Any] = {"splits": {"a": 1, "b": 1}, "split_by_time": "x", "block_bytes": 500}
    found = ingest(cells, **options)
    order = sorted(range(700), key=lambda n: n % 7)
    assert found == {"a": sorted(order[:350]), "b": sorted(order[350:])}
    digest = ingest.made.digest  # type: ignore[attr-defined]
    assert ingest(cells, runner={"direct_num_workers": "2"}, **options) == found
    assert ingest.made.digest == digest  # type: ignore[attr-defined]


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """A folder with a file a day, each of two rows, and another one."""
    (tmp_path / "days").mkdir()
    for day in (1, 2, 3):
        (tmp_path / f"days/{day}.csv").write_text(f"n\n{day}0\n{day}1\n")
    (tmp_path / "late.csv").write_text("n\n40\n41\n42\n")
    return tmp_path


def test_by_file(new_ctx: Callable[..., Any], days: Path) -> None:
    path = {"train": str(days / "days/*.csv"), "test": [str(days / "late.csv")]}
    assert problems_of(path) == []
    made = csv_examples.function(new_ctx(), path)
    found = {split: [row["n"] for row in rows(made, split)] for split in made.splits}
    assert found == {"train": [10, 11, 20, 21, 30, 31], "test": [40, 41, 42]}
    short = csv_examples.function(new_ctx(), path, sample=2)
    assert dict(short.summary["rows"]) == {"train": 2, "test": 2}


def test_files_that_dont_fit(new_ctx: Callable[..., Any], days: Path) -> None:
    twice = {"train": str(days / "days/*.csv"), "test": str(days / "days/2.csv")}
    (problem,) = problems_of(twice)
    assert "'train' and in 'test'" in problem.what and problem.file.endswith("2.csv")
    with pytest.raises(InvalidRequestError, match="'train' and in 'test'"):
        csv_examples.function(new_ctx(), twice)
    both = {"train": str(days / "late.csv"), "test": str(days / "days/2.csv")}
    for options in ({"splits": SHARES}, {"split_by": "n"}, {"stratify": "n"}):
        (problem,) = problems_of(both, **options)
        assert problem.argument == next(iter(options)) and "`path` names files by split" in problem.what
    assert "no file matches" in problems_of({"train": str(days / "no*.csv")})[0].what
    (days / "empty.csv").write_text("n\n")
    with pytest.raises(DataError, match="no row falls into split 'test'") as caught:
        csv_examples.function(new_ctx(), {"train": str(days / "late.csv"), "test": str(days / "empty.csv")})
    assert caught.value.problems[0].argument == "path"


VALUES = {"splits": {"train": [0], "test": [1]}, "split_by_value": "x"}
RANGES = {"splits": AGES, "split_by_time": "x"}


@pytest.mark.parametrize(
    ("cells", "options", "count", "line", "what"),
    [
        (["0", "1", "2", "2"], VALUES, 2, 4, "'x': 2 is in no split"),
        (["0", "1", ""], VALUES, 1, 4, "has no value"),
        (["0", "1", '"two\nlines"'], VALUES, 1, 4, "in no split"),
        (["2023-01-01", "2024-01-01", "2024-02-30"], RANGES, 1, 4, "'2024-02-30' is no time of ISO 8601"),
        (["2023-01-01", "2024-01-01", "2025-01-01"],
         {**RANGES, "splits": {"train": {"before": "2024-01-01"},
                               "test": {"from": "2024-01-01", "before": "2025-01-01"}}}, 1, 4, "in no split"),
        (["", "2023-01-01", "2024-01-01", ""], {**RANGES, "types": {"x": "timestamp"}}, 2, 2, "no value"),
        (["0", "1704067200", "999999999999"],
         {**RANGES, "types": {"x": "timestamp:s"},
          "splits": {"train": {"before": "2024-01-01"},
                     "test": {"from": "2024-01-01", "before": "2030-01-01"}}},
         1, 4, "in no split"),
        (["", "3", "4", "5"], {"splits": SHARES, "split_by_time": "x"}, 1, 2, "has no value"),
    ],
)  # fmt: skip
def test_rows_in_no_split(
    ingest: Callable[..., Any], cells: list[str], options: dict[str, Any], count: int, line: int, what: str
) -> None:
    with pytest.raises(DataError) as caught:
        ingest(cells, block_bytes=8, **options)
    (problem,) = caught.value.problems
    assert what in problem.what and problem.line == line and problem.file.endswith("t.csv")
    assert f"{count} row" in problem.what and "rest: drop" in problem.remedy
    found = ingest(cells, rest="drop", **options)
    assert sum(map(len, found.values())) == len(cells) - count
    assert ingest.made.properties["dropped"] == count  # type: ignore[attr-defined]
    assert any("in no split left out" in event.get("warn", "") for event in ingest.ctx.events)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cells", "options", "argument", "what"),
    [
        (["0", "0"], VALUES, "splits", "no row falls into split 'test'"),
        (["2023-01-01"], RANGES, "splits", "no row falls into split 'test'"),
        (["5", "6"], RANGES, "splits", "holds numbers, and the bounds in `splits` are dates"),
        (["2023-01-01"], {"splits": {"a": {"before": 5}}, "split_by_time": "x"}, "splits", "holds dates"),
        (["true", "false"], RANGES, "split_by_time", "not a time"),
        (["2024-01-01"], {**VALUES, "types": {"x": "timestamp"}}, "split_by_value", "holds times"),
    ],
)
def test_data_that_doesnt_fit_the_rule(
    ingest: Callable[..., Any], cells: list[str], options: dict[str, Any], argument: str, what: str
) -> None:
    with pytest.raises(HeadraceError) as caught:
        ingest(cells, **options)
    assert what in caught.value.problems[0].what and caught.value.problems[0].argument == argument


@pytest.mark.parametrize(
    ("options", "argument", "what"),
    [
        ({"split_by_value": "X", "splits": {"a": [1]}}, "split_by_value", "no column 'X'"),
        ({"split_by_time": "y"}, "split_by_time", "no column 'y'"),
        ({"split_by_value": "x"}, "splits", "has to be a list of values"),
        ({"splits": {"a": [1]}}, "splits", "lists need `split_by_value`"),
        ({"splits": AGES}, "splits", "ranges need `split_by_time`"),
        ({"splits": {"a": 1, "b": {"from": "2024-01-01"}}, "split_by_time": "x"}, "splits", "range of time"),
        ({"splits": {"a": [1, 2], "b": ["2"]}, "split_by_value": "x"}, "splits", "in split 'a' and in 'b'"),
        ({"splits": {"a": []}, "split_by_value": "x"}, "splits", "says nothing"),
        ({"splits": {"a": {"before": "2024-02-30"}}, "split_by_time": "x"}, "splits", "is no date"),
        ({"splits": {"a": {"before": "soon"}}, "split_by_time": "x"}, "splits", "is no date"),
        ({"splits": {"a": {"before": math.inf}}, "split_by_time": "x"}, "splits", "is no date"),
        ({"splits": {"a": {"before": 3}, "b": {"from": "2024-01-01"}}, "split_by_time": "x"}, "splits",
         "can't be mixed"),
        ({"splits": {"a": {"from": 3, "before": 3}}, "split_by_time": "x"}, "splits", "is empty"),
        ({"splits": {"a": {"before": 5}, "b": {"from": 4}}, "split_by_time": "x"}, "splits", "overlap"),
        ({"split_by": "x", "split_by_time": "x"}, "split_by_time", "exclude"),
        ({"types": {"x": "int"}, **RANGES}, "splits", "holds numbers"),
        ({"types": {"x": "timestamp:us/m"}}, "types", "neither s, ms, us nor a pattern"),
        ({"types": {"x": "timestamp:%Q"}}, "types", "no pattern"),
        ({"types": {"x": "integer"}}, "types", "is not a type"),
        ({"types": {"x": "int:s"}}, "types", "is not a type"),
    ],
)  # fmt: skip
def test_what_is_known_before_a_run(
    new_ctx: Callable[..., Any], tmp_path: Path, options: dict[str, Any], argument: str, what: str
) -> None:
    (tmp_path / "t.csv").write_text("n,x\n1,1\n")
    (problem,) = problems_of(str(tmp_path / "t.csv"), **options)
    assert problem.argument == argument and what in problem.what
    with pytest.raises(HeadraceError) as caught:
        csv_examples.function(new_ctx(), str(tmp_path / "t.csv"), **options)
    assert caught.value.problems[0].what == problem.what


UTC_2024 = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("timestamp", "2024-01-31T12:30", UTC_2024),
        ("timestamp", " 2024-01-31 12:30:00 ", UTC_2024),
        ("timestamp", "2024-01-31 12:30:00,0000009", UTC_2024),
        ("timestamp", "2024-01-31 13:30:00.000 +01:00", UTC_2024),
        ("timestamp", "0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("timestamp", "9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
        ("timestamp:%d/%m/%y %H.%M", "31/01/24 12.30", UTC_2024),
        ("timestamp:s", "1706704200", UTC_2024),
        ("timestamp:ms", " 1706704200000", UTC_2024),
        ("timestamp:us", "+1706704200000000", UTC_2024),
    ],
)
@pytest.mark.parametrize("beside", [[], ["2024-02-30", "31/02/24 12.30"]])
def test_timestamps(kind: str, cell: str, expected: datetime, beside: list[str]) -> None:
    values, bad = convert(pa.array([cell, None, " NA ", *beside]), kind, ("NA",))
    assert values.type == TIMESTAMP
    assert values.to_pylist() == [expected, None, None] + [None] * len(beside)
    assert np.flatnonzero(bad).tolist() == [3, 4] if beside else bad is None


def test_timestamps_of_every_kind_in_a_file(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    cells = {
        "timestamp": '"2024-01-31 12:30:00,0000009"', "timestamp:%d/%m/%y %H.%M": "31/01/24 12.30",
        "timestamp:s": "1706704200", "timestamp:ms": "1706704200000", "timestamp:us": "1706704200000000",
    }  # fmt: skip
    names = [f"c{place}" for place in range(len(cells))]
    bad = "2024-02-30" + "," * (len(cells) - 1)
    lines = [",".join(names), ",".join(cells.values()), "NA,,,,", ",NA,,,7", bad]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    types = dict(zip(names, cells, strict=True))
    path = str(tmp_path / "t.csv")
    made = csv_examples.function(new_ctx(), path, splits={"all": 1}, types=types, max_rejects=1)
    first, second, third = (list(row.values()) for row in rows(made))
    assert first == [UTC_2024] * 5 and second == [None] * 5 and third[:4] == [None] * 4 and third[4]
    assert made.properties["columns"] == dict.fromkeys(names, "timestamp")
    assert made.properties["rejects"] == 1


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("timestamp", "2024-02-30"),
        ("timestamp", "2024-01-01T24:30"),
        ("timestamp", "10000-01-01"),
        ("timestamp", "20240101"),
        ("timestamp", "soon"),
        ("timestamp:%d/%m/%Y", "2024-01-01"),
        ("timestamp:s", "1.5"),
        ("timestamp:s", "99999999999999"),
        ("timestamp:s", "9" * 30),
    ],
)
def test_what_is_no_timestamp_doesnt_fit(kind: str, cell: str) -> None:
    values, bad = convert(pa.array([None, cell]), kind, ())
    assert values.null_count == 2 and bad.tolist() == [False, True]


@pytest.mark.parametrize(("kind", "cell"), [("timestamp", "2024-02-30"), ("timestamp:s", "1.5")])
def test_what_is_no_timestamp_is_a_bad_row(
    new_ctx: Callable[..., Any], tmp_path: Path, kind: str, cell: str
) -> None:
    (tmp_path / "t.csv").write_text(f"x,y\n,1\n{cell},1\n")
    with pytest.raises(DataError) as caught:
        csv_examples.function(new_ctx(), str(tmp_path / "t.csv"), splits={"all": 1}, types={"x": kind})
    (problem,) = caught.value.problems
    assert problem.line == 3 and repr(cell) in problem.what and "date and time" in problem.what


STEP = "  examplesN: {uses: csv_examples, with: WITH}\n"
LISTED = "{path: t.csv, split_by_value: n, splits: {train: [0, 1], test: [2]}}"


@pytest.fixture
def headrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the command line on a pipeline of a step for each of the given arguments, in YAML."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_STORE", raising=False)
    (tmp_path / "t.csv").write_text("n,x\n0,2023-01-01\n1,2023-06-01\n2,2024-01-01\n")
    (tmp_path / "u.csv").write_text("n,x\n5,2024-02-01\n")

    def call(command: str, *arguments: str) -> Any:
        steps = [STEP.replace("N", str(n)).replace("WITH", told) for n, told in enumerate(arguments)]
        (tmp_path / "p.yaml").write_text("pipeline: p\nsteps:\n" + "".join(steps))
        result = CliRunner().invoke(cli, [command, "p.yaml"])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_from_the_command_line(headrace: Callable[..., Any]) -> None:
    result = headrace(
        "run",
        LISTED,
        "{path: t.csv, split_by_time: x, splits: {train: {before: 2024-01-01}, test: {from: 2024-01-01}}}",
        "{path: t.csv, split_by_time: x, splits: {train: 2, test: 1}, types: {x: timestamp}}",
        "{path: {train: t.csv, test: [u.csv]}}",
    )
    assert result.exit_code == 0, result.output
    assert "4 ran" in result.output


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ("{path: t.csv, split_by_value: m, splits: {train: [0], test: [2]}}", "no column 'm'"),
        ("{path: t.csv, splits: {train: {until: 2024-01-01}}, split_by_time: x}", "splits"),
        ("{path: {train: t.csv, test: '*.csv'}}", "is in split 'train' and in 'test'"),
    ],
)
def test_validate_refuses(headrace: Callable[..., Any], arguments: str, what: str) -> None:
    result = headrace("validate", arguments)
    assert result.exit_code != 0 and what in result.output


def test_the_split_of_a_file_is_in_the_fingerprint(headrace: Callable[..., Any], tmp_path: Path) -> None:
    assert headrace("run", "{path: {train: t.csv, test: u.csv}}").exit_code == 0
    assert "cached" in headrace("plan", "{path: {train: t.csv, test: u.csv}}").output
    swapped = headrace("plan", "{path: {train: u.csv, test: t.csv}}").output
    assert "cached" not in swapped and "path.train" in swapped, swapped
