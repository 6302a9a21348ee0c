"""Units of work in Beam: cut, mapped to partial results, gathered in the order of the units.

A step's input is cut into units by file and offset, never by bundle. Each unit gives one partial result,
which is spilled to a file of its own in the step's staging folder; only its name crosses the stage
boundary, so that memory doesn't grow with the data, and a unit that ran twice is read once. The driver
folds the partials one by one in the order of the units: floats are not associative, and this way the
result doesn't depend on workers or bundling.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from ...pipelines.context import Context, Exchange
from ...pipelines.runners.beam import beam_pipeline
from ...pipelines.runners.jobs import NAMESPACE, name_job, run_job
from ...pipelines.runners.probe import Proof, notes
from ...pipelines.runners.settings import is_remote, threads_of
from .descriptions import check_descriptions
from .passing import Pass
from .result import Result
from .spilling import Partial, Spill, WriteReferences

T = TypeVar("T")

TRIES = 3
"""How often what is left of a pass is given to a remote runner, if nothing but its machines is to blame."""


class MapUnits(beam.PTransform):
    """PCollection of `(unit: int, T)` → PCollection of `Partial`.

    Args:
        work: `T → Result`; a picklable callable, run once a unit or more often if Beam retries.
        folder: where the results are spilled; every worker has to reach it.
        threads: how many units of a bundle are worked on at once. More than one asks for the global window.
            The work is NumPy and Arrow, which let other threads run, and a thread takes the next unit when
            it is done with one, where a runner would deal them out beforehand.
        exchange: how the workers reach the files that the work names, if not by themselves.
        proof: what workers elsewhere prove before their first unit.
    """

    def __init__(
        self,
        work: Callable[[Any], Result],
        folder: Path,
        threads: int = 0,
        exchange: Exchange | None = None,
        proof: Proof | None = None,
    ) -> None:
        super().__init__()
        spill = Spill(work, folder, proof)
        self._do = exchange.around(spill) if exchange else spill
        self._threads = threads

    def expand(self, units: Any) -> Any:
        """Applies the work to each unit."""
        few = self._threads < 2
        return units | beam.ParDo(_Do(self._do) if few else _DoInThreads(self._do, self._threads))


class GatherPartials(beam.PTransform):
    """PCollection of `Partial` → PCollection of one `(None, partials)`; empty if there are no partials."""

    def expand(self, partials: Any) -> Any:
        """Groups all references under one key."""
        return partials | "Key" >> beam.Map(_keyed) | "Group" >> beam.GroupByKey()


class _Do(beam.DoFn):
    def __init__(self, do: Callable[[tuple[int, Any]], Partial]) -> None:
        self._do = do

    def process(self, element: tuple[int, Any]) -> Iterator[Partial]:
        done = self._do(element)
        # What a runner's own pages show; a unit that was done twice counts twice.
        Metrics.counter(NAMESPACE, "units").inc()
        Metrics.counter(NAMESPACE, "rows").inc(done.rows)
        yield done


class _DoInThreads(beam.DoFn):
    """`_Do` for several units of a bundle at once; an error leaves the units that weren't begun undone."""

    def __init__(self, do: Callable[[tuple[int, Any]], Partial], threads: int) -> None:
        self._do = do
        self._threads = threads

    def start_bundle(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads)
        self._asked: deque[Future[Partial]] = deque()

    def process(self, element: tuple[int, Any]) -> Iterator[Partial]:
        self._asked.append(self._pool.submit(self._do, element))
        if len(self._asked) > 2 * self._threads:
            yield self._next()

    def finish_bundle(self) -> Iterator[Any]:
        window = GlobalWindow()
        while self._asked:
            yield WindowedValue(self._next(), window.max_timestamp(), [window])
        self._pool.shutdown()

    def _next(self) -> Partial:
        try:
            return self._asked.popleft().result()
        except BaseException:
            self._pool.shutdown(cancel_futures=True)
            raise


