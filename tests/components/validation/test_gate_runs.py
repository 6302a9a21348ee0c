"""Runs of a pipeline that stop at the gate, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.pipelines.cli import cli

HEADER = "city,age,price"
GOOD = [f"{('Gent', 'Lier')[i % 2]},{i % 90},{i % 7}.5" for i in range(300)]
DOCUMENT = """
pipeline: gated
params: {data: good.csv, before: good.csv}
steps:
  examples: {uses: csv_examples, with: {path: "${params.data}", splits: {train: 1}}}
  before: {uses: csv_examples, with: {path: "${params.before}", splits: {train: 1}}}
  schema: {uses: import_schema, with: {path: schema.pbtxt}}
  validate:
    uses: validate_examples
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      baseline: ${steps.before}
  accept: {uses: accept_examples, with: {examples: "${steps.examples}", anomalies: "${steps.validate}"}}
  below: {uses: statistics, with: {examples: "${steps.accept}"}}
"""
SCHEMA = """
feature {
  name: "city" type: BYTES presence { min_fraction: 1 } string_domain { value: "Gent" value: "Lier" }
  drift_comparator { infinity_norm { threshold: 0.2 } }
}
feature { name: "age" type: INT presence { min_fraction: 1 } int_domain { min: 0 max: 120 } }
feature { name: "price" type: FLOAT presence { min_fraction: 1 } not_in_environment: "SERVING" }
default_environment: "TRAINING"
default_environment: "SERVING"
"""
CASES = {
    "drifted": (
        HEADER,
        ["Gent,3,1.5" if i % 4 else row for i, row in enumerate(GOOD)],
        "drift",
        ("city: the L-infinity distance between", "above 0.2", "raise the bound"),
    ),
    "unseen": (
        HEADER,
        [*GOOD[:-1], "Bruxelles,3,1.5"],
        "unexpected_value",
        ("'Bruxelles' (unseen.csv line 301)", "set policy: {city: drop}"),
    ),
    "missing": (
        "city,age",
        [row.rpartition(",")[0] for row in GOOD],
        "missing_column",
        ("the column 'price' is not there", "not_in_environment"),
    ),
    "changed": (
        HEADER,
        [*GOOD[:-1], "Gent,3.25,1.5"],
        "type_changed",
        (
            "age is float in the data and int in the schema: '3.25' (changed.csv line 301)",
            "types: {age: int}",
        ),
    ),
    "outside": (
        HEADER,
        [*GOOD[:-1], "Gent,121,1.5"],
        "out_of_range",
        ("age: 1 row (0.333 %) lie outside 0 to 120: '121' (outside.csv line 301)", "widen the range"),
    ),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: Any) -> Callable[..., Any]:
    """Runs the pipeline on rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_STORE", raising=False)
    Path("gated.yaml").write_text(DOCUMENT)
    Path("schema.pbtxt").write_text(SCHEMA)
    Path("good.csv").write_text("\n".join([HEADER, *GOOD]) + "\n")

    def call(name: str, header: str, rows: list[str], *more: str) -> Any:
        Path(f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
        return CliRunner().invoke(cli, ["run", "gated.yaml", "--param", f"data={name}.csv", "--json", *more])

    return call


@pytest.mark.parametrize("case", CASES)
def test_a_run_stops_at_the_gate_and_says_why(case: str, run: Any) -> None:
    header, rows, kind, parts = CASES[case]
    result = run(case, header, rows)
    assert result.exit_code == 1, result.output
    steps = json.loads(result.stdout)["steps"]
    assert [steps[name]["status"] for name in ("validate", "accept", "below")] == [
        "ran",
        "failed",
        "not reached",
    ]
    for part in parts:
        assert part in result.stderr
    folder = Path(steps["validate"]["outputs"]["output"]["path"])
    told = json.loads((folder / "anomalies.json").read_text())
    assert [(one["kind"], one["severity"]) for one in told] == [(kind, "error")]


def test_what_passes_goes_on_and_what_is_dropped_is_told(run: Any) -> None:
    result = run("fine", HEADER, GOOD)
    assert result.exit_code == 0, result.output
    policy = ("--set", "validate.policy={unexpected_value: drop}")
    dropped = run("less", HEADER, [*GOOD, "Bruxelles,3,1.5"], *policy)
    assert dropped.exit_code == 0, dropped.output
    accepted = json.loads(dropped.stdout)["steps"]["accept"]["outputs"]["output"]
    assert accepted["summary"] == {"rows": {"train": 300}, "dropped": 1}
    (reject,) = (Path(accepted["path"]) / "rejects.jsonl").read_text().splitlines()
    assert json.loads(reject)["line"] == 302
    serving = run(
        "serving", "city,age", [r.rpartition(",")[0] for r in GOOD], "--set", "validate.environment=SERVING"
    )
    assert serving.exit_code == 0, serving.output
    exported = json.loads(serving.stdout)["steps"]["schema"]["outputs"]["output"]["path"]
    assert 'not_in_environment: "SERVING"' in (Path(exported) / "schema.pbtxt").read_text()
