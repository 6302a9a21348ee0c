"""The command line, called in this process, in a folder with two small pipelines."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.pipelines.cli import cli

SMALL = Path(__file__).parents[1] / "small_components.py"
CHAIN = f"""
pipeline: chain
params: {{value: 3}}
steps:
  number: {{uses: "{SMALL}:number", with: {{value: "${{params.value}}"}}}}
  parity: {{uses: "{SMALL}:parity", with: {{files: "${{steps.number}}"}}}}
  pair: {{uses: "{SMALL}:pair", with: {{files: "${{steps.parity}}"}}}}
  joined: {{uses: "{SMALL}:joined", with: {{left: "${{steps.pair.left}}", right: "${{steps.pair.right}}"}}}}
"""
BRANCHES = f"""
pipeline: branches
steps:
  number: {{uses: "{SMALL}:number"}}
  bad: {{uses: "{SMALL}:failing", with: {{files: "${{steps.number}}", after: 0.1}}}}
  below: {{uses: "{SMALL}:parity", with: {{files: "${{steps.bad}}"}}}}
  good: {{uses: "{SMALL}:slow", with: {{files: "${{steps.number}}", seconds: 0.6}}}}
  after: {{uses: "{SMALL}:parity", with: {{files: "${{steps.number}}"}}}}
"""


@pytest.fixture
def headrace(tmp_path, monkeypatch):
    """Runs the command line in a folder with `chain.yaml` and `branches.yaml`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_STORE", raising=False)
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "branches.yaml").write_text(BRANCHES)

    def call(*args: str) -> Result:
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call
