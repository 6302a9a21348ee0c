"""TFRecord files that are not what they have to be: what is said, and that nothing is left behind."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib

import pytest

from headrace.components.tf_examples.sources import is_packed
from headrace.components.tf_examples.unpacking import unpack
from headrace.components.tf_examples.work import RecordFile, Unit, convert, decode_unit
from headrace.components.tfrecord_examples import tfrecord_examples
from headrace.components.tfrecords.framing import Cut, cut_file, read_records
from headrace.pipelines.errors import DataError, HeadraceError

from .record_files import example, framed, write_records, write_rows

ALL = {"splits": {"all": 1}}
RECORDS = [example({"id": n, "s": "x" * n}) for n in range(20)]
CONTENT = b"".join(map(framed, RECORDS))
STARTS = [sum(len(framed(record)) for record in RECORDS[:n]) for n in range(20)]


@pytest.fixture
def told(new_ctx, tmp_path):
    """Ingests a file of some bytes, and gives the error as text."""

    def run(content, name="a.tfrecord", **options):
        (tmp_path / name).write_bytes(content)
        ctx = new_ctx()
        with pytest.raises(HeadraceError) as error:
            tfrecord_examples.function(ctx, str(tmp_path / name), **{**ALL, **options})
        assert not list(ctx.staging.glob("**/manifest.json"))
        return str(error.value)

    return run


def flipped(place, content=CONTENT):
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


FRAMING = [
    (
        CONTENT[: STARTS[7] + 5],
        f"cut short: record 8 begins at byte {STARTS[7]}, and 5 of its first 12 bytes",
    ),
    (CONTENT[: STARTS[7] + 20], f"cut short: record 8 begins at byte {STARTS[7]} and should take"),
    (CONTENT[:-1], f"cut short: record 20 begins at byte {STARTS[19]}"),
    (flipped(STARTS[7]), f"checksum of the length of record 8, at byte {STARTS[7]}, is wrong"),
    (flipped(STARTS[7] + 9), f"checksum of the length of record 8, at byte {STARTS[7]}, is wrong"),
    (flipped(STARTS[7] + 13), f"checksum of the data of record 8, at byte {STARTS[7]}, is wrong"),
    (flipped(STARTS[8] - 1), f"checksum of the data of record 8, at byte {STARTS[7]}, is wrong"),
    (CONTENT + b"\n", "cut short: record 21 begins"),
    (flipped(0), "no TFRecord file: the checksum of the first record's length"),
    (b"id,s\n1,2\n3,4\n5,6\n7,8\n", "no TFRecord file"),
    (b"short", "no TFRecord file: it has 5 bytes"),
    (b"PAR1" + bytes(20), "a Parquet file"),
    (gzip.compress(CONTENT)[:-9], "is cut short, behind"),
    (gzip.compress(CONTENT)[:30] + b"\0" * 30, "compressed file is"),
    (gzip.compress(CONTENT[:-3]), "the file is cut short: record 20"),
    (zlib.compress(CONTENT)[:-5], "is cut short, behind"),
    (gzip.compress(CONTENT) + b"trailing", "is damaged"),
]


def read_whole(path, folder):
    plain = unpack(path, folder) if is_packed(path) else path
    cuts = cut_file(plain, str(path), 6, 1 << 20)
    return [
        records.record(n)
        for cut in cuts
        if (records := read_records(plain, cut, str(path)))
        for n in range(len(records))
    ]


def test_framing(tmp_path):
    path = tmp_path / "a.tfrecord"
    for content in (CONTENT, gzip.compress(CONTENT)):
        path.write_bytes(content)
        assert read_whole(path, tmp_path) == RECORDS
    for content, expected in FRAMING:
        path.write_bytes(content)
        with pytest.raises(DataError) as error:
            read_whole(path, tmp_path)
        assert expected in str(error.value)
        assert "a.tfrecord" in str(error.value)


def test_no_record_and_a_damaged_one(told):
    assert "there is no record" in told(b"")
    assert "there is no record" in told(gzip.compress(b""))
    said = told(FRAMING[5][0])
    assert FRAMING[5][1] in said
    assert "remedy: copy, download or write it again" in said


def test_every_cut_and_every_flipped_bit_is_noticed(tmp_path):
    content = b"".join(map(framed, RECORDS[:3]))
    path = tmp_path / "a.tfrecord"
    ends = set(STARTS[:4])

    def read():
        return [bytes(read_records(path, cut, "").record(0)) for cut in cut_file(path, "", 1, 1 << 20)]

    for place in range(len(content)):
        path.write_bytes(flipped(place, content))
        with pytest.raises(DataError):
            read()
        path.write_bytes(content[:place])
        if place not in ends:
            with pytest.raises(DataError):
                read()
    path.write_bytes(content)
    assert read() == RECORDS[:3]


def test_packed_files_are_never_read_in_part(tmp_path):
    packed = gzip.compress(CONTENT)
    for length in range(len(packed)):
        (tmp_path / "a.gz").write_bytes(packed[:length])
        with pytest.raises(DataError, match="is cut short"):
            unpack(tmp_path / "a.gz", tmp_path)


BAD = [
    (b"\xff\xff", "it is no tf.Example"),
    (b"\x0a\x00\x12\x02\x0a\x00", "it is a tf.SequenceExample"),
    (example({"id": -(1 << 63)}), "stands for a missing number at serving"),
    (example({"x": float("inf")}), "'x': 'inf' is infinite"),
    (example({"x": [1.0, float("-inf")]}), "holds a value that is infinite"),
    (example({"s": b"\xff\xfe"}), "is not UTF-8"),
    (example({"s": "a\0b"}), "holds a NUL character"),
    (example({"b": [1, 2]}), "'b': '[1, 2]' has several values"),
    (example({"b": 2}), "'b': '2' is neither 0 nor 1"),
]


TYPES = {"b": "bool", "id": "int", "s": "string"}


def test_what_is_said_of_bad_records(tmp_path):
    for record, expected in BAD:
        path = write_records(tmp_path / "a.tfrecord", [*RECORDS, record, RECORDS[3], record])
        unit = Unit(0, RecordFile(str(path), str(path)), Cut(0, path.stat().st_size, 0, 23))
        decoded = decode_unit(unit)
        types = {**TYPES, "x": "floats" if "holds a value" in expected else "float"}
        with pytest.raises(DataError) as error:
            convert(unit, decoded, types, 0)
        said = str(error.value)
        assert "a.tfrecord:21: record 21: " in said
        assert expected in said
        assert "max_rejects" in said
        assert ("types: {b: ints}" in said) == ("several values" in expected)
        with pytest.raises(DataError, match="more than 1 rows are rejected"):
            convert(unit, decoded, types, 1)
        found = convert(unit, decoded, types, 2)
        assert [reject.line for reject in found.rejects] == [21, 23]
        assert found.numbers.tolist() == [*range(1, 21), 22]


def test_rejects(new_ctx, tmp_path):
    path = write_records(tmp_path / "a.tfrecord", [*RECORDS, *(record for record, _ in BAD)])
    types = {**TYPES, "x": "floats"}
    made = tfrecord_examples.function(new_ctx(), str(path), types=types, max_rejects=9, block_rows=7, **ALL)
    rejects = [json.loads(line) for line in (made.path / "rejects.jsonl").read_text().splitlines()]
    assert [reject["line"] for reject in rejects] == list(range(21, 30))
    assert json.loads(rejects[2]["text"])["id"] == str(-(1 << 63))
    assert made.rows("all") == 20
    with pytest.raises(DataError, match="more than 8 rows are rejected"):
        tfrecord_examples.function(new_ctx(), str(path), types=types, max_rejects=8, block_rows=7, **ALL)


def test_kinds_that_conflict(new_ctx, tmp_path):
    write_rows(tmp_path / "a.tfrecord", [{"x": 1}, {"x": 2}, {"x": 2, "y": "a"}])
    write_rows(tmp_path / "b.tfrecord", [{"y": "b"}, {"x": []}, {"x": 0.5}])
    both = [str(tmp_path / "a.tfrecord"), str(tmp_path / "b.tfrecord")]
    with pytest.raises(DataError) as error:
        tfrecord_examples.function(new_ctx(), both, block_rows=2, **ALL)
    said = str(error.value)
    assert "b.tfrecord:3" in said
    assert "'x' is float_list in record 3, and int64_list in record 1 of" in said
    assert "types: {x: float}" in said
    made = tfrecord_examples.function(new_ctx(), both, types={"x": "float"}, block_rows=2, **ALL)
    assert made.properties["columns"] == {"x": "float", "y": "string"}
    left_out = tfrecord_examples.function(new_ctx(), both, columns=["y"], **ALL)
    assert left_out.rows("all") == 6


def test_an_empty_list_of_another_kind_is_a_missing_value(new_ctx, tmp_path):
    path = write_records(
        tmp_path / "a.tfrecord", [example({"x": 1}), b"\x0a\x0a\x0a\x08\x0a\x01x\x12\x03\x0a\x01"]
    )
    with pytest.raises(DataError):  # the list's length leads out of the message
        tfrecord_examples.function(new_ctx(), str(path), **ALL)
    empty_bytes_list = b"\x0a\x09\x0a\x07\x0a\x01x\x12\x02\x0a\x00"
    write_records(path, [example({"x": 1}), empty_bytes_list])
    made = tfrecord_examples.function(new_ctx(), str(path), **ALL)
    assert made.properties["columns"] == {"x": "int"}


def test_names_and_records_without_features(told):
    assert "'' , which is no name" in told(framed(example({"": 1, "a": 2}))).replace("'',", "'' ,")
    assert "no record has a feature" in told(framed(b"") + framed(b"\x0a\x00"))


def test_a_stated_type_that_can_not_be(told):
    said = told(framed(example({"x": 1.5})), types={"x": "timestamp"})
    assert "feature 'x' is float_list in record 1, and can't become timestamp" in said
    for stated in ("timestamp", "timestamp:%Y"):
        assert "timestamp:s, timestamp:ms" in told(framed(example({"x": 1})), types={"x": stated})


def test_what_unpacks_to_much_does_not_fill_the_memory(tmp_path):
    size = 100 << 20
    packed = gzip.compress(bytes(size), 1) + gzip.compress(b"end")
    (tmp_path / "a.gz").write_bytes(packed)
    tracemalloc.start()
    try:
        plain = unpack(tmp_path / "a.gz", tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plain.stat().st_size == size + 3
    assert most < 8 << 20
