"""Jobs that a step gives to a remote runner: submitted, watched, and cancelled when nobody waits for them.

Two processes know of a job. The step's worker submits it, looks how it is, and cancels it when the step ends
for another reason. The run's own process is told of it by events, and cancels it when the worker is gone. A
worker whose run was killed cancels what it has running before it ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..context import Listener, RunnerSettings
from ..errors import StepError

if TYPE_CHECKING:
    import apache_beam as beam

LOG = logging.getLogger(__name__)
"""What runners tell of their jobs, pages of Java among it: for the run's log, and for no terminal."""
LOG.propagate = False
LOG.addHandler(logging.NullHandler())
ENDED = ("DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED")
GONE = 10.0
"""Seconds for which a job service may not answer."""
CANCELLING = 20.0
"""Seconds that a runner has to end a job that was cancelled."""
NAMESPACE = "headrace"
"""The namespace of this package's counters in Beam's metrics."""


class JobError(StepError):
    """A job ended without success.

    Attributes:
        state: what it ended as.
        text: what the runner told of it, Java and Python alike.
    """

    def __init__(self, what: str, state: str, text: str) -> None:
        remedy = "" if state == "FAILED" else "look who cancelled it; `headrace resume` does what is left"
        super().__init__(what, remedy=remedy)
        self.state = state
        self.text = text


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


@dataclass(frozen=True)
class _Running:
    jobs: Jobs
    job: str

    def cancel(self, seconds: float = CANCELLING) -> None:
        """Cancels the job and waits for its end."""
        until = time.monotonic() + seconds
        self.jobs.cancel(self.job)
        while self.jobs.state(self.job) not in ENDED and time.monotonic() < until:
            time.sleep(self.jobs.interval)


_running: list[_Running] = []
"""The jobs that this process waits for."""


def cancel_running(seconds: float = 5.0) -> None:
    """Cancels all jobs that this process waits for; called when its run was killed."""
    for each in list(_running):
        with contextlib.suppress(Exception):
            each.cancel(seconds)


class StepJobs:
    """The jobs of a step, as the run's own process is told of them."""

    def __init__(self, settings: Callable[[], RunnerSettings]) -> None:
        """Begins with none; `settings` gives those of the opened runner, and is asked if a job is left."""
        self._settings = settings
        self._running: set[str] = set()

    def listener(self, listen: Listener) -> Listener:
        """A listener that notes the step's jobs, and passes all events on."""

        def take(event: Mapping[str, Any]) -> None:
            self.note(event)
            listen(event)

        return take

    def note(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the step."""
        if "job" in event:
            told = event["job"]
            (self._running.discard if told["state"] in ENDED else self._running.add)(told["id"])

    @contextlib.contextmanager
    def cancelled_after(self, warn: Callable[[str], None]) -> Iterator[None]:
        """Cancels what still runs of the step's jobs when the block ends, however it does."""
        try:
            yield
        finally:
            for job in self._cancel():
                warn(f"the job {job} couldn't be cancelled, and may still run; cancel it where it runs")

    def _cancel(self) -> list[str]:
        """Cancels the jobs that run; gives those of which it isn't known that they ended."""
        left = []
        for job in sorted(self._running):
            try:
                _Running(jobs_of(self._settings()), job).cancel()
            except Exception:
                left.append(job)
        self._running.clear()
        return left


def run_job(
    pipeline: beam.Pipeline,
    settings: RunnerSettings,
    tell: Callable[..., None],
    look: Callable[[str], None],
) -> dict[str, int]:
    """Submits a pipeline to a remote runner and waits for its end.

    Args:
        pipeline: as it was made by `beam_pipeline(settings)`.
        settings: of a remote runner.
        tell: takes the job's `id` and `state`, at first and at its end.
        look: called with the job's state again and again; what it raises cancels the job.

    Returns:
        This package's counters by name. They count what was done twice twice.

    Raises:
        JobError: the job failed, or was cancelled by somebody else.
        StepError: it couldn't be submitted, or the runner doesn't answer any more.
    """
    result = _submitted(pipeline, settings)
    jobs = jobs_of(settings)
    job = str(result.job_id() if settings.name == "dataflow" else result._job_id)
    state = "STARTING"
    running = _Running(jobs, job)
    _running.append(running)
    tell(id=job, state=state)
    errors = jobs.errors(job)
    try:
        while state not in ENDED:
            look(state)
            time.sleep(jobs.interval)
            state = jobs.state(job)
        if state != "DONE":
            raise _failed(settings, job, state, errors(5.0))
        return counters_of(result)
    except JobError:
        raise
    except ServiceGoneError:
        state = "CANCELLED"  # as far as this run is concerned: nobody is left who could be asked
        raise
    except BaseException:
        with contextlib.suppress(StepError):
            running.cancel()
            state = "CANCELLED"
        raise
    finally:
        _running.remove(running)
        tell(id=job, state=state)
        errors(0.0)
        with contextlib.suppress(Exception):
            result._cleanup()  # ends workers of the environment LOOPBACK, which live in this process


def name_job(pipeline: beam.Pipeline, name: str) -> None:
    """Names a job as the runner's own pages shall call it, unless the user's options do.

    A letter, then lower-case letters, digits and dashes, as Dataflow wants it.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    options = pipeline.options.view_as(GoogleCloudOptions)
    if not options.job_name:
        safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        options.job_name = f"headrace-{safe}-{os.urandom(3).hex()}"


def _submitted(pipeline: beam.Pipeline, settings: RunnerSettings) -> Any:
    import grpc

    try:
        return pipeline.run()
    except (grpc.RpcError, grpc.FutureTimeoutError) as error:
        told = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else "no answer"
        raise StepError(
            f"the job couldn't be given to the runner {settings.name!r}: {told}",
            remedy="look whether the address is right and the service runs, and see `headrace runs logs`",
        ) from error


def _failed(settings: RunnerSettings, job: str, state: str, text: str) -> JobError:
    how = "failed" if state == "FAILED" else f"was ended from elsewhere: {state.lower()}"
    return JobError(f"the job {job} on {settings.name} {how}", state, text)


def counters_of(result: Any) -> dict[str, int]:
    """This package's counters of a job that has ended, by name; empty where the runner has none."""
    from apache_beam.metrics.metric import MetricsFilter

    found: dict[str, int] = {}
    with contextlib.suppress(Exception):
        told = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
        for counter in told["counters"]:
            found[counter.key.metric.name] = found.get(counter.key.metric.name, 0) + int(counter.result)
    return found
