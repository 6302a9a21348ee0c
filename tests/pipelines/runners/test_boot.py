"""The program that workers are started by, in an environment without headrace and TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.context import Context, RunnerSettings
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.runners import boot
from headrace.pipelines.runners.packages import build_packages

from .bare_python import bare_python

Remote = Callable[..., RunnerSettings]


def about_worker() -> Callable[[Any], Any]:
    """A unit's work that tells where the worker has its code from; made here, so that it is sent by value."""

    def look(item: Any) -> Any:
        import json
        import sys

        import headrace.pipelines
        from headrace.components.data_plane.result import Result

        told = {"executable": sys.executable, "headrace": headrace.pipelines.__file__, "item": item}
        told["tensorflow"] = "tensorflow" in sys.modules
        return Result(json.dumps(told).encode(), 1)

    return look


def test_a_worker_runs_what_the_job_brought(remote: Remote, worker_python: Path, tmp_path: Path) -> None:
    import json

    from headrace.components.data_plane.work import run_units

    packages = build_packages(bind(load_pipeline("wine")), tmp_path / "wheels")
    settings = remote(worker_python, packages.flags)
    ctx = Context("step", tmp_path / "staging", settings)
    told = [json.loads(answer) for answer in run_units(ctx, "look", [1, 2], about_worker())]
    assert [one["item"] for one in told] == [1, 2]
    for one in told:
        assert one["executable"] == str(worker_python)
        assert Path(one["headrace"]).is_relative_to(tmp_path / "workers")
        assert not one["tensorflow"]
    wait_for(lambda: not list((tmp_path / "workers").iterdir()))


def test_what_a_worker_lacks_is_told_to_who_runs_the_job(remote: Remote, tmp_path: Path) -> None:
    from headrace.components.data_plane.work import run_units

    python = bare_python(tmp_path / "poor", without=("google_crc32c",))
    packages = build_packages(bind(load_pipeline("wine")), tmp_path / "wheels")
    ctx = Context("step", tmp_path / "staging", remote(python, packages.flags))
    with pytest.raises(Exception, match="google-crc32c isn't installed"):
        run_units(ctx, "look", [1], about_worker())


def start(python: str, tmp_path: Path, address: str) -> subprocess.Popen[bytes]:
    program = boot.write_boot(tmp_path / "worker", python)
    command = [str(program), "--id=1-1", f"--provision_endpoint={address}"]
    return subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL)


@pytest.fixture
def silent_address() -> Any:
    """Where somebody listens and never answers."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob(f"{boot.PREFIX}*"))


def test_a_worker_that_is_told_to_end_leaves_nothing(tmp_path: Path, silent_address: str) -> None:
    process = start(sys.executable, tmp_path, silent_address)
    wait_for(lambda: folders(tmp_path) and children_of(process.pid))
    children = children_of(process.pid)
    process.terminate()
    assert process.wait(20) != 0
    wait_for(lambda: not any(alive(child) for child in children))
    assert not folders(tmp_path)


def test_a_worker_ends_with_its_watcher(tmp_path: Path, silent_address: str) -> None:
    process = start(sys.executable, tmp_path, silent_address)
    wait_for(lambda: folders(tmp_path) and children_of(process.pid))
    children = children_of(process.pid)
    process.kill()
    process.wait()
    wait_for(lambda: not any(alive(child) for child in children))
    wait_for(lambda: not folders(tmp_path))


def test_a_worker_ends_with_who_started_it(tmp_path: Path, silent_address: str) -> None:
    program = boot.write_boot(tmp_path / "worker", sys.executable)
    # A parent that starts the worker and is killed, as a task manager is.
    command = [str(program), "--id=1", f"--provision_endpoint={silent_address}"]
    text = f"import subprocess; subprocess.run({command!r})"
    parent = subprocess.Popen(
        [sys.executable, "-c", text], env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: any(children_of(child) for child in children_of(parent.pid)))
    watchers = children_of(parent.pid)
    workers = [worker for watcher in watchers for worker in children_of(watcher)]
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(process) for process in (*watchers, *workers)))
    assert not folders(tmp_path)


def test_what_a_killed_worker_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left, young, held = (tmp_path / f"{boot.PREFIX}{name}" for name in ("left", "young", "held"))
    for folder in (left, young, held):
        folder.mkdir()
        (folder / "lock").touch()
    for folder in (left, held):
        os.utime(folder, (1, 1))
    import fcntl

    with (held / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        boot.remove_left(tmp_path)
    assert sorted(folders(tmp_path)) == sorted([young, held])


def test_a_python_whose_path_has_spaces_and_quotes(tmp_path: Path) -> None:
    python = tmp_path / 'it\'s a "python"'
    python.symlink_to(sys.executable)
    program = boot.write_boot(tmp_path / "worker", str(python))
    done = subprocess.run([str(program), "--help"], capture_output=True, text=True)
    assert "provision_endpoint" in done.stdout


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    if not found.parent.parent.parent.exists():
        return []
    if not found.exists():
        pytest.skip("this system doesn't tell a process's children")
    return [int(child) for child in found.read_text().split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it didn't come to that"
        time.sleep(0.05)
