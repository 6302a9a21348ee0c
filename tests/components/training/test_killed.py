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

KILLS = 2
SECONDS = 120
TOLD: dict[str, Any] = {
    "model_args": {"hidden_units": [16, 16], "dropout": 0.3}, "batch_size": 24, "learning_rate": 0.003,
    "patience": 30, "stages": [{"epochs": 20}, {"epochs": 60, "freeze": 1, "patience": 12}],
    "checkpoints": {"every_steps": 5},
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


def kill_one(prepared: Prepared, store: Path, chance: random.Random) -> str:
    """Starts the training, kills it once it has got further, and gives the last checkpoint's name."""
    given = [str(prepared.examples.path), str(prepared.transform.path), str(store), TOLD]
    before = {path.name for path in store.glob("resumable/*/checkpoint-*")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, json.dumps(given)], start_new_session=True, stderr=subprocess.PIPE
    )
    until = time.monotonic() + SECONDS
    while {path.name for path in store.glob("resumable/*/checkpoint-*")} <= before:
        assert process.poll() is None and time.monotonic() < until, process.stderr and process.stderr.read()
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 0.3))
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.stderr is not None
    process.stderr.close()
    return max(path.name for path in store.glob("resumable/*/checkpoint-*"))


def test_a_training_that_was_killed_twice_ends_as_if_it_had_not_been(
    prepared: Prepared, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = {"examples": prepared.examples, "transform": prepared.transform, **TOLD}
    whole = run_alone(train, given, Store(tmp_path / "whole"))
    store, chance = Store(tmp_path / "store"), random.Random(7)
    places = [kill_one(prepared, store.folder, chance) for _ in range(KILLS)]
    assert places == sorted(set(places)), "the second attempt got further than the first"
    capfd.readouterr()
    resumed = run_alone(train, given, store)
    assert "goes on from epoch" in capfd.readouterr().err
    assert resumed.properties["weights"] == whole.properties["weights"]
    assert resumed.digest == whole.digest
    assert resumed.read_json("model.json")["history"] == whole.read_json("model.json")["history"]
    assert not list(store.folder.glob("resumable/*"))
