"""`csv_examples` on real files: what is read, how it is split, and that execution doesn't matter."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.components.csv.cutting import cut_file
from headrace.components.csv.prepare import table_file
from headrace.components.csv.reading import read_cells
from headrace.components.csv.sources import Dialect
from headrace.components.csv_examples import csv_examples
from headrace.components.data_plane.row_hash import row_hash
from headrace.pipelines.artifact import Draft, Examples, Files

ONE = {"all": 1}


def read(examples: Examples, split: str = "all") -> pa.Table:
    return pa.concat_tables([pq.read_table(part) for part in examples.parts(split)])


def rows(examples: Examples, split: str = "all") -> list[dict[str, Any]]:
    return list(read(examples, split).to_pylist())


@pytest.fixture
def ingest(new_ctx: Callable[..., Any], tmp_path: Path) -> Callable[..., Examples]:
    """Writes content to a file and ingests it into one split, unless told otherwise."""

    def run(
        content: str | bytes, name: str = "table.csv", runner: dict[str, str] | None = None, **options: Any
    ) -> Examples:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return csv_examples.function(new_ctx(**(runner or {})), str(path), **{"splits": ONE, **options})

    return run


def test_types_are_inferred_and_missing_values_are_null(ingest: Callable[..., Examples]) -> None:
    examples = ingest("i,f,b,s,code,none\n1,1.5,true,x,007,\n-2, 2 ,False,,8,NA\n,nan,,NA,9,\n")
    assert examples.properties["columns"] == {
        "i": "int", "f": "float", "b": "bool", "s": "string", "code": "string", "none": "float",
    }  # fmt: skip
    assert rows(examples) == [
        {"i": 1, "f": 1.5, "b": True, "s": "x", "code": "007", "none": None},
        {"i": -2, "f": 2.0, "b": False, "s": None, "code": "8", "none": None},
        {"i": None, "f": None, "b": None, "s": None, "code": "9", "none": None},
    ]
    assert examples.properties["splits"]["all"] == {
        "rows": 3,
        "parts": [{"path": "all/part-00000.parquet", "rows": 3}],
    }
    assert dict(examples.summary) == {"rows": {"all": 3}}


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
def test_nan_is_a_text_among_texts_and_missing_among_numbers(
    ingest: Callable[..., Examples], block_bytes: int
) -> None:
    content = "t,n,b\nx,1,true\nnan,nan,nan\n  ,2,true\n"
    examples = ingest(content, block_bytes=block_bytes, missing_values=[""])
    assert examples.properties["columns"] == {"t": "string", "n": "float", "b": "string"}
    assert read(examples).to_pydict() == {
        "t": ["x", "nan", "  "], "n": [1.0, None, 2.0], "b": ["true", "nan", "true"],
    }  # fmt: skip
    alone = ingest("t,n\nx,1\nnan,2\n  ,3\n", block_bytes=block_bytes, missing_values=[""])
    assert read(alone)["t"].to_pylist() == ["x", "nan", "  "]


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_types_hold_for_the_whole_data(ingest: Callable[..., Examples], block_bytes: int) -> None:
    content = "a,b,c,d\n1,1.0,true,\n2,2,x,\n3.5,x,false,4\n9223372036854775808,1,true,5\n"
    examples = ingest(content, block_bytes=block_bytes)
    assert examples.properties["columns"] == {"a": "float", "b": "string", "c": "string", "d": "int"}
    table = read(examples).to_pydict()
    assert table["a"] == [1.0, 2.0, 3.5, 9223372036854775808.0]
    assert table["b"] == ["1.0", "2", "x", "1"]
    assert table["c"] == ["true", "x", "false", "true"]


def test_given_types(ingest: Callable[..., Examples]) -> None:
    types = {"a": "string", "b": "float", "c": "bool", "d": "int"}
    examples = ingest("a,b,c,d\n1,1,0,007\n2,2,yes,+5\n", types=types)
    assert rows(examples) == [
        {"a": "1", "b": 1.0, "c": False, "d": 7},
        {"a": "2", "b": 2.0, "c": True, "d": 5},
    ]


def _zipped(content: bytes) -> bytes:
    """Without the time, which would be part of a test's name."""
    return gzip.compress(content, mtime=0)


