"""Beam's own job service, with workers as processes that it looks after: `python -m …job_service --port=P`.

Beam's waits for ever for a worker that died, doesn't end what a cancelled job does, and knows no workers that
are processes started by a command (the environment PROCESS), as Flink's and Spark's job servers do. Here a
job fails when one of its workers ends, and its workers end when it is cancelled.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import worker_handlers

GRACE = 5.0
"""Seconds that a worker has to end when it isn't needed any more."""


class ProcessWorkerHandler(worker_handlers.GrpcWorkerHandler):  # type: ignore[misc]
    """A worker that a command starts; when it ends, so does what waits for it."""

    def __init__(self, payload: Any, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._payload = payload
        self._stopped = False
        self._job = provision_info.job_name

    def start_worker(self) -> None:
        """Starts the process, and looks after it from then on."""
        control = self.control_address
        logs = self.logging_api_service_descriptor().url
        command = [
            self._payload.command,
            f"--id={self.worker_id}",
            f"--logging_endpoint={logs}",
            f"--artifact_endpoint={control}",
            f"--provision_endpoint={control}",
            f"--control_endpoint={control}",
        ]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **self._payload.env},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # what it starts ends with it
        )
        _workers.setdefault(self._job, []).append(self)
        threading.Thread(target=self._look_after, daemon=True).start()

    def stop_worker(self) -> None:
        """Waits for the end of a worker whose connections were closed, and ends one that stays."""
        self._stopped = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self.kill()

    def kill(self) -> None:
        """Ends the worker at once."""
        # The group is there as long as its leader wasn't waited for, or has children.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _look_after(self) -> None:
        code = self._process.wait()
        if not self._stopped:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            give_up(self.control_conn, f"the worker {self.worker_id} {how}")


_workers: dict[str, list[ProcessWorkerHandler]] = {}
"""The workers of each job."""


def give_up(connection: Any, why: str) -> None:
    """Answers all that a worker was asked for, and all that it will be asked for, with an error."""

    def refuse(request: Any) -> Any:
        future = push(request)
        if future is not None:
            _refuse(future, why)
        return future

    push = connection.push
    connection.push = refuse
    for future in list(connection._futures_by_id.values()):
        _refuse(future, why)


def _refuse(future: Any, why: str) -> None:
    future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=future.instruction_id, error=why))


class Job(local_job_service.BeamJob):  # type: ignore[misc]
    """A job that can be cancelled."""

    def __init__(self, job_id: str, pipeline: Any, options: Any, provision_info: Any, *rest: Any) -> None:
        super().__init__(job_id, pipeline, options, provision_info, *rest)
        provision_info.job_name = job_id  # the name that its client gave may be another job's too

    def cancel(self) -> None:
        """Ends the job and its workers."""
        if self.is_terminal_state(self.state):
            return
        super().cancel()
        for worker in _workers.pop(self._job_id, []):
            worker.kill()

    def set_state(self, new_state: Any) -> None:
        """Sets the state, unless the job has ended: what fails in a cancelled job doesn't matter."""
        if not self.is_terminal_state(self.state):
            super().set_state(new_state)
        if self.is_terminal_state(self.state):
            _workers.pop(self._job_id, None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(description="Beam's job service, which looks after its workers.")
    parser.add_argument("--port", type=int, default=0, help="where to listen; any free port if 0")
    parser.add_argument("--staging", type=Path, help="a folder for what jobs bring with them")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    worker_handlers.WorkerHandler.register_environment(
        common_urns.environments.PROCESS.urn, beam_runner_api_pb2.ProcessPayload
    )(ProcessWorkerHandler)
    signal.signal(signal.SIGTERM, lambda *_: _end())
    service = local_job_service.LocalJobServicer(str(given.staging) if given.staging else None, Job)
    service.start_grpc_server(given.port)
    while True:
        time.sleep(3600)


def _end() -> None:
    for workers in list(_workers.values()):
        for worker in workers:
            worker.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
