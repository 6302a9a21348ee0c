"""A training in a process of its own is killed twice; it ends as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.components import train
from headrace.pipelines.alone import run_alone
from headrace.pipelines.store import Store

from ..model_path import ODD_FEATURES, Paths, Prepared, odd_splits

SECONDS = 120
TOLD: dict[str, Any] = {
    "model_args": {"hidden_units": [16, 16], "dropout": 0.3}, "batch_size": 24, "learning_rate": 0.003,
    "patience": 30, "stages": [{"epochs": 20}, {"epochs": 80, "freeze": 1, "patience": 20}],
}  # fmt: skip
PROCESS = """
import json, sys
from pathlib import Path
from headrace.components import train
from headrace.pipelines.alone import run_alone
from headrace.pipelines.artifact import load_artifact
from headrace.pipelines.store import Store

examples, transform, store, told = json.loads(sys.argv[1])
inputs = {"examples": load_artifact(Path(examples)), "transform": load_artifact(Path(transform))}
run_alone(train, {**inputs, **told}, Store(Path(store)))
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    features = {name: ODD_FEATURES[name] for name in ("größe", "A")}
    return Paths(tmp_path_factory.mktemp("killed")).prepare(odd_splits(), features, "ok")


def begun(prepared: Prepared, store: Path, **more: Any) -> subprocess.Popen[str]:
    """The training in a process of its own, once it runs: what it says is in its standard error."""
    given = [str(prepared.examples.path), str(prepared.transform.path), str(store), {**TOLD, **more}]
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, json.dumps(given)],
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Ends the process and all below it by a signal."""
    time.sleep(random.uniform(0.0, 0.1))
    os.killpg(process.pid, number)
    assert process.wait() == -number
    assert process.stderr is not None
    process.stderr.close()


def last(store: Path) -> str:
    """The name of the last checkpoint, or an empty string."""
    return max((path.name for path in store.glob("resumable/*/checkpoint-*")), default="")


def test_a_training_that_was_killed_twice_ends_as_if_it_had_not_been(
    prepared: Prepared, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = {"examples": prepared.examples, "transform": prepared.transform, **TOLD}
    whole = run_alone(train, given, Store(tmp_path / "whole"))
    store = Store(tmp_path / "store")
    process = begun(prepared, store.folder, checkpoints={"every_steps": 5})
    until = time.monotonic() + SECONDS
    while not last(store.folder):
        assert process.poll() is None and time.monotonic() < until, process.stderr and process.stderr.read()
        time.sleep(0.005)
    ended(process, signal.SIGKILL)
    killed = last(store.folder)
    process = begun(prepared, store.folder)  # with a checkpoint a minute, so that none is due
    assert process.stderr is not None
    assert any("goes on from epoch" in line for line in process.stderr)
    ended(process, signal.SIGTERM)
    assert last(store.folder) > killed, "it made one when it was asked to end"
    capfd.readouterr()
    resumed = run_alone(train, given, store)
    assert "goes on from epoch" in capfd.readouterr().err
    assert resumed.properties["weights"] == whole.properties["weights"]
    assert resumed.digest == whole.digest
    assert resumed.read_json("model.json")["history"] == whole.read_json("model.json")["history"]
    assert not list(store.folder.glob("resumable/*"))