PLAIN = 'name,n\nZoë,1\n"a, ""b""\nc",2\n'


def delimited(sign: str) -> bytes:
    return PLAIN.replace(",n", f"{sign}n").replace(",1", f"{sign}1").replace(",2", f"{sign}2").encode()


EXPECTED = [{"name": "Zoë", "n": 1}, {"name": 'a, "b"\nc', "n": 2}]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (PLAIN.encode(), {}),
        (b"\xef\xbb\xbf" + PLAIN.encode(), {}),
        (PLAIN.encode("latin-1"), {"encoding": "latin-1"}),
        (PLAIN.encode("cp1252"), {"encoding": "windows-1252"}),
        (PLAIN.encode("utf-16"), {"encoding": "utf-16"}),
        (PLAIN.encode("utf-16-be"), {"encoding": "utf-16-be"}),
        (_zipped(PLAIN.encode()), {}),
        (b"".join(map(_zipped, PLAIN.encode("cp1252").partition(b"1"))), {"encoding": "cp1252"}),
        (delimited(";"), {"delimiter": ";"}),
        (delimited("\t"), {"delimiter": "auto"}),
        (PLAIN.replace('""', "'").replace('"', "'").replace("'b'", "''b''").encode(), {"quote": "'"}),
        (PLAIN.partition("\n")[2].encode(), {"columns": ["name", "n"]}),
        (b"x,y\n" + PLAIN.partition("\n")[2].encode(), {"columns": ["name", "n"], "header": True}),
        (b"\n\n" + PLAIN.encode() + b"\n\n", {}),
        (PLAIN.rstrip().encode(), {}),
    ],
)  # fmt: skip
def test_ways_to_write_a_table(
    ingest: Callable[..., Examples], content: bytes, options: dict[str, Any]
) -> None:
    found = rows(ingest(content, block_bytes=5, **options))
    if options.get("quote"):
        found[1]["name"] = found[1]["name"].replace("'", '"')
    assert found == EXPECTED


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_line_ends(ingest: Callable[..., Examples], newline: str, block_bytes: int) -> None:
    content = newline.join(["a,b", "1,x", '2,"p\r\nq"', "", "3,z", ""])
    expected = [{"a": 1, "b": "x"}, {"a": 2, "b": "p\r\nq"}, {"a": 3, "b": "z"}]
    assert rows(ingest(content, block_bytes=block_bytes)) == expected


def test_names_pass_unchanged(ingest: Callable[..., Examples]) -> None:
    names = ["Median Income ($)", "größe", "od280/od315", "1st", "A", "a", " pad ", "日本"]
    line = ",".join(str(n) for n in range(len(names)))
    examples = ingest(",".join(names) + "\n" + line + "\n")
    assert list(examples.properties["columns"]) == names
    assert read(examples).schema.names == names


