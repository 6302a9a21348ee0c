"""Each way in which CSV input is bad has a clear error, and leaves no artifact."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.components.csv_examples import csv_examples
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, HeadraceError, InvalidRequestError

GOOD = b"a,b\n1,x\n2,y\n3,z\n"


@pytest.fixture
def refused(new_ctx: Callable[..., Any], tmp_path: Path) -> Callable[..., HeadraceError]:
    """Ingests content that has to be refused, and gives the error."""

    def run(content: bytes, **options: Any) -> HeadraceError:
        path = tmp_path / "t.csv"
        path.write_bytes(content)
        ctx = new_ctx()
        with pytest.raises(HeadraceError) as caught:
            csv_examples.function(ctx, str(path), **{"splits": {"all": 1}, **options})
        assert not list(ctx.staging.rglob("manifest.json"))
        return caught.value

    return run


WHOLE = {"block_bytes": 1 << 20}
NUMBERS = b"".join(b"%d,%d\n" % (n, n) for n in range(500))


@pytest.mark.parametrize(
    ("content", "options", "line", "parts"),
    [
        pytest.param(b"", {}, 0, ["empty"], id="empty file"),
        pytest.param(gzip.compress(b""), {}, 0, ["empty", "t.csv"], id="empty gzip"),
        pytest.param(b"\n\n", {}, 0, ["no rows"], id="blank lines only"),
        pytest.param(b"\xef\xbb\xbf", {}, 0, ["no rows"], id="BOM only"),
        pytest.param(b"a,b\n", {}, 0, ["a header and no row"], id="header only"),
        pytest.param(b"a,b", {}, 0, ["a header and no row"], id="header without newline"),
        pytest.param(b"a,b\n\n\n", {}, 0, ["a header and no row"], id="header and blank lines"),
        pytest.param(b"a,b\n1,2\n3\n", {}, 3, ["1 fields", "2 columns", "max_rejects"], id="short row"),
        pytest.param(b'a,b\n"p\nq",2\n3,4,5\n', {}, 4, ["3 fields"], id="long row after an embedded newline"),
        pytest.param(b"a,b\n1,x\n2,caf\xe9\n", {}, 3, ["e9", "utf-8", "cp1252"], id="wrong encoding"),
        pytest.param(b"a,caf\xe9\n1,x\n", {}, 1, ["utf-8", "cp1252"], id="wrong encoding in the header"),
        pytest.param("a,b\n1,x\n".encode("utf-16"), {}, 1, ["encoding: utf-16"],
                     id="UTF-16 without saying so"),
        pytest.param(b"a,b\n1,x\n2,\x81\n", {"encoding": "cp1252"}, 3, ["cp1252"],
                     id="a byte that cp1252 lacks"),
        pytest.param(b"a,b\n1,x\n", {"encoding": "utf-16"}, 1, ["utf-16"], id="not UTF-16"),
        pytest.param(b"a,b\n1,x\n2,y\x00\n", {}, 3, ["NUL"], id="NUL byte"),
        pytest.param(b"a,b\n" + NUMBERS + b"7,oops\n", {}, 502, ["'b'", "'oops'", "types: {b: string}"],
                     id="stray"),
        pytest.param(b"a,b\n1,2\n3,x\n", {"types": {"b": "int"}}, 3, ["'b'", "'x'", "whole number"],
                     id="given int"),
        pytest.param(b"a,b\n1,2.5\n", {"types": {"b": "int"}}, 2, ["'2.5'"], id="given int, fraction"),
        pytest.param(b"a\n0x10\n", {"types": {"a": "int"}}, 2, ["'0x10'"], id="given int, hexadecimal"),
        pytest.param(b"a\n99999999999999999999\n", {"types": {"a": "int"}}, 2, ["whole"],
                     id="beyond 64 bits"),
        pytest.param(b"a\n1\n-9223372036854775808\n", {"types": {"a": "int"}}, 3, ["whole"],
                     id="the int that stands for a missing one"),
        pytest.param(b"a\0,b\n1,2\n", {}, 1, ["NUL", "utf-16-le"], id="NUL in the header"),
        pytest.param("a,b\n1,2\n".encode("utf-16-le"), {}, 1, ["NUL", "utf-16-le"], id="UTF-16, no mark"),
        pytest.param(b"sep=;\na;b\n1;2\n", {}, 1, ["note on the delimiter", 'say delimiter: ";"'], id="sep="),
        pytest.param(b"sep=;\na;b\n1;2\n", {"delimiter": ";"}, 1, ["delete it"], id="sep=, told"),
        pytest.param(b"a,b,\n1,2,\n", {}, 1, ["column 3 has no name", "header: true", "`unused`"],
                     id="rows that end with a delimiter"),
        pytest.param(b"a,b\n1,maybe\n", {"types": {"b": "bool"}}, 2, ["true or false"], id="given bool"),
        pytest.param(b"a,b\n1,2.5\n2,-inf\n", {}, 3, ["'b'", "'-inf'", "infinite"], id="infinity"),
        pytest.param(b"a\n1e999\n", {}, 2, ["infinite"], id="overflow"),
        pytest.param(b"a,b,a,\n1,2,3,4\n", {}, 1, ["'a'", "columns 1, 3", "column 4 has no name"],
                     id="names"),
        pytest.param(b"a;b;c\n1;2;3\n", {}, 1, ["';'", "delimiter"], id="another delimiter"),
        pytest.param(b'a,b\n1,x\n2,"y\n3,z\n', {}, 3, ["never closed"], id="unterminated quote"),
        pytest.param(b'a,"b\n1,x\n', {}, 1, ["first row"], id="unterminated quote in the header"),
        pytest.param(gzip.compress(GOOD * 1000)[:-20], {}, 0, ["cut short"], id="truncated gzip"),
        pytest.param(gzip.compress(GOOD)[:12] + b"garbage", {}, 0, ["gzip"], id="damaged gzip"),
        pytest.param(b"PK\x03\x04rest", {}, 0, ["zip"], id="zip"),
        pytest.param(GOOD, {"splits": {"train": 1, "test": 1e-9}}, 0, ["'test'", "3 rows"],
                     id="a split with no rows"),
        pytest.param(b"a,b\n" + NUMBERS, {"max_rejects": 2, "types": {"b": "bool"}}, 6, ["more than 2"],
                     id="too many rejects"),
        pytest.param(b"x\n" + b"\n".join(b"%d" % n for n in range(1500)), {"stratify": "x"}, 0, ["1500"],
                     id="too many classes"),
        pytest.param(b'a,b\n"p\nq",2\n3,4,5\n', WHOLE, 4, ["3 fields"], id="long row, one unit"),
        pytest.param(b"a,b\n1,x\n2,caf\xe9\n", WHOLE, 3, ["e9", "utf-8", "cp1252"],
                     id="wrong encoding, one unit"),
        pytest.param(b"a,b\n1,x\n2,y\x00\n", WHOLE, 3, ["NUL"], id="NUL byte, one unit"),
        pytest.param(b"a,b\n" + NUMBERS + b"7,oops\n", WHOLE, 502, ["'b'", "'oops'"], id="stray, one unit"),
        pytest.param(b"a,b\n1,2.5\n", {"types": {"b": "int"}, **WHOLE}, 2, ["'2.5'"], id="int, one unit"),
        pytest.param(b"a,b\n1,2.5\n2,-inf\n", WHOLE, 3, ["infinite"], id="infinity, one unit"),
        pytest.param(b'a,b\n1,x\n2,"y\n3,z\n', WHOLE, 3, ["never closed"], id="quote, one unit"),
        pytest.param(b"a,b\n" + NUMBERS, {"max_rejects": 2, "types": {"b": "bool"}, **WHOLE}, 6,
                     ["more than 2"], id="too many rejects, one unit"),
    ],
)  # fmt: skip
def test_bad_data(
    refused: Callable[..., HeadraceError],
    content: bytes,
    options: dict[str, Any],
    line: int,
    parts: list[str],
) -> None:
    error = refused(content, **{"block_bytes": 1000 if len(content) > 1000 else 9, **options})
    assert isinstance(error, DataError), error
    if line:
        assert error.problems[0].line == line and error.problems[0].file.endswith("t.csv"), error
    for part in parts:
        assert part in str(error), error


def test_a_stray_word_at_row_900_000(refused: Callable[..., HeadraceError]) -> None:
    lines = [b"%d,%d" % (n, n) for n in range(1_000_000)]
    lines[899_999] = b"899999,n/k"
    error = refused(b"a,b\n" + b"\n".join(lines) + b"\n")
    assert isinstance(error, DataError)
    (problem,) = error.problems
    assert problem.line == 900_001 and "'b'" in problem.what and "'n/k'" in problem.what
    assert "999999 of 1000000" in problem.what


@pytest.mark.parametrize(
    ("options", "argument", "parts"),
    [
        ({"split_by": "B"}, "split_by", ["did you mean 'b'"]),
        ({"stratify": "bb"}, "stratify", ["did you mean 'b'", "available: a, b"]),
        ({"types": {"A": "int"}}, "types", ["did you mean 'a'"]),
        ({"delimiter": "||"}, "delimiter", ["one ASCII character"]),
        ({"quote": ",", "delimiter": ","}, "quote", ["both"]),
        ({"encoding": "utf8x"}, "encoding", ["utf8x", "utf-8"]),
        ({"encoding": "base64"}, "encoding", ["base64"]),
        ({"columns": ["a", "a"]}, "columns", ["more than once"]),
        ({"header": False}, "columns", ["need names"]),
        ({"splits": {}}, "splits", ["a split"]),
        ({"splits": {"../x": 1}}, "splits", ["folder"]),
        ({"split_by": "a", "stratify": "b"}, "stratify", ["exclude"]),
    ],
)  # fmt: skip
def test_bad_arguments_are_found_before_and_at_run_time(
    refused: Callable[..., HeadraceError],
    tmp_path: Path,
    options: dict[str, Any],
    argument: str,
    parts: list[str],
) -> None:
    error = refused(GOOD, **options)
    assert isinstance(error, InvalidRequestError)
    problems, _ = check(tmp_path / "t.csv", **options)
    for found in (error.problems, problems):
        assert [problem.argument for problem in found] == [argument]
        assert all(part in str(found[0]) for part in parts), str(found[0])


def check(path: Any, **options: Any) -> tuple[Any, Any]:
    assert csv_examples.checker is not None
    defaults = {name: a.default for name, a in csv_examples.arguments.items() if not a.required}
    given = {"path": str(path)} if path is not None else {}
    return csv_examples.checker({**defaults, **given, **options}, {})


def test_the_check_knows_columns_and_splits(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress("größe;b\n1;2\n".encode("latin-1")))
    options = {"encoding": "latin-1", "delimiter": ";", "splits": {"x": 1, "y": 2}}
    assert check(path, **options) == ([], {"output": Known(("größe", "b"), ("x", "y"))})
    assert check(None, columns=["p", "q"])[1]["output"].columns == ("p", "q")
    assert check(None)[1]["output"].columns is None


def test_stated_types_are_known_to_other_checks(tmp_path: Path) -> None:
    from headrace.components.transform import check_transform

    (tmp_path / "t.csv").write_bytes(GOOD)
    _, known = check(tmp_path / "t.csv", types={"b": "string"})
    told = {"label": "a", "features": {"b": "log1p"}}
    problems, _ = check_transform(told, {"examples": known["output"]})
    assert len(problems) == 1 and "log1p takes numbers, but the column is a string" in str(problems[0])
    edited = Known(("a", "b"), None, {"types": {"a": "string", "b": "int"}})
    told = {"label": "b", "features": {"a": "log1p"}}
    problems, _ = check_transform(told, {"examples": known["output"], "schema": edited})
    assert len(problems) == 1 and "column 'a'" in str(problems[0])


def test_the_check_finds_what_is_wrong_with_files(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(GOOD)
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "double.csv").write_bytes(b"a,a\n1,2\n")
    wrong = {
        "dota.csv": "did you mean 'data.csv'",
        "*.txt": "no file matches",
        ".": "folder",
        "empty.csv": "empty",
        "double.csv": "more than once",
    }
    for name, part in wrong.items():
        problems, _ = check(tmp_path / name)
        assert problems and part in str(problems[0]) and problems[0].argument == "path", name
    problems, _ = check(tmp_path / "data.csv", columns=["x", "y", "z"])
    assert "2 fields" in str(problems[0])


def test_headers_of_several_files_have_to_agree(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(GOOD)
    (tmp_path / "b.csv").write_bytes(b"b,a\n1,2\n")
    with pytest.raises(DataError, match="column 1 is 'b' here and 'a' there") as caught:
        csv_examples.function(new_ctx(), str(tmp_path / "*.csv"))
    assert caught.value.problems[0].file.endswith("b.csv")


def test_missing_paths_at_run_time(new_ctx: Callable[..., Any], tmp_path: Path) -> None:
    for given in (str(tmp_path / "no.csv"), str(tmp_path / "*.csv"), str(tmp_path), []):
        with pytest.raises(InvalidRequestError):
            csv_examples.function(new_ctx(), given)
