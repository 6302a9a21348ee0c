"""`tfrecord_examples`: what anyone's files become, compared with Parquet files of the same rows."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components.parquet_examples import parquet_examples
from headrace.components.tfrecord_examples import tfrecord_examples
from headrace.components.tfrecords.layout import Field
from headrace.components.tfrecords.tf_example import RecordTemplate
from headrace.components.tfrecords.tfrecord import frame
from headrace.pipelines.errors import InvalidRequestError

from .record_files import example, write_records, write_rows

ALL = {"splits": {"all": 1}}


def mixed(rows, first=0):
    """A table of several types, its columns sorted by name as those of tf.Examples are."""
    numbers = range(first, first + rows)
    return pa.table({
        "city": [None if n % 11 == 0 else f"city {n % 7}" for n in numbers],
        "id": numbers,
        "price": pa.array([n / 7 if n % 5 else None for n in numbers], pa.float32()),
        "sizes": [[n, -n] if n % 3 else None for n in numbers],
        "tags": [["a", "b", "ü"][: n % 4] or None for n in numbers],
        "when": [1_700_000_000 + 3600 * n for n in numbers],
    })  # fmt: skip


def rows_of(made):
    return pa.concat_tables([pq.read_table(part) for split in made.splits for part in made.parts(split)])


def split_of(made):
    found = {}
    for split in made.splits:
        for part in made.parts(split):
            found.update(dict.fromkeys(pq.read_table(part, columns=["id"])["id"].to_pylist(), split))
    return found


def test_the_same_table_gives_the_same_artifact_as_from_parquet(new_ctx, tmp_path):
    for number in range(2):
        write_rows(tmp_path / f"records/x.tfrecord-{number:05d}-of-00002", mixed(700, 700 * number))
        (tmp_path / "parquet").mkdir(exist_ok=True)
        pq.write_table(mixed(700, 700 * number), tmp_path / f"parquet/{number}.parquet")
    (tmp_path / "records/dataset_info.json").write_text("{}")
    whole = parquet_examples.function(new_ctx(), str(tmp_path / "parquet"), block_rows=250)
    made = [
        tfrecord_examples.function(
            new_ctx(direct_num_workers=workers), str(tmp_path / "records"), block_rows=250
        )
        for workers in ("1", "2")
    ]
    assert made[0].properties == whole.properties
    assert made[0].digest == made[1].digest == whole.digest


def test_every_kind_of_split(new_ctx, tmp_path):
    write_rows(tmp_path / "a.tfrecord", mixed(200))
    write_rows(tmp_path / "b.tfrecord", mixed(100, 200))
    both = [str(tmp_path / "a.tfrecord"), str(tmp_path / "b.tfrecord")]
    types = {"when": "timestamp:s"}

    def splits(path=both, **options):
        return split_of(tfrecord_examples.function(new_ctx(), path, block_rows=64, types=types, **options))

    grouped = splits(split_by="city")
    cities = {}
    for n, split in grouped.items():
        cities.setdefault(None if n % 11 == 0 else n % 7, set()).add(split)
    assert all(len(own) == 1 for own in cities.values())
    by_time = splits(split_by_time="when", splits={"old": 2, "new": 1})
    assert {n for n, split in by_time.items() if split == "old"} == set(range(200))
    middle = datetime.fromtimestamp(1_700_000_000 + 3600 * 12, UTC).isoformat()
    ranges = {"old": {"before": middle}, "new": {"from": middle}}
    assert {n for n, s in splits(split_by_time="when", splits=ranges).items() if s == "old"} == set(range(12))
    by_value = splits(split_by_value="city", splits={"a": ["city 1"], "b": ["city 3"]}, rest="drop")
    assert {n % 7 for n, split in by_value.items() if split == "b"} == {3}
    exact = splits(stratify="city", splits={"train": 1, "test": 1})
    for city in range(7):
        own = [split for n, split in exact.items() if n % 7 == city and n % 11]
        assert abs(own.count("train") - own.count("test")) <= 1
    by_file = splits({"train": both[0], "test": both[1]}, sample=30)
    assert by_file == dict.fromkeys(range(30), "train") | dict.fromkeys(range(200, 230), "test")


def test_types_hold_for_all_records_of_all_files(new_ctx, tmp_path):
    # Only the last record shows that `s` holds lists, and has `late`; `none` never has a value.
    rows = [{"s": "a", "x": 1.5, "none": []} for _ in range(20)]
    write_rows(tmp_path / "a.tfrecord", rows)
    write_rows(tmp_path / "b.tfrecord", [*rows, {"s": ["b", "c"], "late": 7, "x": []}])
    paths = [str(tmp_path / "a.tfrecord"), str(tmp_path / "b.tfrecord")]
    made = tfrecord_examples.function(new_ctx(), paths, block_rows=8, **ALL)
    assert made.properties["columns"] == {"late": "int", "none": "int", "s": "strings", "x": "float"}
    found = rows_of(made).to_pylist()
    assert found[0] == {"late": None, "none": None, "s": ["a"], "x": 1.5}
    assert found[-1] == {"late": 7, "none": None, "s": ["b", "c"], "x": None}
    assert len(found) == 41


STATED = [
    ([7, None], "float", [7.0, None]),
    ([1, None], "bool", [True, None]),
    ([86_400, None], "timestamp:s", [datetime(1970, 1, 2, tzinfo=UTC), None]),
    ([2.0, None], "int", [2, None]),
    (["12", None], "int", [12, None]),
    (["29/02/2024", None], "timestamp:%d/%m/%Y", [datetime(2024, 2, 29, tzinfo=UTC), None]),
    ([7, None], "ints", [[7], None]),
    (["7", ["8", "9"]], "ints", [[7], [8, 9]]),
    ([7, "x"], "string", ["7", "x"]),
    ([[1, 2], 0.5], "floats", [[1.0, 2.0], [0.5]]),
    ([float("nan"), ""], "string", [None, None]),
]
"""Values of two records, the type that is stated, and what they become."""


def test_stated_types(new_ctx, tmp_path):
    names = [f"{place:02d} {stated}" for place, (_, stated, _) in enumerate(STATED)]
    rows = [{name: values[row] for name, (values, *_) in zip(names, STATED, strict=True)} for row in (0, 1)]
    write_rows(tmp_path / "a.tfrecord", rows)
    types = dict(zip(names, (stated for _, stated, _ in STATED), strict=True))
    made = tfrecord_examples.function(new_ctx(), str(tmp_path / "a.tfrecord"), types=types, **ALL)
    found = rows_of(made)
    for name, (_, _, expected) in zip(names, STATED, strict=True):
        assert found[name].to_pylist() == expected, name


def test_columns_and_samples(new_ctx, tmp_path):
    path = str(write_rows(tmp_path / "a.tfrecord", mixed(100)))
    made = tfrecord_examples.function(
        new_ctx(), path, columns=["tags", "id"], sample=70, block_rows=32, **ALL
    )
    assert list(made.properties["columns"]) == ["tags", "id"]
    assert rows_of(made)["id"].to_pylist() == list(range(70))


def test_compressed_files_and_empty_ones(new_ctx, tmp_path):
    plain = write_rows(tmp_path / "d/a.tfrecord", mixed(30))
    content = plain.read_bytes()
    expected = tfrecord_examples.function(new_ctx(), str(plain), **ALL)
    packed = {
        "a_tfrecord-0.gz": gzip.compress(content),
        "two_tfrecord": gzip.compress(content[:1000]) + gzip.compress(content[1000:]) + bytes(8),
        "z.tfrecord": zlib.compress(content),
    }
    for name, own in packed.items():
        (tmp_path / name).write_bytes(own)
        made = tfrecord_examples.function(new_ctx(), str(tmp_path / name), **ALL)
        assert made.digest == expected.digest
    # Shards without records are what a writer with more workers than rows leaves.
    (tmp_path / "d/b.tfrecord").write_bytes(b"")
    (tmp_path / "d/c.tfrecord.gz").write_bytes(gzip.compress(b""))
    assert tfrecord_examples.function(new_ctx(), str(tmp_path / "d"), **ALL).digest == expected.digest


def test_a_record_whose_length_looks_like_gzip(new_ctx, tmp_path):
    head = example({"s": ""})
    size = 0x8B1F  # little-endian: 1f 8b, as gzip begins
    length = next(n for n in range(size - 40, size) if len(example({"s": "x" * n})) == size)
    path = write_records(tmp_path / "a.tfrecord", [example({"s": "x" * length}), head])
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert rows_of(tfrecord_examples.function(new_ctx(), str(path), **ALL))["s"].to_pylist() == [
        "x" * length,
        None,
    ]


def test_our_own_records(new_ctx, tmp_path):
    fields = [Field("ids", "int64", (0, 5)), Field("x", "float32", (0,))]
    values = {"ids": np.array([[-5, 4], [1 << 40, 0]]), "x": np.array([[0.5], [-1.5]], np.float32)}
    (tmp_path / "a.tfrecord").write_bytes(frame(RecordTemplate(fields).encode(values)).tobytes())
    made = tfrecord_examples.function(new_ctx(), str(tmp_path / "a.tfrecord"), **ALL)
    assert rows_of(made).to_pylist() == [{"ids": [-5, 4], "x": 0.5}, {"ids": [1 << 40, 0], "x": -1.5}]


def test_what_tensorflow_writes(new_ctx, tmp_path):
    tf = pytest.importorskip("tensorflow")
    table = mixed(40)
    for compression in ("", "GZIP", "ZLIB"):
        path = str(tmp_path / f"{compression}.tfrecord")
        with tf.io.TFRecordWriter(path, compression) as writer:
            for row in table.to_pylist():
                writer.write(tf.train.Example.FromString(example(row)).SerializeToString())
        made = tfrecord_examples.function(new_ctx(), path, **ALL)
        assert rows_of(made)["tags"].to_pylist() == table["tags"].to_pylist()
        assert rows_of(made)["price"].to_pylist() == table["price"].to_pylist()


def test_the_static_check(tmp_path):
    write_rows(tmp_path / "a.tfrecord", mixed(3))

    def checked(**options):
        given = {n: a.default for n, a in tfrecord_examples.arguments.items() if n != "path"}
        problems, outputs = tfrecord_examples.checker({**given, "path": str(tmp_path), **options}, {})
        return " ".join(str(problem) for problem in problems), outputs["output"]

    told, known = checked(columns=["id", "city"], types={"id": "float"})
    assert told == ""
    assert known.columns == ("id", "city")
    assert known.facts["types"] == {"id": "float"}
    assert "did you mean 'city'" in checked(columns=["id", "city"], split_by="citi")[0]
    assert "can't have the type" in checked(types={"id": "date"})[0]
    assert "no such file" in checked(path=str(tmp_path / "b.tfrecord"))[0]
    (tmp_path / "a.tfrecord").write_bytes(b"a,b\n1,2\n3,4\n5,6\n")
    assert "no TFRecord file" in checked()[0]


def test_a_request_that_does_not_fit(new_ctx, tmp_path):
    path = str(write_rows(tmp_path / "a.tfrecord", mixed(10)))
    for options in (
        {"columns": ["nope"]},
        {"types": {"nope": "int"}},
        {"split_by": "nope"},
        {"stratify": "tags"},
    ):
        with pytest.raises(InvalidRequestError):
            tfrecord_examples.function(new_ctx(), path, **options)


def test_through_the_command_line(tmp_path):
    write_rows(tmp_path / "data/x.tfrecord", [{"age": n, "price": n * 1.5} for n in range(50)])
    ranges = {"train": {"before": 40}, "test": {"from": 40}}
    steps = {
        "examples": {
            "uses": "tfrecord_examples",
            "with": {"path": "data", "splits": ranges, "split_by_time": "age"},
        },
        "statistics": {"uses": "statistics", "with": {"examples": "${steps.examples}"}},
    }
    (tmp_path / "p.yaml").write_text(json.dumps({"pipeline": "p", "steps": steps}))
    call = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()"]
    call += ["run", "p.yaml", "--json"]
    told = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    made = json.loads(told.stdout)["steps"]
    assert made["examples"]["outputs"]["output"]["summary"] == {"rows": {"train": 40, "test": 10}}
    assert made["statistics"]["status"] == "ran"