def test_several_files_in_order(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    for place, name in enumerate(["b.csv", "a.csv", "c.csv.gz"]):
        content = f"x\n{place}\n{place + 10}\n".encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    by_glob = csv_examples.function(new_ctx(), str(tmp_path / "*.csv*"), splits=ONE)
    assert [row["x"] for row in rows(by_glob)] == [1, 11, 0, 10, 2, 12]
    by_list = csv_examples.function(new_ctx(), [str(tmp_path / "b.csv"), str(tmp_path / "a*")], splits=ONE)
    assert [row["x"] for row in rows(by_list)] == [0, 10, 1, 11]
    draft = Draft(Files, tmp_path / "files")
    (draft.path / "z.csv").write_text("x\n5\n")
    (draft.path / "y.csv").write_text("x\n6\n")
    by_artifact = csv_examples.function(new_ctx(), draft.finish(), splits=ONE)
    assert [row["x"] for row in rows(by_artifact)] == [6, 5]


@pytest.mark.parametrize(("block_bytes", "ending"), [(4, ""), (4, "\n"), (1 << 20, "")])
def test_sample(ingest: Callable[..., Examples], block_bytes: int, ending: str) -> None:
    content = 'a\n1\n"2\n"\n3\n4' + ending
    for count in (1, 2, 3, 4, 6):
        assert len(rows(ingest(content, sample=count, block_bytes=block_bytes))) == min(count, 4)


def big_table(count: int = 3000) -> str:
    random = np.random.default_rng(1)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["id", "x", "group", "kind", "text"])
    for place in range(count):
        text = ["plain", 'with "quotes"', "two\nlines", "a,b", ""][place % 5]
        kind = "rare" if place % 100 == 7 else ["cat", "dog"][place % 2]
        writer.writerow([place, round(float(random.normal()), 3), f"g{place % 97}", kind, text])
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"split_by": "group"}, {"stratify": "kind"}])
def test_the_result_does_not_depend_on_execution(
    ingest: Callable[..., Examples], options: dict[str, Any], new_ctx: Callable[..., Any], tmp_path: Path
) -> None:
    options = {**options, "splits": {"train": 8, "validation": 1, "test": 1}, "block_bytes": 5000}
    one = ingest(big_table(), **options)
    threads = ingest(big_table(), runner={"direct_num_workers": "2"}, **options)
    assert len(one.splits["train"]["parts"]) > 10
    assert one.digest == threads.digest
    if not {"split_by", "stratify"} & options.keys():
        processes = {"direct_num_workers": "2", "direct_running_mode": "multi_processing"}
        assert ingest(big_table(), runner=processes, **options).digest == one.digest


def test_two_threads_work_and_little_crosses(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(big_table(6000))
    ctx = new_ctx(direct_num_workers="2")
    csv_examples.function(ctx, str(path), splits=ONE, block_bytes=1000)
    work = {event["work"]["stage"]: event["work"] for event in ctx.events if "work" in event}
    assert {"cut", "read"} <= set(work)
    assert all(facts["units"] > 100 and facts["largest_element_bytes"] < 1000 for facts in work.values())
    assert any(len(facts["workers"]) > 1 for facts in work.values())


def test_the_block_size_decides_parts_and_not_rows(ingest: Callable[..., Examples]) -> None:
    splits = {"train": 8, "test": 2}
    whole = ingest(big_table(), splits=splits)
    for block_bytes in (997, 20_000):
        cut = ingest(big_table(), splits=splits, block_bytes=block_bytes)
        assert read(cut, "train").equals(read(whole, "train"))
        assert read(cut, "test").equals(read(whole, "test"))


def test_equal_rows_share_a_split_and_shares_are_kept(ingest: Callable[..., Examples]) -> None:
    content = "a,b\n" + "".join(f"{n % 2000},v{n % 2000}\n" for n in range(6000))
    examples = ingest(content, splits={"train": 8, "validation": 1, "test": 1}, block_bytes=9000)
    seen = {split: {row["a"] for row in rows(examples, split)} for split in examples.splits}
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]
    assert 0.77 < examples.rows("train") / 6000 < 0.83
    again = ingest(content, splits={"train": 8, "validation": 1, "test": 1}, seed=1)
    assert {row["a"] for row in rows(again, "test")} != seen["test"]


def test_a_group_never_straddles(ingest: Callable[..., Examples]) -> None:
    examples = ingest(big_table(), splits={"train": 2, "test": 1}, split_by="group", block_bytes=2000)
    groups = [{row["group"] for row in rows(examples, split)} for split in ("train", "test")]
    assert not groups[0] & groups[1] and len(groups[0] | groups[1]) == 97


