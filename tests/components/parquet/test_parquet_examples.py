"""`parquet_examples`: types, splits, the same bytes whatever executes, and through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components.data_plane.row_hash import row_hash
from headrace.components.parquet.footer import read_columns
from headrace.components.parquet_examples import parquet_examples
from headrace.pipelines.errors import InvalidRequestError

ALL = {"splits": {"all": 1}}


@pytest.fixture
def ingested(new_ctx, tmp_path):
    """Writes a table as a Parquet file, ingests it whole, and gives its types and rows."""

    def run(table, write=None, **options):
        path = tmp_path / "t.parquet"
        pq.write_table(table, path, **(write or {}))
        made = parquet_examples.function(new_ctx(), str(path), **{**ALL, **options})
        rows = pa.concat_tables([pq.read_table(part) for part in made.parts("all")])
        return made.properties["columns"], rows

    return run


NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)


CASES = [
    *[(pa.array([1, None], kind), "int", [1, None])
      for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(),
                   pa.uint64())],
    (pa.array(np.array([1.5, np.nan], np.float16)), "float", [1.5, None]),
    (pa.array([1.5, float("nan")], pa.float32()), "float", [1.5, None]),
    (pa.array([1.5, float("nan")], pa.float64()), "float", [1.5, None]),
    (pa.array([Decimal("1.50"), None], pa.decimal128(20, 2)), "float", [1.5, None]),
    (pa.array([Decimal("1.50"), None], pa.decimal256(60, 2)), "float", [1.5, None]),
    (pa.nulls(2), "float", [None, None]),
    (pa.array([True, None]), "bool", [True, None]),
    (pa.array(["ä", ""]), "string", ["ä", None]),
    (pa.array(["ä", None], pa.large_string()), "string", ["ä", None]),
    (pa.array(["ä", None], pa.string_view()), "string", ["ä", None]),
    (pa.array(["ä", None]).dictionary_encode(), "string", ["ä", None]),
    (pa.array([1, None]).dictionary_encode(), "int", [1, None]),
    (pa.array(["ä".encode(), None]), "string", ["ä", None]),
    (pa.array([b"ab", None], pa.binary(2)), "string", ["ab", None]),
    (pa.array([date(2024, 2, 29), None]), "timestamp", [NOON.replace(hour=0), None]),
    (pa.array([date(2024, 2, 29), None], pa.date64()), "timestamp", [NOON.replace(hour=0), None]),
    *[(pa.array([NAIVE, None], pa.timestamp(unit)), "timestamp", [NOON, None])
      for unit in ("s", "ms", "us", "ns")],
    (pa.array([NOON, None], pa.timestamp("ms", "Asia/Tokyo")), "timestamp", [NOON, None]),
    (pa.array([-1, None], pa.int64()).cast(pa.timestamp("ns")), "timestamp",
     [datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), None]),
    (pa.array([["a", None, "", "b"], [], None]), "strings", [["a", "b"], None, None]),
    (pa.array([["a"], None], pa.list_(pa.large_string())), "strings", [["a"], None]),
    (pa.array([[1, 2], None], pa.large_list(pa.int32())), "ints", [[1, 2], None]),
    (pa.array([[1, 2], [3, None], [4, 5]], pa.list_(pa.uint64(), 2)), "ints", [[1, 2], [3], [4, 5]]),
    (pa.array([[1.5, float("nan")], None], pa.list_(pa.float32())), "floats", [[1.5], None]),
]  # fmt: skip
"""Arrow columns, the type that each becomes, and its values."""


def test_types(ingested, tmp_path):
    names = [f"{place} {column.type}" for place, (column, *_) in enumerate(CASES)]
    padded = [pa.concat_arrays([c, pa.nulls(3 - len(c), c.type)]) for c, *_ in CASES]
    types, rows = ingested(pa.table([pa.array([1, 2, 3]), *padded], names=["id", *names]))
    assert types == {"id": "int"} | dict(zip(names, (kind for _, kind, _ in CASES), strict=True))
    for name, (_, _, expected) in zip(names, CASES, strict=True):
        assert rows[name].to_pylist() == [*expected, None, None][:3], name
    footer = read_columns(tmp_path / "t.parquet")
    assert all(footer[name] in (kind, "") for name, kind in types.items())


def test_the_columns_of_a_footer_need_no_arrow(tmp_path):
    table = pa.table({
        "i": [1], "s": ["a"], "f": [0.5], "b": [True], "when": pa.array([NOON], pa.timestamp("us", "UTC")),
        "day": [date(2024, 1, 1)], "money": [Decimal("1.5")], "tags": [["a"]], "ids": [[1]],
        "scores": [[0.5]], "inside": [{"a": 1, "b": [{"c": 1}]}], "größe": [1],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_columns(tmp_path / "t.parquet") == {
        "i": "int", "s": "string", "f": "float", "b": "bool", "when": "timestamp", "day": "timestamp",
        "money": "float", "tags": "strings", "ids": "ints", "scores": "floats", "inside": "", "größe": "int",
    }  # fmt: skip


STATED = [
    ([1, None], "float", [1.0, None]),
    ([1, 0, None], "bool", [True, False, None]),
    ([12, None], "string", ["12", None]),
    ([86_400, None], "timestamp:s", [datetime(1970, 1, 2, tzinfo=UTC), None]),
    ([2.0, None], "int", [2, None]),
    (["7", None], "int", [7, None]),
    (["29/02/2024", None], "timestamp:%d/%m/%Y", [NOON.replace(hour=0), None]),
    (["2024-02-29T12:00:00Z", None], "timestamp", [NOON, None]),
    ([NOON, None], "int", [1_709_208_000_000_000, None]),
    ([["1", "2"], None], "ints", [[1, 2], None]),
    ([[1, 2], None], "floats", [[1.0, 2.0], None]),
    ([None, None], "strings", [None, None]),
]
"""Values, the type that is stated, and what they become."""


def test_stated_types(ingested):
    names = [f"{place} {stated}" for place, (_, stated, _) in enumerate(STATED)]
    columns = [pa.array([*values, None, None][:3]) for values, *_ in STATED]
    stated = dict(zip(names, (stated for _, stated, _ in STATED), strict=True))
    types, rows = ingested(pa.table([pa.array([1, 2, 3]), *columns], names=["id", *names]), types=stated)
    assert types == {"id": "int"} | {name: kind.partition(":")[0] for name, kind in stated.items()}
    for name, (_, _, expected) in zip(names, STATED, strict=True):
        assert rows[name].to_pylist() == [*expected, None, None][:3], name


def mixed(rows, first=0):
    """A table of `rows` rows of several types, all different."""
    numbers = range(first, first + rows)
    return pa.table({
        "id": numbers,
        "city": [None if n % 11 == 0 else f"city {n % 7}" for n in numbers],
        "when": [NAIVE + timedelta(hours=n) for n in numbers],
        "tags": [["a", "b", "c"][: n % 4] for n in numbers],
    })  # fmt: skip


def all_ids(examples):
    found = {}
    for split in examples.splits:
        for part in examples.parts(split):
            found.update(dict.fromkeys(pq.read_table(part)["id"].to_pylist(), split))
    return found


def test_the_result_does_not_depend_on_the_execution(new_ctx, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in range(3):
        pq.write_table(mixed(1000, number * 1000), data / f"{number}.parquet", row_group_size=450)
    made = [
        parquet_examples.function(new_ctx(direct_num_workers=workers), str(data), block_rows=100)
        for workers in ("1", "2")
    ]
    assert made[0].digest == made[1].digest
    assert sorted(all_ids(made[0])) == list(range(3000))
    assert {split: made[0].rows(split) for split in made[0].splits} == {
        split: made[1].rows(split) for split in made[1].splits
    }
    assert 2300 < made[0].rows("train") < 2500
    # A row's split is its own: neither the cuts nor the files have a say in it.
    pq.write_table(mixed(3000), tmp_path / "all.parquet")
    whole = parquet_examples.function(new_ctx(), str(tmp_path / "all.parquet"))
    assert all_ids(whole) == all_ids(made[0])


def test_every_kind_of_split(new_ctx, tmp_path):
    pq.write_table(mixed(200), tmp_path / "a.parquet")
    pq.write_table(mixed(100, 200), tmp_path / "b.parquet")
    both = [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]

    def splits(path=both, **options):
        return all_ids(parquet_examples.function(new_ctx(), path, block_rows=64, **options))

    grouped = splits(split_by="city")
    cities = {}
    for n, split in grouped.items():
        cities.setdefault(None if n % 11 == 0 else n % 7, set()).add(split)
    assert all(len(own) == 1 for own in cities.values())
    by_time = splits(split_by_time="when", splits={"old": 2, "new": 1})
    assert {n for n, split in by_time.items() if split == "old"} == set(range(200))
    ranges = {"old": {"before": "2024-03-01"}, "new": {"from": "2024-03-01"}}
    assert {n for n, s in splits(split_by_time="when", splits=ranges).items() if s == "old"} == set(range(12))
    values = {"train": ["city 1", "city 2"], "test": ["city 3"]}
    by_value = splits(split_by_value="city", splits=values, rest="drop")
    assert {n % 7 for n, split in by_value.items() if split == "test"} == {3}
    assert {n % 7 for n in by_value} == {1, 2, 3}
    exact = splits(stratify="city", splits={"train": 1, "test": 1})
    for city in range(7):
        own = [split for n, split in exact.items() if n % 7 == city and n % 11]
        assert abs(own.count("train") - own.count("test")) <= 1
    by_file = splits({"train": both[0], "test": both[1]})
    assert {n for n, split in by_file.items() if split == "test"} == set(range(200, 300))


def test_columns_and_samples(new_ctx, tmp_path):
    pq.write_table(mixed(100), tmp_path / "a.parquet", row_group_size=30)
    made = parquet_examples.function(
        new_ctx(), str(tmp_path / "a.parquet"), columns=["tags", "id"], sample=70, **ALL
    )
    assert list(made.properties["columns"]) == ["tags", "id"]
    assert sorted(all_ids(made)) == list(range(70))


def test_files_may_differ_in_order_and_width(new_ctx, tmp_path):
    pq.write_table(pa.table({"id": pa.array([1], pa.int32()), "x": pa.nulls(1)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": ["k"], "id": [2]}), tmp_path / "b.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    made = parquet_examples.function(new_ctx(), str(tmp_path), **ALL)
    assert made.properties["columns"] == {"id": "int", "x": "string"}
    assert sorted(all_ids(made)) == [1, 2]


def test_the_index_of_pandas_is_no_feature(new_ctx, tmp_path):
    pq.write_table(pa.table({"id": [1], "__index_level_0__": [5]}), tmp_path / "a.parquet")
    ctx = new_ctx()
    made = parquet_examples.function(ctx, str(tmp_path / "a.parquet"), **ALL)
    assert list(made.properties["columns"]) == ["id"]
    assert any("__index_level_0__" in str(event) for event in ctx.events)


def test_hashes_of_lists_and_times():
    def of(values, kind=None):
        return row_hash(pa.table({"x": pa.array(values, kind)})).tolist()

    hashes = of([["a", "b"], ["b", "a"], ["ab"], ["a"], ["a", "a"], None, ["a", "b"]])
    assert len(set(hashes)) == 6
    assert hashes[0] == hashes[6]
    assert of([[], None], pa.list_(pa.string()))[0] == of([[], None], pa.list_(pa.string()))[1]
    sliced = pa.table({"x": [[1], [2, 3], [4]]}).slice(1, 2)
    assert row_hash(sliced).tolist() == of([[2, 3], [4]])
    assert of([5, None], pa.timestamp("us", "UTC")) == of([5, None], pa.int64())


def test_the_static_check(tmp_path):
    pq.write_table(mixed(10), tmp_path / "a.parquet")

    def checked(**options):
        given = {n: a.default for n, a in parquet_examples.arguments.items() if n != "path"}
        problems, outputs = parquet_examples.checker({**given, "path": str(tmp_path), **options}, {})
        return " ".join(str(problem) for problem in problems), outputs["output"]

    told, known = checked()
    assert told == ""
    assert known.columns == ("id", "city", "when", "tags")
    assert known.facts["types"] == {"id": "int", "city": "string", "when": "timestamp", "tags": "strings"}
    assert "did you mean 'city'" in checked(columns=["citi"])[0]
    assert "timestamp:ms" in checked(types={"id": "timestamp"})[0]
    assert "can't become bool" in checked(types={"when": "bool"})[0]
    assert "holds lists" in checked(stratify="tags")[0]
    (tmp_path / "a.parquet").write_bytes(b"a,b\n1,2\n")
    assert "no Parquet file" in checked()[0]


def test_through_the_command_line(tmp_path):
    table = pa.table({"age": range(50), "price": [n * 1.5 for n in range(50)]})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "a.parquet")
    steps = {
        "examples": {"uses": "parquet_examples", "with": {"path": "data", "splits": {"train": 4, "test": 1}}},
        "statistics": {"uses": "statistics", "with": {"examples": "${steps.examples}"}},
        "transform": {
            "uses": "transform",
            "with": {"examples": "${steps.examples}", "features": {"age": "z_score"}, "label": "price"},
        },
    }
    (tmp_path / "p.yaml").write_text(json.dumps({"pipeline": "p", "steps": steps}))
    call = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", "run", "p.yaml"]
    told = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "transform" in told.stdout + told.stderr


def test_a_request_that_does_not_fit(new_ctx, tmp_path):
    pq.write_table(mixed(10), tmp_path / "a.parquet")
    for options in ({"columns": ["nope"]}, {"types": {"id": "date"}}, {"split_by": "nope"}, {"columns": []}):
        with pytest.raises(InvalidRequestError):
            parquet_examples.function(new_ctx(), str(tmp_path), **options)
    with pytest.raises(InvalidRequestError, match="no such file"):
        parquet_examples.function(new_ctx(), str(Path(tmp_path, "b.parquet")))
