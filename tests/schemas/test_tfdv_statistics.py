from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import statistics_pb2 as pb

from headrace.schemas.statistics import (
    FORMAT,
    Correlation,
    DatasetStatistics,
    FeatureStatistics,
    ImageStatistics,
    SplitStatistics,
    StatisticsFormatError,
)
from headrace.schemas.table_summary import Options, TableSummary, column_types
from headrace.schemas.tfdv_statistics import from_bytes, from_message, to_bytes, to_message

TABLE = pa.table(
    {
        "age": pa.array([1, 2, None, 4, 40]),
        "price": pa.array([1.5, float("inf"), 2.5, None, 0.0]),
        "city": pa.array(["Köln", "Köln", None, "", "Rom"]),
        "ok": pa.array([True, None, True, False, True]),
        "when": pa.array([0, 10**15, None, 5, 6], pa.timestamp("us", "UTC")),
        "tags": pa.array([["a", "b"], [], None, ["a"], ["c", "a", "a"]], pa.list_(pa.string())),
        "marks": pa.array([[1, 2], [], None, [3], [4, 5, 6]], pa.list_(pa.int64())),
        "photo": pa.array([b"\xff\xd8\xff" * 700, b"\x89PNG1234", None, b"BM", b"\x89PNG"], pa.binary()),
        "w": pa.array([1.0, 2.0, 0.5, 0.0, 1.0]),
    }
)


def ours(label: str = "age") -> DatasetStatistics:
    options = Options(label=label, weight="w")
    whole = TableSummary.of(column_types(TABLE.schema), TABLE, options).compute("train")
    part = TableSummary.of(column_types(TABLE.schema), TABLE.slice(0, 2), options).compute("city=Köln")
    test = TableSummary.of(column_types(TABLE.schema), TABLE.slice(3), options).compute("test")
    return DatasetStatistics((replace(whole, slices=(part,)), test))


def known(feature: FeatureStatistics) -> FeatureStatistics:
    """What the message has a place for."""
    numeric = feature.numeric and replace(
        feature.numeric,
        quantiles=tuple(
            pair
            for pair in feature.numeric.quantiles
            if (10 * pair[0]) % 1 < 1e-9 or pair[0] in (0.3, 0.6, 0.7)
        ),
    )
    return replace(feature, numeric=numeric, top=() if feature.numeric else feature.top)


def single(value: float | None) -> float | None:
    return None if value is None else struct.unpack("f", struct.pack("f", value))[0]


def as_held(feature: FeatureStatistics) -> FeatureStatistics:
    lengths = feature.lengths and replace(feature.lengths, mean=single(feature.lengths.mean))
    lists = feature.lists and replace(feature.lists, mean=single(feature.lists.mean))
    return replace(known(feature), lengths=lengths, lists=lists)


@pytest.mark.parametrize("label", ["age", "city"])
def test_there_and_back_keeps_what_both_know(label: str) -> None:
    mine = ours(label)
    back, skipped = from_bytes(to_bytes(mine))
    assert not skipped and back.names == ("train", "test")
    pairs = [(a, b) for a, b in zip(mine, back, strict=True)]
    pairs.append((mine["train"].slices[0], back["train"].slices[0]))
    for a, b in pairs:
        assert (a.name, a.rows, a.weight) == (b.name, b.rows, b.weight)
        for x, y in zip(a, b, strict=True):
            assert as_held(x) == y, x.name
    assert from_bytes(to_bytes(back))[0] == back and to_bytes(mine) == to_bytes(ours(label))


def test_the_message_is_what_tfdv_expects() -> None:
    message = to_message(ours())
    train = message.datasets[0]
    assert [d.name for d in message.datasets] == ["train", "train|city=Köln", "test"]
    assert train.num_examples == 5 and train.weighted_num_examples == 4.5
    features = {f.path.step[0]: f for f in train.features}
    age = features["age"]
    assert age.type == pb.FeatureNameStatistics.INT and age.num_stats.mean == 11.75
    common = age.num_stats.common_stats
    assert (common.num_non_missing, common.num_missing, common.tot_num_values) == (4, 1, 4)
    assert common.weighted_common_stats.num_non_missing == 4.0
    standard, quantiles = age.num_stats.histograms
    assert (standard.type, quantiles.type) == (pb.Histogram.STANDARD, pb.Histogram.QUANTILES)
    assert sum(bucket.sample_count for bucket in standard.buckets) == 4
    assert sum(bucket.sample_count for bucket in quantiles.buckets) == pytest.approx(4)
    city = features["city"].string_stats
    assert city.unique == 3 and city.top_values[0].value == "Köln" and city.top_values[0].frequency == 2
    assert city.rank_histogram.buckets[2].label == ""
    tags = features["tags"].string_stats.common_stats
    assert (tags.min_num_values, tags.max_num_values, tags.tot_num_values) == (1, 3, 6)
    (cross,) = [c for c in train.cross_features if c.path_x.step[0] == "w"]
    assert cross.path_y.step[0] == "age" and -1 <= cross.num_cross_stats.correlation <= 1


