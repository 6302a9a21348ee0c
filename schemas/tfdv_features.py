"""One feature of TensorFlow Data Validation's statistics as `FeatureStatistics`."""

from __future__ import annotations

import json
import math
from typing import Any, cast, get_args

from tensorflow_metadata.proto.v0 import statistics_pb2 as pb

from .schema import MULTI, FeatureType
from .statistics import (
    Correlation,
    FeatureStatistics,
    Histogram,
    ImageStatistics,
    LengthStatistics,
    ListStatistics,
    NumericStatistics,
    StatisticsFormatError,
    WeightedStatistics,
    finite,
)

CUSTOM = "headrace"
"""The custom statistic that holds what the message has no field for."""


def feature_from_message(message: Any, rows: int) -> FeatureStatistics | None:
    """The statistics of one feature; None for what isn't numbers, strings or bytes (structs).

    Args:
        message: a `FeatureNameStatistics`; custom statistics that aren't ours are passed over.
        rows: of the dataset.

    Raises:
        StatisticsFormatError: our custom statistic is damaged.
    """
    name = message.name or ".".join(message.path.step)
    which = message.WhichOneof("stats")
    if which not in ("num_stats", "string_stats", "bytes_stats"):
        return None
    stats = getattr(message, which)
    common, extra = stats.common_stats, _extra(message, name)
    kind = _type(message, common, extra)
    lists = None
    if kind in MULTI:
        some = common.num_non_missing > 0
        values = common.tot_num_values or round(common.avg_num_values * common.num_non_missing)
        ends = (common.min_num_values, common.max_num_values, common.avg_num_values)
        lists = ListStatistics(*ends, values) if some else ListStatistics(None, None, None, 0)
    told: dict[str, Any] = {
        "name": name,
        "type": kind,
        # The missing rows of features within structs are counted from their parents.
        "rows": common.num_non_missing + common.num_missing or rows,
        "missing": common.num_missing,
        "distinct_error": extra.get("distinct_error", 0.0),
        "lists": lists,
        "weighted": _weighted(stats, common, which),
        "correlation": Correlation(**extra["correlation"]) if "correlation" in extra else None,
    }
    if which == "num_stats":
        numeric = _numeric(stats, extra, common.num_non_missing > 0)
        exact, distinct = extra.get("exact", False), extra.get("distinct", 0)
        return FeatureStatistics(**told, distinct=distinct, exact=exact, top=(), numeric=numeric)
    if which == "bytes_stats":
        images = _images(stats, extra, common.num_non_missing)
        return FeatureStatistics(**told, distinct=int(stats.unique), exact=True, top=(), images=images)
    return FeatureStatistics(**told, **_text(stats, extra, kind, common))


def _extra(message: Any, name: str) -> dict[str, Any]:
    for custom in message.custom_stats:
        if custom.name == CUSTOM and custom.WhichOneof("val") == "str":
            try:
                extra = json.loads(custom.str)
                if isinstance(extra, dict) and extra.get("type", "int") in get_args(FeatureType):
                    return extra
            except ValueError:
                pass
            raise StatisticsFormatError(f"the custom statistic {CUSTOM!r} of {name!r} is damaged")
    return {}


def _type(message: Any, common: Any, extra: dict[str, Any]) -> FeatureType:
    if "type" in extra:
        return cast(FeatureType, extra["type"])
    many = common.max_num_values > 1
    if message.WhichOneof("stats") == "string_stats":
        return "strings" if many else "string"
    if message.WhichOneof("stats") == "bytes_stats":
        return "image"
    if message.type == pb.FeatureNameStatistics.INT:
        return "ints" if many else "int"
    return "floats" if many else "float"


