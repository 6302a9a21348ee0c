"""What breaks while a runner elsewhere works: a unit, a worker, the job service, the run itself.

Everything is real: Beam's job service with workers in processes of their own, processes that are killed,
and the store that is looked at afterwards. The same on Flink's own cluster is among the slow tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.components.data_plane.work import run_units
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.errors import DataError, Problem, StepError
from headrace.pipelines.runners.java import SERVERS, find_server
from headrace.pipelines.runners.job_clients import ENDED, jobs_of
from headrace.pipelines.runners.services import open_runner

HERE = Path(__file__).parent
PATIENCE = 90.0
RUNNERS = pytest.mark.parametrize("runner", ["portable", pytest.param("flink", marks=pytest.mark.slow)])
COMMAND = "import sys; sys.argv[0] = 'headrace'; from headrace.pipelines.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def units() -> Iterator[Any]:
    """The module of the units of work, which this process and the workers find by its name."""
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), before]))
    sys.path.insert(0, str(HERE))
    import breaking_units

    yield breaking_units
    sys.path.remove(str(HERE))
    os.environ["PYTHONPATH"] = before


def opened(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerSettings]:
    folder = tmp_path_factory.mktemp(name)
    with open_runner(RunnerSettings(name), folder, folder / "log.txt") as settings:
        yield settings


@pytest.fixture(scope="module")
def portable(units: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerSettings]:
    """Beam's job service."""
    yield from opened("portable", tmp_path_factory)


@pytest.fixture(scope="module")
def flink(units: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerSettings]:
    """Flink's job server with its own cluster."""
    need("flink")
    yield from opened("flink", tmp_path_factory)


def need(runner: str) -> None:
    """Skips the test where a runner's job server is not here, and says how to get it."""
    if runner in SERVERS and isinstance(found := find_server(SERVERS[runner], {}), Problem):
        pytest.skip(str(found))


@pytest.fixture
def new_ctx(tmp_path: Path) -> Callable[[RunnerSettings], Any]:
    """Makes a context for a runner, with `events`."""

    def make(settings: RunnerSettings) -> Any:
        events: list[dict[str, Any]] = []
        (tmp_path / "staging").mkdir()
        ctx = Context("numbers", tmp_path / "staging", settings, lambda e: events.append(dict(e)))
        return ctx, events

    return make


def of(events: list[dict[str, Any]], kind: str) -> list[Any]:
    return [event[kind] for event in events if kind in event]


def told(events: list[dict[str, Any]]) -> list[str]:
    """The states of the jobs, in the order in which they were told."""
    return [job["state"] for job in of(events, "job")]


def check_refusal(
    settings: RunnerSettings, ctx: Context, events: list[Any], units: Any, folder: Path
) -> None:
    """A bad row ends the job, which the runner may do before it is cancelled, and comes as it was raised."""
    with pytest.raises(DataError) as caught:
        run_units(ctx, "double", list(range(400)), units.Double(folder, seconds=0.1, refuse=3))
    assert caught.value.problems[0].line == 3
    assert told(events) in (["STARTING", "CANCELLED"], ["STARTING", "FAILED"])
    assert jobs_of(settings).state(of(events, "job")[0]["id"]) == told(events)[-1]
    begun = len(list(folder.glob("begun-*")))
    assert begun < 400
    time.sleep(2.0)
    assert len(list(folder.glob("begun-*"))) == begun, "its workers go on"


def check_lost_worker(ctx: Context, events: list[Any], units: Any, folder: Path) -> None:
    """What a killed worker left is done by others, and nothing twice that was done."""
    payloads = list(run_units(ctx, "double", list(range(20)), units.Double(folder, kill=7)))
    assert payloads == [str(2 * number).encode() for number in range(20)]
    assert (folder / "killed").exists()
    assert told(events)[-1] == "DONE"
    (work,) = of(events, "work")
    assert work["counters"]["units"] <= 20
    assert of(events, "progress")[-1] == {"done": 20, "total": 20, "rows": sum(range(20))}
    if work.get("tries"):  # else the runner itself tried again
        assert told(events) == ["STARTING", "FAILED", "STARTING", "DONE"]
        (warning,) = of(events, "warn")
        assert "worker" in warning and "tried again" in warning