HAND_MADE = """
datasets {
  name: "eval" num_examples: 10 weighted_num_examples: 25
  features {
    name: "fare" type: FLOAT
    num_stats {
      common_stats { num_non_missing: 8 num_missing: 2 min_num_values: 1 max_num_values: 1
        avg_num_values: 1 tot_num_values: 8
        num_values_histogram { buckets { low_value: 1 high_value: 1 sample_count: 8 } type: QUANTILES }
        weighted_common_stats { num_non_missing: 20 num_missing: 5 avg_num_values: 1 tot_num_values: 20 }
        presence_and_valency_stats { num_non_missing: 8 } }
      mean: 4 std_dev: 2 num_zeros: 1 min: 0 median: 3.5 max: 9
      histograms { buckets { low_value: 0 high_value: 4.5 sample_count: 5.2 }
                   buckets { low_value: 4.5 high_value: 9 sample_count: 2.8 } type: STANDARD }
      histograms { buckets { low_value: 0 high_value: 2 sample_count: 2 }
        buckets { low_value: 2 high_value: 3.5 sample_count: 2 }
        buckets { low_value: 3.5 high_value: 6 sample_count: 2 }
        buckets { low_value: 6 high_value: 9 sample_count: 2 } type: QUANTILES }
      weighted_numeric_stats { mean: 4.5 std_dev: 2.5 median: 4 }
    }
    custom_stats { name: "max_bin" num: 7 }
    custom_stats { name: "notes" str: "somebody's own" }
  }
  features {
    path { step: "trip" step: "payment" } type: STRING
    string_stats {
      common_stats { num_non_missing: 10 min_num_values: 1 max_num_values: 1 avg_num_values: 1
        tot_num_values: 10 }
      unique: 3 avg_length: 4.25
      top_values { value: "Cash" frequency: 6 } top_values { value: "Card" frequency: 3 }
      rank_histogram { buckets { label: "Cash" sample_count: 6 }
        buckets { low_rank: 1 high_rank: 1 label: "Card" sample_count: 3 }
        buckets { low_rank: 2 high_rank: 2 label: "?" sample_count: 1 } }
      weighted_string_stats { top_values { value: "Cash" frequency: 15 } }
      invalid_utf8_count: 2
    }
  }
  features { name: "ids" type: INT
    num_stats { common_stats { num_non_missing: 9 num_missing: 1 min_num_values: 1 max_num_values: 4
      avg_num_values: 2 tot_num_values: 18 } mean: 1 histograms { type: STANDARD
        buckets { low_value: -inf high_value: 3 sample_count: 18 } } } }
  features { name: "empty" type: FLOAT num_stats { common_stats { num_missing: 10 } } }
  features { name: "picture" type: BYTES bytes_stats { unique: 3 min_num_bytes: 5 max_num_bytes: 9
    avg_num_bytes: 7.5 common_stats { num_non_missing: 8 num_missing: 2 } } }
  features { name: "trip" type: STRUCT struct_stats { common_stats { num_non_missing: 10 } } }
  cross_features { path_x { step: "fare" } path_y { step: "tip" } count: 8
    num_cross_stats { correlation: 0.5 covariance: 2 } }
}
"""


