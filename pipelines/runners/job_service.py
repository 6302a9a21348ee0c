"""Beam's own job service, with workers as processes that it looks after: `python -m …job_service --port=P`.

Beam's waits for ever for a worker that died, doesn't end what a cancelled job does, and knows no workers that
are processes started by a command (the environment PROCESS), as Flink's and Spark's job servers do. Here a
job fails when one of its workers ends, its workers end when it is cancelled, and it has as many of them as
`sdk_worker_parallelism` says.
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

from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_job_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers

from .settings import cores

_SIGNALS = frozenset(int(number) for number in signal.Signals)
GRACE = 5.0
"""Seconds that a worker has to end when it isn't needed any more."""


class ProcessWorkerHandler(worker_handlers.GrpcWorkerHandler):  # type: ignore[misc]
    """A worker that a command starts; when it ends, so does what waits for it."""

    def __init__(self, payload: Any, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._payload = payload
        self._stopped = False
        self._job = _jobs[provision_info.job_name]

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
        self._job.workers.append(self)
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
        with contextlib.suppress(ValueError):
            self._job.workers.remove(self)

    def _look_after(self) -> None:
        code = self._process.wait()
        if not self._stopped:
            number = -code if code < 0 else code - 128  # as shells tell of a signal
            killed = f"was killed by {signal.Signals(number).name}" if number in _SIGNALS else ""
            why = f"the worker {self.worker_id} {killed or f'ended with code {code}'}"
            self._job.tell_error(why)
            give_up(self.control_conn, why)


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
        self.workers: list[ProcessWorkerHandler] = []
        _jobs[job_id] = self

    def tell_error(self, text: str) -> None:
        """Tells an error to who reads the job's messages."""
        told = beam_job_api_pb2.JobMessage(
            importance=beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR, message_text=text
        )
        self._log_queues.put(told)

    def cancel(self) -> None:
        """Ends the job and its workers."""
        super().cancel()
        for worker in list(self.workers):
            worker.kill()

    def set_state(self, new_state: Any) -> None:
        """Sets the state, unless the job has ended: the workers of a cancelled one fail, and it doesn't."""
        if not self.is_terminal_state(self.state):
            super().set_state(new_state)

    def _invoke_runner(self) -> Any:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        options = self.pipeline_options()
        runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
        runner._num_workers = int(options.view_as(PortableOptions).sdk_worker_parallelism) or cores()
        return runner.run_via_runner_api(self._pipeline_proto, options)


_jobs: dict[str, Job] = {}


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
    for job in list(_jobs.values()):
        for worker in list(job.workers):
            worker.kill()
    os._exit(0)


if __name__ == "__main__":
    main()