def test_bad_data_ends_the_job(portable, new_ctx, units, tmp_path):
    ctx, events = new_ctx(portable)
    check_refusal(portable, ctx, events, units, tmp_path)


def test_wrong_code_comes_with_its_own_traceback_and_is_not_tried_again(
    portable, new_ctx, units, tmp_path, capfd
):
    ctx, events = new_ctx(portable)
    with pytest.raises(StepError) as caught:
        run_units(ctx, "double", list(range(20)), units.Double(tmp_path, stumble=3))
    (problem,) = caught.value.problems
    assert problem.what == "ZeroDivisionError: division by zero"
    assert problem.file == units.__file__ and problem.line
    (note,) = caught.value.__notes__
    assert "in __call__" in note and "apache_beam" not in note and len(note.splitlines()) < 10
    assert told(events) == ["STARTING", "FAILED"]
    assert "Traceback" not in capfd.readouterr().err, "what the runner tells is for the log"


def test_what_a_killed_worker_left_is_done_by_another(portable, new_ctx, units, tmp_path):
    ctx, events = new_ctx(portable)
    check_lost_worker(ctx, events, units, tmp_path)


@pytest.mark.slow
def test_a_worker_that_is_killed_again_and_again_ends_the_step(portable, new_ctx, units, tmp_path):
    ctx, events = new_ctx(portable)
    with pytest.raises(
        StepError, match=r"on portable failed: the worker \S+ was killed by SIGKILL"
    ) as caught:
        run_units(ctx, "double", list(range(20)), units.Double(tmp_path, kill=7, always=True))
    assert "memory" in caught.value.problems[0].remedy
    assert told(events) == ["STARTING", "FAILED"] * 3


@pytest.mark.slow
def test_a_unit_that_the_network_failed_is_tried_again(portable, new_ctx, units, tmp_path):
    ctx, events = new_ctx(portable)
    payloads = list(run_units(ctx, "double", list(range(9)), units.Double(tmp_path, unsteady=4)))
    assert payloads == [str(2 * number).encode() for number in range(9)]
    assert told(events) == ["STARTING", "FAILED", "STARTING", "DONE"]


@pytest.mark.slow
def test_bad_data_ends_the_job_on_flink(flink, new_ctx, units, tmp_path):
    ctx, events = new_ctx(flink)
    check_refusal(flink, ctx, events, units, tmp_path)


@pytest.mark.slow
def test_what_a_killed_worker_left_is_done_by_another_on_flink(flink, new_ctx, units, tmp_path):
    ctx, events = new_ctx(flink)
    check_lost_worker(ctx, events, units, tmp_path)


@pytest.mark.slow
def test_wrong_code_comes_without_java_on_flink(flink, new_ctx, units, tmp_path):
    ctx, _ = new_ctx(flink)
    with pytest.raises(StepError) as caught:
        run_units(ctx, "double", list(range(20)), units.Double(tmp_path, stumble=3))
    assert "java" not in "".join([str(caught.value), *caught.value.__notes__])
    assert caught.value.problems[0].what == "ZeroDivisionError: division by zero"


def start(pipeline: Path, *options: str) -> subprocess.Popen[str]:
    """Starts a run, which is told apart from others by the store's path."""
    store = str(pipeline.parent / "store")
    run = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "run", str(pipeline), "--store", store, *options],
        cwd=pipeline.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    STARTED.append(run)
    return run


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """Ends the runs that a failed test left."""
    yield
    while STARTED:
        with STARTED.pop() as run:
            run.kill()


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline of one step, whose units take a while."""
    (tmp_path / "units").mkdir()
    file = tmp_path / "slow.yaml"
    given = f"{{folder: {tmp_path / 'units'}}}"
    file.write_text(f"pipeline: slow\nsteps:\n  numbers: {{uses: 'breaking_units:doubled', with: {given}}}\n")
    return file


def wait_for(what: Callable[[], Any], why: str) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < until, why
        time.sleep(0.05)
    return found


def work_began(pipeline: Path, run: subprocess.Popen[str]) -> None:
    def began() -> bool:
        assert run.poll() is None, run.stdout.read()
        return bool(list((pipeline.parent / "units").glob("begun-*")))

    wait_for(began, "no unit was begun")


def processes(sign: Path) -> dict[int, str]:
    """The command lines of living processes that name a path, or have it in their environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if command and (str(sign) in command or str(sign) in environment):
            found[int(folder.name)] = command
    return found


