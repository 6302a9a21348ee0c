"""A standalone Flink cluster on loopback: a job manager and two task managers that share nothing by accident.

    python tests/cluster/flink.py start FOLDER [--flink DIST] [--slots 2] [--share SHARED]
    python tests/cluster/flink.py status FOLDER
    python tests/cluster/flink.py kill FOLDER tm1        # SIGKILL, with its Python workers
    python tests/cluster/flink.py revive FOLDER tm1
    python tests/cluster/flink.py stop FOLDER

DIST is a Flink 1.19 distribution (a folder with `lib/flink-dist-*.jar`), or HEADRACE_FLINK names it; from
PyPI:

    pip download apache-flink-libraries==1.19.3 --no-deps --no-binary :all:
    tar xzf apache-flink-libraries-*

Each of the three has a folder (0700), working and temporary folders of its own, and as root a user of its
own: numbers without an entry in the system's list of users, so that nothing has to be made and removed. All
are in the group that SHARED, the folder of the store, is given. Without root they run as you.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GROUP = 64100
"""The group of the shared folder; the users are the numbers that follow."""
USERS = {"jm": 64101, "tm1": 64102, "tm2": 64103}
DRIVER = 64104
"""A user for whom submits: none of the cluster's."""
ENTRY = {
    "jm": (
        "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
        "--executionMode",
        "cluster",
    ),
    "tm": ("org.apache.flink.runtime.taskexecutor.TaskManagerRunner",),
}
OPENED = ("lang", "lang.reflect", "net", "io", "nio", "text", "time", "util", "util.concurrent",
          "util.concurrent.atomic", "util.concurrent.locks")  # fmt: skip
"""Packages of the Java runtime that Flink's own scripts open to it."""
START = 60.0
"""Seconds within which the cluster has to be up."""
LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


@dataclass(frozen=True)
class Process:
    """A started process; its start time tells it from a later one with the same number."""

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _began(pid))

    @property
    def lives(self) -> bool:
        return bool(self.began) and _began(self.pid) == self.began


