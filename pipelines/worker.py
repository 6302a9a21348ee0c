"""The process that runs steps: `python -m headrace.pipelines.worker`.

It reads jobs as JSON lines from standard input and writes events as JSON lines to its original standard
output; whatever the step itself prints goes to standard error, which is the run's log. It ends, with
every process that Beam started below it, as soon as its parent is gone.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import signal
import sys
import threading
import traceback
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .artifact import Artifact, load_artifact
from .component import Component
from .context import Context, RunnerSettings
from .errors import HeadraceError, StepError, disk_error, error_from_json, error_to_json
from .resumable import Resumables
from .reuse import Reuse
from .runners.job_clients import LOG
from .runners.jobs import cancel_running
from .staged_code import as_written
from .tracebacks import own_place, own_trace
from .worker_kinds import WorkerKind, configure


def call(component: Component[..., Any], ctx: Context, arguments: Mapping[str, Any]) -> dict[str, Artifact]:
    """Calls a component's function and gives its outputs by name.

    Raises:
        StepError: it gave something else than its signature says, or ended the process.
    """
    try:
        returned = component.function(ctx, **arguments)
    except SystemExit as error:
        raise StepError(f"{component.name} called sys.exit({error.code!r})", step=ctx.step) from error
    finally:
        if ctx.resumables is not None:
            ctx.resumables.release()
    if component.output_tuple is not None and not isinstance(returned, component.output_tuple):
        given = type(returned).__name__
        raise StepError(
            f"{component.name} gave {given}, not {component.output_tuple.__name__}", step=ctx.step
        )
    own = {value.path for value in arguments.values() if isinstance(value, Artifact)}
    outputs = {"output": returned} if component.output_tuple is None else dict(returned._asdict())
    for name, kind in component.outputs.items():
        if not isinstance(outputs.get(name), kind):
            given = type(outputs.get(name)).__name__
            raise StepError(
                f"{component.name} promised {kind.__name__} as {name} and gave {given}",
                step=ctx.step,
                remedy="return what `ctx.output(Type).finish()` gives",
            )
        path = outputs[name].path
        if path not in own and not path.is_relative_to(ctx.staging):  # publishing would move it away
            raise StepError(
                f"{component.name} gave as {name} an artifact that it neither made nor got",
                step=ctx.step,
                file=str(path),
                remedy="copy its files to `ctx.output(Type)`",
            )
    return outputs


def do(job: Mapping[str, Any], tell: Any, ask: Any) -> dict[str, str]:
    """Does one job; gives the folder of each output."""
    from .resolve import find_component
    from .values import convert

    sys.path[:] = list(dict.fromkeys([*sys.path, *job["path"]]))
    component = find_component(job["uses"])
    arguments: dict[str, Any] = {
        name: convert(value, component.arguments[name].annotation) if value is not None else None
        for name, value in job["parameters"].items()
    }
    arguments.update({name: load_artifact(Path(path)) for name, path in job["inputs"].items()})
    settings = RunnerSettings.from_json(job["runner"])
    staging, reuse = Path(job["staging"]), None
    if job["reuse"]:
        reuse = Reuse(Path(job["reuse"]["store"]), job["reuse"]["code"], staging, job["reuse"]["fresh"])
    resumables = Resumables.from_json(job["resumables"], staging) if job["resumables"] else None
    ctx = Context(job["step"], staging, settings, tell, reuse=reuse, resumables=resumables)
    if job["exchange"]:
        from .stores.exchange import StoreExchange

        ctx.exchange = StoreExchange.from_json(job["exchange"], staging)
    ctx.opener = lambda wanted: RunnerSettings.from_json(ask({"open_runner": wanted.to_json()}))
    return {name: str(artifact.path) for name, artifact in call(component, ctx, arguments).items()}


def failure(error: BaseException) -> dict[str, Any]:
    """An error as an event, with the traceback of one that nobody foresaw; files as the run names them."""
    told: dict[str, Any] = as_written(_failure(error))
    return told


def _failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OSError):
        error = disk_error(error, "") or error
    if isinstance(error, HeadraceError):
        notes = "".join(getattr(error, "__notes__", []))
        return {"failed": error_to_json(error), **({"traceback": notes} if notes else {})}
    if isinstance(error, MemoryError):
        wrapped = StepError(
            "out of memory", remedy="use smaller blocks or batches, or a machine with more memory"
        )
    else:
        # Frames of Cython name a file that isn't there.
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_absolute()]
        last = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
        file, line = own_place(error.__traceback__) if own_place(error.__traceback__)[0] else last
        wrapped = StepError(f"{type(error).__name__}: {_cut(str(error))}", file=file, line=line)
    shown = traceback.format_exception(type(error), error, _own_frames(error.__traceback__))
    return {"failed": error_to_json(wrapped), "traceback": "".join(shown)}


def _own_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the first frame of the user's own code on.

    Where there is none (an error of a built-in component), it begins below this module.
    """
    below = trace
    while below is not None and below.tb_frame.f_code.co_filename == __file__:
        below = below.tb_next
    return own_trace(below) or below or trace


