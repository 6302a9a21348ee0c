"""The worker processes of a run, or of several at once, as the runs' own process sees them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .artifact import Artifact
from .context import Context
from .errors import HeadraceError, StepError, error_from_json
from .worker_kinds import WorkerKind

Tell = Callable[[Mapping[str, Any]], None]
Answer = Callable[[Mapping[str, Any]], Any]
"""Answers what a job asks for, with JSON values; a HeadraceError is raised where the job asked."""
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


NO_MEMORY = re.compile(
    r"std::bad_alloc|OOM when allocating [^\n]*|RESOURCE_EXHAUSTED: [^\n]*|Unable to allocate [^\n]*"
    r"|Cannot allocate memory|malloc[^\n]* failed[^\n]*|cuda[^\n]*OUT_OF_MEMORY[^\n]*"
)
"""What libraries write before they end a process for want of memory."""
HOST_GONE = re.compile(r"coordination service|Shutdown barrier|heartbeat timeout", re.IGNORECASE)
"""What JAX writes before it ends a process for another host's sake."""
MEMORY_REMEDY = (
    "where a model is trained, take a smaller batch_size, cache: none or smaller images; else fewer workers "
    "(--runner-option direct_num_workers=1), fewer steps at once (-j 1), or a machine with more memory"
)


JOBS = 40
"""What a worker with TensorFlow or JAX does before another takes its place: each training leaves some 20 MB
in its process, and a search may be of hundreds."""


class StoppedError(StepError):
    """A step ended since it was asked to."""


GRACE = 3.0
"""Seconds that a worker has for what its step wants to keep, when its run is interrupted."""


