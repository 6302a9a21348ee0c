"""Each way in which Parquet input is bad has a clear error, and leaves no artifact."""

from __future__ import annotations

import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components.parquet.footer import read_columns
from headrace.components.parquet.ingest import look_at
from headrace.components.parquet_examples import parquet_examples
from headrace.pipelines.errors import DataError, HeadraceError

ALL = {"splits": {"all": 1}}


def text(*values):
    """A column of strings whose bytes nobody looked at."""
    return pa.array([v.encode() if isinstance(v, str) else v for v in values], pa.binary()).view(pa.string())


BAD = [
    pytest.param(pa.array([1, 2**63, 3], pa.uint64()), "beyond 64 bits", {}, id="uint64"),
    pytest.param(pa.array([1, -(2**63), 3]), "stands for a missing", {}, id="least int64"),
    pytest.param(pa.array([1.0, float("inf"), 3.0]), "infinite", {}, id="infinity"),
    pytest.param(pa.array([1.0, float("-inf"), 3.0], pa.float32()), "infinite", {}, id="float32 infinity"),
    pytest.param(text("a", b"b\xff", "c"), "not UTF-8", {}, id="text"),
    pytest.param(text("a", b"b\xff", "c").dictionary_encode(), "not UTF-8", {}, id="dictionary"),
    pytest.param(pa.array([b"a", b"b\xff", b"c"]), "not UTF-8", {}, id="bytes"),
    pytest.param(pa.array(["a", "b\0", "c"]), "NUL", {}, id="NUL"),
    pytest.param(pa.array([1, 2**62, 3], pa.timestamp("ms")), "int64 microseconds", {}, id="far future"),
    pytest.param(pa.array([1, 2**31 - 1, 3], pa.int32()).cast(pa.date32()), "microseconds", {}, id="date"),
    pytest.param(pa.array([["a"], ["b", "c\0"], ["d"]]), "holds a value that holds a NUL", {}, id="list"),
    pytest.param(pa.array([[1.0], [2.0, float("inf")], []]), "infinite", {}, id="list of floats"),
    pytest.param(pa.array([1.0, 2.5, 3.0]), "not a whole number", {"types": {"x": "int"}}, id="stated int"),
    pytest.param(pa.array(["1", "zwei", "3"]), "whole number", {"types": {"x": "int"}}, id="word"),
    pytest.param(pa.array([1, 2, 0]), "neither 0 nor 1", {"types": {"x": "bool"}}, id="stated bool"),
    pytest.param(pa.array(["2024-01-01", "2024-02-30", None]), "ISO 8601", {"types": {"x": "timestamp"}},
                 id="no such day"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "part", "options"), BAD)
def test_bad_rows(new_ctx, tmp_path, column, part, options):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "x": column}), path)
    ctx = new_ctx()
    with pytest.raises(DataError, match=part) as caught:
        parquet_examples.function(ctx, str(path), **ALL, **options)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line) == (str(path), 2)
    assert "row 2: column 'x'" in problem.what
    assert not list(ctx.staging.rglob("manifest.json"))


def test_bad_rows_are_put_aside(new_ctx, tmp_path):
    path = tmp_path / "t.parquet"
    columns = {f"{place} {case.id}": case.values[0] for place, case in enumerate(BAD)}
    types = {n: c.values[2]["types"]["x"] for n, c in zip(columns, BAD, strict=True) if c.values[2]}
    pq.write_table(pa.table({"id": range(3), **columns}), path)
    made = parquet_examples.function(new_ctx(), str(path), **ALL, types=types, max_rejects=1)
    assert pq.read_table(made.parts("all")[0])["id"].to_pylist() == [0, 2]
    assert made.properties["rejects"] == 1
    (told,) = (json.loads(line) for line in (made.path / "rejects.jsonl").read_text().splitlines())
    assert (told["file"], told["line"]) == ("t.parquet", 2)
    assert json.loads(told["text"])["5 dictionary"] == r"b\xff"


def test_rows_are_counted_through_the_whole_file(new_ctx, tmp_path):
    path = tmp_path / "t.parquet"
    values = [0.0] * 1000
    values[777] = float("inf")
    pq.write_table(pa.table({"x": values}), path, row_group_size=300)
    with pytest.raises(DataError) as caught:
        parquet_examples.function(new_ctx(), str(path), block_rows=64, **ALL)
    assert caught.value.problems[0].line == 778


def test_rejects_are_counted_over_all_blocks(new_ctx, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [float("inf"), *range(1, 9), float("inf")]}), path)
    made = parquet_examples.function(new_ctx(), str(path), block_rows=3, max_rejects=2, **ALL)
    assert made.properties["rejects"] == 2
    with pytest.raises(DataError, match="row 10"):
        parquet_examples.function(new_ctx(), str(path), block_rows=3, max_rejects=1, **ALL)


