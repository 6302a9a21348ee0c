"""Services end with their run, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.pipelines.errors import StepError
from headrace.pipelines.runners.services import Service, free_port

SERVICE = """
import socket, subprocess, sys
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
Path(sys.argv[2]).write_text(f"{__import__('os').getpid()} {child.pid}")
print("it listens", flush=True)
while True:
    listener.accept()
"""
RUN = """
import sys
from pathlib import Path
from headrace.pipelines.runners.services import Service
service = Service("a service", [sys.executable, "-c", Path(sys.argv[1]).read_text(), *sys.argv[2:4]],
                  Path(sys.argv[4]), {})
service.wait_for(int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.read()
"""


def started(tmp_path: Path, port: int) -> Service:
    command = [sys.executable, "-c", SERVICE, str(port), str(tmp_path / "pids")]
    service = Service("a service", command, tmp_path / "log.txt", dict(os.environ))
    service.wait_for(port)
    return service


def pids(tmp_path: Path) -> list[int]:
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists() and time.monotonic() < until:
        time.sleep(0.01)
    return [int(pid) for pid in (tmp_path / "pids").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(processes: list[int]) -> bool:
    until = time.monotonic() + 60
    while any(alive(pid) for pid in processes) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(alive(pid) for pid in processes)


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


def test_a_closed_service_ends_with_its_children_and_its_words_are_in_the_log(tmp_path):
    service = started(tmp_path, free_port())
    processes = pids(tmp_path)
    assert all(alive(pid) for pid in processes)
    service.close()
    assert ended(processes)
    assert "it listens" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_service(tmp_path, number):
    code = tmp_path / "service.py"
    code.write_text(SERVICE)
    where = [str(free_port()), str(tmp_path / "pids"), str(tmp_path / "log.txt")]
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(code), *where],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with run:
        assert run.stdout.readline() == b"ready\n"
        processes = pids(tmp_path)
        run.send_signal(number)
    assert ended(processes)


def test_a_service_that_dies_is_told_with_its_last_words(tmp_path):
    line = "import sys; sys.exit('no such option')"
    service = Service("a service", [sys.executable, "-c", line], tmp_path / "log.txt", dict(os.environ))
    with pytest.raises(StepError, match="ended with code 1") as caught:
        service.wait_for(free_port())
    service.close()
    assert "no such option" in "".join(caught.value.__notes__)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_service_ends_with_a_guard_that_is_killed(tmp_path):
    service = started(tmp_path, free_port())
    first, _ = pids(tmp_path)
    service._guard.kill()
    try:
        assert ended([first])
    finally:
        service.close()
        os.killpg(
            first, signal.SIGKILL
        )  # its child is of the same group; Beam's workers look after themselves
