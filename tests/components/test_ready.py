"""The ready pipeline `csv` from the command line; `tests/test_end_to_end.py` runs `wine`, several classes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from .model_path import odd_table


def _run(folder: Path, *arguments: str, code: int = 0) -> Any:
    program = "import sys; from headrace.pipelines.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "run", *arguments, "--store", str(folder / "store"), "--json"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr[-3000:]
    return json.loads(ended.stdout) if ended.stdout else ended.stderr


@pytest.mark.parametrize(("label", "task"), [("Preis €", "regression"), ("ok", "binary")])
def test_csv_needs_a_path_and_a_label(tmp_path: Path, label: str, task: str) -> None:
    others = {"Preis €", "ok", "Klasse"} - {label}
    pa.csv.write_csv(odd_table(300).drop_columns(sorted(others)), tmp_path / "my.csv")
    told = _run(tmp_path, "csv", "--param", "path=my.csv", "--param", f"label={label}", "--param", "epochs=3")
    assert told["status"] == "done"
    assert told["steps"]["train"]["outputs"]["output"]["summary"]["task"] == task
    assert told["steps"]["export"]["status"] == "ran"


def test_csv_without_a_label_says_what_is_missing(tmp_path: Path) -> None:
    pa.csv.write_csv(odd_table(20), tmp_path / "my.csv")
    assert "label" in _run(tmp_path, "csv", "--param", "path=my.csv", code=2)
