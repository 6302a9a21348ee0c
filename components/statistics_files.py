"""Statistics as the files of an artifact: written, and read with errors that name the file."""

from __future__ import annotations

from pathlib import Path

from ..pipelines.artifact import Statistics
from ..pipelines.context import Context
from ..pipelines.errors import DataError
from ..schemas.statistics import DatasetStatistics, StatisticsFormatError


def finish_statistics(ctx: Context, computed: DatasetStatistics) -> Statistics:
    """The artifact: `statistics.json`, the table `statistics.txt`, and TFDV's message, `statistics.pb`."""
    from ..schemas.statistics_table import statistics_table
    from ..schemas.tfdv_statistics import to_bytes

    draft = ctx.output(Statistics)
    (draft.path / "statistics.json").write_text(computed.to_json(), "utf-8")
    (draft.path / "statistics.txt").write_text(statistics_table(computed), "utf-8")
    (draft.path / "statistics.pb").write_bytes(to_bytes(computed))
    rows = {split.name: split.rows for split in computed}
    sketched = sorted({feature.name for split in computed for feature in split if not feature.exact})
    return draft.finish(
        properties={"splits": list(computed.names)},
        summary={
            "rows": rows,
            "columns": max((len(split.features) for split in computed), default=0),
            **({"sketched": sketched} if sketched else {}),
        },
    )


def load_statistics(artifact: Statistics) -> DatasetStatistics:
    """The statistics of an artifact.

    Raises:
        DataError: a newer version wrote them, or they are damaged.
    """
    return read_statistics(artifact.file("statistics.json"))


def read_statistics(path: Path) -> DatasetStatistics:
    """The statistics in a `statistics.json`.

    Raises:
        DataError: a newer version wrote them, or these are none.
    """
    try:
        return DatasetStatistics.from_json(path.read_text("utf-8"))
    except StatisticsFormatError as error:
        remedy = "upgrade headrace" if "up to" in str(error) else "compute the statistics again"
        raise DataError(str(error), file=str(path), remedy=remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the statistics can't be read ({error})", file=str(path)) from error
