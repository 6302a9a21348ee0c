"""The contract of every transform: fitted, saved, loaded, served, and equal in both planes."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.components.preprocessing.features_grammar import parse_features
from headrace.components.preprocessing.fitted_file import load_fitted, save_fitted
from headrace.components.transforms import TRANSFORMS, ByKey
from headrace.schemas import yaml12
from headrace.schemas.yaml12_dump import dump

from .model_path import Paths
from .transform_cases import (
    CASES,
    CROSSES,
    batch,
    by_key,
    case_name,
    column,
    compare,
    compare_planes,
    fit,
    has_value,
    unseen,
)


def names(made: Any) -> set[str]:
    """The transforms of a case, and those of them with constants by key."""
    links = [
        {link: {}} if isinstance(link, str) else link for link in (made if isinstance(made, list) else [made])
    ]
    pairs = [pair for link in links for pair in link.items()]
    return {f"{name} by key" if isinstance(told, dict) and "by" in told else name for name, told in pairs}


def covering() -> list[tuple[Any, str]]:
    """The first cases that have every transform of the table among them."""
    seen: set[str] = set()
    kept = []
    for made, kind in CASES:
        if names(made) - seen:
            kept.append((made, kind))
            seen |= names(made)
    return kept


def test_the_table_names_every_transform() -> None:
    named = set().union(*(names(made) for made, _ in CASES))
    images = {name for name, cls in TRANSFORMS.items() if {"image", "pixels"} & set(cls.takes)}  # theirs is
    ours = set(TRANSFORMS) - CROSSES - images  # in test_image_transforms.py
    assert {name for name in named if ":" not in name and " by " not in name} == ours
    keyed = {name for name, cls in TRANSFORMS.items() if issubclass(cls, ByKey)}
    assert {name.removesuffix(" by key") for name in named if name.endswith(" by key")} == keyed


@pytest.mark.parametrize(("made", "kind"), CASES, ids=case_name)
@settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(data=st.data())
def test_both_planes_agree(made: Any, kind: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    values = data.draw(column(kind).filter(lambda c: any(has_value(v) for v in c)))
    keys = st.lists(st.sampled_from(["p", "ü", None]), min_size=len(values), max_size=len(values))
    beside = {"k": ("string", data.draw(keys))} if by_key(made) else {}
    fitted = fit({"f": {"from": "c", "apply": made}}, {"c": (kind, values), **beside})
    folder = tmp_path_factory.mktemp("fitted")
    save_fitted(fitted, folder)
    again = load_fitted(folder)
    for rows in (values, [*values, *unseen(kind)]):
        key = beside["k"][1] if beside else []
        key = [*key, *islice(cycle(["never", "p", None, ""]), len(rows) - len(key))]
        raw = batch({"c": (kind, rows), **({"k": ("string", key)} if beside else {})})
        expected = fitted.apply_numpy(raw)["f"]
        np.testing.assert_array_equal(again.apply_numpy(raw)["f"], expected)
        compare_planes(again, raw, expected)


@pytest.mark.parametrize(("made", "kind"), CASES, ids=case_name)
def test_what_is_written_as_yaml_is_read_the_same(made: Any, kind: str) -> None:
    told = {"f": {"from": "c", "apply": made}}
    again = yaml12.load(dump({"features": told}), "features.yaml")["features"]
    assert parse_features(again) == parse_features(told)


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_crosses_agree_in_both_planes(data: st.DataObject, tmp_path_factory: Any) -> None:
    kinds = {"a": "float", "b": "string", "c": "int"}
    drawn = {
        name: data.draw(st.lists(column(kind), min_size=1, max_size=1))[0] for name, kind in kinds.items()
    }
    rows = min(map(len, drawn.values()))
    table = {name: (kinds[name], values[:rows]) for name, values in drawn.items()}
    made = {
        "from": {"a": {"bucketize": [0, 2]}, "b": "identity", "c": {"hash": 5}},
        "apply": [{"cross": 40}, "one_hot"],
    }
    fitted = fit({"f": made}, table)
    save_fitted(fitted, folder := tmp_path_factory.mktemp("fitted"))
    raw = batch(table)
    compare_planes(load_fitted(folder), raw, fitted.apply_numpy(raw)["f"])
    assert (fitted.features[0].width, fitted.features[0].sizes) == (40, (40,))


def plain_rows(kind: str, rows: int) -> list[Any]:
    """Values that every transform of a kind takes."""
    draw = np.random.default_rng(7)
    words = ["a", "b b", "red|blue", "ß", "x"]
    made: dict[str, list[Any]] = {
        "float": (draw.random(rows) * 20).tolist(),
        "int": draw.integers(0, 12, rows).tolist(),
        "bool": [bool(one) for one in draw.integers(0, 2, rows)],
        "string": draw.choice(words, rows).tolist(),
        "timestamp": [datetime(2020, 1, 1) + timedelta(hours=int(h)) for h in draw.integers(0, 40_000, rows)],
        "strings": [draw.choice(words, n).tolist() for n in draw.integers(0, 4, rows)],
        "ints": [draw.integers(0, 5, n).tolist() for n in draw.integers(0, 4, rows)],
    }
    return made[kind]


def test_the_saved_model_makes_every_feature_of_the_table(tmp_path: Path) -> None:
    import tensorflow as tf

    from headrace.components.export import export
    from headrace.components.exporting.parity import tensors
    from headrace.components.exporting.saved_model import serving_inputs

    cases = covering()
    kinds = dict.fromkeys(kind for _, kind in cases)
    rows = 60
    data = {kind: (kind, plain_rows(kind, rows)) for kind in kinds}
    data |= {"k": ("string", plain_rows("string", rows)), "label": ("float", plain_rows("float", rows))}
    features = {f"f{i}": {"from": kind, "apply": made} for i, (made, kind) in enumerate(cases)}
    features["grid"] = {"from": ["string", "int"], "apply": [{"cross": 9}, "one_hot"]}
    table = pa.Table.from_batches([batch(data)])
    paths = Paths(tmp_path)
    made = paths.prepare({"train": table, "test": table.slice(0, 20)}, features, "label")
    model = paths.train(made, model="mlp", model_args={"hidden_units": [2]}, epochs=1)
    exported = export.function(paths.ctx(), model, made.raw)
    loaded = tf.saved_model.load(str(exported.path / "1"))
    fitted = load_fitted(model.path / "transform")
    odd = {kind: (kind, [*unseen(kind), *data[kind][1]][:20]) for kind in kinds}
    raw = batch({**odd, "k": ("string", [*["never", None, ""], *data["k"][1]][:20])})
    served = loaded.transform_features(tensors(fitted.serving_columns(raw), serving_inputs(fitted)))
    expected = fitted.apply_numpy(raw)
    for feature, values in zip(fitted.fitted, served, strict=True):
        compare(feature, raw, values.numpy(), expected[feature.name])
