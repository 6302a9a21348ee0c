"""Beam's workers elsewhere: they read and write the store by themselves, with plain paths in the work."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from headrace.pipelines.alone import run_alone
from headrace.pipelines.artifact import Files
from headrace.pipelines.component import component
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.errors import StoreError
from headrace.pipelines.stores import open_store, place
from headrace.pipelines.stores.paths import dumped, loaded


@dataclass(frozen=True)
class Work:
    """Reads what the driver wrote, what a unit before wrote and an artifact; writes beside its result."""

    fitted: str
    spill: Path
    folder: Path
    more: dict = field(default_factory=dict)

    def __call__(self, item):
        number, artifact, index = item
        said = (Path(self.fitted) / "said.txt").read_text()
        before = "".join(Path(name).read_text() for name in json.loads(Path(index).read_text()))
        target = self.spill / f"{number}.txt"
        target.write_text(f"{said} {artifact.read_text()} {before}")
        (self.folder / f"{number:06d}-1-{number:032x}").write_bytes(pickle.dumps(str(target)))
        if number == 13:
            raise ValueError("unlucky")
        return target


@pytest.fixture
def step(s3, uri, tmp_path):
    """A remote store in whose run a step is at work: store, artifact, staging folder."""
    store = open_store(uri)
    made = Context("s", tmp_path / "draft").output(Files)
    (made.path / "a.txt").write_text("artifact")
    artifact = store.publish(made.finish())
    with store.running("20260101-000000-a") as staging:
        folder = staging / "step"
        for name in ("fitted", "spill", "stage"):
            (folder / name).mkdir(parents=True)
        (folder / "fitted" / "said.txt").write_text("driver")
        (folder / "index.json").write_text("[]")
        yield store, artifact, folder


def test_files_go_to_a_worker_and_back(step):
    store, artifact, folder = step
    work = Work(str(folder / "fitted"), folder / "spill", folder / "stage")
    exchange = store.exchange(folder)
    there = pickle.loads(pickle.dumps(exchange.around(work)))  # as Beam hands it to a worker
    first = there((1, artifact.file("a.txt"), str(folder / "index.json")))
    assert first == folder / "spill" / "1.txt"
    assert not first.exists()  # the worker has a folder of its own
    (folder / "index.json").write_text(json.dumps([str(first)]))  # a file that names another worker's
    there = exchange.around(work)
    second = there((2, artifact.file("a.txt"), str(folder / "index.json")))
    assert {name[:6] for name in exchange.names(folder / "stage")} == {"000001", "000002"}
    exchange.collect(folder / "stage")
    assert first.read_text() == "driver artifact "
    assert second.read_text() == "driver artifact driver artifact "
    # What a result says of paths is what the driver calls them, in whatever format.
    assert pickle.loads((folder / "stage" / f"{2:06d}-1-{2:032x}").read_bytes()) == str(second)


def test_what_a_unit_wrote_before_it_failed_is_there(step):
    store, artifact, folder = step
    exchange = store.exchange(folder)
    there = exchange.around(Work(str(folder / "fitted"), folder / "spill", folder / "stage"))
    with pytest.raises(ValueError, match="unlucky"):
        there((13, artifact.file("a.txt"), folder / "index.json"))
    exchange.collect(folder / "stage")
    assert (folder / "spill" / "13.txt").exists()


def test_damage_is_noticed_by_the_worker(step):
    store, artifact, folder = step
    there = store.exchange(folder).around(Work(str(folder / "fitted"), folder / "spill", folder / "stage"))
    (key,) = [key for key in store.objects.sizes("artifacts") if key.endswith("a.txt")]
    store.objects.write(key, b"artifice")
    with pytest.raises(StoreError, match="damaged"):
        there((1, artifact.file("a.txt"), folder / "index.json"))


def test_paths_are_found_wherever_they_are():
    value = {
        "list": [Path("/cache/x/a"), ("/cache/x", "/cache/xy")],
        "call": partial(os.path.join, "/cache/x/b"),
    }
    text, names = dumped(value, "/cache/x")
    assert names == ("a", "b")
    assert b"/cache/x/" not in text
    moved = loaded(text, "/w")
    assert moved["list"] == [Path("/w/a"), ("/w", "/cache/xy")]
    assert moved["call"]("c") == "/w/b/c"


@pytest.mark.parametrize("length", [30, 77])
def test_a_workers_folder_has_a_path_of_the_drivers_length(length):
    folder = place.folder_as_long_as("/" + "ö" * ((length - 1) // 2) + "x" * ((length - 1) % 2))
    assert len(folder.encode()) == length
    Path(folder).rmdir()
    with pytest.raises(StoreError, match="longer HEADRACE_CACHE"):
        place.folder_as_long_as("/x")


@pytest.fixture
def job_service(tmp_path):
    """Beam's job service, as a cluster that the run didn't start; gives its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    module = "headrace.pipelines.runners.job_service"
    command = [sys.executable, "-P", "-m", module, f"--port={port}", f"--staging={tmp_path / 'service'}"]
    log = (tmp_path / "service.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.1)
    yield port
    process.terminate()
    process.wait()
    log.close()


@pytest.mark.slow
def test_workers_in_other_processes_give_the_same_artifacts(s3, uri, tmp_path, job_service):
    """Workers that are told other places than the driver's cache exchange files by the store alone."""
    boot = tmp_path / "boot"
    from headrace.pipelines.runners import boot as own

    boot.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P {shlex.quote(own.__file__)} "$@" 1>&2\n'
    )
    boot.chmod(0o755)
    options = {
        "job_endpoint": f"localhost:{job_service}",
        "environment_type": "PROCESS",
        "environment_config": json.dumps({"command": str(boot)}),
    }
    asked = ["--runner", "portable", *(f"--runner-option={name}={value}" for name, value in options.items())]

    def run(store: str, *more: str) -> dict[str, str]:
        command = [sys.executable, "-c", "from headrace.pipelines.cli import main; raise SystemExit(main())"]
        given = ["run", "wine", "--to", "transform", "--store", store, "--json", *more]
        done = subprocess.run([*command, *given], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        steps = json.loads(done.stdout)["steps"]
        return {
            f"{step}.{name}": output["digest"]
            for step, told in steps.items()
            for name, output in told["outputs"].items()
        }

    elsewhere = run(uri, *asked)
    written = {path.rpartition("/")[2] for method, path in s3.seen if method == "PUT" and "/staging/" in path}
    assert [name for name in written if name.endswith(".parquet")]  # by workers: the driver only moves them
    assert elsewhere == run(str(tmp_path / "local"))
    assert not [k for k in s3.objects(uri.split("/")[2]) if k.startswith(("staging/", "leases/"))]


@component(beam=False)
def staged(ctx: Context) -> Files:
    made = ctx.output(Files)
    told = ctx.exchange.to_json() if ctx.exchange else {}
    (made.path / "told.json").write_text(json.dumps({**told, "staging": str(ctx.staging)}))
    return made.finish()


def test_a_component_alone_exchanges_files_with_workers_elsewhere(s3, uri):
    store = open_store(uri)
    there = RunnerSettings("portable", {"job_endpoint": "localhost:9", "environment_type": "PROCESS"})
    told = json.loads(run_alone(staged, {}, store, there).file("told.json").read_text())
    assert told["uri"] == store.uri
    assert Path(told["staging"]).parent.parent == store.folder / "staging"  # nothing of the runner's is in it
