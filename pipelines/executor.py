"""Execution of plans: steps in worker processes, side by side where they don't depend on each other.

The main thread decides and records; a thread a running step waits for its worker. A step that fails
stops what is below it and nothing else. A listener is told `{"run": …}` at the start, `{"step": …, "status":
…}` as a step starts and ends, a step's own events (see `Context`) with `step` added, and `{"end": …}`.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import Artifact
from .bound import BoundPipeline, BoundStep
from .context import Context, Listener, RunnerSettings, print_event
from .errors import HeadraceError, PipelineError, StepError, disk_error, error_to_json
from .planning import Decision, Planner, Selection
from .records import StepRecord, begin_record, new_run_id
from .resumable import Resumables, end_resumables
from .reuse import Reuse, code_of, keep_notes
from .runners.jobs import StepJobs
from .runners.opened import OpenRunners
from .runners.settings import is_local, settings_by_step, settings_of
from .store import Store, remove_tree

if TYPE_CHECKING:
    from .processes import Lease, WorkerPool


STOPPING = 5.0
"""Seconds that a step has to end by itself which nobody needs any more, so that its worker can be kept."""


@dataclass(frozen=True)
class Request:
    """How a pipeline is to be run.

    Attributes:
        selection: which steps may run.
        runner: the Beam runner of the steps that don't state their own; without a name,
            the pipeline's.
        jobs: how many steps run side by side.
        resumes: the run that this one goes on from, for the record.
        about: more that the record tells, as JSON values by key, such as `trial`.
    """

    selection: Selection = field(default_factory=Selection)
    runner: RunnerSettings = field(default_factory=lambda: RunnerSettings(""))
    jobs: int = 1
    resumes: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


class Halted(BaseException):
    """A run was ended by its `Halt`."""


class Halt:
    """Ends a run from another thread; before the run began, it ends as soon as it waits for a step.

    Attributes:
        status: what the run's status becomes, once it was ended.
        for_good: whether nobody is going to go on with it.
    """

    def __init__(self) -> None:
        self.status = ""
        self.for_good = False
        self._lock = threading.Lock()
        self._end: Callable[[], None] | None = None

    def now(self, status: str, for_good: bool = False) -> None:
        """Ends the run and its workers; the first status stays.

        Args:
            status: what the run's becomes.
            for_good: remove what its steps kept to go on from.
        """
        with self._lock:
            first, self.status = not self.status, self.status or status
            self.for_good |= first and for_good
            end = self._end
        if first and end is not None:
            end()

    def attach(self, end: Callable[[], None]) -> None:
        """Says how the run is ended; what was asked for before happens at once."""
        with self._lock:
            self._end = end
            late = bool(self.status)
        if late:
            end()


@dataclass(frozen=True)
class RunResult:
    """What became of a run.

    Attributes:
        run: its id.
        status: "done", "failed" or "interrupted", or what a `Halt` said.
        seconds: wall clock.
        steps: records by step, in topological order.
        artifacts: outputs by step and output name, of the steps that have them.
        errors: what failed, by step.
    """

    run: str
    status: str
    seconds: float
    steps: Mapping[str, StepRecord]
    artifacts: Mapping[str, Mapping[str, Artifact]]
    errors: Mapping[str, HeadraceError]

    def to_json(self) -> dict[str, Any]:
        """The summary that `headrace run --json` prints."""
        return {
            "run": self.run,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "steps": {
                name: record.summary({k: str(a.path) for k, a in self.artifacts.get(name, {}).items()})
                for name, record in self.steps.items()
            },
        }


def run_pipeline(
    bound: BoundPipeline,
    store: Store,
    request: Request | None = None,
    listen: Listener = print_event,
    pool: WorkerPool | None = None,
    halt: Halt | None = None,
) -> RunResult:
    """Runs a pipeline and records it.

    Args:
        bound: what to run.
        store: where artifacts and the record go.
        request: which steps, and how.
        listen: takes the events, from several threads.
        pool: workers that several runs share, so that they keep what they have imported; workers of its own,
            ended with the run, if None.
        halt: by which another thread may end the run.

    Raises:
        PipelineError: a selected step needs an artifact that isn't there; nothing was run.
        StoreError: the store can't be used.
        KeyboardInterrupt: after the workers were ended and the record was written.
    """
    request = request or Request()
    planner = Planner(bound, store, request.selection)
    _check_before(planner, request, store)
    run = new_run_id()
    with store.running(run) as staging:
        return _Run(run, planner, store, request, listen, staging, pool, halt or Halt()).execute()


def _check_before(planner: Planner, request: Request, store: Store) -> None:
    """Raises PipelineError for what would keep steps from running, before any of them starts."""
    bound = planner.bound
    settings = settings_by_step(bound, request.runner)
    elsewhere = any(each.name != "direct" for each in settings.values())
    if planner.selected == set(bound.steps) and not elsewhere:
        return
    plan = planner.plan()
    problems = planner.missing(plan)
    if elsewhere:
        from .runners.needs import problems_before

        run = [bound.steps[name] for name, decision in plan.items() if decision.action == "run"]
        problems += problems_before([settings[step.name] for step in run if step.component.beam], store)
    if problems:
        raise PipelineError(problems)


class _Run:
    def __init__(
        self,
        run: str,
        planner: Planner,
        store: Store,
        request: Request,
        listen: Listener,
        staging: Path,
        pool: WorkerPool | None,
        halt: Halt,
    ) -> None:
        self.run = run
        self.planner = planner
        self.bound = planner.bound
        self.store = store
        self.request = request
        self.listen = listen
        self.staging = staging
        self.records: dict[str, StepRecord] = {}
        self.artifacts: dict[str, dict[str, Artifact]] = {}
        self.errors: dict[str, HeadraceError] = {}
        self.unmet: dict[str, str] = {}
        self.finished: queue.SimpleQueue[tuple[str, Decision, Any, float]] = queue.SimpleQueue()
        self.active = 0
        self.threads: list[threading.Thread] = []
        self.shared = pool
        self.own: WorkerPool | None = None
        self.workers: Any = None
        self.halt = halt
        self.runners = OpenRunners(self.bound, staging, store.run_folder(run) / "log.txt")

    def execute(self) -> RunResult:
        started = time.time()
        record = begin_record(self.run, self.bound, self.request, started)
        self.store.write_run(self.run, record)
        self.listen({"run": self.run, "pipeline": self.bound.name, "steps": list(self.bound.steps)})
        status = "interrupted"
        nothing = Decision("", "run", "")
        self.halt.attach(lambda: self.finished.put(("", nothing, Halted(), 0.0)))
        try:
            self._loop()
            status = "failed" if self.errors else "done"
        except Halted:
            status = self.halt.status
        finally:
            self._end_work()
            seconds = time.time() - started
            self._record_unreached(status)
            ended = {"status": status, "seconds": round(seconds, 3), "runners": self.runners.to_json()}
            self.store.write_run(self.run, {**record, **ended})
        ordered = {name: self.records[name] for name in self.bound.steps}
        self.listen({"end": self.run, "status": status, "seconds": seconds})
        return RunResult(self.run, status, seconds, ordered, self.artifacts, self.errors)

    def _end_work(self, patience: float = 10.0) -> None:
        """Ends the workers of an interrupted run, and keeps what was being published just then."""
        self.runners.end()
        if self.workers is not None:
            if self.halt.for_good:
                self.workers.stop(STOPPING)
            self.workers.close()
        if self.own is not None:
            self.own.close()
        until = time.monotonic() + patience  # a step in this process can't be ended
        for thread in self.threads:
            if thread.ident is not None:  # else the interrupt came just before its start
                thread.join(max(0.0, until - time.monotonic()))
        self.runners.close()  # after the threads, which cancel the jobs that their steps left
        while not self.finished.empty():
            name, decision, outcome, seconds = self.finished.get()
            if not isinstance(outcome, BaseException):
                self._finish(name, decision, outcome, seconds)

    def _loop(self) -> None:
        waiting = list(self.bound.steps)
        while waiting or self.active:
            waiting = self._advance(waiting)
            if self.active:
                self._finish(*self.finished.get())

    def _advance(self, waiting: list[str]) -> list[str]:
        """Decides on every step whose inputs are settled; gives the steps that still wait."""
        still = []
        for name in waiting:
            step = self.bound.steps[name]
            up = step.upstream
            if any(u in self.records and self.records[u].status in ("failed", "not reached") for u in up):
                self._note(StepRecord(name, "not reached", "after a step that failed"))
            elif any(u not in self.records for u in up) or self.active >= self.request.jobs:
                still.append(name)
            else:
                self._settle(step)
        return still

    def _settle(self, step: BoundStep) -> None:
        """Takes a step from the cache, starts it, or skips it."""
        inputs = self.planner.inputs(step, self.artifacts)
        reason = "its conditions can't be judged"
        try:
            held = self.planner.held(step, self.artifacts, self.unmet)
            verdicts = () if held else self.planner.verdicts(step, self.artifacts)
            reason = "its inputs can't be read"
            decision = held or self.planner.decide(step, inputs, verdicts)
        except (HeadraceError, OSError) as error:
            self._failed(step.name, error, Decision(step.name, "run", reason), 0.0)
            return
        if decision.action == "run":
            self._start(step, decision, inputs)
        else:
            if decision.unmet:
                self.unmet[step.name] = decision.unmet
            self.artifacts[step.name] = dict(decision.outputs)
            status = "cached" if decision.action == "cached" else "skipped"
            self._note(StepRecord.of(step.name, status, decision, decision.outputs))

    def _start(self, step: BoundStep, decision: Decision, inputs: Mapping[str, Artifact]) -> None:
        self.active += 1
        self.listen({"step": step.name, "status": "running", "reason": decision.reason})
        self._prepare()
        thread = threading.Thread(target=self._attempt, args=(step, decision, inputs), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _prepare(self) -> None:
        """Gets workers, and lets a TensorFlow worker import while the data steps run."""
        if self.workers is not None:
            return
        from .processes import WorkerPool

        if self.shared is None:
            self.own = WorkerPool(self.staging / "tmp")
        pool = self.shared or self.own
        assert pool is not None
        self.workers = pool.lease(self.store.run_folder(self.run) / "log.txt")
        ahead = [
            s for n, s in self.bound.steps.items() if n not in self.records and n in self.planner.selected
        ]
        kinds = [step.component.process_for(step.parameters) for step in ahead if step.component.process]
        if kinds and (os.cpu_count() or 1) > 1:
            self.workers.warm(kinds[0])

    def _attempt(self, step: BoundStep, decision: Decision, inputs: Mapping[str, Artifact]) -> None:
        """Runs in a thread of its own: one attempt of one step."""
        started = time.time()
        messages: list[Any] = []
        try:
            with self.store.computing(decision.fingerprint):
                found = "" if decision.reason == "forced" else self.store.find(decision.fingerprint)
                if not isinstance(found, str):  # another run has just made it
                    reason = f"run {found[1]['run']} made it in the meantime"
                    decision = replace(decision, action="cached", reason=reason, outputs=found[0])
                    outcome: Any = (dict(found[0]), messages)
                else:
                    outputs = self._work(step, decision, inputs, messages)
                    record = StepRecord.of(
                        step.name, "ran", decision, outputs, time.time() - started, messages
                    )
                    self.store.write_step(record.to_json(self.run, self.bound.name, started))
                    outcome = (outputs, messages)
        except BaseException as error:
            outcome = error
        self.finished.put((step.name, decision, outcome, time.time() - started))

    def _work(
        self, step: BoundStep, decision: Decision, inputs: Mapping[str, Artifact], messages: list[Any]
    ) -> dict[str, Artifact]:
        # No brackets: in a pattern that a component makes of a path they would mean something.
        folder = self.staging / step.name.replace("[", "(").replace("]", ")")
        folder.mkdir()

        settings = settings_of(self.bound.runner, step.runner, self.request.runner)
        jobs = StepJobs(lambda: self.runners.open(settings))

        def tell(event: Mapping[str, Any]) -> None:
            jobs.note(event)
            if "progress" not in event:
                messages.append(dict(event))
            self.listen({"step": step.name, **event})

        def fetched(done: int, total: int) -> None:
            tell({"progress": {"fetched": f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"}})

        inputs = {name: self.store.fetch(artifact, fetched) for name, artifact in inputs.items()}
        reuse = reuse_of(decision, self.store, folder)
        # A forced step that was killed goes on where it was, though its resumed run forces it too.
        resumables = resumables_of(decision, self.store, folder, self.run, bool(self.request.resumes))
        ctx = Context(step.name, folder, settings, tell, reuse=reuse, resumables=resumables)
        ctx.opener = lambda wanted: self.runners.open(wanted, ctx.say)
        ctx.exchange = None if is_local(settings) else self.store.exchange(folder)
        try:
            with jobs.cancelled_after(ctx.warn):
                outputs = (
                    self._in_worker(step, inputs, ctx) if importable(step) else in_process(step, inputs, ctx)
                )
            published = {name: self.store.publish(artifact) for name, artifact in outputs.items()}
            keep_notes(self.store.folder, folder)
            end_resumables(self.store.folder, folder)
            return published
        finally:
            if self.halt.for_good:
                end_resumables(self.store.folder, folder)
            remove_tree(folder)  # before the record is written: the disk may be full of it

    def _in_worker(
        self, step: BoundStep, inputs: Mapping[str, Artifact], ctx: Context
    ) -> dict[str, Artifact]:
        process = step.component.process_for({**step.parameters, **inputs})
        return in_worker(self.workers, process, step, inputs, ctx)

    def _finish(self, name: str, decision: Decision, outcome: Any, seconds: float) -> None:
        self.active -= 1
        if isinstance(outcome, BaseException):
            if not isinstance(outcome, Exception):
                raise outcome
            self._failed(name, outcome, decision, seconds)
            return
        outputs, messages = outcome
        self.artifacts[name] = outputs
        status = "cached" if decision.action == "cached" else "ran"
        self._note(StepRecord.of(name, status, decision, outputs, seconds, messages), written=status == "ran")
        if status == "ran":
            for path in (path for artifact in outputs.values() for path in artifact.pictures):
                self.listen({"step": name, "say": f"look at {path}"})

    def _failed(self, name: str, error: Exception, decision: Decision, seconds: float) -> None:
        if isinstance(error, OSError):
            error = disk_error(error, str(self.store.folder)) or error
        if not isinstance(error, HeadraceError):
            wrapped = StepError(f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            error = wrapped
        told = error.at(step=name)
        self.errors[name] = told
        self._note(
            replace(StepRecord.of(name, "failed", decision, {}, seconds), error=error_to_json(told)),
            error=str(told),
        )

    def _note(self, record: StepRecord, written: bool = False, error: str = "") -> None:
        """Keeps, writes and announces what became of a step."""
        self.records[record.step] = record
        if not written:
            self.store.write_step(record.to_json(self.run, self.bound.name, time.time() - record.seconds))
        event = {
            "step": record.step,
            "status": record.status,
            "reason": record.reason,
            "seconds": record.seconds,
        }
        shown = {name: output["summary"] for name, output in record.outputs.items()}
        self.listen({**event, "outputs": shown, **({"error": error} if error else {})})

    def _record_unreached(self, status: str) -> None:
        for name in self.bound.steps:
            if name not in self.records:
                self.records[name] = StepRecord(name, "not reached", status)
                self.store.write_step(self.records[name].to_json(self.run, self.bound.name, time.time()))


def reuse_of(decision: Decision, store: Store, staging: Path) -> Reuse | None:
    """What an attempt of a step may use again; nothing where the step was forced."""
    if decision.parts is None:
        return None
    return Reuse(store.folder, code_of(decision.parts), staging, fresh=decision.reason == "forced")


def resumables_of(
    decision: Decision, store: Store, staging: Path, run: str, resumed: bool = False
) -> Resumables | None:
    """What killed attempts of a step left for it to go on from; nothing where the step was forced."""
    if decision.parts is None:
        return None
    fresh = decision.reason == "forced" and not resumed
    return Resumables.of(decision.parts, store.folder, staging, run, fresh)


def importable(step: BoundStep) -> bool:
    """Whether another process finds the component; one that was made at a prompt runs in this process."""
    place, _, name = step.uses.rpartition(":")
    return bool(step.uses) and place != "__main__" and "<locals>" not in name


def in_worker(
    workers: Lease, kind: str, step: BoundStep, inputs: Mapping[str, Artifact], ctx: Context
) -> dict[str, Artifact]:
    """Runs a step in a worker of a kind."""
    import msgspec

    from .artifact import load_artifact
    from .processes import job_of
    from .resolve import name_of

    given = {k: v for k, v in step.parameters.items() if k not in inputs}
    job = job_of(step.uses or name_of(step.component), ctx, msgspec.to_builtins(given, str_keys=True), inputs)
    done = workers.do(kind, job, ctx.listener, lambda asked: _answer(ctx, asked))
    return {name: load_artifact(Path(path)) for name, path in done.items()}


def _answer(ctx: Context, asked: Mapping[str, Any]) -> Any:
    """What a worker asks its run for in the middle of a job: the runner, made ready."""
    assert "open_runner" in asked
    return ctx.open_runner().to_json()


def in_process(step: BoundStep, inputs: Mapping[str, Artifact], ctx: Context) -> dict[str, Artifact]:
    """Runs a step in this process: one that was defined at a prompt, or called outside a pipeline."""
    from .worker import call

    return call(step.component, ctx, {**step.parameters, **inputs})
