"""scikit-learn's UCI wine table as a CSV file, so that a first pipeline needs no download."""

from __future__ import annotations

import csv

from ..pipelines.artifact import Files
from ..pipelines.component import component
from ..pipelines.context import Context
from ..pipelines.errors import StepError


@component
def wine_csv(ctx: Context) -> Files:
    """Writes the UCI wine recognition table, as it comes with scikit-learn, to `wine.csv`.

    178 rows, 13 measured columns of floats under scikit-learn's names, and the label `cultivar` as a string
    (`class_0`, `class_1`, `class_2`) in the last column.

    Source: Aeberhard and Forina, Wine, UCI Machine Learning Repository, 1992.

    Raises:
        StepError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_wine
    except ImportError as error:
        raise StepError(
            "the wine table comes with scikit-learn, which is not installed",
            remedy='pip install "headrace[examples]"',
        ) from error
    table = load_wine()
    draft = ctx.output(Files)
    with (draft.path / "wine.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*table.feature_names, "cultivar"])
        for values, target in zip(table.data.tolist(), table.target.tolist(), strict=True):
            writer.writerow([*values, str(table.target_names[target])])
    return draft.finish(summary={"rows": len(table.data)})