def _cut(text: str, most: int = 10_000) -> str:
    """A message of a length that a run record can hold, without a terminal's colours; all is in the log."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


class Stopped(BaseException):
    """The run has no more use for the job that is being done."""


class Stops:
    """Which job was asked to stop; it does so where it tells of its progress, and the process lives on."""

    def __init__(self) -> None:
        self.asked = 0

    def listener(self, number: int, tell: Any) -> Any:
        """The listener of a job, which raises `Stopped` from then on."""

        def listen(event: Mapping[str, Any]) -> None:
            tell(event)
            if "progress" in event and self.asked == number:
                raise Stopped

        return listen


class Questions:
    """What a job asks the process for that runs it; one question at a time."""

    def __init__(self, tell: Any) -> None:
        self.answers: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._tell = tell

    def ask(self, question: Mapping[str, Any]) -> Any:
        """The answer, when it is there; raises the HeadraceError that it may be."""
        self._tell({"ask": question})
        answer = self.answers.get()
        if "failed" in answer:
            error = error_from_json(answer["failed"])
            if "traceback" in answer:
                error.add_note(answer["traceback"])
            raise error
        return answer["value"]


def _read_jobs(stream: BinaryIO, jobs: queue.Queue[Any], stops: Stops, questions: Questions) -> None:
    for line in stream:
        message = json.loads(line)
        if "stop" in message:
            stops.asked = message["stop"]
        elif "answer" in message:
            questions.answers.put(message["answer"])
        else:
            jobs.put(message)
    # The parent closed the pipe or died, and nobody else knows of the jobs that are with a remote runner.
    cancel_running()
    # SIGKILL of the group also reaches the workers that Beam started.
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Reads jobs and does them, one after another, until standard input ends."""
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # A step that reads standard input, itself or in a process of its own, finds it empty, and takes no jobs.
    stream = os.fdopen(os.dup(0), "rb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)
    lock = threading.Lock()

    def tell(event: Mapping[str, Any]) -> None:
        with lock:
            events.write(json.dumps(event, default=_json_value) + "\n")
            events.flush()

    jobs: queue.Queue[Any] = queue.Queue()
    stops, questions = Stops(), Questions(tell)
    threading.Thread(target=_read_jobs, args=(stream, jobs, stops, questions), daemon=True).start()
    configure()
    LOG.addHandler(logging.StreamHandler())  # standard error is the run's log
    while True:
        job = jobs.get()
        if "warm" in job:
            _warm(job["warm"])
            continue
        try:
            _log_to(job.get("log", ""))
            tell({"done": do(job, stops.listener(job.get("number", 0), tell), questions.ask)})
        except Stopped:
            tell({"stopped": True})
        except Exception as error:
            told = failure(error)
            sys.stderr.write(told.get("traceback", ""))
            sys.stderr.flush()
            tell(told)


def _log_to(path: str) -> None:
    """Sends standard output and error to the log of the job's run: a worker may do jobs of several."""
    if path:
        with open(path, "ab") as stream:  # noqa: PTH123 - a descriptor is what is needed
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)


def _json_value(value: Any) -> Any:
    """NumPy's scalars as Python's, so that `ctx.progress(loss=loss)` takes what a model gives."""
    return value.item() if hasattr(value, "item") else str(value)


def _warm(kind: str) -> None:
    """Imports what the next job will need, while the data steps before it still run."""
    import contextlib
    import gc
    import importlib

    # Nothing that an import makes is garbage, and looking through all of it takes a fifth of TensorFlow's.
    gc.disable()
    with contextlib.suppress(ImportError):
        importlib.import_module("keras" if WorkerKind.of(kind).backend else "apache_beam")
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    main()