def test_stratified_shares_are_exact(ingest: Callable[..., Examples]) -> None:
    splits = {"train": 6, "validation": 2, "test": 2}
    examples = ingest(big_table(), splits=splits, stratify="kind", block_bytes=3000)
    assert examples.properties["stratified"] == "exact"
    total = {"rare": 30, "cat": 1500, "dog": 1470}
    for split, share in splits.items():
        found = [row["kind"] for row in rows(examples, split)]
        assert {kind: found.count(kind) for kind in total} == {k: n * share // 10 for k, n in total.items()}
    whole = ingest(big_table(), splits=splits, stratify="kind")
    assert all(read(whole, split).equals(read(examples, split)) for split in splits)


def test_beyond_the_exact_rows_the_hash_places(
    ingest: Callable[..., Examples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.components.ingestion.publishing.EXACT_ROWS", 2999)
    examples = ingest(big_table(), splits={"train": 8, "test": 2}, stratify="kind")
    assert examples.properties["stratified"] == "hashed"
    plain = ingest(big_table(), splits={"train": 8, "test": 2})
    assert read(examples, "test").equals(read(plain, "test"))


def test_classes_may_be_missing_and_rare(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("y,x\n" + "".join(f"{['a', 'b', ''][n % 3]},{n}\n" for n in range(90)) + "once,90\n")
    ctx = new_ctx()
    examples = csv_examples.function(ctx, str(path), splits={"train": 1, "test": 1}, stratify="y")
    for split in examples.splits:
        kinds = [row["y"] for row in rows(examples, split)]
        assert [kinds.count(kind) for kind in ("a", "b", None)] == [15, 15, 15]
    assert any("'once'" in event.get("warn", "") for event in ctx.events)


def test_a_small_class_reaches_every_split(ingest: Callable[..., Examples]) -> None:
    content = "y,x\n" + "".join(f"{'ab'[n % 20 == 0]},{n}\n" for n in range(60))
    examples = ingest(content, splits={"train": 98, "validation": 1, "test": 1}, stratify="y")
    assert all({row["y"] for row in rows(examples, split)} == {"a", "b"} for split in examples.splits)


def test_rejects_are_kept_and_counted(ingest: Callable[..., Examples]) -> None:
    content = b'n,s\n1,a\n2\n3,"x\ny"\nfour,b\n5,\xff\n6,c,d\n7,z\x00\ninf,e\n8,ok\n'
    for block_bytes in (6, 1 << 20):
        examples = ingest(content, types={"n": "float"}, max_rejects=6, block_bytes=block_bytes)
        assert [row["n"] for row in rows(examples)] == [1, 3, 8]
        assert examples.properties["rejects"] == 6
        told = [json.loads(line) for line in examples.file("rejects.jsonl").read_text("utf-8").splitlines()]
        assert [(t["file"], t["line"], t["text"]) for t in told] == [
            ("table.csv", 3, "2"),
            ("table.csv", 6, "four,b"),
            ("table.csv", 7, "5,\\xff"),
            ("table.csv", 8, "6,c,d"),
            ("table.csv", 9, "7,z\0"),
            ("table.csv", 10, "inf,e"),
        ]
        assert "'four' is not a number" in told[1]["reason"] and "infinite" in told[5]["reason"]


def test_stray_words_are_rejected_if_there_is_room(ingest: Callable[..., Examples]) -> None:
    content = "n\n" + "".join(f"{n}\n" if n != 150 else "oops\n" for n in range(300))
    examples = ingest(content, max_rejects=1, block_bytes=100)
    assert examples.properties["columns"] == {"n": "int"}
    assert examples.rows("all") == 299


def test_a_column_of_mostly_words_stays_a_string_column(ingest: Callable[..., Examples]) -> None:
    content = "s\n" + "".join(f"{n}\n" if n % 10 else "word\n" for n in range(300))
    assert ingest(content).properties["columns"] == {"s": "string"}


def tables(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    def of_width(width: int) -> st.SearchStrategy[list[list[str]]]:
        return st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=12)

    return st.integers(1, 4).flatmap(of_width)


cells = st.text(alphabet=st.sampled_from("ab1 ,;\"\n\r\tä😀'."), max_size=6)


@given(
    table=tables(cells),
    newline=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    block_bytes=st.integers(1, 40),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_csv_writes_is_read_back(
    tmp_path: Path, table: list[list[str]], newline: str, delimiter: str, block_bytes: int
) -> None:
    names = [f"c{place}" for place in range(len(table[0]))]
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        # With "\n" as its line end, older versions of `csv` don't quote a cell that holds "\r".
        quoting = csv.QUOTE_ALL if newline == "\n" else csv.QUOTE_MINIMAL
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting)
        writer.writerows([names, *table])
    dialect = Dialect(delimiter, '"', ())
    file, head = table_file("t.csv", path, "utf-8", dialect, header=True)
    assert list(head) == names
    found: list[list[str]] = []
    for unit in cut_file(file, dialect, block_bytes):
        cells_read = read_cells(unit, head, dialect, "utf-8", 0)
        found += [list(row.values()) for row in cells_read.table.to_pylist()]
    blanks = " " if delimiter == "\t" else " \t"  # a cell with a delimiter is quoted, so it is there
    quoted = quoting == csv.QUOTE_ALL or len(names) == 1
    assert found == [row for row in table if quoted or any(cell.strip(blanks) for cell in row)]


def test_row_hash_is_stable_and_by_value() -> None:
    table = pa.table({"a": pa.array([1.0, -0.0, 0.0, None]), "s": pa.array(["x", "y", "y", None])})
    hashed = row_hash(table)
    assert hashed.tolist() == [*hashed.tolist()[:1], hashed[1], hashed[1], hashed[3]]
    assert len(set(hashed.tolist())) == 3
    assert row_hash(table, seed=1).tolist() != hashed.tolist()
    assert row_hash(table.slice(2)).tolist() == hashed.tolist()[2:]
    golden = row_hash(
        pa.table({"i": pa.array([1, 2]), "b": pa.array([True, None]), "s": pa.array(["ä", ""])})
    )
    assert [hex(value) for value in golden.tolist()] == GOLDEN


GOLDEN = ["0x27ab0d73a098ac6a", "0x2e02fee03bfa22e7"]


@pytest.mark.parametrize("block_bytes", [20, 1 << 20])
def test_the_least_int_makes_a_float_column(ingest: Callable[..., Examples], block_bytes: int) -> None:
    made = ingest(f"a,b\n1,1\n{-(2**63)},{2**63 - 1}\n", block_bytes=block_bytes)
    assert made.properties["columns"] == {"a": "float", "b": "int"}


def test_whole_numbers_with_a_point_are_ints_if_stated(ingest: Callable[..., Examples]) -> None:
    text = 'y\n1.0\n-2\n+3.\n4.00\n""\n 5.0 \n'
    assert ingest(text).properties["columns"] == {"y": "float"}
    made = ingest(text, types={"y": "int"})
    assert pq.read_table(made.parts("all")[0], partitioning=None)["y"].to_pylist() == [1, -2, 3, 4, None, 5]


@pytest.mark.parametrize(
    ("cells", "warned"),
    [
        (["1,5", "-2,25", ""], True),
        (["$ 1", "$ -2.50"], True),
        (["7 %", "12%"], True),
        (["1 234,50", "12"], True),
        (["1.234.567,8", "(5)"], True),
        (["2024-01-31", "2023-02-01"], False),
        (["007", "012"], False),
        (["a", "1,5"], False),
        (["1,2,3", "4,5,6"], False),
    ],
)
def test_text_that_looks_like_numbers_is_told(
    new_ctx: Callable[..., Any], tmp_path: Path, cells: list[str], warned: bool
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n" + "".join(f"{cell};1\n" for cell in cells))
    ctx = new_ctx()
    csv_examples.function(ctx, str(path), delimiter=";", splits={"all": 1})
    assert ["column 'a' is text" in event["warn"] for event in ctx.events if "warn" in event] == [
        True
    ] * warned


def test_first_rows_of_any_length(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    names = [f"{'w' * 200}{i}" for i in range(6000)]  # more than is read of a header at first
    path.write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    made = csv_examples.function(new_ctx(), str(path), splits={"all": 1})
    assert list(made.properties["columns"]) == names
    path.write_text(f"{'z' * 200_000},1\na,2\n")
    made = csv_examples.function(new_ctx(), str(path), columns=["s", "y"], splits={"all": 1})
    assert made.rows("all") == 2
    path.write_text('"' + "l\n" * 1500 + '",y\n1,2\n')
    assert csv_examples.function(new_ctx(), str(path), splits={"all": 1}).rows("all") == 1


def test_marks_of_ones_own_go_with_the_examples(ingest: Callable[..., Examples]) -> None:
    text = "a,b\n" + "".join(f"{'?' if i % 5 == 0 else i},{i % 3}\n" for i in range(60))
    examples = ingest(text, missing_values=["?"])
    assert examples.properties["missing_values"] == ["?"]
    assert examples.properties["columns"] == {"a": "int", "b": "int"}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("sign", [",", ";"])
@pytest.mark.parametrize("block_bytes", [5, 1 << 20])
def test_rows_of_delimiters_alone_are_no_rows(
    new_ctx: Callable[..., Any], tmp_path: Path, block_bytes: int, sign: str, newline: str
) -> None:
    lines = ["a,b,c", ",,", "1,x,y", ", ,  ", "", ",,", '2,"p', ',,",z', ",u,", ",,", " , , ", ",,"]
    (tmp_path / "t.csv").write_bytes(newline.join(lines).replace(",", sign).encode())
    ctx = new_ctx()
    made = csv_examples.function(
        ctx, str(tmp_path / "t.csv"), splits=ONE, block_bytes=block_bytes, delimiter=sign
    )
    inner = f"p{newline}{sign}{sign}"
    assert rows(made) == [
        {"a": 1, "b": "x", "c": "y"},
        {"a": 2, "b": inner, "c": "z"},
        {"a": None, "b": "u", "c": None},
    ]
    (told,) = [event["warn"] for event in ctx.events if "warn" in event]
    assert told.startswith("6 rows of delimiters alone left out")


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_behind_rows_of_delimiters_lines_are_right(
    new_ctx: Callable[..., Any], tmp_path: Path, block_bytes: int
) -> None:
    lines = ["a,b", ",", ",", "1,2", ",", "3,oops", ",,", '"",""', "4\0,5", ","]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    options: dict[str, Any] = {"types": {"a": "int", "b": "int"}, "splits": ONE, "block_bytes": block_bytes}
    made = csv_examples.function(new_ctx(), str(tmp_path / "t.csv"), max_rejects=3, **options)
    assert rows(made) == [{"a": 1, "b": 2}, {"a": None, "b": None}]  # what is quoted is there
    told = [json.loads(line) for line in made.file("rejects.jsonl").read_text("utf-8").splitlines()]
    assert [reject["line"] for reject in told] == [6, 7, 9]


def test_many_rows_of_delimiters_and_one_column(ingest: Callable[..., Examples]) -> None:
    text = "a,b\n" + "".join(f"{i},{i}\n" for i in range(50)) + ",\n" * 20_000
    assert rows(ingest(text, block_bytes=4096)) == [{"a": i, "b": i} for i in range(50)]
    assert ingest("a\n1\n \n2\n", name="one.csv", types={"a": "string"}).rows("all") == 3


def test_how_the_files_are_written_goes_with_the_examples(ingest: Callable[..., Examples]) -> None:
    told = ingest("a;b\n'ü';1\n".encode("cp1252"), delimiter="auto", quote="'", encoding="cp1252").properties
    assert (told["delimiter"], told["quote"], told["encoding"]) == (";", "'", "cp1252")
    assert not {"delimiter", "quote", "encoding"} & set(ingest("a,b\nü,1\n").properties)


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
@pytest.mark.parametrize(
    ("cells", "kind", "warned"),
    [
        (["1", "9223372036854775808", "2"], "float", 1),
        (["1", "-99999999999999999999", "1e30"], "float", 1),
        (["1", "9223372036854775807", "2"], "int", 0),
        (["1.5", "1e30", "2"], "float", 0),
        (["x", "9223372036854775808", "2"], "string", 0),
    ],
)
def test_whole_numbers_that_lose_digits_are_told(
    new_ctx: Callable[..., Any], tmp_path: Path, block_bytes: int, cells: list[str], kind: str, warned: int
) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["a", *cells]) + "\n")
    ctx = new_ctx()
    made = csv_examples.function(ctx, str(tmp_path / "a.csv"), splits={"all": 1}, block_bytes=block_bytes)
    assert made.properties["columns"] == {"a": kind}
    told = [event["warn"] for event in ctx.events if "warn" in event]
    assert ["column 'a' holds 1 whole numbers beyond 64 bits" in text for text in told] == [True] * warned
