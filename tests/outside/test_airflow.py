"""DAGs of headrace's steps in a real Airflow, which has an environment of its own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import MAIN, Headrace
from .environments import make_environment

DAGS = Path(__file__).with_name("airflow_dags.py")
BAG = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
tasks = {
    dag.dag_id: {task.task_id: [type(task).__name__, sorted(task.downstream_task_ids)] for task in dag.tasks}
    for dag in bag.dags.values()
}
json.dump({"errors": bag.import_errors, "tasks": tasks}, open(sys.argv[2], "w"))
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Airflow."""
    return make_environment(tmp_path_factory.mktemp("airflow") / "v", "apache-airflow>=3.1,<4", beside=False)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """The variables of an Airflow that finds our DAGs, and of these the command, the Python and the store."""
    (tmp_path / "dags").mkdir()
    shutil.copy(DAGS, tmp_path / "dags")
    command = tmp_path / "headrace"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(MAIN)} "$@"\n')
    command.chmod(0o755)
    told = {
        "AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "HEADRACE_COMMAND": str(command), "HEADRACE_PYTHON": sys.executable,
        "HEADRACE_STORE": str(tmp_path / "store"), "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    return {**os.environ, **told}


def test_airflow_loads_the_dags(airflow: Path, settings: dict[str, str], tmp_path: Path):
    subprocess.run(
        [str(airflow), "-c", BAG, str(tmp_path / "dags"), str(tmp_path / "told.json")],
        env=settings, check=True, capture_output=True,
    )  # fmt: skip
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["errors"] == {}
    assert told["tasks"] == {
        "headrace_wine": {
            "source": ["BashOperator", ["examples"]],
            "examples": ["BashOperator", ["transform"]],
            "transform": ["_PythonExternalDecoratedOperator", ["evaluate", "train"]],
            "train": ["BashOperator", ["evaluate"]],
            "evaluate": ["BashOperator", []],
        },
        "headrace_whole": {"run": ["BashOperator", []]},
    }


def test_airflow_runs_the_steps_and_finds_them_done(
    airflow: Path, settings: dict[str, str], tmp_path: Path, headrace: Headrace
):
    command = airflow.with_name("airflow")

    def call(*args: str) -> str:
        done = subprocess.run([str(command), *args], env=settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def artifacts() -> set[str]:
        done = headrace("artifacts", "list", "--store", str(tmp_path / "store"), "--json")
        assert done.returncode == 0, done.stderr
        return {one["digest"] for one in json.loads(done.stdout)}

    def statuses() -> list[Any]:
        runs = headrace("runs", "list", "--store", str(tmp_path / "store"), "--json")
        assert runs.returncode == 0, runs.stderr
        return [one["status"] for one in json.loads(runs.stdout)]

    call("db", "migrate")
    first = call("dags", "test", "headrace_wine")
    assert "state=success" in first
    assert statuses() == ["done"] * 5
    made = artifacts()
    again = call("dags", "test", "headrace_wine")
    assert "state=success" in again
    assert again.count("nothing changed since run") == 4, "each Bash task of the second DAG run is a hit"
    assert artifacts() == made

    whole = json.dumps({"pipeline": "wine", "to": "examples"})
    assert "done in" in call("dags", "test", "headrace_whole", "--conf", whole)
