"""Jobs that a step gives to a remote runner: submitted, watched, and cancelled when nobody waits for them.

Two processes know of a job. The step's worker submits it, looks how it is, and cancels it when the step ends
for another reason. The run's own process is told of it by events, and cancels it when the worker is gone. A
worker whose run was killed cancels what it has running before it ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..context import Listener, RunnerSettings
from ..errors import StepError
from .job_clients import CANCELLING, ENDED, Jobs, ServiceGoneError, jobs_of
from .settings import is_local

if TYPE_CHECKING:
    import apache_beam as beam

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
    jobs = jobs_of(settings)  # before there is a job that nobody could be asked about
    result = _submitted(pipeline, settings)
    if settings.name == "dataflow" and not result.has_job:
        raise StepError(
            "the job was only translated, since dry_run was asked for", argument="--runner-option"
        )
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
        if is_local(settings):
            state = "CANCELLED"  # the service was the cluster, or ended it
        raise
    except BaseException:
        with contextlib.suppress(Exception):  # what is raised says more
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
    """Names a job as the runner's own pages shall call it; the user's `job_name` is what it begins with.

    A step has several passes, and no two jobs may have one name: Dataflow refuses the second. A letter, then
    lower-case letters, digits and dashes, as Dataflow wants it.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    options = pipeline.options.view_as(GoogleCloudOptions)
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    options.job_name = f"{options.job_name or 'headrace'}-{safe}-{os.urandom(3).hex()}"


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
