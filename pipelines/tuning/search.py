"""A search: trials of one pipeline side by side, each a run in the same store with other values.

What no trial changes is run once, first. A trial runs up to the step of the objective, in worker processes
that all trials share, so that TensorFlow is imported once a process. The main thread decides and writes the
journal; a thread a trial waits for its run.

A listener is told `{"search": key, …}` at the start, `{"trial": number, "status": …}` as a trial begins and
ends, a trial's own events with `trial` added, and the events of the first run as they are.
"""

from __future__ import annotations

import hashlib
import math
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..artifact import Artifact
from ..bound import BoundPipeline
from ..context import Listener, RunnerSettings
from ..errors import HeadraceError, InvalidRequestError, StepError, StoreError
from ..executor import Halt, Request, RunResult, run_pipeline
from ..fingerprint import canonical, fingerprint
from ..locks import Lock
from ..planning import Planner
from ..processes import WorkerPool
from ..records import StepRecord
from ..step_parts import parts_of
from ..store import Store
from .journal import Journal
from .metric import find, live, numbers
from .settings import TuneSettings
from .study import Study
from .trials import Trial, best_of
from .values import only, shared_steps, split_name, upstream, with_values

PATIENCE = 20.0
"""Seconds that the runs of an interrupted search have to write their records."""
SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
"""Keeps one of several TensorFlow processes from taking all of a GPU's memory."""

Outputs = Mapping[str, Mapping[str, Artifact]]


@dataclass(frozen=True)
class Target:
    """What a search looks at: the objective's step and its metric's name there."""

    step: str
    metric: str


def search_key(bound: BoundPipeline, settings: TuneSettings) -> str:
    """What names a search in its store: equal for the same command, with more trials or processes too."""
    told = {key: value for key, value in settings.to_json().items() if key not in ("trials", "parallel")}
    document = bound.to_json()["steps"]
    fixed = {
        name: [step["uses"], _sorted(step["parameters"]), _sorted(step["inputs"]), *step.get("when", ())]
        for name, step in document.items()
    }
    return hashlib.sha256(canonical([bound.name, fixed, told])).hexdigest()[:16]


def _sorted(told: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(told.items()))


def search_folder(store: Store, key: str) -> Path:
    """Where the journal of a search lies."""
    return store.folder / "searches" / key


