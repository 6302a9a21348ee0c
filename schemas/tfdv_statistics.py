"""Statistics to and from TensorFlow Data Validation's `DatasetFeatureStatisticsList`.

A split is a dataset of the list, a slice of it the dataset `split|column=value`. What the message has no
field for (whether counts are exact, the errors of sketches, types such as bool, the shortest string,
correlations other than Pearson's) goes along as a custom statistic `headrace`, a JSON text that TFDV hands on
untouched. What stays behind either way: top values of numbers, quantiles other than the deciles of the
QUANTILES histogram, weighted histograms and top values, histograms of the number of values, lift; features
of structs are left out when read, and named. Columns of images are features of bytes. The message holds mean
lengths, mean numbers of values and correlations as float32.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow_metadata.proto.v0 import statistics_pb2 as pb

from .statistics import (
    Correlation,
    DatasetStatistics,
    FeatureStatistics,
    Histogram,
    ImageStatistics,
    SplitStatistics,
    StatisticsFormatError,
)
from .tfdv_features import CUSTOM, feature_from_message

SLICE = "|"
"""Between a split's name and its slice's in the name of a dataset."""
_TYPES = {
    "int": pb.FeatureNameStatistics.INT,
    "ints": pb.FeatureNameStatistics.INT,
    "timestamp": pb.FeatureNameStatistics.INT,
    "float": pb.FeatureNameStatistics.FLOAT,
    "floats": pb.FeatureNameStatistics.FLOAT,
    "image": pb.FeatureNameStatistics.BYTES,
}
_PLAIN = {"int", "float", "string"}
_TOP_VALUES = 20
"""How many values TFDV lists as `top_values`; its rank histogram has more."""


def to_message(statistics: DatasetStatistics) -> Any:
    """The statistics as a `DatasetFeatureStatisticsList`."""
    message = pb.DatasetFeatureStatisticsList()
    for split in statistics:
        _add_dataset(message, split, split.name)
        for part in split.slices:
            _add_dataset(message, part, f"{split.name}{SLICE}{part.name}")
    return message


def to_bytes(statistics: DatasetStatistics) -> bytes:
    """The same, serialized; equal for equal statistics."""
    blob: bytes = to_message(statistics).SerializeToString(deterministic=True)
    return blob


def from_message(message: Any) -> tuple[DatasetStatistics, list[str]]:
    """The statistics in a `DatasetFeatureStatisticsList`, and the features that were left out.

    Raises:
        StatisticsFormatError: it holds no dataset, or two of one name.
    """
    skipped: list[str] = []
    splits: dict[str, SplitStatistics] = {}
    slices: dict[str, list[SplitStatistics]] = {}
    for dataset in message.datasets:
        split = _split(dataset, skipped)
        owner, bar, part = split.name.partition(SLICE)
        if bar and owner in splits:
            slices.setdefault(owner, []).append(_renamed(split, part))
        elif split.name in splits:
            raise StatisticsFormatError(f"two datasets are called {split.name!r}")
        else:
            splits[split.name] = split
    if not splits:
        raise StatisticsFormatError("the message holds no dataset")
    whole = [
        SplitStatistics(s.name, s.rows, s.features, s.weight, tuple(slices.get(s.name, ())))
        for s in splits.values()
    ]
    return DatasetStatistics(tuple(whole)), list(dict.fromkeys(skipped))


def from_bytes(blob: bytes) -> tuple[DatasetStatistics, list[str]]:
    """The same of a serialized message, of TFDV's TFRecord of one message, or of its text format.

    Raises:
        StatisticsFormatError: the bytes are none of these.
    """
    message = pb.DatasetFeatureStatisticsList()
    try:
        message.ParseFromString(_unframed(blob))
    except DecodeError:
        message.Clear()
        try:
            text_format.Parse(blob.decode("utf-8"), message)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise StatisticsFormatError(
                "this is no DatasetFeatureStatisticsList, neither serialized nor as text"
            ) from error
    return from_message(message)


def _unframed(blob: bytes) -> bytes:
    """The message of a TFRecord file of one record, else the bytes as they are."""
    # Eight bytes of length, four of its checksum, the record, four of its checksum.
    if len(blob) >= 16 and int.from_bytes(blob[:8], "little") == len(blob) - 16:
        return blob[12:-4]
    return blob


def _add_dataset(message: Any, split: SplitStatistics, name: str) -> None:
    dataset = message.datasets.add(name=name, num_examples=split.rows)
    if split.weight is not None:
        dataset.weighted_num_examples = split.weight
    for feature in split:
        _fill(dataset.features.add(), feature)
        found = feature.correlation
        if found is not None and found.method == "pearson" and found.value is not None:
            cross = dataset.cross_features.add(count=found.rows)
            cross.path_x.step.append(feature.name)
            cross.path_y.step.append(found.label)
            cross.num_cross_stats.correlation = found.value


def _fill(message: Any, feature: FeatureStatistics) -> None:
    message.path.step.append(feature.name)
    message.type = _TYPES.get(feature.type, pb.FeatureNameStatistics.STRING)
    if feature.numeric is not None:
        _fill_numeric(message.num_stats, feature)
        _fill_common(message.num_stats.common_stats, feature)
    elif feature.images is not None:
        _fill_images(message.bytes_stats, feature.images)
        _fill_common(message.bytes_stats.common_stats, feature)
    else:
        _fill_string(message.string_stats, feature)
        _fill_common(message.string_stats.common_stats, feature)
    if extra := _extra(feature):
        text = json.dumps(extra, ensure_ascii=False, sort_keys=True, allow_nan=False)
        message.custom_stats.add(name=CUSTOM, str=text)


def _fill_common(common: Any, feature: FeatureStatistics) -> None:
    lists = feature.lists
    common.num_non_missing = feature.count
    common.num_missing = feature.missing
    if feature.count:
        common.min_num_values = 1 if lists is None else lists.min or 0
        common.max_num_values = 1 if lists is None else lists.max or 0
        common.avg_num_values = 1.0 if lists is None else lists.mean or 0.0
        common.tot_num_values = feature.count if lists is None else lists.values
    if feature.weighted is not None:
        common.weighted_common_stats.num_non_missing = feature.weighted.count
        common.weighted_common_stats.num_missing = feature.weighted.missing


def _fill_numeric(stats: Any, feature: FeatureStatistics) -> None:
    numbers = feature.numeric
    assert numbers is not None
    for field, value in (
        ("mean", numbers.mean),
        ("std_dev", numbers.deviation),
        ("min", numbers.min),
        ("median", numbers.median),
        ("max", numbers.max),
    ):
        if value is not None:
            setattr(stats, field, value)
    stats.num_zeros = numbers.zeros
    if numbers.histogram is not None:
        _fill_histogram(stats.histograms.add(type=pb.Histogram.STANDARD), numbers.histogram)
    if (deciles := numbers.quantile_histogram) is not None:
        _fill_histogram(stats.histograms.add(type=pb.Histogram.QUANTILES), deciles)
    weighted = feature.weighted
    if weighted is not None and weighted.mean is not None and weighted.deviation is not None:
        stats.weighted_numeric_stats.mean = weighted.mean
        stats.weighted_numeric_stats.std_dev = weighted.deviation


def _fill_histogram(message: Any, histogram: Histogram) -> None:
    add, edges = message.buckets.add, histogram.edges
    for low, high, count in zip(edges, edges[1:], histogram.counts, strict=False):
        add(low_value=low, high_value=high, sample_count=count)


def _fill_images(stats: Any, images: ImageStatistics) -> None:
    if images.mean_bytes is None or images.min_bytes is None or images.max_bytes is None:
        return
    stats.avg_num_bytes = images.mean_bytes
    stats.min_num_bytes = images.min_bytes
    stats.max_num_bytes = stats.max_num_bytes_int = images.max_bytes


def _fill_string(stats: Any, feature: FeatureStatistics) -> None:
    stats.unique = feature.distinct
    for value, count in feature.top[:_TOP_VALUES]:
        stats.top_values.add(value=str(value), frequency=count)
    for rank, (value, count) in enumerate(feature.top):
        stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=str(value), sample_count=count)
    if feature.lengths is not None and feature.lengths.mean is not None:
        stats.avg_length = feature.lengths.mean
    stats.invalid_utf8_count = feature.invalid_utf8


def _extra(feature: FeatureStatistics) -> dict[str, Any]:
    """What the message has no field for, where it says something."""
    numbers, lengths, images = feature.numeric, feature.lengths, feature.images
    extra: dict[str, Any] = {"exact": feature.exact}
    if feature.type not in _PLAIN:
        extra["type"] = feature.type
    if feature.distinct_error:
        extra["distinct_error"] = feature.distinct_error
    if numbers is not None:
        extra["distinct"] = feature.distinct
        extra.update({k: v for k in ("infinite", "relative_error") if (v := getattr(numbers, k))})
    if lengths is not None and lengths.min is not None:
        extra["lengths"] = [lengths.min, lengths.max, *_bars(lengths.histogram)]
    if images is not None and feature.count:
        extra["bytes"] = [images.min_bytes, images.mean_bytes, images.bytes, *_bars(images.histogram)]
        extra["formats"] = images.formats
    if feature.correlation is not None:
        extra["correlation"] = vars(feature.correlation)
    return extra


def _bars(histogram: Histogram | None) -> list[Any]:
    return [] if histogram is None else [histogram.edges, histogram.counts]


def _split(dataset: Any, skipped: list[str]) -> SplitStatistics:
    features = []
    for message in dataset.features:
        feature = feature_from_message(message, dataset.num_examples)
        if feature is None:
            skipped.append(message.name or ".".join(message.path.step))
        else:
            features.append(feature)
    crossed = {
        ".".join(cross.path_x.step): Correlation(
            ".".join(cross.path_y.step), "pearson", cross.num_cross_stats.correlation, cross.count
        )
        for cross in dataset.cross_features
        if cross.WhichOneof("cross_stats") == "num_cross_stats"
    }
    return SplitStatistics(
        dataset.name or "all",
        dataset.num_examples,
        tuple(
            FeatureStatistics(**{**vars(f), "correlation": f.correlation or crossed.get(f.name)})
            for f in features
        ),
        dataset.weighted_num_examples or None,
    )


def _renamed(split: SplitStatistics, name: str) -> SplitStatistics:
    return SplitStatistics(name, split.rows, split.features, split.weight)
