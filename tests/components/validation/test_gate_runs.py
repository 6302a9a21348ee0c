"""Runs of a pipeline that stop at the gate, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.pipelines.cli import cli

HEADER = "city,age,price"
GOOD = [f"{('Gent', 'Lier')[i % 2]},{i % 90},{i % 7}.5" for i in range(300)]
HEAD = """
pipeline: gated
params: {before: good.csv}
steps:
  before: {uses: csv_examples, with: {path: "${params.before}", splits: {train: 1}}}
  schema: {uses: import_schema, with: {path: schema.pbtxt}}
"""
BRANCH = """
  examples_NAME: {uses: csv_examples, with: {path: NAME.csv, splits: {train: 1}}}
  validate_NAME:
    uses: validate_examples
    with:
      examples: ${steps.examples_NAME}
      schema: ${steps.schema}
      baseline: ${steps.before}
      OPTIONS
  accept_NAME:
    uses: accept_examples
    with: {examples: "${steps.examples_NAME}", anomalies: "${steps.validate_NAME}"}
  below_NAME: {uses: statistics, with: {examples: "${steps.accept_NAME}"}}
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


PASSING = {
    "fine": (HEADER, GOOD, ""),
    "less": (HEADER, [*GOOD, "Bruxelles,3,1.5"], "policy: {unexpected_value: drop}"),
    "serving": ("city,age", [row.rpartition(",")[0] for row in GOOD], "environment: SERVING"),
}


def run(folder: Path, tables: dict[str, tuple[str, list[str], str]]) -> Any:
    """Runs a pipeline with a gate for each table, by name: header, rows, options."""
    document = HEAD
    for name, (header, rows, options) in {"good": (HEADER, GOOD, ""), **tables}.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n")
        document += BRANCH.replace("NAME", name).replace("OPTIONS", options) if name in tables else ""
    (folder / "gated.yaml").write_text(document)
    (folder / "schema.pbtxt").write_text(SCHEMA)
    return CliRunner().invoke(
        cli, ["run", str(folder / "gated.yaml"), "--json", "--store", str(folder / "store")]
    )


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run in which every gate refuses."""
    tables = {name: (header, rows, "") for name, (header, rows, _, _) in CASES.items()}
    return run(tmp_path_factory.mktemp("refused"), tables)


@pytest.mark.parametrize("case", CASES)
def test_a_run_stops_at_the_gate_and_says_why(case: str, refused: Any) -> None:
    _, _, kind, parts = CASES[case]
    assert refused.exit_code == 1, refused.output
    steps = json.loads(refused.stdout)["steps"]
    assert [steps[f"{name}_{case}"]["status"] for name in ("validate", "accept", "below")] == [
        "ran",
        "failed",
        "not reached",
    ]
    for part in parts:
        assert part in refused.stderr
    folder = Path(steps[f"validate_{case}"]["outputs"]["output"]["path"])
    told = json.loads((folder / "anomalies.json").read_text())
    assert [(one["kind"], one["severity"]) for one in told] == [(kind, "error")]


def test_what_passes_goes_on_and_what_is_dropped_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, PASSING)
    assert result.exit_code == 0, result.output
    steps = json.loads(result.stdout)["steps"]
    accepted = steps["accept_less"]["outputs"]["output"]
    assert accepted["summary"] == {"rows": {"train": 300}, "dropped": 1}
    (reject,) = (Path(accepted["path"]) / "rejects.jsonl").read_text().splitlines()
    assert json.loads(reject)["line"] == 302
    assert all(steps[f"below_{name}"]["status"] == "ran" for name in PASSING)
    exported = steps["schema"]["outputs"]["output"]["path"]
    assert 'not_in_environment: "SERVING"' in (Path(exported) / "schema.pbtxt").read_text()
