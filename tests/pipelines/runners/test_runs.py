"""Whole runs of `wine` from the command line on runners that they start themselves: slow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.runners.needs import needs_of
from headrace.pipelines.store import Store

pytestmark = pytest.mark.slow
LINE = "import sys; sys.argv[0] = 'headrace'; from headrace.pipelines.cli import main; sys.exit(main())"
PATIENCE = 240.0


def command(*args: str) -> list[str]:
    return [sys.executable, "-P", "-c", LINE, *args]


def processes_of(folder: Path) -> dict[int, str]:
    """The processes whose command names a folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found[int(entry.name)] = line
    return found


def wait_until(holds: Any) -> bool:
    until = time.monotonic() + PATIENCE
    while not (done := holds()) and time.monotonic() < until:
        time.sleep(0.1)
    return bool(done)


def skip_without(name: str) -> None:
    for need in needs_of(RunnerSettings(name)):
        if need.problem is not None:
            pytest.skip(f"{need.problem.what}: {need.problem.remedy}")


def data_artifacts(store: Path) -> set[str]:
    return {
        f"{path.parent.name}/{path.name}"
        for kind in ("Files", "Examples", "Statistics", "Schema", "Transform")
        for path in (store / "artifacts" / kind).iterdir()
    }


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The data artifacts of `wine` on the runner in the step's process."""
    store = tmp_path_factory.mktemp("direct") / "s"
    subprocess.run(command("run", "wine", "--to", "transform", "--store", str(store)), check=True)
    return data_artifacts(store)


@pytest.mark.parametrize("name", ["portable", "flink", "spark"])
def test_the_same_bytes_and_nothing_left(name, direct, tmp_path):
    skip_without(name)
    store = tmp_path / "s"
    subprocess.run(
        command("run", "wine", "--to", "transform", "--runner", name, "--store", str(store)), check=True
    )
    assert data_artifacts(store) == direct
    assert wait_until(lambda: not processes_of(tmp_path)), processes_of(tmp_path)
    assert list((store / "staging").iterdir()) == []
    opened = Store(store)
    record = opened.run_record(next(iter(opened.runs())))
    opened.index.close()
    (told,) = record["runners"]
    assert told["name"] == name and told["beam"] and len(told["packages"]) == 64
    passes = [event["work"] for event in record["steps"]["statistics"]["messages"] if "work" in event]
    assert passes and all(each["workers"] for each in passes)


@pytest.mark.parametrize("name", ["portable", "flink", "spark"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_run_leaves_no_process_and_is_resumed(name, number, direct, tmp_path):
    skip_without(name)
    store = tmp_path / "s"
    arguments = ("run", "wine", "--to", "transform", "--runner", name, "--store", str(store))
    run = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # A worker of the runner is there, whose program lies in the run's folder.
    assert wait_until(lambda: any("--provision_endpoint" in line for line in processes_of(store).values()))
    run.send_signal(number)
    assert run.wait(PATIENCE) == (130 if number == signal.SIGINT else -number)
    assert wait_until(lambda: not processes_of(store)), processes_of(store)
    subprocess.run(command("resume", "--store", str(store)), check=True)
    assert data_artifacts(store) == direct
    assert list((store / "staging").iterdir()) == []
