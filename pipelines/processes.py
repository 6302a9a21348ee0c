"""The worker processes of a run, as the run's own process sees them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .artifact import Artifact
from .context import Context
from .errors import HeadraceError, StepError, error_from_json
from .worker_kinds import WorkerKind

Tell = Callable[[Mapping[str, Any]], None]
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Keeps glibc from giving the memory of every large tensor back to the system, and fetching it again page by
page for the next one: batches of images of 150 KB were read nearly twice as fast."""


def worker_environment(kind: str) -> dict[str, str]:
    """The variables of the environment that a worker of a kind has of its own; see `worker_kinds`."""
    told = WorkerKind.of(kind)
    found = {
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "PYTHONUNBUFFERED": "1",
        **told.environment(),
    }
    if told.backend:
        found |= {name: os.environ.get(name, value) for name, value in ALLOCATOR.items()}
    return found


class WorkerProcess:
    """One worker; it does one job at a time."""

    def __init__(self, kind: str, log: Path, temporary: Path) -> None:
        self.kind = kind
        self._log = log
        temporary.mkdir(parents=True, exist_ok=True)
        # What a killed worker leaves goes with the staging folder, unless its path is so long that a socket
        # in a temporary folder (as multiprocessing makes them) would pass the system's 108 bytes.
        own = {"TMPDIR": str(temporary)} if len(os.fsencode(temporary)) < 60 else {}
        environment = {**os.environ, **worker_environment(kind), **own}
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                # -P: a file called `random.py` in the working folder is not the standard library's module.
                [sys.executable, "-P", "-m", "headrace.pipelines.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=environment,
                start_new_session=True,  # a Ctrl-C reaches the parent alone, which then ends the workers
            )
        self._reaper = threading.Thread(target=self._reap, daemon=True)
        self._reaper.start()

    def _reap(self) -> None:
        """Ends what a dead worker leaves: its children hold the pipe open, and would be waited for."""
        if hasattr(os, "waitid"):  # its number is not given to another process until `wait`
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        self._kill_group()
        self._process.wait()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def warm(self) -> None:
        """Lets an idle worker import what it will need."""
        self._send({"warm": self.kind})

    def do(self, job: Mapping[str, Any], tell: Tell) -> dict[str, str]:
        """Does a job and gives the folder of each output; events go to `tell`.

        Raises:
            HeadraceError: what the step raised, or a StepError if the process died.
        """
        self._send(job)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if "done" in event:
                return dict(event["done"])
            if "failed" in event:
                raise self._error(event)
            tell(event)
        raise self._death()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its death is noticed where its answer is read
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _error(self, event: Mapping[str, Any]) -> HeadraceError:
        error = error_from_json(event["failed"])
        if "traceback" in event:
            error.add_note(event["traceback"])
        return error

    def _death(self) -> StepError:
        self._reaper.join()
        code = self._process.returncode
        how = f"was killed by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        remedy = "see `headrace runs logs`"
        if code == -signal.SIGKILL:
            remedy += "; a SIGKILL that nobody sent is mostly the system running out of memory"
        return StepError(f"the process of the step {how}", file=str(self._log), remedy=remedy)

    def kill(self) -> None:
        """Ends the process and all below it at once."""
        if self._process.returncode is None:
            self._kill_group()
        self._reaper.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def job_of(
    uses: str, ctx: Context, parameters: Mapping[str, Any], inputs: Mapping[str, Artifact]
) -> dict[str, Any]:
    """A job for a worker, see `worker.do`, as JSON values.

    Args:
        uses: the component's name or import path.
        ctx: the step's context; what it tells is told by the worker's.
        parameters: JSON values by name.
        inputs: artifacts by name.
    """
    return {
        "uses": uses,
        "step": ctx.step,
        "parameters": dict(parameters),
        "inputs": {name: str(artifact.path) for name, artifact in inputs.items()},
        "staging": str(ctx.staging),
        "reuse": ctx.reuse.to_json() if ctx.reuse else None,
        "resumables": ctx.resumables.to_json() if ctx.resumables else None,
        "runner": {"name": ctx.runner.name, "options": dict(ctx.runner.options)},
        "path": [str(Path(entry).resolve()) for entry in sys.path],
    }


class WorkerPool:
    """The workers of a run, by kind; one that is idle does the next job of its kind."""

    def __init__(self, log: Path, temporary: Path) -> None:
        self._log = log
        self._temporary = temporary
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._all: list[WorkerProcess] = []
        self._closed = False

    def warm(self, kind: str) -> None:
        """Starts a worker ahead of its first job."""
        worker = self._take(kind)
        worker.warm()
        self._give(worker)

    def do(self, kind: str, job: Mapping[str, Any], tell: Tell) -> dict[str, str]:
        """Does a job on an idle or a new worker; see `WorkerProcess.do`."""
        worker = self._take(kind)
        try:
            result = worker.do(job, tell)
        except BaseException:
            # What a failed step left in the process (memory, threads, a half-built graph) goes with it.
            self._drop(worker)
            raise
        self._give(worker)
        return result

    def _take(self, kind: str) -> WorkerProcess:
        with self._lock:
            if self._closed:
                raise StepError("the run was interrupted")
            for worker in self._idle:
                if worker.kind == kind:
                    self._idle.remove(worker)
                    return worker
            worker = WorkerProcess(kind, self._log, self._temporary)
            self._all.append(worker)
            return worker

    def _give(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._idle.append(worker)

    def _drop(self, worker: WorkerProcess) -> None:
        with self._lock:
            if worker in self._all:
                self._all.remove(worker)
        worker.kill()

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        with self._lock:
            self._closed = True
            workers, self._all = self._all, []
        for worker in workers:
            worker.kill()
