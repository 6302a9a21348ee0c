"""Statistics beyond counts: labels, weights, slices, lists, times, sketches, and data that is bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.import_statistics import import_statistics
from headrace.components.statistics import statistics
from headrace.components.statistics_files import load_statistics
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError
from headrace.schemas.tfdv_statistics import from_bytes

from .raw_examples import make_raw_examples


def table(rows: int = 600) -> pa.Table:
    draw = np.random.default_rng(3)
    x = draw.normal(10, 3, rows)
    city = draw.choice(["Rom", "Köln", "Lyon"], rows, p=[0.5, 0.3, 0.2])
    tags = [None if i % 7 == 0 else ["a", "b", "c"][: i % 4] for i in range(rows)]
    return pa.table(
        {
            "x": pa.array(x, mask=draw.random(rows) < 0.1),
            "rooms": pa.array(draw.integers(1, 5, rows)),
            "city": pa.array(city, mask=draw.random(rows) < 0.1),
            "sold": pa.array(x > 10),
            "price": pa.array(x * 2 + draw.normal(0, 1, rows) + (city == "Rom") * 5),
            "when": pa.array(draw.integers(0, 2**40, rows), pa.timestamp("us", "UTC")),
            "tags": pa.array(tags, pa.list_(pa.string())),
            "marks": pa.array(
                [[float(i), float("nan")][: i % 3] for i in range(rows)], pa.list_(pa.float64())
            ),
            "weight": pa.array(draw.integers(0, 4, rows).astype(float)),
        }
    )


def run(ctx: Any, data: pa.Table, **options: Any) -> Any:
    return load_statistics(statistics.function(ctx, make_raw_examples(ctx, {"train": data}, 100), **options))


def test_correlations_with_a_number(ctx: Any) -> None:
    data = table()
    found = run(ctx, data, label="price")["train"]
    x, price = (data[name].to_numpy() for name in ("x", "price"))
    both = ~np.isnan(x)
    pearson = found["x"].correlation
    assert pearson.method == "pearson" and pearson.rows == both.sum()
    assert pearson.value == pytest.approx(np.corrcoef(x[both], price[both])[0, 1], rel=1e-9)
    eta = found["city"].correlation
    groups = [price[np.array(data["city"].to_pylist()) == name] for name in ("Rom", "Köln", "Lyon")]
    whole = np.concatenate(groups)
    between = sum(len(g) * (g.mean() - whole.mean()) ** 2 for g in groups)
    assert eta.method == "eta" and eta.rows == len(whole)
    assert eta.value == pytest.approx(np.sqrt(between / ((whole - whole.mean()) ** 2).sum()), rel=1e-9)
    assert found["price"].correlation is None and found["tags"].correlation is None
    assert found["when"].correlation.method == "pearson" and found["sold"].correlation.method == "eta"


def test_correlations_with_a_class(ctx: Any) -> None:
    found = run(ctx, table(), label="sold")["train"]
    assert found["x"].correlation.method == "eta" and found["x"].correlation.value > 0.7
    assert found["city"].correlation.method == "cramers_v" and found["city"].correlation.value < 0.2


def test_weights(ctx: Any) -> None:
    data = table()
    found = run(ctx, data, weights="weight")["train"]
    weight, x = data["weight"].to_numpy(), data["x"].to_numpy()
    there = ~np.isnan(x)
    assert found.weight == weight.sum()
    seen = found["x"].weighted
    assert (seen.count, seen.missing) == (weight[there].sum(), weight[~there].sum())
    mean = np.average(x[there], weights=weight[there])
    assert seen.mean == pytest.approx(mean, rel=1e-12)
    assert seen.deviation == pytest.approx(np.sqrt(np.average((x[there] - mean) ** 2, weights=weight[there])))
    gone = np.array([not value for value in data["tags"].to_pylist()])
    assert found["tags"].weighted.missing == weight[gone].sum() and found["tags"].weighted.mean is None
    assert found["x"].numeric.mean == pytest.approx(x[there].mean())


def test_slices_are_statistics_of_their_rows(new_ctx: Any) -> None:
    data = table()
    ctx = new_ctx()
    found = run(ctx, data, slices=["city", "sold", "rooms"], max_slices=2, label="price")["train"]
    assert [part.name for part in found.slices] == [
        "city=Rom", "city=Köln", "sold=true", "sold=false", *[p.name for p in found.slices[4:]],
    ]  # fmt: skip
    assert any("the 2 most frequent of 3 values" in event.get("say", "") for event in ctx.events)
    rom = data.filter(pa.compute.equal(data["city"], "Rom"))
    alone = run(new_ctx(), rom, label="price")["train"]
    part = found.slices[0]
    assert part.rows == rom.num_rows
    for a, b in zip(part, alone, strict=True):
        assert (a.missing, a.top, a.lengths, a.lists) == (b.missing, b.top, b.lengths, b.lists), a.name
        if a.numeric:
            assert a.numeric.quantiles == b.numeric.quantiles and a.numeric.histogram == b.numeric.histogram


def test_lists_and_times(ctx: Any) -> None:
    data = table()
    found = run(ctx, data)["train"]
    tags = [value for value in data["tags"].to_pylist() if value]
    assert found["tags"].missing == 600 - len(tags) and found["tags"].distinct == 3
    assert found["tags"].lists.mean == pytest.approx(np.mean([len(t) for t in tags]))
    assert (found["tags"].lists.min, found["tags"].lists.max) == (1, 3)
    assert dict(found["tags"].top)["a"] == len(tags)
    marks = [value[0] for value in data["marks"].to_pylist() if value]
    assert found["marks"].numeric.mean == pytest.approx(np.mean(marks))
    assert found["marks"].missing == 200 and found["marks"].lists.values == 600
    when = data["when"].cast(pa.int64()).to_numpy()
    assert (found["when"].numeric.min, found["when"].numeric.max) == (when.min(), when.max())
    assert sum(found["when"].numeric.histogram.counts) == 600


@pytest.mark.parametrize("options", [{"direct_num_workers": "2"}])
def test_nothing_depends_on_the_workers(new_ctx: Any, tmp_path: Path, options: dict[str, str]) -> None:
    examples = make_raw_examples(tmp_path / "raw", {"train": table(), "test": table(50)}, rows_per_part=64)
    asked: dict[str, Any] = {"label": "price", "weights": "weight", "slices": ["city"]}
    one, two = (statistics.function(ctx, examples, **asked) for ctx in (new_ctx(), new_ctx(**options)))
    assert one.digest == two.digest and {f.path for f in one.files} >= {"statistics.pb", "statistics.txt"}


def test_past_the_budget_the_artifact_says_so(ctx: Any) -> None:
    draw = np.random.default_rng(1)
    data = pa.table(
        {
            "x": draw.lognormal(0, 1, 20_000),
            "id": [f"user-{i:07d}" for i in range(20_000)],
            "few": [1] * 20_000,
        }
    )
    artifact = statistics.function(
        ctx, make_raw_examples(ctx, {"train": data}, rows_per_part=5_000), budget=65_536
    )
    found = load_statistics(artifact)
    assert found.budget == 65_536 and artifact.summary["sketched"] == ["id", "x"]
    x, ids = found["train"]["x"], found["train"]["id"]
    assert not x.exact and 0 < x.numeric.relative_error < 0.01 and 0 < x.distinct_error < 0.02
    assert abs(x.distinct - 20_000) < 4 * x.distinct_error * 20_000
    assert not ids.exact and abs(ids.distinct - 20_000) < 4 * ids.distinct_error * 20_000
    for share, value in x.numeric.quantiles:
        assert value == pytest.approx(np.quantile(data["x"], share), rel=x.numeric.relative_error)
    assert sum(x.numeric.histogram.counts) == 20_000 and found["train"]["few"].exact


def test_bad_data(ctx: Any) -> None:
    many = 3
    data = pa.table(
        {
            "one value": pa.array([0.1] * many),
            "nothing": pa.nulls(many, pa.float64()),
            "no lists": pa.nulls(many, pa.list_(pa.int64())),
            "no time": pa.nulls(many, pa.timestamp("us", "UTC")),
            "huge": pa.array([2**53 + 1, 2**63 - 1, -(2**63) + 1]),
            "long": pa.array(["x" * 2_000_000, "y", "NUL\0"]),
            "inf": pa.array([float("inf")] * many),
            "<script>alert(1)</script>": pa.array([1.0, 2.0, 3.0]),
        }
    )
    found = run(ctx, data, label="one value", weights="<script>alert(1)</script>")["train"]
    assert found["one value"].numeric.deviation == 0 and found["one value"].numeric.histogram.counts == (3,)
    assert found["nothing"].numeric.histogram is None and found["nothing"].correlation.value is None
    assert found["no lists"].missing == 3 and found["no time"].numeric.min is None
    assert {value for value, _ in found["huge"].top} == {2**53 + 1, 2**63 - 1, -(2**63) + 1}
    assert found["long"].lengths.max == 2_000_000 and found["inf"].numeric.infinite == 3


def test_what_is_asked_of_wrong_columns_is_refused(ctx: Any) -> None:
    examples = make_raw_examples(ctx, {"train": table(20)})
    for options, what in (
        ({"label": "prize"}, "no column 'prize'"),
        ({"label": "tags"}, "'tags' is strings"),
        ({"weights": "city"}, "'city' is string"),
        ({"slices": ["x"]}, "'x' is float"),
        ({"weights": "x"}, "have no weight of zero or more"),
    ):
        with pytest.raises(DataError, match=what):
            statistics.function(ctx, examples, **options) if options != {"weights": "x"} else run_x(ctx)
    known = {"examples": Known(columns=("a", "b"))}
    assert statistics.checker is not None
    problems, _ = statistics.checker({"label": "c", "slices": ["a", "d"]}, known)
    assert [(p.argument, p.given) for p in problems] == [("label", "c"), ("slices", "d")]


def run_x(ctx: Any) -> None:
    data = pa.table({"x": pa.array([1.0, None, -1.0])})
    statistics.function(ctx, make_raw_examples(ctx, {"train": data}, name="weights"), weights="x")


def test_statistics_travel_by_file(new_ctx: Any, tmp_path: Path) -> None:
    ctx = new_ctx()
    artifact = statistics.function(ctx, make_raw_examples(ctx, {"train": table(50)}), label="price")
    message, skipped = from_bytes(artifact.file("statistics.pb").read_bytes())
    assert not skipped and message["train"].rows == 50
    by_json = import_statistics.function(new_ctx(), path=str(artifact.file("statistics.json")))
    assert by_json.digest == artifact.digest
    by_proto = load_statistics(
        import_statistics.function(new_ctx(), path=str(artifact.file("statistics.pb")))
    )
    assert by_proto["train"]["x"].numeric.mean == load_statistics(artifact)["train"]["x"].numeric.mean
    for name, text, what in (
        ("bad.pb", "hello", "no DatasetFeatureStatisticsList"),
        ("bad.json", json.dumps({"format": 99}), "reads up to"),
        ("missing.pb", None, "can't be read"),
    ):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        with pytest.raises(DataError, match=what) as caught:
            import_statistics.function(new_ctx(), path=str(path))
        assert caught.value.problems[0].file == str(path)