class WorkerProcess:
    """One worker; it does one job at a time."""

    def __init__(
        self, kind: str, log: Path, temporary: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self._log = log
        self._jobs = 0
        self._sending = threading.Lock()
        temporary.mkdir(parents=True, exist_ok=True)
        # What a killed worker leaves goes with the staging folder, unless its path is so long that a socket
        # in a temporary folder (as multiprocessing makes them) would pass the system's 108 bytes.
        own = {"TMPDIR": str(temporary)} if len(os.fsencode(temporary)) < 60 else {}
        environment = {**os.environ, **worker_environment(kind), **(variables or {}), **own}
        with log.open("ab") as stream:
            self._logged = stream.tell()
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

    @property
    def worn(self) -> bool:
        """Whether it has done all the jobs that it should."""
        return self._jobs >= JOBS and bool(WorkerKind.of(self.kind).backend)

    def warm(self) -> None:
        """Lets an idle worker import what it will need."""
        self._send({"warm": self.kind})

    def do(self, job: Mapping[str, Any], tell: Tell, answer: Answer | None = None) -> dict[str, str]:
        """Does a job and gives the folder of each output; events go to `tell`, and questions to `answer`.

        Raises:
            StoppedError: `stop` ended it; the process is fit for the next job.
            HeadraceError: what the step raised, or a StepError if the process died.
        """
        self._log = Path(job.get("log", self._log))
        self._logged = self._log.stat().st_size if self._log.exists() else 0
        self._jobs += 1
        self._send({**job, "number": self._jobs})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if "done" in event:
                return dict(event["done"])
            if "failed" in event:
                raise self._error(event)
            if "stopped" in event:
                raise StoppedError("the step was stopped")
            if "ask" in event:
                self._send({"answer": answered(answer, event["ask"])})
            else:
                tell(event)
        raise self._death()

    def stop(self) -> None:
        """Asks the job to end when it next tells of its progress."""
        self._send({"stop": self._jobs})

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        # Its death is noticed where its answer is read, and a killed one's pipe may be closed already.
        with contextlib.suppress(BrokenPipeError, ValueError), self._sending:
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
        sign = self._sign_of(NO_MEMORY)
        if code == -signal.SIGABRT and self._sign_of(HOST_GONE):
            how += ", since another host of the training is gone or can't be reached"
            remedy += (
                "; run the command again on all hosts, which go on from the last checkpoint that all have"
            )
        elif sign:
            how += f", out of memory: {sign}"
            remedy = f"{MEMORY_REMEDY}; {remedy}"
        elif code == -signal.SIGKILL:
            remedy += (
                f"; a SIGKILL that nobody sent is mostly the system running out of memory: {MEMORY_REMEDY}"
            )
        return StepError(f"the process of the step {how}", file=str(self._log), remedy=remedy)

    def _sign_of(self, pattern: re.Pattern[str]) -> str:
        """The last thing like this that the log says since the process began."""
        with contextlib.suppress(OSError), self._log.open("rb") as stream:
            stream.seek(max(self._logged, self._log.stat().st_size - 65_536))
            found = pattern.findall(stream.read().decode("utf-8", "replace"))
            return found[-1].strip()[:200] if found else ""
        return ""

    def ask_to_end(self) -> None:
        """Ends the process, unless its step has something to keep first; `wait` and `kill` then."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Waits for its end, so many seconds at most."""
        self._reaper.join(seconds)

    def kill(self) -> None:
        """Ends the process and all below it at once."""
        if self._process.returncode is None:
            self._kill_group()
        self._reaper.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def answered(answer: Answer | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a job's question as a message: its value, or the error."""
    from .worker import failure

    if answer is None:
        return failure(StepError("what runs this step can't start a Beam runner"))
    try:
        return {"value": answer(asked)}
    except Exception as error:
        return failure(error)


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
        "exchange": ctx.exchange.to_json() if ctx.exchange else None,
        "resumables": ctx.resumables.to_json() if ctx.resumables else None,
        "runner": ctx.runner.to_json(),
        "path": [str(Path(entry).resolve()) for entry in sys.path],
    }


class WorkerPool:
    """Workers by kind; one that is idle does the next job of its kind, of whichever run.

    A run works through a `Lease`, so that it can be ended without those beside it.
    """

    def __init__(self, temporary: Path, variables: Mapping[str, str] | None = None) -> None:
        """Makes an empty pool.

        Args:
            temporary: the folder of the workers' temporary files.
            variables: of the environment, for every worker, beside those of its kind.
        """
        self._temporary = temporary
        self._variables = dict(variables or {})
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._all: list[WorkerProcess] = []
        self._closed = False

    def lease(self, log: Path) -> Lease:
        """The pool as one run uses it; what its steps and their libraries write goes to `log`."""
        return Lease(self, log)

    def take(self, kind: str, log: Path) -> WorkerProcess:
        """An idle worker of a kind, or a new one; raises StepError if the pool is closed."""
        with self._lock:
            if self._closed:
                raise interrupted()
            for worker in self._idle:
                if worker.kind == kind:
                    self._idle.remove(worker)
                    return worker
            worker = WorkerProcess(kind, log, self._temporary, self._variables)
            self._all.append(worker)
            return worker

    def give(self, worker: WorkerProcess) -> None:
        """Takes a worker back that did its job."""
        if worker.worn:
            self.drop(worker)
            return
        with self._lock:
            self._idle.append(worker)

    def drop(self, worker: WorkerProcess) -> None:
        """Ends a worker, whatever it is doing."""
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


class Lease:
    """What one run has of a pool: the workers that do its jobs just now."""

    def __init__(self, pool: WorkerPool, log: Path) -> None:
        self._pool = pool
        self._log = log
        self._lock = threading.Lock()
        self._busy: list[WorkerProcess] = []
        self._closed = False

    def warm(self, kind: str) -> None:
        """Starts a worker ahead of its first job."""
        worker = self._pool.take(kind, self._log)
        worker.warm()
        self._pool.give(worker)

    def do(
        self, kind: str, job: Mapping[str, Any], tell: Tell, answer: Answer | None = None
    ) -> dict[str, str]:
        """Does a job on an idle or a new worker; see `WorkerProcess.do`."""
        worker = self._pool.take(kind, self._log)
        with self._lock:
            self._busy.append(worker)
            closed = self._closed
        try:
            if closed:
                raise interrupted()
            result = worker.do({**job, "log": str(self._log)}, tell, answer)
        except StoppedError:
            if self._free(worker):
                self._pool.give(worker)
            raise
        except BaseException:
            # What a failed step left in the process (memory, threads, a half-built graph) goes with it.
            self._free(worker)
            self._pool.drop(worker)
            raise
        if self._free(worker):
            self._pool.give(worker)
        return result

    def _free(self, worker: WorkerProcess) -> bool:
        """Notes that a worker has ended its job; False if `close` has taken it meanwhile."""
        with self._lock:
            if worker not in self._busy:
                return False
            self._busy.remove(worker)
            return True

    def stop(self, patience: float) -> None:
        """Ends the jobs that are at work and keeps their workers, as far as they end in so many seconds."""
        with self._lock:
            self._closed = True
            busy = list(self._busy)
        for worker in busy:
            worker.stop()
        until = time.monotonic() + patience
        while self._busy and time.monotonic() < until:
            time.sleep(0.02)

    def close(self) -> None:
        """Ends the workers that are at work for this run; idle ones stay for others.

        A step may use the moment, a training for a checkpoint.
        """
        with self._lock:
            self._closed = True
            busy, self._busy = self._busy, []
        until = time.monotonic() + GRACE
        for worker in busy:
            worker.ask_to_end()
        for worker in busy:
            worker.wait(max(0.0, until - time.monotonic()))
            self._pool.drop(worker)


def interrupted() -> StepError:
    """What a step fails with whose run is being ended."""
    return StepError("the run was interrupted")