def nothing_is_left(pipeline: Path) -> None:
    store = pipeline.parent / "store"
    wait_for(lambda: not processes(store), f"still there: {processes(store)}")
    assert not list((store / "staging").iterdir())
    assert not list((store / "artifacts").rglob("manifest.json"))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux' /proc")
class TestTheRunItself:
    @RUNNERS
    def test_ctrl_c_ends_all_that_the_run_started(self, pipeline, runner):
        need(runner)
        run = start(pipeline, "--runner", runner)
        work_began(pipeline, run)
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=PATIENCE)
        assert run.returncode not in (0, 2), said
        nothing_is_left(pipeline)

    @pytest.mark.slow
    @RUNNERS
    def test_a_killed_job_service_is_a_clean_error(self, pipeline, runner):
        need(runner)
        run = start(pipeline, "--runner", runner)
        work_began(pipeline, run)
        store = pipeline.parent / "store"
        (service,) = [
            number
            for number, command in processes(store).items()
            if ("runners.job_service" in command or "JobServerDriver" in command)
            and "guard.py" not in command
        ]
        os.kill(service, signal.SIGKILL)
        said, _ = run.communicate(timeout=PATIENCE)
        assert run.returncode == 1, said
        assert "the job service at localhost:" in said and "Traceback" not in said
        nothing_is_left(pipeline)

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_a_job_elsewhere_is_cancelled_with_its_run(self, portable, pipeline, number):
        """The service isn't the run's own, so that it lives on, and knows what became of the job."""
        flags = dict(flag.removeprefix("--").split("=", 1) for flag in portable.flags)
        options = [f"{name}={flags[name]}" for name in flags if name != "extra_package"]
        run = start(
            pipeline,
            "--runner",
            "portable",
            *(word for each in options for word in ("--runner-option", each)),
        )
        work_began(pipeline, run)
        run.send_signal(number)
        run.communicate(timeout=PATIENCE)
        job = self._job(flags["job_endpoint"])
        jobs = jobs_of(portable)
        wait_for(lambda: jobs.state(job) in ENDED, "the job goes on")
        assert jobs.state(job) == "CANCELLED"
        if number == signal.SIGKILL:  # what it left in the store goes with the next run
            self._sweep(pipeline)
        nothing_is_left(pipeline)

    def _job(self, endpoint: str) -> str:
        """The job that the service was given last."""
        import grpc
        from apache_beam.portability.api import beam_job_api_pb2 as messages
        from apache_beam.portability.api import beam_job_api_pb2_grpc as services

        with grpc.insecure_channel(endpoint) as channel:
            told = services.JobServiceStub(channel).GetJobs(messages.GetJobsRequest())
        return str(told.job_info[-1].job_id)

    def _sweep(self, pipeline: Path) -> None:
        from headrace.pipelines.store import Store

        store = pipeline.parent / "store"
        wait_for(lambda: not processes(store), "a process of the killed run lives on")
        Store(store).sweep()

    @RUNNERS
    def test_a_killed_run_leaves_no_process_and_nothing_in_the_store(self, pipeline, runner):
        need(runner)
        run = start(pipeline, "--runner", runner)
        work_began(pipeline, run)
        run.kill()
        run.communicate(timeout=PATIENCE)
        self._sweep(pipeline)
        nothing_is_left(pipeline)
        (record,) = (pipeline.parent / "store" / "runs").glob("*/record.json")
        assert json.loads(record.read_text())["status"] == "killed"