def test_what_tfdv_writes_is_read() -> None:
    found, skipped = from_bytes(HAND_MADE.encode())
    assert skipped == ["trip"]
    (split,) = found
    picture = split["picture"]
    assert (picture.type, picture.missing, picture.distinct) == ("image", 2, 3)
    assert picture.images == ImageStatistics(5, 9, 7.5, 60, ())
    assert (split.name, split.rows, split.weight) == ("eval", 10, 25.0)
    fare = split["fare"]
    assert (fare.type, fare.missing, fare.count, fare.distinct, fare.exact) == ("float", 2, 8, 0, False)
    numbers = fare.numeric
    assert numbers and (numbers.mean, numbers.deviation, numbers.median, numbers.max) == (4, 2, 3.5, 9)
    assert numbers.quantiles == ((0.25, 2.0), (0.5, 3.5), (0.75, 6.0))
    assert numbers.histogram and numbers.histogram.counts == (5.2, 2.8)
    assert fare.weighted and (fare.weighted.count, fare.weighted.mean) == (20, 4.5)
    assert fare.correlation == Correlation("tip", "pearson", 0.5, 8)
    paid = split["trip.payment"]
    assert paid.top == (("Cash", 6), ("Card", 3), ("?", 1)) and paid.complete and paid.invalid_utf8 == 2
    assert paid.lengths and (paid.lengths.min, paid.lengths.mean) == (None, 4.25)
    ids = split["ids"]
    assert ids.type == "ints" and ids.lists and (ids.lists.max, ids.lists.values) == (4, 18)
    assert ids.numeric and ids.numeric.histogram is None
    empty = split["empty"]
    assert empty.numeric and empty.numeric.mean is None and empty.missing == 10
    assert DatasetStatistics.from_json(found.to_json()) == found


def test_serialized_and_in_a_tfrecord() -> None:
    message = text_format.Parse(HAND_MADE, pb.DatasetFeatureStatisticsList())
    blob = message.SerializeToString()
    framed = struct.pack("<Q", len(blob)) + b"\0" * 4 + blob + b"\0" * 4
    assert from_bytes(blob) == from_bytes(framed) == from_message(message)


@pytest.mark.parametrize("blob", [b"", b"\xff\xff\xff", b"hello: there", b"a,b\n1,2\n"])
def test_what_is_no_message_is_refused(blob: bytes) -> None:
    with pytest.raises(StatisticsFormatError, match=r"no (dataset|DatasetFeatureStatisticsList)"):
        from_bytes(blob)


def test_a_damaged_custom_statistic_is_named() -> None:
    message: Any = to_message(ours())
    for text in ("{", '{"type": "made up"}', "[]"):
        message.datasets[0].features[3].custom_stats[0].str = text
        with pytest.raises(StatisticsFormatError, match="of 'ok' is damaged"):
            from_message(message)
    twice = pb.DatasetFeatureStatisticsList(datasets=[pb.DatasetFeatureStatistics(name="a")] * 2)
    with pytest.raises(StatisticsFormatError, match="two datasets"):
        from_message(twice)


def test_json_of_other_versions() -> None:
    mine = ours()
    assert DatasetStatistics.from_json(mine.to_json()) == mine
    newer = mine.to_json().replace(f'"format": {FORMAT}', f'"format": {FORMAT + 1}')
    with pytest.raises(StatisticsFormatError, match=f"format {FORMAT + 1}, and this headrace reads up to"):
        DatasetStatistics.from_json(newer)
    for broken in ("", "[]", "{}", '{"format": 2}', mine.to_json().replace('"rows"', '"lines"')):
        with pytest.raises(StatisticsFormatError, match="no statistics"):
            DatasetStatistics.from_json(broken)
    # As the first version wrote it.
    old = (
        '{"format": 1, "splits": [{"name": "train", "rows": 2, "features": [{"name": "a", "type": "int", '
        '"rows": 2, "missing": 0, "distinct": 1, "exact": true, "top": [[1, 2]], "numeric": {"min": 1.0, '
        '"max": 1.0, "mean": 1.0, "deviation": 0.0, "median": 1.0, "zeros": 0, "infinite": 0, '
        '"quantiles": [[0.5, 1.0]], "relative_error": 0.0}, "lengths": null}]}]}'
    )
    (split,) = DatasetStatistics.from_json(old)
    assert isinstance(split, SplitStatistics) and split["a"].complete and split["a"].lists is None
    assert split["a"].numeric and split["a"].numeric.quantile_histogram is None


@pytest.mark.parametrize(
    "text", ['{"format": "1", "splits": []}', '{"format": 0, "splits": []}', "[1]", "{}"]
)
def test_what_tells_no_format_is_none_of_ours(text: str) -> None:
    with pytest.raises(StatisticsFormatError, match="tell no format"):
        DatasetStatistics.from_json(text)