class FlinkCluster:
    """A cluster in a folder; what runs is written in `cluster.json`, so that another process can stop it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._state = self.folder / "cluster.json"
        self._children: list[subprocess.Popen[bytes]] = []  # of this process; another that stops it has none

    @property
    def state(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._state.read_text()))
        except FileNotFoundError:
            sys.exit(f"there is no cluster in {self.folder}")

    @property
    def address(self) -> str:
        """What `--runner-option flink_master=` takes."""
        return f"127.0.0.1:{self.state['ports']['rest']}"

    def start(self, distribution: Path, slots: int = 2, shared: Path | None = None) -> None:
        """Starts all three, and waits until both task managers have offered their slots."""
        if self._state.exists():
            sys.exit(f"there is a cluster in {self.folder} already: stop it first")
        if shared is not None:
            share(shared)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        libraries = _library(distribution)
        names = ("rest", "rpc", "blob", "tm1", "tm1d", "tm2", "tm2d")
        ports = dict(zip(names, _free_ports(len(names)), strict=True))
        self._write({"lib": str(libraries), "slots": slots, "ports": ports, "processes": {}})
        try:
            for name in USERS:
                self._spawn(name)
            self.wait_for(2)
        except BaseException:
            self.stop(keep=True)
            raise

    def wait_for(self, task_managers: int, seconds: float = START) -> None:
        """Waits until so many task managers are there."""
        until = time.monotonic() + seconds
        while len(self.task_managers()) != task_managers:
            if time.monotonic() > until:
                raise TimeoutError(
                    f"no {task_managers} task managers in {seconds} s: see {self.folder}/*/log"
                )
            time.sleep(0.2)

    def task_managers(self) -> list[str]:
        """The folders' names of the task managers that the job manager knows."""
        try:
            told = self.get("/taskmanagers")["taskmanagers"]
        except (OSError, ValueError):
            return []
        return sorted(manager["id"] for manager in told)

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs that the job manager remembers."""
        return list(self.get("/jobs/overview")["jobs"])

    def get(self, path: str) -> Any:
        """An answer of the job manager's REST interface."""
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def kill(self, name: str) -> None:
        """SIGKILL to one of the three and to all that is below it, at once."""
        process = Process(**self.state["processes"][name])
        if process.lives:
            for pid in [process.pid, *_below(process.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._wait_gone([process])

    def revive(self, name: str) -> None:
        """Starts one that was killed again."""
        self._spawn(name)

    def stop(self, keep: bool = False) -> None:
        """Ends all, and removes the folders unless asked to keep them."""
        state = self.state
        processes = [Process(**told) for told in state["processes"].values()]
        below = [Process.of(pid) for process in processes if process.lives for pid in _below(process.pid)]
        for process in processes:
            if process.lives:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        self._wait_gone(processes)
        for process in [*processes, *below]:
            if process.lives:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        self._wait_gone(processes)
        for child in self._children:
            child.wait(10.0)
        self._state.unlink()
        if not keep:
            for name in USERS:
                shutil.rmtree(self.folder / name, ignore_errors=True)

    def status(self) -> dict[str, Any]:
        state = self.state
        lives = {name: Process(**told).lives for name, told in state["processes"].items()}
        jobs = [(job["name"], job["state"]) for job in self.jobs()] if lives.get("jm") else []
        return {"address": self.address, "lives": lives, "task managers": self.task_managers(), "jobs": jobs}

    def _write(self, state: Mapping[str, Any]) -> None:
        self._state.write_text(json.dumps(state, indent=1))

    def _wait_gone(self, processes: list[Process], seconds: float = 10.0) -> None:
        until = time.monotonic() + seconds
        while any(process.lives for process in processes) and time.monotonic() < until:
            time.sleep(0.05)
        for child in self._children:
            child.poll()

    def _spawn(self, name: str) -> None:
        state = self.state
        home = self.folder / name
        for folder in (home, *(home / part for part in ("conf", "tmp", "io", "log", "work", "home"))):
            folder.mkdir(exist_ok=True)
        (home / "conf" / "config.yaml").write_text(_config(name, home, state["ports"], state["slots"]))
        (home / "conf" / "log4j.properties").write_text(LOG4J)
        own = _own(home, USERS[name])
        main, *arguments = ENTRY[name[:2]]
        opened = [f"--add-opens=java.base/java.{each}=ALL-UNNAMED" for each in OPENED]
        command = [
            "java", "-Xmx640m", "-XX:+UseSerialGC", *opened, f"-Djava.io.tmpdir={home / 'tmp'}",
            f"-Dlog.file={home / 'log' / 'flink.log'}",
            f"-Dlog4j.configurationFile={home / 'conf' / 'log4j.properties'}",
            "-cp", f"{state['lib']}/*", main, "--configDir", str(home / "conf"), *arguments,
        ]  # fmt: skip
        environment = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
        environment |= {
            "LANG": "C.UTF-8", "HOME": str(home / "home"), "TMPDIR": str(home / "tmp"), "USER": name,
        }  # fmt: skip
        with (home / "log" / "out.txt").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=home / "work", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, umask=0o022, **own,
            )  # fmt: skip
        self._children.append(process)
        state["processes"][name] = asdict(Process.of(process.pid))
        self._write(state)


def share(folder: Path) -> None:
    """Makes a folder in which all of the group may write: the one thing that cluster and driver share."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, -1, GROUP)
    folder.chmod(0o2775)


def as_driver(home: Path) -> dict[str, Any]:
    """Arguments for `subprocess` with which a driver runs as a user of its own; as ourselves without root."""
    home.mkdir(parents=True, exist_ok=True)
    return _own(home, DRIVER)


def _own(home: Path, user: int) -> dict[str, Any]:
    """Gives a folder to a user alone; gives the arguments of a process that runs as that user."""
    home.chmod(0o700)
    if os.geteuid():
        return {}
    for folder, _, files in os.walk(home):
        for path in (Path(folder), *(Path(folder) / file for file in files)):
            os.chown(path, user, user, follow_symlinks=False)
    return {"user": user, "group": user, "extra_groups": [GROUP]}


def _config(name: str, home: Path, ports: Mapping[str, int], slots: int) -> str:
    """Flink's configuration; memory is spelt out, since only its start scripts would work it out."""
    values: dict[str, Any] = {
        "jobmanager.rpc.address": "127.0.0.1", "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.rpc.port": ports["rpc"],
        "rest.address": "127.0.0.1", "rest.bind-address": "127.0.0.1", "rest.port": ports["rest"],
        "blob.server.port": ports["blob"], "io.tmp.dirs": str(home / "io"),
        "restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": 5,
        "restart-strategy.fixed-delay.delay": "1 s", "heartbeat.interval": 2000, "heartbeat.timeout": 12000,
        "cluster.evenly-spread-out-slots": "true", "parallelism.default": 1,
    }  # fmt: skip
    if name != "jm":
        values |= {
            "taskmanager.host": "127.0.0.1", "taskmanager.bind-host": "127.0.0.1",
            "taskmanager.resource-id": name,
            "taskmanager.rpc.port": ports[name], "taskmanager.data.port": ports[f"{name}d"],
            "taskmanager.numberOfTaskSlots": slots, "taskmanager.cpu.cores": 1,
            "taskmanager.memory.framework.heap.size": "128m", "taskmanager.memory.task.heap.size": "384m",
            "taskmanager.memory.framework.off-heap.size": "64m",
            "taskmanager.memory.task.off-heap.size": "64m",
            "taskmanager.memory.managed.size": "128m", "taskmanager.memory.network.min": "64m",
            "taskmanager.memory.network.max": "64m", "taskmanager.memory.jvm-metaspace.size": "256m",
            "taskmanager.memory.jvm-overhead.min": "64m", "taskmanager.memory.jvm-overhead.max": "64m",
        }  # fmt: skip
    return "".join(f"{key}: {value}\n" for key, value in values.items())


def _library(distribution: Path) -> Path:
    for folder in (distribution / "lib", distribution / "deps" / "lib", distribution):
        if list(folder.glob("flink-dist-*.jar")):
            return folder.absolute()
    sys.exit(f"{distribution} holds no lib/flink-dist-*.jar")


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _began(pid: int) -> str:
    """A process' start time as the system counts it; empty where there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _below(pid: int) -> list[int]:
    """The processes below one, however deep."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_below(child)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("start", "stop", "status", "kill", "revive"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", nargs="?", choices=tuple(USERS), default="tm1")
    parser.add_argument("--flink", type=Path, default=os.environ.get("HEADRACE_FLINK"))
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--share", type=Path)
    given = parser.parse_args()
    cluster = FlinkCluster(given.folder)
    if given.action == "start":
        if given.flink is None:
            parser.error("name a Flink distribution by --flink or HEADRACE_FLINK")
        cluster.start(given.flink, given.slots, given.share)
    elif given.action in ("kill", "revive"):
        getattr(cluster, given.action)(given.name)
    elif given.action == "stop":
        cluster.stop()
        return
    print(json.dumps(cluster.status(), indent=1))


if __name__ == "__main__":
    main()