def run_units(ctx: Context, stage: str, units: Sequence[T], work: Callable[[T], Result]) -> Iterator[bytes]:
    """Runs `work` on every unit in Beam and gives the payloads in the order of the units.

    Args:
        ctx: the step's context; its runner executes, its staging folder holds the spilled results.
        stage: a name, unique within the step.
        units: what to work on, each small and picklable.
        work: gives a unit's `Result`. An exception in it ends the step; a HeadraceError comes through as
            it was raised, any other as a StepError with the traceback as its note.

    Yields:
        Each unit's payload, read from disk when asked for, so that one at a time is in memory.

    Raises:
        ValueError: a unit's description can't travel, see `check_descriptions`.
    """
    if not units:
        return iter(())
    largest = check_descriptions(stage, units, work)
    folder = ctx.scratch(stage).absolute()
    ctx.open_runner()
    watched = Pass(ctx, folder, len(units))
    done: dict[int, Partial] = {}
    facts: dict[str, Any] = {}
    while left := [(number, unit) for number, unit in enumerate(units) if number not in done]:
        try:
            partials, told = _run(ctx, stage, left, work, watched)
            done |= partials
            facts |= told
        except Exception as error:
            cause, again = watched.failure(error)
            facts["tries"] = facts.get("tries", 1) + 1
            if not again or facts["tries"] > TRIES:
                raise cause from None
            done |= watched.done()
            ctx.warn(f"{cause}\nwhat is left of {stage} is tried again")
    watched.look(last=True)
    # What the units took is free by now, and Arrow would keep it while the next stage takes its own.
    pa.default_memory_pool().release_unused()
    workers = sorted({partial.worker for partial in done.values() if partial.worker})
    largest = max(largest, facts.pop("largest", 0))
    ctx.work(stage, units=len(units), workers=workers, largest_element_bytes=largest, **facts)
    if note := notes(folder):
        ctx.warn(note)
    return ((folder / Path(done[number].path).name).read_bytes() for number in range(len(units)))


def _run(
    ctx: Context,
    stage: str,
    units: Sequence[tuple[int, Any]],
    work: Callable[[Any], Result],
    watched: Pass,
) -> tuple[dict[int, Partial], dict[str, Any]]:
    """One attempt at some units: their results, and what is told of it."""
    index = watched.folder / f"{uuid.uuid4().hex}.json"
    threads, exchange, references = threads_of(ctx.runner), ctx.exchange, WriteReferences(index)
    runner, remote = ctx.open_runner(), is_remote(ctx.runner)
    proof = Proof.ask(watched.folder, shared=exchange is None) if remote else None
    pipeline = beam_pipeline(runner)
    (
        pipeline
        # A runner's workers are dealt the units by a shuffle; our own threads take them from one bundle.
        | "Units" >> beam.Create(list(units), reshuffle=not threads)
        | stage >> MapUnits(work, watched.folder, threads, exchange, proof)
        | "Gather" >> GatherPartials()
        | "Write" >> beam.Map(exchange.around(references) if exchange else references)
    )
    told: dict[str, Any] = {}
    name_job(pipeline, f"{ctx.step}-{stage}")
    try:
        if remote:
            tell = partial(ctx.job, stage=stage)
            told = {"counters": run_job(pipeline, runner, tell, watched.look)}
        else:
            with watched.looking():
                pipeline.run().wait_until_finish()
    finally:
        if exchange is not None:
            exchange.collect(watched.folder)
    gathered = json.loads(index.read_text())
    partials = [Partial(*each) for each in gathered["partials"]]
    if [each.unit for each in partials] != [number for number, _ in units]:
        raise RuntimeError(f"{stage}: {len(units)} units went in and {len(partials)} results came out")
    return {each.unit: each for each in partials}, {**told, "largest": gathered["largest"]}


def _keyed(partial: Partial) -> tuple[None, Partial]:
    return None, partial
