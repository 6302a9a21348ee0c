"""One fold of a cross-validation in a process of its own, and several such processes side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...pipelines.artifact import Evaluation, Examples, Transform
from ...pipelines.component import component
from ...pipelines.context import Context
from ..training.stages import stages_of

if TYPE_CHECKING:
    from .crossing import Fold

FILE = "fold.json"


@component(process="tensorflow")
def fold(
    ctx: Context, examples: Examples, transform: Transform, *, number: int, arguments: dict[str, Any]
) -> Evaluation:
    """Trains and measures one fold; what `cross_validate` sends to another process.

    Args:
        examples: transformed examples.
        transform: the Transform that made them.
        number: of the fold, from 1.
        arguments: those of `cross_validate`.

    Raises:
        InvalidRequestError, DataError, StepError: as `cross_validate`.
    """
    from .crossing import plan_of, run_fold

    plan = plan_of(ctx, examples, transform, arguments)
    draft = ctx.output(Evaluation)
    found = asdict(run_fold(plan, number, ctx.progress))
    (draft.path / FILE).write_text(json.dumps(found, allow_nan=False), "utf-8")
    return draft.finish()


def folds_side_by_side(
    ctx: Context, examples: Examples, transform: Transform, arguments: Mapping[str, Any], processes: int
) -> list[Fold]:
    """All folds, `processes` of them at once, each in a process of its own; see `crossing.run_fold`."""
    from ...pipelines.processes import WorkerPool, job_of
    from .crossing import Fold

    scratch, folds = ctx.scratch("folds"), arguments["folds"]
    each = [stage.epochs or arguments["epochs"] for stage in stages_of(arguments["stages"])]
    epochs = sum(each or [arguments["epochs"]]) + (arguments["epochs"] if arguments["baseline"] else 0)
    at: dict[int, int] = {}

    def run(number: int) -> Fold:
        def tell(event: Mapping[str, Any]) -> None:
            at[number] = event.get("progress", {}).get("epoch", at.get(number, 0))
            ctx.progress(done=sum(at.values()), total=folds * epochs)

        staging = scratch / str(number)
        staging.mkdir()
        job = job_of(
            f"{__name__}:fold",
            Context(ctx.step, staging, ctx.runner),
            {"number": number, "arguments": arguments},
            {"examples": examples, "transform": transform},
        )
        made = workers.do("tensorflow", job, tell)
        return Fold(**json.loads((Path(made["output"]) / FILE).read_text("utf-8")))

    pool = WorkerPool(scratch / "tmp")
    workers = pool.lease(scratch / "log.txt")
    try:
        with ThreadPoolExecutor(processes) as threads:
            return list(threads.map(run, range(1, folds + 1)))
    finally:
        pool.close()
