"""The rows of the transforms' contract, by which a new transform gets its tests, and what these share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from headrace.components.preprocessing.analysis import analyze_batches
from headrace.components.preprocessing.features_checks import check_specs
from headrace.components.preprocessing.features_grammar import LabelSpec, parse_features
from headrace.components.preprocessing.fitted import FittedTransform
from headrace.components.preprocessing.fitted_features import FittedFeature
from headrace.components.preprocessing.fitting import Fitter

ARROW = {
    "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"), "strings": pa.list_(pa.string()), "ints": pa.list_(pa.int64()),
}  # fmt: skip
OWN = Path(__file__).parent / "own_transforms.py"
ULP = 4
"""How far the planes may be apart where a function is computed, in units in the last place."""

CASES: list[tuple[Any, str]] = [
    ("z_score", "float"),
    ("z_score", "int"),
    ("z_score", "bool"),
    ("min_max", "float"),
    ({"min_max": [-1, 1]}, "int"),
    ({"rescale": 0.5}, "float"),
    ({"rescale": {"factor": 2, "offset": -1}}, "int"),
    ("log1p", "float"),
    ({"clip": [-3, 10]}, "float"),
    ([{"clip": [0, 1e6]}, "log1p", "z_score"], "float"),
    ("impute", "float"),
    ({"impute": "mean"}, "int"),
    ({"impute": "most_frequent"}, "int"),
    ({"impute": 7}, "int"),
    ({"impute": 7.5}, "int"),
    ([{"impute": "median"}, {"clip": [0, 1e6]}, "log1p", "z_score"], "float"),
    ([{"impute": "most_frequent"}, "one_hot"], "string"),
    ([{"impute": {"constant": "median"}}, "one_hot"], "string"),
    ([{"impute": 3}, "one_hot"], "int"),
    ({"bucketize": 4}, "float"),
    ({"bucketize": [0, 5]}, "int"),
    ({"bucketize": {"buckets": [-1.5, 0, 3], "output": "ids"}}, "float"),
    ("vocabulary", "string"),
    ({"vocabulary": {"top_k": 3, "oov_buckets": 4}}, "string"),
    ({"vocabulary": {"min_count": 2}}, "int"),
    ("one_hot", "string"),
    ("one_hot", "int"),
    ("one_hot", "bool"),
    ({"one_hot": 2}, "string"),
    ({"hash": 13}, "string"),
    ([{"hash": 100}, "one_hot"], "int"),
    ("max_abs", "float"),
    ("max_abs", "int"),
    ("robust", "float"),
    ({"robust": [0.1, 0.9]}, "int"),
    ("quantile_normal", "float"),
    ({"quantile_normal": 7}, "int"),
    ("power", "float"),
    (["power", "z_score"], "float"),
    ("count", "string"),
    ({"count": 2}, "int"),
    ("frequency", "string"),
    ("frequency", "bool"),
    (["vocabulary", {"embedding": 4}], "string"),
    ([{"hash": 50}, "embedding"], "int"),
    ({"date_parts": "month"}, "timestamp"),
    ([{"date_parts": "weekday"}, "one_hot"], "timestamp"),
    ({"date_parts": ["year", "quarter", "day", "day_of_year", "hour", "minute", "second"]}, "timestamp"),
    ({"date_parts": {"parts": ["year", "epoch_days"], "epoch": "s"}}, "int"),
    ({"cyclic": ["month", "weekday"]}, "timestamp"),
    ({"cyclic": {"period": 24}}, "float"),
    ({"cyclic": {"parts": "hour", "epoch": "days"}}, "int"),
    ([{"split": "b"}, "multi_hot"], "string"),
    (["split", {"hash": 9}, {"pad": 3}], "string"),
    (["tokens", {"bag": 20}], "string"),
    (["tokens", "multi_hot"], "string"),
    ([{"tokens": {"split_by": r"\s", "lower": False}}, "vocabulary", {"pad": 4}, "embedding"], "string"),
    ("multi_hot", "strings"),
    ({"multi_hot": 2}, "ints"),
    ({"bag": 5}, "ints"),
    (["vocabulary", {"pad": 2}], "strings"),
    ("identity", "float"),
    ("identity", "int"),
    ({"z_score": {"by": "k"}}, "float"),
    ({"min_max": {"low": -1, "by": "k"}}, "int"),
    ({"max_abs": {"by": "k"}}, "float"),
    ({"robust": {"by": "k"}}, "float"),
    ([{"impute": {"by": "k"}}, {"z_score": {"by": "k"}}], "float"),
    ({"impute": {"value": "mean", "by": "k"}}, "int"),
    ({"impute": {"value": "most_frequent", "by": "k"}}, "int"),
    ([{"impute": {"value": "most_frequent", "by": "k"}}, "one_hot"], "string"),
    ("target_mean", "string"),
    ({"target_mean": {"smoothing": 0, "folds": 2, "seed": 1}}, "int"),
    ([{"bucketize": 3}, "target_mean", "z_score"], "float"),
    ({f"{OWN}:clamp": {"low": -2}}, "float"),
    ([f"{OWN}:above", "z_score"], "int"),
    ({f"{OWN}:Gap": 2}, "float"),
    ([{f"{OWN}:Initials": 7}, "one_hot"], "string"),
]
CROSSES = {"cross"}
"""Those that take several columns, which have a test of their own."""


def fit(
    features: dict[str, Any], data: dict[str, tuple[str, Sequence[Any]]], label: LabelSpec | None = None
) -> FittedTransform:
    """Fits on columns in memory, cut into two batches; `data` is (type, values) by name."""
    table = data
    if label is None:  # a label of several values, for which there is one more row without anything else
        table = {name: (kind, [*values, None]) for name, (kind, values) in data.items()}
        rows = len(next(iter(table.values()))[1])
        table["label"] = ("float", [row + 0.5 for row in range(rows)])
    types = {name: kind for name, (kind, _) in table.items()}
    specs, problems = parse_features(features)
    targets = (label or LabelSpec("label"),)
    assert not problems
    assert not check_specs(specs, targets, types, list(types))
    whole = batch(table)
    cut = whole.num_rows // 2
    batches = [b for b in (whole.slice(0, cut), whole.slice(cut)) if b.num_rows]
    warnings: list[str] = []
    fitted = Fitter(types, lambda _, asked: analyze_batches(asked, batches), warnings.append).fit(
        specs, targets
    )
    assert not warnings
    return fitted


def batch(data: dict[str, tuple[str, Sequence[Any]]]) -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(values, ARROW[kind]) for name, (kind, values) in data.items()})


def one(made: Any, kind: str, values: Sequence[Any], apply_to: Sequence[Any] | None = None) -> np.ndarray:
    """The feature that `made` makes of a column, [n, width], fitted on the same column."""
    fitted = fit({"f": {"from": "c", "apply": made}}, {"c": (kind, values)})
    return fitted.apply_numpy(batch({"c": (kind, values if apply_to is None else apply_to)}))["f"]


def column(kind: str) -> st.SearchStrategy[list[Any]]:
    """Columns with missing values; floats also extreme ones, strings also odd ones."""
    values: dict[str, st.SearchStrategy[Any]] = {
        "float": st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, 1.0, 1.5, 3.0, -0.0])),
        "int": st.one_of(st.integers(-5, 20), st.integers(-(2**62), 2**62)),
        "bool": st.booleans(),
        "string": st.one_of(
            st.sampled_from(["a", "b", "ß", "日本", "a b", "ΣΑΣ İa|B", "x| y |x"]), st.text(max_size=5)
        ).filter(lambda v: "\x00" not in v),
        "timestamp": st.datetimes(datetime(1677, 9, 22), datetime(2262, 4, 11)),
    }
    values["strings"] = st.lists(st.one_of(values["string"], st.none()), max_size=4)
    values["ints"] = st.lists(st.one_of(st.integers(-3, 9), st.none()), max_size=4)
    text = values[kind]
    return st.lists(st.one_of(text, text, text, st.none()), min_size=1, max_size=30)


def case_name(value: Any) -> str:
    """A case without the folder that it lies in."""
    return str(value).replace(f"{OWN.parent}/", "")


def by_key(made: Any) -> bool:
    """Whether a case needs the key column `k`, of strings."""
    return "'by': 'k'" in str(made)


def has_value(value: Any) -> bool:
    """Whether a cell has a value, and one that is left when it is cut at `b`, at `|` or into words."""
    if isinstance(value, list):
        return any(has_value(one) for one in value)
    if isinstance(value, str):
        return any(letter.isalnum() and letter != "b" for letter in value)
    return value is not None


def unseen(kind: str) -> list[Any]:
    """Values that a fit may not have seen, extremes among them."""
    return {
        "float": [None, 0.0, -1.0, 1e30, -1e30, 1e300, math.inf, -math.inf, math.nan, 1e-40],
        "int": [None, 0, 7, 2**62, -(2**62), -(2**63)],
        "bool": [None, True, False],
        "string": [None, "", "never seen", "🙂", "x" * 100],
        "timestamp": [None, datetime(1, 1, 1), datetime(1600, 2, 29, 23), datetime(9999, 12, 31, 23, 59, 59)],
        "strings": [None, [], ["", None], ["never seen", "a", "a", "x"]],
        "ints": [None, [], [None], [2**62, 5, 5, 5]],
    }[kind]


def compare_planes(fitted: FittedTransform, raw: pa.RecordBatch, expected: np.ndarray) -> None:
    import tensorflow as tf

    columns = {name: tf.constant(values) for name, values in fitted.serving_columns(raw).items()}
    served = fitted.apply_tensorflow(columns)["f"].numpy()
    (feature,) = fitted.fitted
    compare(feature, raw, served, expected)


def compare(fitted: FittedFeature, raw: pa.RecordBatch, served: np.ndarray, expected: np.ndarray) -> None:
    """What a feature is in both planes: equal, but for the last places of what is computed."""
    feature = fitted.output
    assert served.dtype == expected.dtype == np.dtype(feature.dtype)
    assert served.shape == expected.shape == (raw.num_rows, feature.width)
    if feature.sizes or feature.dtype == "int64":
        np.testing.assert_array_equal(served, expected)
        return
    np.testing.assert_array_equal(np.isnan(served), np.isnan(expected))
    # TensorFlow takes numbers that are too small for a full mantissa as zero.
    served, expected = (np.where(np.abs(x) < np.finfo(np.float32).tiny, 0, x) for x in (served, expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(
        served[~finite & ~np.isnan(expected)], expected[~finite & ~np.isnan(expected)]
    )
    # A difference of a few units in the last place before the mean is taken off weighs more behind it.
    constants = fitted.branches[0].stages[-1].constants
    before = 1 + 2 * np.abs(np.multiply(constants.get("mean", 0.0), constants.get("scale", 0.0))).max()
    eps = ULP * float(np.finfo(np.float32).eps)
    np.testing.assert_allclose(served[finite], expected[finite], rtol=eps, atol=eps * before)
