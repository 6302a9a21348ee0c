"""The component `data_report`: statistics and anomalies as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from ..pipelines.artifact import Anomalies, Examples, Files, Statistics
from ..pipelines.component import component
from ..pipelines.context import Context


@component
def data_report(
    ctx: Context,
    statistics: Statistics,
    *,
    anomalies: Anomalies | None = None,
    examples: Examples | None = None,
    images: Annotated[int, msgspec.Meta(ge=0, le=100)] = 8,
    title: str = "Data report",
) -> Files:
    """One page that opens in a browser without network or server: splits side by side, column by column.

    It shows histograms with quartiles, top values, lengths, what is missing, correlations with the label and
    slices, as far as the statistics have them, and the anomalies beside their columns.

    Args:
        statistics: as `statistics` or `import_statistics` gives them.
        anomalies: as `validate_examples` gives them.
        examples: the raw rows, of whose images some are then shown.
        images: how many of each split and column.
        title: the heading.

    Returns:
        The file `report.html`; `headrace artifacts path` tells where it is.

    Raises:
        DataError: statistics or anomalies were written by a newer version, or are damaged; the examples are
            not raw rows.
    """
    from ..pipelines.errors import DataError
    from ..schemas.anomalies import from_json
    from .report.page import page
    from .statistics_files import load_statistics

    found = None
    if anomalies is not None:
        path = anomalies.file("anomalies.json")
        try:
            found = from_json(path.read_text("utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"the anomalies can't be read ({error})", file=str(path)) from error
    computed = load_statistics(statistics)
    draft = ctx.output(Files)
    pictures = None if examples is None or not images else _pictures(examples, images)
    (draft.path / "report.html").write_text(page(computed, found, title, pictures), "utf-8")
    columns = max((len(split.features) for split in computed), default=0)
    return draft.finish(
        summary={
            "page": "report.html",
            "pictures": ["report.html"],
            "columns": columns,
            "anomalies": len(found) if found is not None else None,
        }
    )


def _pictures(examples: Examples, most: int) -> Mapping[tuple[str, str], Sequence[str]]:
    from ..pipelines.errors import DataError
    from .split_checks import ALREADY_TRANSFORMED, RAW_REMEDY

    if examples.properties["format"] != "parquet":
        raise DataError(ALREADY_TRANSFORMED, argument="examples", remedy=RAW_REMEDY)
    from .report.thumbnails import thumbnails

    return thumbnails(examples, most)