@pytest.mark.parametrize(
    ("column", "parts"),
    [
        (pa.array([{"a": 1, "b": 2}]), ["struct", "x.a, x.b", "`columns`"]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), ["map", "`columns`"]),
        (pa.array([[[1]]]), ["list", "one level deep"]),
        (pa.array([1], pa.time32("s")), ["time32", "seconds"]),
    ],
    ids=["struct", "map", "nested list", "time"],
)
def test_types_that_are_none_of_ours(new_ctx, tmp_path, column, parts):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1], "x": column}), path)
    with pytest.raises(DataError) as caught:
        parquet_examples.function(new_ctx(), str(path), **ALL)
    assert all(part in str(caught.value) for part in ["'x'", str(path), *parts])
    assert parquet_examples.function(new_ctx(), str(path), columns=["id"], **ALL).rows("all") == 1


@pytest.mark.parametrize(
    ("one", "other", "parts"),
    [
        ({"a": [1], "b": [1]}, {"a": [1]}, ["'b' is missing here"]),
        ({"a": [1]}, {"a": [1], "b": [1]}, ["'b' is not in"]),
        ({"a": [1]}, {"a": ["x"]}, ["'a' is string here, and int64 in", "types: {a: float}"]),
    ],
    ids=["missing", "new", "type"],
)
def test_files_that_differ(new_ctx, tmp_path, one, other, parts):
    pq.write_table(pa.table(one), tmp_path / "one.parquet")
    pq.write_table(pa.table(other), tmp_path / "other.parquet")
    with pytest.raises(DataError) as caught:
        parquet_examples.function(new_ctx(), str(tmp_path), **ALL)
    assert all(part in str(caught.value) for part in ["one.parquet", "other.parquet", *parts])


def damaged_page(content):
    place = len(content) // 3
    return content[:place] + bytes(b ^ 255 for b in content[place : place + 200]) + content[place + 200 :]


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        pytest.param(lambda content: b"", "empty", id="empty"),
        pytest.param(lambda content: b"a,b\n1,2\n", "csv_examples", id="CSV"),
        pytest.param(lambda content: content[: len(content) // 2], "end is missing", id="cut short"),
        pytest.param(lambda content: content[:-100] + b"\xff" * 92 + content[-8:], "damaged", id="footer"),
        pytest.param(lambda content: content[:-8] + b"\xff\xff\xff\x7f" + b"PAR1", "damaged", id="length"),
        pytest.param(lambda content: b"PAR1PAR1", "end is missing", id="nothing but magic"),
        pytest.param(lambda content: b"PARE" + content[4:], "encrypted", id="encrypted"),
        pytest.param(damaged_page, "damaged", id="page"),
    ],
)
def test_files_that_cannot_be_read(new_ctx, tmp_path, damage, part):
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"x": [f"value {n * 7919 % 5000}" for n in range(5000)]}), path, write_page_checksum=True
    )
    path.write_bytes(damage(path.read_bytes()))
    ctx = new_ctx()
    with pytest.raises(HeadraceError, match=part) as caught:
        parquet_examples.function(ctx, str(path), **ALL)
    assert str(path) in str(caught.value)
    assert not list(ctx.staging.rglob("manifest.json"))


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (pa.table({"x": pa.array([], pa.int64())}), "no row"),
        (pa.table([[1], [2]], names=["x", "x"]), "more than once"),
    ],
    ids=["no rows", "a name twice"],
)
def test_tables_without_sense(new_ctx, tmp_path, table, part):
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    with pytest.raises(DataError, match=part):
        parquet_examples.function(new_ctx(), str(path), **ALL)


def test_lists_of_a_fixed_size_with_missing_rows(new_ctx, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": pa.array([[1, 2], None], pa.list_(pa.int64(), 2))}), path)
    with pytest.raises(DataError, match="lists of any size"):
        parquet_examples.function(new_ctx(), str(path), **ALL)


def test_a_folder_without_parquet(new_ctx, tmp_path):
    with pytest.raises(HeadraceError, match="no Parquet file is in this folder"):
        parquet_examples.function(new_ctx(), str(tmp_path), **ALL)


def test_rows_in_no_split(new_ctx, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"fold": [0, 1, 2, 3]}), path)
    with pytest.raises(DataError, match="in no split") as caught:
        parquet_examples.function(new_ctx(), str(path), split_by_value="fold", splits={"a": [0, 1], "b": [3]})
    assert (caught.value.problems[0].file, caught.value.problems[0].line) == (str(path), 3)


def test_a_flipped_byte_of_a_footer_is_never_a_crash(tmp_path):
    path = tmp_path / "t.parquet"
    lists = pa.array([["x"], ["y", "z"]])
    pq.write_table(pa.table({"id": [1, 2], "tags": lists, "day": pa.array([1, 2], pa.date32())}), path)
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    told = 0
    for place in range(len(content) - 8 - size, len(content) - 8 - size + 300):
        for byte in (0x00, 0x15, 0x1C, 0x80, 0xFF):
            path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
            for read in (read_columns, look_at):
                try:
                    read(path)
                except DataError:
                    told += 1
    assert told > 100


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_a_name_that_is_not_unicode(new_ctx, tmp_path):
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t.parquet")
    (tmp_path / "t.parquet").rename(tmp_path / os.fsdecode(b"t\xff.parquet"))
    with pytest.raises(DataError, match="isn't UTF-8"):
        parquet_examples.function(new_ctx(), str(tmp_path))
