"""What a runner lacks is told before anything starts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace.pipelines import Context, Files, component
from headrace.pipelines.alone import run_alone
from headrace.pipelines.bound import BoundPipeline, BoundStep
from headrace.pipelines.component import Component
from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.errors import PipelineError
from headrace.pipelines.executor import Request, run_pipeline
from headrace.pipelines.runners.needs import flink_of, needs_of, preflight, problems_before
from headrace.pipelines.runners.services import free_port
from headrace.pipelines.store import Store
from headrace.pipelines.stores import open_store


@pytest.fixture
def flink_119(tmp_path: Path) -> dict[str, str]:
    """Options that name a job server for Flink 1.19 and a Java of version 17."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for name in ("beam-runners-flink-1.19-2.62.0.jar", "flink-runtime-1.19.0.jar"):
        (folder / name).touch()
    java = program(tmp_path / "java17", 'echo openjdk version \\"17.0.15\\" >&2')
    return {"flink_job_server_jar": str(folder), "job_server_java_launcher": str(java)}


def program(path: Path, line: str) -> Path:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of what says that it is a Flink 1.20."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"flink-version": "1.20.1"}).encode()
            self.send_response(200 if self.path == "/config" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def lacks(name: str, options: dict[str, str]) -> list[str]:
    return [need.problem.what for need in needs_of(RunnerSettings(name, options)) if need.problem]


def test_nothing_is_missing_for_what_is_here(flink_119):
    assert lacks("direct", {}) == lacks("portable", {}) == lacks("flink", flink_119) == []


def test_java_has_to_be_there_and_new_enough(tmp_path, flink_119):
    old = program(tmp_path / "java8", 'echo java version \\"1.8.0_402\\" >&2')
    mute = program(tmp_path / "mute", "exit 3")
    for java, told in ((old, "is Java 8"), (mute, "doesn't tell its version"), ("/no/java", "no Java")):
        (problem,) = lacks("flink", {**flink_119, "job_server_java_launcher": str(java)})
        assert told in problem


def test_an_address_has_to_answer():
    port = free_port()
    process = {"environment_type": "PROCESS"}
    (problem,) = lacks("portable", {"job_endpoint": f"localhost:{port}", **process})
    assert f"localhost:{port} doesn't answer" in problem


def test_several_masters_of_spark_are_left_to_spark(tmp_path):
    masters = {"spark_master_url": "spark://one:7077,two:7077", "environment_type": "PROCESS"}
    (master,) = needs_of(RunnerSettings("spark", spark_35(tmp_path) | masters))[2:]
    assert master.problem is None


def spark_35(tmp_path: Path) -> dict[str, str]:
    jar = tmp_path / "beam-runners-spark-3-job-server-2.77.0.jar"
    jar.touch()
    return {"spark_job_server_jar": str(jar)}


def test_a_cluster_has_to_be_of_the_job_servers_flink(flink_119, cluster, tmp_path):
    remote = {**flink_119, "flink_master": cluster, "environment_type": "PROCESS"}
    assert flink_of(cluster) == "1.20.1"
    (problem,) = lacks("flink", remote)
    assert "is Flink 1.20.1" in problem
    assert "is for 1.19" in problem
    jar = tmp_path / "beam-runners-flink-1.20-job-server-2.77.0.jar"
    jar.touch()
    assert lacks("flink", {**remote, "flink_job_server_jar": str(jar)}) == []


def test_how_a_cluster_starts_python_has_to_be_said(cluster):
    (problem,) = [
        n.problem for n in needs_of(RunnerSettings("portable", {"job_endpoint": cluster})) if n.problem
    ]
    assert "start Python workers" in problem.what
    assert "headrace-beam-worker" in problem.remedy


def test_dataflow_is_refused_a_folder_of_this_machine(tmp_path):
    store = Store(tmp_path / "store")
    told = [problem.what for problem in preflight(RunnerSettings("dataflow", {"project": "p"}), store)]
    assert any("can't reach the store" in what for what in told)


def test_wrong_options_and_missing_things_are_told_together(tmp_path):
    store = Store(tmp_path / "store")
    wanted = [
        RunnerSettings("flink", {"paralelism": "2"}),
        RunnerSettings(),
        RunnerSettings(
            "portable", {"job_endpoint": f"localhost:{free_port()}", "environment_type": "PROCESS"}
        ),
    ]
    told = [problem.what for problem in problems_before(wanted, store)]
    assert len(told) == 2
    assert "paralelism" in told[0]
    assert "doesn't answer" in told[1]


@component(process="tensorflow", beam=True)
def answering(ctx: Context) -> Files:
    raise AssertionError("it was run")


@component(process="tensorflow")
def training(ctx: Context) -> Files:
    return ctx.output(Files).finish()


def test_a_step_of_tensorflows_that_gives_work_to_beam_is_looked_at_too(tmp_path):
    store, flink = Store(tmp_path / "store"), RunnerSettings("flink", {"paralelism": "2"})
    for run in (
        lambda: run_alone(answering, {}, store, flink),
        lambda: run_pipeline(alone(answering), store, Request(runner=flink)),
    ):
        with pytest.raises(PipelineError, match="no option 'paralelism'"):
            run()
    assert run_alone(training, {}, store, flink).type == "Files"  # it has none, and needs no Flink


def alone(part: Component) -> BoundPipeline:
    return BoundPipeline("p", {}, {"step": BoundStep("step", "", part, {}, {})})


def test_a_cluster_has_to_reach_what_jobs_bring(tmp_path, monkeypatch, flink_119):
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    bucket, folder = open_store("memory://bucket/store"), Store(tmp_path / "store")
    options = {**flink_119, "environment_type": "PROCESS", "flink_master": "cluster.invalid:8081"}

    def told(store: Store, **more: str) -> bool:
        problems = preflight(RunnerSettings("flink", {**options, **more}), store)
        return any("what the jobs bring" in problem.what for problem in problems)

    assert told(bucket)
    assert not told(folder)  # it is beside the store
    assert not told(bucket, artifacts_dir="/shared")
    assert not told(bucket, flink_master="localhost:9")
    assert not told(bucket, flink_master="[local]")
