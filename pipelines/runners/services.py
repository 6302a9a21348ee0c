"""The services of a run, job servers and Beam's job service, ended with it; and how their workers start.

Each stands under a `guard`, which ends it also when the run is killed. What they write goes to the run's log.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..context import RunnerSettings
from ..errors import Problem, StepError
from ..processes import interrupted
from .boot import write_boot
from .dataflow import dry_run_flags
from .java import SERVERS, beam_version, find_server, java_of, server_command
from .settings import cores, is_dry_run, is_local

BOOT = "headrace-beam-worker"
"""The program that runs Python workers."""
PATIENCE = 90.0
"""Seconds that a service has until it answers; a job server takes three on an idle machine."""
TRIES = 3
"""How often a service is started: the port that was free may be taken when it gets there."""
JVM = "job_server_jvm_properties"
"""Beam's option with words for the job server's `java`, such as `-Xmx4g`."""
_TAIL = 20
_TAKEN = ("Address already in use", "Failed to bind", "BindException")


class Service:
    """A service under its guard."""

    def __init__(self, what: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self.what = what
        self.log = log
        guard = Path(__file__).with_name("guard.py")
        with log.open("ab") as stream:
            self._begun = stream.tell()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(guard), *command],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                env=environment,
                start_new_session=True,  # a Ctrl-C reaches the run alone
            )

    def wait_for(self, port: int, ended: threading.Event | None = None) -> None:
        """Waits until it takes connections.

        Raises:
            StepError: it ended, or never answered, or `ended` was set meanwhile.
        """
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if ended is not None and ended.is_set():
                raise interrupted()
            if self._guard.poll() is not None:
                raise self._error(f"{self.what} ended with code {self._guard.returncode} when it was started")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return
            time.sleep(0.05)
        raise self._error(f"{self.what} doesn't answer after {PATIENCE:.0f} s")

    def said(self) -> str:
        """What the log holds since it was started."""
        with self.log.open("rb") as stream:
            stream.seek(self._begun)
            return stream.read().decode("utf-8", "replace")

    def _error(self, what: str) -> StepError:
        error = StepError(what, file=str(self.log), remedy="see `headrace runs logs`")
        lines = self.said().strip().splitlines()[-_TAIL:]
        error.add_note("\n".join(lines))
        return error

    def close(self) -> None:
        """Ends it and all that it started, and waits for that."""
        if self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.close()
        self._guard.wait()


@contextmanager
def open_runner(
    settings: RunnerSettings,
    staging: Path,
    log: Path,
    packages: Sequence[Path] = (),
    ended: threading.Event | None = None,
) -> Iterator[RunnerSettings]:
    """Starts what a runner needs on this machine, and ends it after the block.

    Args:
        settings: what was asked for.
        staging: a folder of the run's own, for the services' files.
        log: where the services write to.
        packages: what workers in processes of their own install.
        ended: is set when nobody waits for the runner any more.

    Yields:
        The settings with the flags that lead Beam there.

    Raises:
        HeadraceError: something is missing, or a service doesn't start.
    """
    if settings.name == "direct":
        yield settings
        return
    folder = staging / f"runner-{settings.name}-{os.urandom(4).hex()}"
    folder.mkdir(parents=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        opening = _Opening(folder, log, stack, ended or threading.Event())
        flags = [f"--extra_package={package}" for package in packages]
        flags += _workers(settings, folder)
        if is_dry_run(settings):
            flags += dry_run_flags(log.parent)
        if settings.name in ("flink", "spark", "portable") and "job_endpoint" not in settings.options:
            start = _beams_service if settings.name == "portable" else _java_service
            flags.append(f"--job_endpoint=localhost:{start(settings, opening)}")
        yield replace(settings, flags=(*settings.flags, *flags))


def versions_of(settings: RunnerSettings) -> dict[str, str]:
    """The versions that a runner works with, as far as they are known here."""
    told = {"beam": beam_version()}
    if settings.name in SERVERS and "job_endpoint" not in settings.options:
        found = find_server(SERVERS[settings.name], settings.options)
        if not isinstance(found, Problem):
            told |= {"job_server": found.beam} | ({"flink": found.flink} if found.flink else {})
    return told


@dataclass(frozen=True)
class _Opening:
    """Where the services of a runner are started, and until when."""

    folder: Path
    log: Path
    stack: ExitStack
    ended: threading.Event

    def start(self, what: str, command: Callable[[int], list[str]]) -> int:
        """Starts a service on a free port, which `command` puts into its arguments; gives the port."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(temporary)}
        for attempt in range(TRIES):
            port = free_port()
            service = Service(what, command(port), self.log, environment)
            try:
                service.wait_for(port, self.ended)
            except BaseException:
                service.close()
                taken = any(sign in service.said() for sign in _TAKEN)
                if not taken or attempt == TRIES - 1:
                    raise
            else:
                self.stack.callback(service.close)
                return port
        raise AssertionError("unreachable")


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _java_service(settings: RunnerSettings, opening: _Opening) -> int:
    """Flink's or Spark's job server; gives its port."""
    server, options = SERVERS[settings.name], settings.options
    found, java = find_server(server, options), java_of(options)
    if isinstance(found, Problem):
        raise StepError([found])
    if java is None:
        raise StepError("there is no Java on this machine", remedy="install a Java of version 11 or 17")
    temporary = opening.folder / "tmp"
    properties = {"java.io.tmpdir": str(temporary)}
    if settings.name == "flink":
        master = [f"--flink-master={options.get('flink_master', '[local]')}"]
    else:
        master = [f"--spark-master-url={options.get('spark_master_url', f'local[{cores()}]')}"]
        properties |= {"spark.local.dir": str(temporary), "spark.ui.enabled": "false"}
    start = server_command(java, server, found.path, properties, shlex.split(options.get(JVM, "")))
    artifacts = options.get("artifacts_dir", str(opening.folder / "artifacts"))

    def command(port: int) -> list[str]:
        return [
            *start,
            *master,
            "--job-host=localhost",
            f"--job-port={port}",
            "--artifact-port=0",
            "--expansion-port=0",
            f"--artifacts-dir={artifacts}",
        ]

    return opening.start(f"the job server of {settings.name}", command)


def _beams_service(settings: RunnerSettings, opening: _Opening) -> int:
    """Beam's own job service in Python, see `job_service`; gives its port."""
    module = "headrace.pipelines.runners.job_service"
    where = f"--staging={opening.folder / 'artifacts'}"

    def command(port: int) -> list[str]:
        return [sys.executable, "-P", "-m", module, f"--port={port}", where]

    return opening.start("Beam's job service", command)


def _workers(settings: RunnerSettings, folder: Path) -> list[str]:
    """The flags of the environment in which workers run, as far as the user leaves it open."""
    options = settings.options
    stated = options.get("environment_type", "")
    if settings.name == "dataflow" or (stated and stated != "PROCESS") or "environment_config" in options:
        return []
    if not is_local(settings):  # the program has to be on each host
        return [f"--environment_config={json.dumps({'command': BOOT})}"] if stated else []
    program = write_boot(folder / BOOT)
    flags = ["--environment_type=PROCESS", f"--environment_config={json.dumps({'command': str(program)})}"]
    if "sdk_worker_parallelism" not in options:
        flags.append(f"--sdk_worker_parallelism={cores()}")
    if settings.name == "flink" and "parallelism" not in options:
        flags.append(f"--parallelism={cores()}")
    return flags
