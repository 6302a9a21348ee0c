"""A component: how often each class is there."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from headrace.pipelines import Context, Examples, Files, component


@component
def class_counts(
    ctx: Context, examples: Examples, *, column: str, most: Annotated[int, Meta(ge=1)] = 100
) -> Files:
    """Counts the values of a column of strings, the most frequent first.

    Args:
        examples: raw examples.
        column: whose values are counted.
        most: how many values are told at most.
    """
    from collections import Counter

    import pyarrow.parquet

    draft = ctx.output(Files)
    for split in examples.splits:
        counts: Counter[str] = Counter()
        for part in examples.parts(split):
            counts.update(pyarrow.parquet.read_table(part, columns=[column])[column].to_pylist())
        ordered = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))[:most]
        (draft.path / f"{split}.csv").write_text("".join(f"{value},{count}\n" for value, count in ordered))
    return draft.finish(summary={"column": column})
