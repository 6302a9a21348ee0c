"""The component `statistics`: what every column of every split holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..pipelines.artifact import Examples, Statistics
from ..pipelines.component import Checked, Known, component
from ..pipelines.context import Context


@component
def statistics(
    ctx: Context, examples: Examples, *, top_values: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
) -> Statistics:
    """Counts, moments, quantiles and top values of each column of each split, in one pass.

    The artifact holds `statistics.json` (see `headrace.schemas.statistics`) and the same as a table,
    `statistics.txt`. Deviations are the population's. Distinct values and quantiles are exact up to
    65,536 distinct numbers a column (past that quantiles have a stated relative error), and up to 500,000
    distinct strings or 16 MB of them.

    Args:
        examples: raw rows, as `csv_examples` gives them.
        top_values: how many of the most frequent values are listed. A string or bool column with at most
            1,000 distinct values lists all of them.

    Returns:
        The statistics; the summary holds the rows by split.

    Raises:
        DataError: the examples are not raw rows, or a part can't be read.
    """
    from ..schemas.statistics_table import statistics_table
    from .compute_statistics import examples_statistics

    computed = examples_statistics(ctx, examples, top_values)
    draft = ctx.output(Statistics)
    (draft.path / "statistics.json").write_text(computed.to_json(), "utf-8")
    (draft.path / "statistics.txt").write_text(statistics_table(computed), "utf-8")
    rows = {split.name: split.rows for split in computed}
    return draft.finish(
        properties={"splits": list(computed.names)},
        summary={"rows": rows, "columns": len(examples.properties["columns"])},
    )


@statistics.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    """Statistics are of the columns and splits that the examples have."""
    return [], {"output": known.get("examples", Known())}
