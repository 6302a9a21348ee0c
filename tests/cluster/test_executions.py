"""The same artifacts on every runner: whole runs up to the shards, compared by digest."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from . import environments
from .cases import CASES, HOUSING_CSV, million
from .executions import HERE, Execution, digests, litter, run, users, work
from .flink import DRIVER, USERS, FlinkCluster, as_driver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
OTHERS = [*(each.name for each in HERE[1:]), "flink, standalone"]


@pytest.fixture(scope="session")
def reference(shared: Path, tmp_path_factory: pytest.TempPathFactory):
    """The pipeline of a case, and its digests on direct with one worker; made once a case."""
    known: dict[str, tuple[str, dict[str, str]]] = {}

    def get(case: str) -> tuple[str, dict[str, str]]:
        if case not in known:
            data = shared / "data" / case
            data.mkdir(parents=True)
            pipeline = CASES[case](data)
            steps = run(pipeline, tmp_path_factory.mktemp(case), HERE[0], data, "--to", "transform")
            known[case] = pipeline, digests(steps)
        return known[case]

    return get


@pytest.mark.parametrize("execution", OTHERS, indirect=True)
@pytest.mark.parametrize("case", CASES)
def test_artifacts_are_those_of_one_worker(request, case, execution, reference, hall, shared):
    if case == "housing" and not HOUSING_CSV.exists():
        pytest.skip("the shared data folder is not here (a clone of the project doesn't have it)")
    if case == "digits" and execution.name == "flink, standalone":
        execution = with_worker(execution, hall, request.getfixturevalue("whole_python"))
    pipeline, expected = reference(case)
    store = shared / f"{case}-{execution.runner}-{len(execution.options)}"
    steps = run(pipeline, store, execution, shared, "--to", "transform")
    assert digests(steps) == expected
    assert len(expected) >= 5  # examples, statistics, schema, transform, shards
    assert not litter(store)
    if execution.name == "flink, standalone":
        assert_both_worked(steps)


def with_worker(execution: Execution, hall: Path, python: Path) -> Execution:
    """The same cluster, with workers of another environment."""
    config = f'{{"command": "{environments.boot(hall, python)}"}}'
    return replace(execution, options={**execution.options, "environment_config": config})


def assert_both_worked(steps) -> None:
    """Units of one stage were done on both task managers, as far as there was more than one unit."""
    stages = [facts for facts in work(steps).values() if facts["units"] > 1]
    if os.geteuid():
        assert all(len({worker.split("-")[0] for worker in facts["workers"]}) > 1 for facts in stages)
    else:
        assert set().union(*map(users, work(steps).values())) == {USERS["tm1"], USERS["tm2"]}


def test_tabular_workers_lack_tensorflow_and_headrace(tabular_python):

    for module in ("tensorflow", "keras", "headrace"):
        done = subprocess.run(
            [tabular_python, "-I", "-c", f"import {module}"], capture_output=True, text=True
        )
        assert "ModuleNotFoundError" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")
def test_a_driver_is_an_ordinary_user_beside_the_workers(on_flink, hall, shared, tabular_python, tmp_path):
    import headrace.pipelines as pipelines

    if not environments.reachable(Path(pipelines.__path__[0]).resolve()):
        pytest.skip("headrace is installed where other users can't read it")
    data = shared / "data" / "ordinary"
    data.mkdir(parents=True)
    pipeline = million(data, 100_000)
    expected = digests(run(pipeline, tmp_path / "store", HERE[0], data))
    home, store = hall / "driver", shared / "ordinary"
    identity = as_driver(home)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HEADRACE_JARS") if name in os.environ},
        "HOME": str(home), "TMPDIR": str(home), "USER": "driver", "PYTHONPATH": str(importable(hall)),
    }  # fmt: skip
    steps = run(
        pipeline, store, on_flink, home, env=environment, python=str(tabular_python), umask=0o077, **identity
    )
    assert digests(steps) == expected
    assert not litter(store)
    assert {path.stat().st_uid for path in store.rglob("*")} - {DRIVER} <= set(USERS.values())
    again = run(
        pipeline, store, HERE[0], data
    )  # and another user of the group's, with the index of the first
    assert {record["status"] for record in again.values()} <= {"cached"}


def importable(hall: Path) -> Path:
    """A folder for PYTHONPATH with headrace as it is imported here."""
    import headrace.components
    import headrace.pipelines
    import headrace.schemas

    folder = hall / "path"
    (folder / "headrace").mkdir(parents=True, exist_ok=True)
    for module in (headrace.pipelines, headrace.components, headrace.schemas):
        link = folder / "headrace" / module.__name__.rpartition(".")[2]
        if not link.exists():
            link.symlink_to(Path(module.__path__[0]).resolve())
    return folder


@pytest.mark.parametrize("lost", ["tm1", "tm2"])
def test_a_lost_task_manager_changes_nothing(lost, on_flink, cluster: FlinkCluster, shared, tmp_path):
    from .losing import run_and_lose

    data = shared / "data" / f"lost-{lost}"
    data.mkdir(parents=True)
    pipeline = million(data, 400_000)
    expected = digests(run(pipeline, tmp_path / "store", HERE[0], data))
    store = shared / f"lost-{lost}"
    try:
        steps = run_and_lose(cluster, lost, pipeline, store, on_flink, data)
    finally:
        cluster.revive(lost)
        cluster.wait_for(2)
    assert digests(steps) == expected
    assert not litter(store)
