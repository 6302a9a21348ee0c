"""Workers of an environment of their own, and Beam's job service that sends them work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.runners.boot import write_boot
from headrace.pipelines.runners.services import free_port, open_runner

from .bare_python import bare_python


@pytest.fixture(scope="session")
def worker_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of workers that have neither headrace nor TensorFlow."""
    return bare_python(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Starts a pool of workers that are run by an interpreter, and gives its address."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    started: list[subprocess.Popen[bytes]] = []

    def start(python: Path) -> str:
        temporary = tmp_path / "workers"
        temporary.mkdir()
        boot = write_boot(tmp_path / "boot", str(python))
        port = free_port()
        module = "apache_beam.runners.worker.worker_pool_main"
        command = [sys.executable, "-P", "-m", module, f"--container_executable={boot}"]
        with (tmp_path / "pool.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, f"--service_port={port}"],
                stdout=log,
                stderr=log,
                cwd=temporary,
                env={**environment, "TMPDIR": str(temporary)},
            )
        started.append(process)
        _wait_for(port)
        return f"localhost:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait()


@pytest.fixture
def remote(tmp_path: Path, pool: Callable[[Path], str]) -> Iterator[Callable[..., RunnerSettings]]:
    """Settings of Beam's job service with workers that are run by an interpreter: `remote(python, flags)`."""
    opened: list[Any] = []

    def make(python: Path, flags: tuple[str, ...] = ()) -> RunnerSettings:
        options = {"environment_type": "EXTERNAL", "environment_config": pool(python)}
        context = open_runner(
            RunnerSettings("portable", options), tmp_path / "services", tmp_path / "services.log"
        )
        opened.append(context)
        settings = context.__enter__()
        return RunnerSettings(settings.name, settings.options, (*settings.flags, *flags))

    yield make
    for context in opened:
        context.__exit__(None, None, None)


def _wait_for(port: int) -> None:
    import socket

    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
