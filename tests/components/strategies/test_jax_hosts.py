"""One training on two hosts, which are two processes here that reach each other by the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.components.training.networks import load_network
from headrace.pipelines.artifact import Model, load_artifact

from ..model_path import Paths, Prepared
from .test_same_training import table

BATCH, EPOCHS = 24, 3
TOLERANCE = 2e-6
"""How far weights of equal steps may be apart, of 1: sums are added up in other orders."""
HOST = """
import json, sys
from pathlib import Path
from headrace.components import train
from headrace.pipelines.alone import run_alone
from headrace.pipelines.artifact import load_artifact
from headrace.pipelines.store import Store

told = json.loads(sys.argv[1])
inputs = {name: load_artifact(Path(told.pop(name))) for name in ("examples", "transform")}
model = run_alone(train, {**inputs, **told}, Store(Path(sys.argv[2])))
print("model", model.path)
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Hosts:
    """Runs the same training in several processes, each with a store of its own."""

    def __init__(self, folder: Path, path: Prepared) -> None:
        self._folder = folder
        self._path = path

    def store(self, name: str, count: int, number: int) -> Path:
        """That of a process."""
        return self._folder / f"{name}{count}-{number}"

    def start(self, count: int, devices: int, *, name: str = "", **told: Any) -> list[subprocess.Popen[str]]:
        """Starts `count` processes with so many devices each."""
        given = {
            "examples": str(self._path.examples.path), "transform": str(self._path.transform.path),
            "batch_size": BATCH, "epochs": EPOCHS, "strategy": "jax", "virtual_devices": devices,
            "model_args": {"hidden_units": [16], "dropout": 0.3}, "learning_rate": 0.02, **told,
        }  # fmt: skip
        shared = {"HEADRACE_COORDINATOR": f"127.0.0.1:{free_port()}", "HEADRACE_PROCESSES": str(count)}
        return [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    HOST,
                    json.dumps(given),
                    str(self._folder / f"{name}{count}-{number}"),
                ],
                env={**os.environ, **(shared | {"HEADRACE_PROCESS": str(number)} if count > 1 else {})},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in range(count)
        ]


def models(processes: Sequence[subprocess.Popen[str]]) -> list[Model]:
    found = []
    for process in processes:
        out, _ = process.communicate(timeout=240)
        assert process.returncode == 0, out
        folder = next(line.split()[1] for line in out.splitlines() if line.startswith("model "))
        model = load_artifact(Path(folder))
        assert isinstance(model, Model)
        found.append(model)
    return found


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    folder = tmp_path_factory.mktemp("hosts")
    path = Paths(folder).prepare(
        {"train": table(203, 0), "validation": table(45, 1)}, {"x": "z_score", "y": "z_score"}, "side"
    )
    return Hosts(folder, path)


@pytest.mark.slow
def test_two_hosts_train_what_one_does_and_end_with_equal_weights(hosts: Hosts) -> None:
    both, alone = hosts.start(2, 2), hosts.start(1, 4)
    first, second = models(both)
    (one,) = models(alone)
    assert first.properties["weights"] == second.properties["weights"]
    assert first.digest == second.digest
    assert first.path != second.path
    for ours, theirs in zip(load_network(first).weights, load_network(one).weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=TOLERANCE)
    history = [model.read_json("model.json")["history"] for model in (first, one)]
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        ours, theirs = ([row[key] for row in rows] for rows in history)
        assert ours == pytest.approx(theirs, rel=TOLERANCE)
    assert len(history[0]) == EPOCHS


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("resumable/*/checkpoint-*.npz"))


@pytest.mark.slow
def test_what_kills_one_host_ends_the_other_and_both_go_on_from_their_last_common_step(hosts: Hosts) -> None:
    told: dict[str, Any] = {"epochs": 60, "checkpoints": {"every_steps": 40}}
    (undisturbed, _) = models(hosts.start(2, 1, name="whole", **told))
    first, second = hosts.start(2, 1, name="killed", **told)
    folders = [hosts.store("killed", 2, number) for number in (0, 1)]
    while not all(checkpoints(folder) for folder in folders):
        assert first.poll() is None and second.poll() is None, first.communicate()
        time.sleep(0.2)
    worker = subprocess.run(["pgrep", "-P", str(second.pid)], capture_output=True, text=True).stdout
    os.kill(int(worker.split()[0]), signal.SIGKILL)
    (out, _), _ = first.communicate(timeout=200), second.communicate(timeout=200)
    assert first.returncode == 1 and second.returncode == 1
    assert "another of the 2 hosts is gone" in out or "another host of the training is gone" in out, out

    resumed = models(hosts.start(2, 1, name="killed", **told))
    assert [model.properties["weights"] for model in resumed] == [undisturbed.properties["weights"]] * 2
