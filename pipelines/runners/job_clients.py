"""Whom to ask about the jobs of a remote runner: a job service of Beam's protocol, or Dataflow."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..context import RunnerSettings
from ..errors import StepError

LOG = logging.getLogger(__name__)
"""What runners tell of their jobs, pages of Java among it: for the run's log, and for no terminal."""
LOG.propagate = False
LOG.addHandler(logging.NullHandler())
ENDED = ("DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED")
GONE = 10.0
"""Seconds for which a job service may not answer."""
CANCELLING = 20.0
"""Seconds that a runner has to end a job that was cancelled."""


class ServiceGoneError(StepError):
    """A job service doesn't answer any more, or doesn't know the job."""


class Jobs(Protocol):
    """What can be asked of a runner about its jobs."""

    interval: float

    def state(self, job: str) -> str:
        """The state of a job, in the words of Beam's `JobState`; ServiceGoneError if it can't be had."""
        ...

    def cancel(self, job: str) -> None:
        """Asks for the end of a job."""
        ...

    def errors(self, job: str) -> Callable[[float], str]:
        """Begins to log what the runner tells of a job; gives a function that ends it.

        The function takes the seconds that it may wait for the last message, and gives the errors.
        """
        ...


class JobService:
    """A Beam job service at an address: Flink's and Spark's job servers, Beam's own, and any other."""

    interval = 0.2

    def __init__(self, endpoint: str) -> None:
        import grpc
        from apache_beam.portability.api import beam_job_api_pb2 as messages
        from apache_beam.portability.api import beam_job_api_pb2_grpc as services

        self._endpoint = endpoint
        self._messages = messages
        self._grpc = grpc
        # A service that comes back is found within a second, not after the two minutes of gRPC's back-off.
        self._channel = grpc.insecure_channel(endpoint, options=[("grpc.max_reconnect_backoff_ms", 1000)])
        self._service = services.JobServiceStub(self._channel)

    def state(self, job: str) -> str:
        """See `Jobs`; waits for `GONE` seconds."""
        until = time.monotonic() + GONE
        while True:
            try:
                told = self._service.GetState(self._messages.GetJobStateRequest(job_id=job), timeout=GONE)
                return str(self._messages.JobState.Enum.Name(told.state))
            except self._grpc.RpcError as error:
                passing = error.code() == self._grpc.StatusCode.UNAVAILABLE
                if not passing or time.monotonic() > until:
                    raise self._gone(job, error) from error
                time.sleep(self.interval)

    def cancel(self, job: str) -> None:
        """See `Jobs`."""
        try:
            self._service.Cancel(self._messages.CancelJobRequest(job_id=job), timeout=CANCELLING)
        except self._grpc.RpcError as error:
            raise self._gone(job, error) from error

    def errors(self, job: str) -> Callable[[float], str]:
        """See `Jobs`."""
        found: list[str] = []
        stream = self._service.GetMessageStream(self._messages.JobMessagesRequest(job_id=job))
        level = self._messages.JobMessage

        def read() -> None:
            with contextlib.suppress(self._grpc.RpcError):
                for told in stream:
                    message = told.message_response
                    if message.message_text and message.importance >= level.JOB_MESSAGE_WARNING:
                        LOG.warning("%s: %s", job, message.message_text)
                    if message.importance == level.JOB_MESSAGE_ERROR:
                        found.append(message.message_text)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()

        def end(seconds: float) -> str:
            reader.join(seconds)
            stream.cancel()
            reader.join()
            return "\n".join(found)

        return end

    def _gone(self, job: str, error: Any) -> ServiceGoneError:
        return ServiceGoneError(
            f"the job service at {self._endpoint} can't be asked about the job {job}: "
            f"{error.code().name}: {error.details()}",
            remedy="see `headrace runs logs` for how it ended; `headrace resume` does what is left",
        )


class DataflowJobs:
    """Google Cloud Dataflow, asked through Beam's own client; its console shows what a job tells."""

    interval = 5.0

    def __init__(self, settings: RunnerSettings) -> None:
        from apache_beam.runners.dataflow.internal import apiclient

        from .beam import pipeline_options

        self._client = apiclient.DataflowApplicationClient(pipeline_options(settings))

    def state(self, job: str) -> str:
        """See `Jobs`; Dataflow's states are Beam's with a prefix."""
        return str(self._client.get_job(job).current_state.name).removeprefix("JOB_STATE_")

    def cancel(self, job: str) -> None:
        """See `Jobs`."""
        self._client.modify_job_state(job, "JOB_STATE_CANCELLED")

    def errors(self, job: str) -> Callable[[float], str]:
        """See `Jobs`; they are asked for when the job has ended."""

        def end(seconds: float) -> str:
            if not seconds:
                return ""
            messages, _ = self._client.list_messages(job, minimum_importance="JOB_MESSAGE_ERROR")
            text = "\n".join(message.message_text for message in messages)
            LOG.warning("%s: %s", job, text)
            return text

        return end


def jobs_of(settings: RunnerSettings) -> Jobs:
    """Whom to ask about the jobs of a remote runner."""
    if settings.name == "dataflow":
        return DataflowJobs(settings)
    from apache_beam.options.pipeline_options import PortableOptions

    from .beam import pipeline_options

    return JobService(str(pipeline_options(settings).view_as(PortableOptions).job_endpoint))


@contextlib.contextmanager
def logged(handler: logging.Handler) -> Iterator[None]:
    """Hands what runners tell of their jobs to a handler while the block works."""
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()
