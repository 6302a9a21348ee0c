from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace.components.infer_schema import infer_schema
from headrace.components.statistics import statistics
from headrace.pipelines.artifact import Schema, Statistics
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, InvalidRequestError
from headrace.schemas.schema import Feature
from headrace.schemas.schema_file import read_schema

from .raw_examples import make_raw_examples


@pytest.fixture
def observed(new_ctx: Any) -> Statistics:
    rows = 30
    data = pa.table(
        {
            "price": pa.array([None, *(i / 7 for i in range(rows - 1))]),
            "rooms": pa.array(list(range(rows))),
            "city": pa.array([None, *["12:30", "Köln", "no"] * 9, "12:30", "no"]),
            "name": pa.array([f"person {i}" for i in range(rows)]),
            "ok": pa.array([True] * rows),
            "void": pa.nulls(rows, pa.string()),
        }
    )
    context = new_ctx()
    examples = make_raw_examples(context, {"train": data, "test": data.slice(0, 0)}, rows_per_part=7)
    return statistics.function(context, examples)


def read(artifact: Schema) -> Any:
    return read_schema(artifact.file("schema.yaml").read_text("utf-8"))


def test_types_presence_and_domains(new_ctx: Any, observed: Statistics) -> None:
    artifact = infer_schema.function(new_ctx(), observed)
    assert read(artifact).features == (
        Feature("price", "float", 0.93),
        Feature("rooms", "int"),
        Feature("city", "string", 0.93, ("no", "12:30", "Köln")),
        Feature("name", "string"),
        Feature("ok", "bool", values=("true", "false")),
        Feature("void", "string", 0.0),
    )
    assert artifact.summary == {"features": 6, "domains": 2}


@pytest.mark.parametrize(
    ("missing", "presence"), [(0, 1.0), (1, 0.99), (9, 0.98), (10, 0.98), (500, 0.0), (900, 0)]
)
def test_twice_as_many_may_be_missing_as_were_seen(
    new_ctx: Any, tmp_path: Path, missing: int, presence: float
) -> None:
    data = pa.table({"x": pa.array([None] * missing + [1.5] * (1000 - missing), pa.float64())})
    made = make_raw_examples(tmp_path / "raw", {"train": data}, rows_per_part=1000)
    found = infer_schema.function(new_ctx(), statistics.function(new_ctx(), made))
    assert read(found)["x"].presence == presence


def test_ranges_and_max_categories(new_ctx: Any, observed: Statistics) -> None:
    schema = read(infer_schema.function(new_ctx(), observed, ranges=True, max_categories=2))
    assert schema["rooms"] == Feature("rooms", "int", min=0, max=29)
    assert schema["city"].values is None and schema["ok"].values == ("true", "false")


def test_an_edited_file_is_used(new_ctx: Any, observed: Statistics, tmp_path: Path) -> None:
    text = infer_schema.function(new_ctx(), observed).file("schema.yaml").read_text("utf-8")
    edited = tmp_path / "edited.yaml"
    lines = text.replace("rooms: {type: int,", "rooms: {type: float,").splitlines()
    lines = [*lines[:-1], "  # a remark", lines[-1]]
    edited.write_text("\n".join(lines), "utf-8")
    context = new_ctx()
    schema = read(infer_schema.function(context, observed, schema_file=str(edited)))
    assert schema["rooms"] == Feature("rooms", "float") and schema.names[0] == "price"
    assert not [e for e in context.events if "warn" in e]


def test_departures_are_warned_of(new_ctx: Any, observed: Statistics, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yaml"
    edited.write_text(
        "features:\n  void: {type: string, presence: 0}\n  price: {type: float}\n"
        "  rooms: {type: int, min: 1, max: 5}\n  city: {type: string, presence: 0.5, values: [Köln]}\n"
        "  name: {type: string}\n  ok: {type: bool}\n",
        "utf-8",
    )
    context = new_ctx()
    schema = read(infer_schema.function(context, observed, schema_file=str(edited)))
    assert schema.names == ("price", "rooms", "city", "name", "ok", "void")
    warned = [e["warn"] for e in context.events if "warn" in e]
    assert len(warned) == 4
    assert "'price' has a value in 96.66% of the rows, and the schema demands 100%" in warned[0]
    assert "down to 0" in warned[1] and "up to 29" in warned[2] and "'no', '12:30'" in warned[3]


def test_contradictions_are_listed_together(new_ctx: Any, observed: Statistics, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yaml"
    edited.write_text(
        "features:\n  prize: {type: float}\n  rooms: {type: string}\n  city: {type: string}\n"
        "  name: {type: int}\n  ok: {type: bool}\n",
        "utf-8",
    )
    context = new_ctx()
    with pytest.raises(DataError) as caught:
        infer_schema.function(context, observed, schema_file=str(edited))
    problems = caught.value.problems
    assert [(p.line, p.closest) for p in problems] == [(2, "price"), (0, ""), (0, ""), (3, ""), (5, "")]
    assert "'price'" in problems[1].what and "'void'" in problems[2].what
    assert all(p.file == str(edited) and p.argument == "schema_file" and p.remedy for p in problems)
    assert not context.drafts


def test_a_split_without_rows_or_name(new_ctx: Any, observed: Statistics) -> None:
    with pytest.raises(DataError, match="no rows") as caught:
        infer_schema.function(new_ctx(), observed, split="test")
    assert caught.value.problems[0].available == ("train",)
    with pytest.raises(DataError, match="did you mean 'train'"):
        infer_schema.function(new_ctx(), observed, split="trian")


def check(known: Known | None = None, **arguments: Any) -> Any:
    assert infer_schema.checker is not None
    defaults = {"split": "train", "schema_file": None, "max_categories": 100, "ranges": False}
    return infer_schema.checker({**defaults, **arguments}, {} if known is None else {"statistics": known})


def test_the_check_passes_on_columns(tmp_path: Path) -> None:
    known = Known(columns=("a", "b"), splits=("train",))
    assert check(known) == ([], {"output": known})
    edited = tmp_path / "s.yaml"
    edited.write_text("features:\n  b: {type: int}\n  a: {type: float}\n")
    problems, out = check(known, schema_file=str(edited))
    assert problems == [] and out["output"].columns == ("a", "b")
    assert out["output"].facts["types"] == {"a": "float", "b": "int"}
    assert check(schema_file=str(edited))[1]["output"].columns == ("b", "a")


def test_the_check_finds_problems_before_a_run(tmp_path: Path) -> None:
    edited = tmp_path / "s.yaml"
    edited.write_text("features:\n  bb: {type: int}\n  a: {type: float}\n")
    problems, _ = check(Known(columns=("a", "b"), splits=("trains",)), schema_file=str(edited))
    assert [(p.argument, p.line, p.closest) for p in problems] == [
        ("split", 0, "trains"),
        ("schema_file", 2, "b"),
        ("schema_file", 0, ""),
    ]
    edited.write_text("features:\n  a: {type: floats}\n  a: 1\n")
    (problem,) = check(schema_file=str(edited))[0]
    assert problem.line == 3 and problem.file == str(edited)
    edited.write_bytes(b"\xff\xfe")
    for path, part in (
        (edited, "UTF-8"),
        (tmp_path / "none.yaml", "can't be read"),
        (tmp_path, "can't be read"),
    ):
        (problem,) = check(schema_file=str(path))[0]
        assert part in problem.what and problem.file == str(path) and problem.remedy


def test_a_broken_file_is_refused_at_run_time_too(new_ctx: Any, observed: Statistics, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="can't be read"):
        infer_schema.function(new_ctx(), observed, schema_file=str(tmp_path / "none.yaml"))
