"""Columns that stand in folders' names."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components.ingestion.partitions import partition_kinds, partition_of
from headrace.components.parquet_examples import parquet_examples
from headrace.pipelines.errors import DataError, HeadraceError
from headrace.pipelines.step_parts import file_digests
from headrace.pipelines.store import Store


def write(folder, ids, **columns):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": ids, **columns}), folder / "part.parquet")


@pytest.fixture
def table(tmp_path):
    """Years and months, one month missing, below `t`; gives the folder."""
    write(tmp_path / "t/year=2023/month=05", [1, 2])
    write(tmp_path / "t/year=2024/month=11", [3])
    write(tmp_path / "t/year=2024/month=__HIVE_DEFAULT_PARTITION__", [4])
    return tmp_path / "t"


def rows_of(made):
    tables = [pq.read_table(part) for split in made.splits for part in made.parts(split)]
    return sorted(pa.concat_tables(tables).to_pylist(), key=lambda row: row["id"])


ALL = {"splits": {"all": 1}}


def test_folders_are_columns(new_ctx, table):
    made = parquet_examples.function(new_ctx(), str(table), **ALL)
    assert made.properties["columns"] == {"id": "int", "year": "int", "month": "int"}
    assert rows_of(made) == [
        {"id": 1, "year": 2023, "month": 5},
        {"id": 2, "year": 2023, "month": 5},
        {"id": 3, "year": 2024, "month": 11},
        {"id": 4, "year": 2024, "month": None},
    ]
    # pyarrow reads the same layout the same way, but for the order of columns and rows.
    theirs = pq.read_table(table, partitioning="hive").cast(
        pa.schema({"id": pa.int64(), "year": pa.int64(), "month": pa.int64()})
    )
    assert rows_of(made) == sorted(theirs.to_pylist(), key=lambda row: row["id"])
    by_glob = parquet_examples.function(new_ctx(), str(table / "year=*/*/part.parquet"), **ALL)
    assert by_glob.digest == made.digest


def test_types_can_be_stated_and_columns_chosen(new_ctx, table):
    stated = {"month": "string", "year": "timestamp:%Y"}
    made = parquet_examples.function(new_ctx(), str(table), types=stated, **ALL)
    assert [row["month"] for row in rows_of(made)] == ["05", "05", "11", None]
    assert [row["year"].year for row in rows_of(made)] == [2023, 2023, 2024, 2024]
    made = parquet_examples.function(new_ctx(), str(table), columns=["month"], **ALL)
    assert made.properties["columns"] == {"month": "int"}
    assert made.rows("all") == 4


def test_splits_by_a_folder(new_ctx, table):
    values = {"train": [2023], "test": [2024]}
    made = parquet_examples.function(new_ctx(), str(table), split_by_value="year", splits=values)
    assert {split: made.rows(split) for split in made.splits} == {"train": 2, "test": 2}
    ranges = {"train": {"before": 2024}, "test": {"from": 2024}}
    made = parquet_examples.function(new_ctx(), str(table), split_by_time="year", splits=ranges)
    assert {split: made.rows(split) for split in made.splits} == {"train": 2, "test": 2}


def test_the_static_check_knows_them(table):
    given = {n: a.default for n, a in parquet_examples.arguments.items() if n != "path"}
    problems, outputs = parquet_examples.checker({**given, "path": str(table), "split_by": "yaer"}, {})
    assert "did you mean 'year'" in str(problems[0])
    problems, outputs = parquet_examples.checker({**given, "path": str(table)}, {})
    assert outputs["output"].facts["types"] == {"id": "int", "year": "int", "month": "int"}
    assert problems == []


def test_what_does_not_fit(new_ctx, table, tmp_path):
    write(tmp_path / "both/year=2024", [1], year=[2024])
    with pytest.raises(DataError, match="'year' is in the file, and in the name of its folder"):
        parquet_examples.function(new_ctx(), str(tmp_path / "both"), **ALL)
    write(table / "other", [9])
    with pytest.raises(HeadraceError, match="columns differ: column 'month' is not in") as error:
        parquet_examples.function(new_ctx(), str(table), **ALL)
    assert "other" in str(error.value)


def test_folders_above_what_is_given_are_no_columns(new_ctx, table):
    ctx = new_ctx()
    made = parquet_examples.function(ctx, str(table / "year=2024"), **ALL)
    assert made.properties["columns"] == {"id": "int", "month": "int"}
    assert any("year stands in the folders' names only" in str(event) for event in ctx.events)


def test_names():
    folders = ["data", "a%20b=x%2Fy", "=z", "n=", "k=v=w", "größe=1"]
    assert partition_of(folders, "") == {"a b": "x/y", "n": None, "k": "v=w", "größe": "1"}
    with pytest.raises(DataError, match="two folders"):
        partition_of(["a=1", "a=2"], "f")
    with pytest.raises(DataError, match="UTF-8"):
        partition_of(["a=%ff"], "f")
    many = [{"i": "007", "s": "1", "n": None}, {"i": "-3", "s": "1.5", "n": None}]
    assert partition_kinds(many, {}) == {"i": "int", "s": "string", "n": "string"}
    assert partition_kinds(many, {"i": "string"})["i"] == "string"


def test_a_folder_renamed_is_other_data(table, tmp_path):
    store = Store(tmp_path / "store")
    pattern = [str(table / "*/*/*.parquet")]
    before = file_digests(pattern, store), file_digests(str(table), store)
    (table / "year=2023").rename(table / "year=2022")
    assert file_digests(pattern, store) != before[0]
    assert file_digests(str(table), store) != before[1]


@pytest.mark.parametrize("name", ["%00=1", " =1", "%20=1"])
def test_a_folder_that_tells_a_column_without_a_name(new_ctx, tmp_path, name):
    write(tmp_path / "t" / name, [1, 2])
    with pytest.raises(DataError, match="no name for one"):
        parquet_examples.function(new_ctx(), str(tmp_path / "t"), **ALL)
