"""The component `data_report`: statistics and anomalies as one HTML page."""

from __future__ import annotations

from ..pipelines.artifact import Anomalies, Files, Statistics
from ..pipelines.component import component
from ..pipelines.context import Context


@component
def data_report(
    ctx: Context, statistics: Statistics, *, anomalies: Anomalies | None = None, title: str = "Data report"
) -> Files:
    """One page that opens in a browser without network or server: splits side by side, column by column.

    It shows histograms with quartiles, top values, lengths, what is missing, correlations with the label and
    slices, as far as the statistics have them, and the anomalies beside their columns.

    Args:
        statistics: as `statistics` or `import_statistics` gives them.
        anomalies: as `validate_examples` gives them.
        title: the heading.

    Returns:
        The file `report.html`; `headrace artifacts path` tells where it is.

    Raises:
        DataError: statistics or anomalies were written by a newer version, or are damaged.
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
    (draft.path / "report.html").write_text(page(computed, found, title), "utf-8")
    columns = max((len(split.features) for split in computed), default=0)
    return draft.finish(
        summary={
            "page": "report.html",
            "columns": columns,
            "anomalies": len(found) if found is not None else None,
        }
    )
