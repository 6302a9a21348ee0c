"""What validation finds in raw examples, and what the gate does about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.components.accept_examples import accept_examples
from headrace.components.csv_examples import csv_examples
from headrace.components.import_schema import import_schema
from headrace.components.validate_examples import validate_examples
from headrace.components.validation.offences import offences
from headrace.pipelines.artifact import Anomalies, Examples, Schema
from headrace.pipelines.component import Known
from headrace.pipelines.errors import GateError, InvalidRequestError
from headrace.schemas.anomalies import Anomaly, action, from_json, to_json
from headrace.schemas.schema import Feature

from ..raw_examples import make_raw_examples

SCHEMA = """
default_environments: [TRAINING, SERVING]
features:
  city: {type: string, values: [Gent, Lier], presence: 0.9}
  age: {type: int, min: 0, max: 120}
  price: {type: float, not_in_environment: [SERVING]}
"""


@pytest.fixture
def schema(new_ctx: Any, tmp_path: Path) -> Callable[[str], Schema]:
    def make(text: str = SCHEMA) -> Schema:
        path = tmp_path / "schema.yaml"
        path.write_text(text)
        return import_schema.function(new_ctx(), path=str(path))

    return make


def csv(tmp_path: Path, rows: list[str], header: str = "city,age,price") -> str:
    (tmp_path / "data.csv").write_text("\n".join([header, *rows]) + "\n")
    return str(tmp_path / "data.csv")


ROWS = [f"{('Gent', 'Lier')[i % 2]},{i % 90},{i}.5" for i in range(40)]


def ingest(new_ctx: Any, path: str, **options: Any) -> Examples:
    return csv_examples.function(new_ctx(), path=path, splits={"train": 1}, **options)


def found(artifact: Anomalies) -> dict[tuple[str, str], Anomaly]:
    anomalies = from_json(artifact.file("anomalies.json").read_text("utf-8"))
    return {(one.feature, one.kind): one for one in anomalies}


def test_good_rows_have_no_anomaly_and_pass_as_they_are(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    examples = ingest(new_ctx, csv(tmp_path, ROWS))
    anomalies = validate_examples.function(new_ctx(), examples, schema())
    assert anomalies.properties["ok"] and found(anomalies) == {}
    assert accept_examples.function(new_ctx(), examples, anomalies) is examples


def test_values_outside_domain_and_range_with_file_and_line(
    new_ctx: Any, schema: Any, tmp_path: Path
) -> None:
    rows = [*ROWS]
    rows[3], rows[7], rows[20] = "Bruxelles,3,1.5", "Bruxelles,-1,1.5", '"Brugge\n2",121,1.5'
    rows.insert(10, "")  # a blank line is no row, and counts as a line
    examples = ingest(new_ctx, csv(tmp_path, rows), block_bytes=100)
    assert len(examples.splits["train"]["parts"]) > 3
    told = found(validate_examples.function(new_ctx(), examples, schema()))
    city, age = told["city", "unexpected_value"], told["age", "out_of_range"]
    assert (city.count, city.share, city.severity) == (3, 3 / 40, "error")
    assert [(o.value, o.file, o.line) for o in city.examples] == [
        ("Bruxelles", "data.csv", 5),
        ("Brugge\n2", "data.csv", 23),
    ]
    assert [(o.value, o.line) for o in age.examples] == [("-1", 9), ("121", 23)]
    assert "'Bruxelles' (data.csv line 5)" in city.message and "policy: {city: drop}" in city.message
    assert set(told) == {("city", "unexpected_value"), ("age", "out_of_range")}


def test_columns_types_and_missing_values(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    rows = [f"{'' if i % 4 == 0 else 'Gent'},{i}.5,x" for i in range(40)]
    examples = ingest(new_ctx, csv(tmp_path, rows, "city,age,extra"))
    told = found(validate_examples.function(new_ctx(), examples, schema()))
    assert set(told) == {
        ("price", "missing_column"),
        ("extra", "new_column"),
        ("age", "type_changed"),
        ("city", "too_many_missing"),
    }
    assert told["city", "too_many_missing"].count == 10
    assert (
        "age is float in the data and int in the schema: '0.5' (data.csv line 2)"
        in told["age", "type_changed"].message
    )
    assert "price" in told["price", "missing_column"].message
    serving = validate_examples.function(
        new_ctx(), examples, schema(), environment="SERVING", policy={"new_column": "warn"}
    )
    told = found(serving)
    assert ("price", "missing_column") not in told and told["extra", "new_column"].severity == "warning"
    with pytest.raises(InvalidRequestError, match="SERVING"):
        validate_examples.function(new_ctx(), examples, schema(), environment="Serving")


def test_dropped_rows_are_accounted_for(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    rows = [*ROWS, "Bruxelles,3,1.5", "Gent,-5,2.5", "Bruxelles,-7,3.5"]
    examples = ingest(new_ctx, csv(tmp_path, rows), block_bytes=150)
    policy = {"city": "drop", "out_of_range": "drop"}
    anomalies = validate_examples.function(new_ctx(), examples, schema(), policy=policy)
    assert anomalies.properties["ok"] and anomalies.summary["dropped_rows"] == 3
    kept = accept_examples.function(new_ctx(), examples, anomalies)
    assert kept.rows("train") == 40 and kept.properties["rejects"] == 3
    rejects = [json.loads(line) for line in kept.file("rejects.jsonl").read_text().splitlines()]
    assert [(r["line"], r["reason"], r["values"]["age"]) for r in rejects] == [
        (42, "city: unexpected_value", 3),
        (43, "age: out_of_range", -5),
        (44, "city: unexpected_value", -7),
    ]
    table = pa.concat_tables([pq.read_table(part) for part in kept.parts("train")])
    assert table.column("price").to_pylist() == [i + 0.5 for i in range(40)]
    again = validate_examples.function(new_ctx(), kept, schema())
    assert found(again) == {}
    with pytest.raises(InvalidRequestError, match="other examples"):
        accept_examples.function(new_ctx(), kept, anomalies)


def test_dropped_values_with_other_ends_of_lines(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    strange = "a\u2028b\x85c"
    examples = ingest(new_ctx, csv(tmp_path, [*ROWS, f"{strange},3,1.5"]))
    anomalies = validate_examples.function(new_ctx(), examples, schema(), policy={"city": "drop"})
    kept = accept_examples.function(new_ctx(), examples, anomalies)
    (reject,) = kept.file("rejects.jsonl").read_text("utf-8").removesuffix("\n").split("\n")
    assert json.loads(reject)["values"]["city"] == strange


def test_whole_numbers_past_2_to_the_53_beside_a_range_of_floats() -> None:
    feature = Feature("n", "float", min=-0.5, max=1e18)
    wrong = offences(feature, "int", pa.array([0, 2**53 + 1, 2**63 - 1, -1, None]))
    assert wrong["out_of_range"].rows.tolist() == [2, 3]


def test_the_result_does_not_depend_on_the_workers(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    rows = [*ROWS, "Bruxelles,3,1.5", "Gent,-5,2.5"]
    examples = ingest(new_ctx, csv(tmp_path, rows), block_bytes=60)
    made = [
        validate_examples.function(new_ctx(**options), examples, schema(), policy={"city": "drop"}).digest
        for options in ({}, {"direct_num_workers": "2", "direct_running_mode": "multi_threading"})
    ]
    assert made[0] == made[1]


def test_drift_and_skew(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    def table(gents: int, low: float) -> pa.Table:
        cities = ["Gent"] * gents + ["Lier"] * (20 - gents)
        prices = [low + i for i in range(20)]
        return pa.table({"city": cities, "age": pa.array([1] * 20), "price": pa.array(prices)})

    first = make_raw_examples(new_ctx(), {"train": table(10, 0.0), "test": table(10, 0.0)})
    second = make_raw_examples(new_ctx(), {"train": table(10, 0.0), "test": table(15, 40.0)})
    text = SCHEMA.replace("presence: 0.9", "drift: {infinity_norm: 0.2}, skew: {infinity_norm: 0.25}")
    drifted = validate_examples.function(new_ctx(), second, schema(text), first, drift=0.9)
    told = found(drifted)
    assert set(told) == {("city", "drift"), ("price", "drift")}
    assert told["city", "drift"].share == 0.25 and told["price", "drift"].share == 1.0
    assert (told["city", "drift"].split, told["city", "drift"].count) == ("test", 0)
    assert (
        "(at 'Lier': 50 % in the span before (test), 25 % in this one (test))"
        in told["city", "drift"].message
    )
    skewed = found(validate_examples.function(new_ctx(), second, schema(text), skew=0.5))
    assert set(skewed) == {("price", "skew")}  # 0.25 is not above 0.25
    with pytest.raises(GateError) as caught:
        accept_examples.function(new_ctx(), second, drifted)
    assert "2 anomalies" in str(caught.value) and "raise the bound" in str(caught.value)


def test_lists_and_a_tolerated_mass(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    data = pa.table({"n": pa.array([1] * 4), "tags": pa.array([["a", "x"], [], None, ["a", "b", "c"]])})
    raw = make_raw_examples(new_ctx(), {"train": data.select(["n"])})
    pq.write_table(data, raw.parts("train")[0])
    raw = Examples(raw.path, raw.digest, {**raw.properties, "columns": {"n": "int", "tags": "strings"}})
    text = (
        "features:\n  n: {type: int}\n  tags: {type: strings, values: [a, b, c], value_count: {max: 2}%s}\n"
    )
    told = found(validate_examples.function(new_ctx(), raw, schema(text % ", presence: 0.5")))
    assert {key: (one.count, [o.value for o in one.examples]) for key, one in told.items()} == {
        ("tags", "unexpected_value"): (1, ["x"]),
        ("tags", "value_count"): (1, ["3"]),
    }
    loose = text % ", presence: 0.5, min_domain_mass: 0.5"
    assert ("tags", "unexpected_value") not in found(
        validate_examples.function(new_ctx(), raw, schema(loose))
    )


def test_a_policy_is_checked_before_anything_runs(new_ctx: Any) -> None:
    def check(policy: Any) -> list[str]:
        known = {"examples": Known(("city", "age"), ("train",)), "schema": Known(("city", "age"))}
        return [p.what for p in validate_examples.checker({"policy": policy}, known)[0]]

    assert check({"city": "drop", "drift": "warn", "age": {"skew": "fail"}}) == []
    assert "neither a kind" in check({"ctiy": "drop"})[0]
    assert (
        "single rows" in check({"drift": "drop"})[0] and "single rows" in check({"age": {"skew": "drop"}})[0]
    )
    assert "no kind" in check({"age": {"range": "drop"}})[0]


def test_what_a_policy_says() -> None:
    policy: Any = {"city": "drop", "age": {"drift": "warn"}, "out_of_range": "warn"}
    assert action(policy, "city", "unexpected_value") == "drop" and action(policy, "city", "drift") == "fail"
    assert action(policy, "age", "drift") == "warn" and action(policy, "age", "out_of_range") == "warn"
    assert action(policy, "age", "unexpected_value") == "fail"


def test_anomalies_go_through_json(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    examples = ingest(new_ctx, csv(tmp_path, [*ROWS, "Bruxelles,3,1.5"]))
    artifact = validate_examples.function(new_ctx(), examples, schema())
    text = artifact.file("anomalies.json").read_text("utf-8")
    assert to_json(from_json(text)) == text
    (told,) = json.loads(text)
    keys = {"feature", "kind", "severity", "message", "count", "share", "examples"}
    assert keys <= set(told) and {"value", "file", "line"} <= set(told["examples"][0])


def test_stratified_rows_keep_their_lines(new_ctx: Any, schema: Any, tmp_path: Path) -> None:
    path = csv(tmp_path, [*ROWS, "Gent,-3,1.5", "Gent,-4,1.5"])
    examples = csv_examples.function(
        new_ctx(), path=path, splits={"train": 1, "test": 1}, stratify="city", block_bytes=120
    )
    told = found(validate_examples.function(new_ctx(), examples, schema()))
    assert sorted((o.value, o.line) for o in told["age", "out_of_range"].examples) == [("-3", 42), ("-4", 43)]


def test_without_a_record_of_lines_the_part_and_row_are_given(new_ctx: Any, schema: Any) -> None:
    data = pa.table({"city": ["Gent", "Ghent"], "age": pa.array([1, 2]), "price": pa.array([1.0, 2.0])})
    told = found(
        validate_examples.function(new_ctx(), make_raw_examples(new_ctx(), {"train": data}), schema())
    )
    (offence,) = told["city", "unexpected_value"].examples
    assert (offence.file, offence.line, offence.row) == ("train/part-00000.parquet", 0, 1)
    assert "(train/part-00000.parquet row 1)" in told["city", "unexpected_value"].message
