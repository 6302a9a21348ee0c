"""`headrace schema infer|diff|check|convert` on files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.pipelines.cli import cli
from headrace.schemas.schema_file import read_schema


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    rows = [f"{('Gent', 'Lier')[i % 2]},{i % 90}" for i in range(30)]
    Path("data.csv").write_text("\n".join(["city,age", *rows]) + "\n")
    Path("bad.csv").write_text("\n".join(["city,age", *rows, "Bruxelles,-4"]) + "\n")

    def call(*args: str) -> Any:
        return CliRunner().invoke(cli, ["schema", *args])

    return call


def test_infer_check_and_diff(schema: Any) -> None:
    assert schema("infer", "data.csv", "--ranges", "--output", "s.yaml").exit_code == 0
    assert read_schema(Path("s.yaml").read_text())["age"].max == 29
    assert schema("infer", "data.csv", "--ranges", "--output", "s.pbtxt").exit_code == 0
    same = schema("diff", "s.yaml", "s.pbtxt")
    assert same.exit_code == 0, same.output
    fine = schema("check", "s.pbtxt", "data.csv")
    assert fine.exit_code == 0 and fine.stdout == "no anomalies\n"
    bad = schema("check", "s.yaml", "bad.csv", "--json")
    assert bad.exit_code == 1
    assert [(a["feature"], a["kind"], a["examples"][0]["line"]) for a in json.loads(bad.stdout)] == [
        ("city", "unexpected_value", 32),
        ("age", "out_of_range", 32),
    ]
    text = Path("s.yaml").read_text().replace("max: 29", "max: 40").replace("Lier", "Aalst")
    Path("t.yaml").write_text(text)
    differing = schema("diff", "s.yaml", "t.yaml")
    assert differing.exit_code == 1
    assert differing.stdout.splitlines() == ["~ city.values: -'Lier' +'Aalst'", "~ age.max: 29 → 40"]


def test_convert_and_bad_files(schema: Any) -> None:
    Path("s.pbtxt").write_text('feature { name: "a" type: INT\n  shiny: 1 }\n')
    done = schema("convert", "s.pbtxt")
    assert done.exit_code == 0 and "a: {type: int, presence: 0.0}" in done.stdout
    assert "shiny (line 2)" in done.stderr
    Path("s.pbtxt").write_text('feature {\n name: "a" type: WORD }\n')
    assert schema("convert", "s.pbtxt").exit_code == 2
    assert "s.pbtxt:2" in schema("diff", "s.pbtxt", "s.pbtxt").stderr
    assert schema("check", "none.yaml", "data.csv").exit_code == 2
