"""The component `import_statistics`: statistics from a file, of TensorFlow Data Validation or our own."""

from __future__ import annotations

from pathlib import Path

from ..pipelines.artifact import Statistics
from ..pipelines.component import FilePath, component
from ..pipelines.context import Context
from ..pipelines.errors import DataError


@component
def import_statistics(ctx: Context, *, path: FilePath) -> Statistics:
    """Statistics that were computed elsewhere, for schema inference, reports and comparisons.

    Args:
        path: what TensorFlow Data Validation writes (a `DatasetFeatureStatisticsList`, serialized, as a
            TFRecord of one, or in protobuf's text format; `headrace.schemas.tfdv_statistics` says what is
            kept), or a `statistics.json` of headrace.

    Returns:
        The statistics, as the component `statistics` writes them. Datasets become splits.

    Raises:
        DataError: the file can't be read, is none of these, or a newer version wrote it.
    """
    from ..schemas.statistics import StatisticsFormatError
    from ..schemas.tfdv_statistics import from_bytes
    from .statistics_files import finish_statistics, read_statistics

    if Path(path).suffix == ".json":
        return finish_statistics(ctx, read_statistics(Path(path)))
    try:
        computed, skipped = from_bytes(Path(path).read_bytes())
    except StatisticsFormatError as error:
        raise DataError(
            str(error),
            argument="path",
            file=path,
            remedy="give what tensorflow_data_validation.write_stats_text or generate_statistics wrote",
        ) from error
    except OSError as error:
        raise DataError(f"the file can't be read ({error.strerror})", argument="path", file=path) from error
    if skipped:
        shown = ", ".join(skipped[:10]) + (" …" if len(skipped) > 10 else "")
        ctx.warn(f"left out, being neither numbers nor strings: {shown}")
    return finish_statistics(ctx, computed)