class Search:
    """One search at work; `run` gives its trials."""

    def __init__(
        self,
        bound: BoundPipeline,
        settings: TuneSettings,
        store: Store,
        pool: WorkerPool,
        listen: Listener,
        runner: RunnerSettings,
        retry: bool,
    ) -> None:
        self.bound = bound
        self.settings = settings
        self.store = store
        self.pool = pool
        self.listen = listen
        self.runner = runner
        self.retry = retry
        self.key = search_key(bound, settings)
        step, path = split_name(settings.metric, bound.steps)
        self.target = Target(step, ".".join(path))
        self.needed = upstream(bound, step)
        self.shared = shared_steps(bound, settings)
        self.study = Study(settings)
        self.trials: dict[int, Trial] = {}
        self.active: dict[int, tuple[threading.Thread, Halt]] = {}
        self.events: queue.SimpleQueue[tuple[str, int, Any]] = queue.SimpleQueue()

    def run(self) -> list[Trial]:
        """Runs the trials that aren't known yet, and gives all of them by number.

        Raises:
            InvalidRequestError: this search is at work already, or there is no such metric.
            HeadraceError: what all trials share failed, the store failed, or every trial did.
            KeyboardInterrupt: after the workers were ended; the same search goes on where this one ended.
        """
        folder = search_folder(self.store, self.key)
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder / "lock")
        if not lock.acquire(wait=False):
            raise InvalidRequestError(
                "this search is at work already", file=str(folder), remedy="wait for it to end, or end it"
            )
        try:
            outputs = self._run_shared()
            self._check_metric()
            self._recall(Journal(folder / "journal.jsonl"), outputs)
            self._loop()
        finally:
            self._end_all()
            lock.release()
        trials = [self.trials[number] for number in sorted(self.trials)]
        if best_of(trials, self.settings.direction) is None:
            raise self._nothing_done(trials)
        return trials

    def _nothing_done(self, trials: list[Trial]) -> StepError:
        reasons = list(dict.fromkeys(trial.error for trial in trials if trial.error))
        return StepError(
            f"none of {len(trials)} trials was done: {'; '.join(reasons[:3])}",
            step=self.target.step,
            remedy="see `headrace runs list --trials`; mend it and search with --retry-failed",
        )

    # What is known beforehand

    def _run_shared(self) -> Outputs:
        """Runs what no trial changes; gives its outputs by step."""
        pipeline = only(self.bound, self.shared)
        plan = Planner(pipeline, self.store).plan()
        if all(decision.action == "cached" for decision in plan.values()):
            return {name: decision.outputs for name, decision in plan.items()}
        request = Request(runner=self.runner, jobs=self.settings.parallel, about=self._about(None, {}))
        result = run_pipeline(pipeline, self.store, request, self.listen, self.pool)
        for error in result.errors.values():
            raise error
        for name, record in result.steps.items():
            if record.status == "skipped":
                remedy = "a search needs every step that its metric depends on"
                raise StepError(f"the step is skipped {record.reason}", step=name, remedy=remedy)
        return result.artifacts

    def _about(self, number: int | None, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the record of a trial's run says of it."""
        return {"trial": {"search": self.key, "number": number, "values": dict(values)}}

    def _check_metric(self) -> None:
        """Raises InvalidRequestError for a metric that the pipeline, as it was run before, doesn't give."""
        plan = Planner(only(self.bound, self.needed), self.store).plan()
        decision = plan[self.target.step]
        if decision.action == "cached":
            self._metric_of(StepRecord.of(self.target.step, "cached", decision, decision.outputs).outputs)

    def _metric_of(self, outputs: Mapping[str, Any]) -> float:
        """The objective's value; raises InvalidRequestError if it isn't there."""
        value = find(self.target.metric, outputs)
        if value is None:
            raise InvalidRequestError(
                f"{self.target.step} gives no metric {self.target.metric!r}",
                step=self.target.step,
                argument="metric",
                given=self.target.metric,
                available=tuple(numbers(outputs)),
            )
        return value

    def _mark(self, pipeline: BoundPipeline, outputs: Outputs) -> str:
        """Digest of all that decides a trial: code, parameters and data of the steps that are its own."""
        found = []
        for name in self.needed:
            if name not in self.shared:
                step = pipeline.steps[name]
                known = {
                    argument: outputs[source.step][source.output]
                    for argument, source in step.inputs.items()
                    if source.step in outputs
                }
                found.append(fingerprint(parts_of(step, known, self.store)))
                found += [outputs[s.step][s.output].digest for s in step.looked_at if s.step in outputs]
        return hashlib.sha256(canonical(found)).hexdigest()

    def _pipeline(self, number: int) -> BoundPipeline:
        return only(with_values(self.bound, self.study.values(number)), self.needed)

    def _recall(self, journal: Journal, outputs: Outputs) -> None:
        """Takes over what earlier calls of the same search have done, if it would be done the same now."""
        self.journal, self.marks = journal, {}
        for number in range(self.settings.trials):
            self.marks[number] = self._mark(self._pipeline(number), outputs)
        begun, ended = journal.marks(), journal.ended()

        def good(number: int) -> bool:
            if number not in self.marks or begun.get(number) != self.marks[number]:
                return number not in self.marks  # one beyond the number of trials asked for now stays
            failed = number in ended and ended[number].state == "failed"
            return not (failed and self.retry)

        journal.keep(good)
        behind = {
            event["report"]: event["epoch"]
            for event in journal.events
            if "report" in event
            and self.study.report(event["report"], event["epoch"], event["value"], event["of"])
        }
        for number, trial in journal.ended().items():
            known = trial if trial.state != "done" else self._stored(number, trial)
            if known is not None and number in self.marks:
                self._end(known)
        for number in behind.keys() & self.marks.keys() - self.trials.keys():  # killed before it was written
            values, mark = self.study.values(number), self.marks[number]
            self._end(Trial(number, values, "pruned", mark=mark, epochs=behind[number]))

    def _end(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        self.study.end(trial.number, trial.state, trial.metric)

    def _stored(self, number: int, trial: Trial) -> Trial | None:
        """A trial that was done, as the store has it; None if it was removed from there since."""
        plan = Planner(self._pipeline(number), self.store).plan()
        decision = plan[self.target.step]
        if decision.action != "cached":
            return None
        outputs = StepRecord.of(self.target.step, "cached", decision, decision.outputs).outputs
        return trial if self._metric_of(outputs) == trial.metric else None

    # The trials

    def _loop(self) -> None:
        waiting = [number for number in range(self.settings.trials) if number not in self.trials]
        told = {"trials": self.settings.trials, "known": len(self.trials), "parallel": self.settings.parallel}
        best = best_of(self.trials.values(), self.settings.direction)
        self.listen({"search": self.key, **told, "best": best.to_json() if best else None})
        while waiting or self.active:
            while waiting and len(self.active) < self.settings.parallel:
                self._start(waiting.pop(0))
            kind, number, what = self.events.get()
            if kind == "event":
                self._take(number, what)
            else:
                self._settle(number, what)

    def _start(self, number: int) -> None:
        values = self.study.values(number)
        self.journal.write({"begun": number, "values": values, "mark": self.marks[number]})
        halt = Halt()
        thread = threading.Thread(target=self._attempt, args=(number, halt), daemon=True)
        self.active[number] = thread, halt
        self.listen({"trial": number, "status": "running", "values": values})
        thread.start()

    def _attempt(self, number: int, halt: Halt) -> None:
        """Runs in a thread of its own: one trial."""
        try:
            request = Request(runner=self.runner, about=self._about(number, self.study.values(number)))
            outcome: Any = run_pipeline(
                self._pipeline(number),
                self.store,
                request,
                lambda event: self.events.put(("event", number, dict(event))),
                self.pool,
                halt,
            )
        except BaseException as error:
            outcome = error
        self.events.put(("end", number, outcome))

    def _take(self, number: int, event: Mapping[str, Any]) -> None:
        """Shows what a trial tells, and ends it if it is behind the others."""
        self.listen({"trial": number, **event})
        progress = event.get("progress", {})
        _, halt = self.active[number]
        if self.settings.method != "hyperband" or "epoch" not in progress or halt.status:
            return
        value = live(self.target.metric, self.settings.direction, progress)
        if value is None:
            return
        # Within an epoch, what a training tells of the validation split is of the epoch before.
        epoch, of = int(progress.get("validated", progress["epoch"])), int(progress.get("epochs", 0))
        if epoch > self.study.watched(number):
            self.journal.write({"report": number, "epoch": epoch, "value": value, "of": of})
            if self.study.report(number, epoch, value, of):
                halt.now("pruned", for_good=True)

    def _settle(self, number: int, outcome: RunResult | BaseException) -> None:
        """Notes what became of a trial; raises what ends the whole search."""
        _, halt = self.active.pop(number)
        values = self.study.values(number)
        facts: dict[str, Any] = {"epochs": self.study.watched(number), "mark": self.marks[number]}
        if isinstance(outcome, BaseException):
            if not isinstance(outcome, HeadraceError) or isinstance(outcome, StoreError):
                raise outcome
            trial = Trial(number, values, "failed", error=_line(outcome), **facts)
        else:
            facts |= {"seconds": round(outcome.seconds, 3), "run": outcome.run}
            trial = self._judged(Trial(number, values, **facts), outcome, halt)
        self._end(trial)
        self.journal.write({"ended": number, "trial": trial.to_json()}, sure=True)
        best = best_of(self.trials.values(), self.settings.direction)
        told = {"values": values, "metric": trial.metric, "seconds": trial.seconds, "error": trial.error}
        told |= {"epochs": trial.epochs, "best": best.to_json() if best else None}
        self.listen({"trial": number, "status": trial.state, **told})

    def _judged(self, trial: Trial, result: RunResult, halt: Halt) -> Trial:
        if halt.status == "pruned":  # also where the run was faster than its end
            return replace(trial, state="pruned")
        for error in result.errors.values():
            if isinstance(error, StoreError):
                raise error
            return replace(trial, state="failed", error=_line(error))
        record = result.steps[self.target.step]
        if record.status == "skipped":
            return replace(trial, state="failed", error=f"{self.target.step} is skipped {record.reason}")
        outputs = record.outputs
        value = self._metric_of(outputs)
        if not math.isfinite(value):
            return replace(trial, state="failed", error=f"{self.settings.metric} is {value}")
        inputs = {name: output["digest"] for name, output in outputs.items()}
        return replace(trial, state="done", metric=value, inputs=inputs)

    def _end_all(self) -> None:
        """Ends the trials that are at work, if any, with their workers."""
        for _, halt in self.active.values():
            halt.now("interrupted")
        until = time.monotonic() + PATIENCE
        for thread, _ in self.active.values():
            if thread.ident is not None:  # else the interrupt came just before its start
                thread.join(max(0.0, until - time.monotonic()))
        self.active.clear()


def _line(error: HeadraceError) -> str:
    """An error in one line."""
    problem = error.problems[0]
    return " ".join(f"{problem.where}: {problem.what}".removeprefix(": ").split())[:300]