def _numeric(stats: Any, extra: dict[str, Any], some: bool) -> NumericStatistics:
    fields = (stats.min, stats.max, stats.mean, stats.std_dev, stats.median)
    low, high, mean, deviation, median = (finite(value) if some else None for value in fields)
    standard = [h for h in stats.histograms if h.type == pb.Histogram.STANDARD and h.buckets]
    quantiles = [h for h in stats.histograms if h.type == pb.Histogram.QUANTILES and h.buckets]
    return NumericStatistics(
        low,
        high,
        mean,
        deviation,
        median,
        zeros=stats.num_zeros,
        infinite=extra.get("infinite", 0),
        quantiles=_quantiles(quantiles[0]) if quantiles else (),
        relative_error=extra.get("relative_error", 0.0),
        histogram=_histogram(standard[0]) if standard else None,
    )


def _images(stats: Any, extra: dict[str, Any], count: int) -> ImageStatistics:
    """The sizes; what the message holds as float32 is taken from our own statistic where there is one."""
    if not count:
        return ImageStatistics()
    low, mean, total, *bars = extra.get("bytes", (None, None, None))
    mean = stats.avg_num_bytes if mean is None else mean
    return ImageStatistics(
        int(stats.min_num_bytes) if low is None else low,
        stats.max_num_bytes_int or int(stats.max_num_bytes),
        mean,
        round(mean * count) if total is None else total,
        tuple((name, number) for name, number in extra.get("formats", ())),
        Histogram(tuple(bars[0]), tuple(bars[1])) if bars else None,
    )


def _histogram(message: Any) -> Histogram | None:
    """None where an edge is infinite, which JSON and a picture can't hold."""
    edges = [message.buckets[0].low_value, *(bucket.high_value for bucket in message.buckets)]
    if not all(map(math.isfinite, edges)):
        return None
    counts = (bucket.sample_count for bucket in message.buckets)
    # TFDV interpolates, so that counts needn't be whole.
    return Histogram(tuple(edges), tuple(int(n) if n == int(n) else n for n in counts))


def _quantiles(message: Any) -> tuple[tuple[float, float], ...]:
    """The inner edges, at the shares that the buckets' counts say."""
    total = sum(bucket.sample_count for bucket in message.buckets)
    below, found = 0.0, []
    for bucket in message.buckets[:-1]:
        below += bucket.sample_count
        if total and math.isfinite(bucket.high_value):
            # Rounded, since the shares are keys: 0.1 + 0.2 is to be 0.3.
            found.append((round(below / total, 9), bucket.high_value))
    return tuple(found)


def _text(stats: Any, extra: dict[str, Any], kind: FeatureType, common: Any) -> dict[str, Any]:
    top = [(value.value, int(value.frequency)) for value in stats.top_values]
    ranked = [
        (bucket.label, int(bucket.sample_count))
        for bucket in stats.rank_histogram.buckets
        if bucket.low_rank == bucket.high_rank
    ]
    if len(ranked) > len(top):
        top = ranked
    values = common.tot_num_values or common.num_non_missing
    all_there = stats.unique == len(top) and sum(count for _, count in top) == values
    low, high, *rest = extra.get("lengths", (None, None))
    histogram = Histogram(tuple(rest[0]), tuple(rest[1])) if rest else None
    mean = stats.avg_length if common.num_non_missing else None
    return {
        "distinct": stats.unique,
        "exact": extra.get("exact", all_there),
        "top": tuple(top),
        "lengths": None if kind == "bool" else LengthStatistics(low, high, mean, histogram),
        "invalid_utf8": stats.invalid_utf8_count,
    }


def _weighted(stats: Any, common: Any, which: str) -> WeightedStatistics | None:
    if not common.HasField("weighted_common_stats"):
        return None
    found = common.weighted_common_stats
    mean = deviation = None
    if which == "num_stats" and stats.HasField("weighted_numeric_stats"):
        mean = finite(stats.weighted_numeric_stats.mean)
        deviation = finite(stats.weighted_numeric_stats.std_dev)
    return WeightedStatistics(found.num_non_missing, found.num_missing, mean, deviation)
