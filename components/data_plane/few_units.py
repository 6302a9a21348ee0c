"""Few units of work, done in threads of this process where Beam wouldn't pay.

Beam takes about a second to import and to start, which is more than most of the work where little is left
of it. The results are the same: a unit knows nothing of how it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ...pipelines.context import Context
from ...pipelines.runners.settings import check_runner, threads_of
from .result import Result

T = TypeVar("T")

MOST = 8


def run_few(ctx: Context, stage: str, units: Sequence[T], work: Callable[[T], Result]) -> Iterator[bytes]:
    """Runs `work` on every unit and gives the payloads in the order of the units, see `work.run_units`.

    Up to `MOST` units are done here, if nothing but the direct runner's threads is asked for; more by Beam.
    """
    check_runner(ctx.runner)
    own = ctx.runner.name == "direct" and set(ctx.runner.options) <= {"direct_num_workers"}
    if len(units) > MOST or not own:
        from .work import run_units

        return run_units(ctx, stage, units, work)
    with ThreadPoolExecutor(threads_of(ctx.runner)) as pool:
        results = []
        for result in pool.map(work, units):
            results.append(result)
            ctx.progress(done=len(results), total=len(units), rows=sum(each.rows for each in results))
    if units:
        ctx.work(stage, units=len(units), workers=["here"], largest_element_bytes=0)
    return (result.payload for result in results)
