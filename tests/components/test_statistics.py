from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components.data_plane import parts
from headrace.components.statistics import statistics
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, StoreError
from headrace.schemas.statistics import DatasetStatistics

from .raw_examples import make_raw_examples


def table(rows: int = 997) -> pa.Table:
    draw = np.random.default_rng(7)
    price = draw.lognormal(3, 1, rows)
    return pa.table(
        {
            "price ($)": pa.array(price, mask=draw.random(rows) < 0.1),
            "rooms": pa.array(draw.integers(0, 9, rows)),
            "größe": pa.array(draw.choice(["S", "M", "L", "日本"], rows), mask=draw.random(rows) < 0.2),
            "ok": pa.array(draw.random(rows) < 0.7),
            "nothing": pa.nulls(rows, pa.float64()),
            "no text": pa.nulls(rows, pa.string()),
        }
    )


def load(artifact: Any) -> DatasetStatistics:
    return DatasetStatistics.from_json(artifact.file("statistics.json").read_text("utf-8"))


def test_statistics_equal_numpy(ctx: Any) -> None:
    data = table()
    splits = {"train": data, "test": data.slice(0, 10), "empty": data.slice(0, 0)}
    artifact = statistics.function(ctx, make_raw_examples(ctx, splits, rows_per_part=100))
    found = load(artifact)
    assert found.names == ("train", "test", "empty")
    assert DatasetStatistics.from_json(found.to_json()) == found
    train = found["train"]
    assert train.rows == 997 and [f.name for f in train] == data.column_names
    price = data["price ($)"].drop_null().to_numpy()
    numbers = train["price ($)"].numeric
    assert numbers is not None and train["price ($)"].missing == data["price ($)"].null_count
    assert numbers.mean == pytest.approx(price.mean(), rel=1e-12)
    assert numbers.deviation == pytest.approx(price.std(), rel=1e-12)
    assert (numbers.min, numbers.max) == (price.min(), price.max())
    assert numbers.median == pytest.approx(np.median(price), rel=1e-15) and numbers.relative_error == 0
    for share, value in numbers.quantiles:
        assert value == pytest.approx(np.quantile(price, share), rel=1e-14)
    rooms = data["rooms"].to_numpy()
    assert train["rooms"].distinct == 9 and train["rooms"].numeric.zeros == (rooms == 0).sum()
    assert dict(train["rooms"].top) == {v: int((rooms == v).sum()) for v in range(9)}
    size = train["größe"]
    values = [v for v in data["größe"].to_pylist() if v is not None]
    assert size.complete and dict(size.top) == {v: values.count(v) for v in set(values)}
    assert size.lengths.min == 1 and size.lengths.max == 2
    assert dict(train["ok"].top)["true"] == sum(data["ok"].to_pylist())
    for name in ("nothing", "no text"):
        assert train[name].missing == 997 and train[name].distinct == 0 and train[name].presence == 0
    assert found["empty"].rows == 0 and found["empty"]["rooms"].numeric.mean is None
    assert artifact.summary["rows"] == {"train": 997, "test": 10, "empty": 0}


def test_the_table_shows_every_column(ctx: Any) -> None:
    data = table().append_column("esc", pa.array(["\x1b[31mred"] * 997))
    text = (
        statistics.function(ctx, make_raw_examples(ctx, {"train": data}))
        .file("statistics.txt")
        .read_text("utf-8")
    )
    assert "train: 997 rows, 7 columns" in text and "\x1b" not in text
    for name in data.column_names:
        assert any(line.startswith(name) for line in text.splitlines()), name


@pytest.mark.parametrize(
    "options",
    [
        {"direct_num_workers": "2"},
        {"direct_num_workers": "2", "direct_running_mode": "multi_processing"},
    ],
)
def test_workers_do_not_matter(
    new_ctx: Any, tmp_path: Path, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "UNIT_ROWS", 50)
    examples = make_raw_examples(tmp_path / "raw", {"train": table(), "test": table(50)}, rows_per_part=50)
    alone, two = new_ctx(), new_ctx(**options)
    assert statistics.function(alone, examples).digest == statistics.function(two, examples).digest
    work = next(e["work"] for e in two.events if "work" in e)
    assert work["units"] == 21 and len(work["workers"]) == 2 and work["largest_element_bytes"] < 1_000


def test_the_cut_into_parts_changes_no_count(new_ctx: Any, tmp_path: Path) -> None:
    one = make_raw_examples(tmp_path / "one", {"train": table()})
    many = make_raw_examples(tmp_path / "many", {"train": table()}, rows_per_part=17)
    a, b = (load(statistics.function(new_ctx(), e))["train"] for e in (one, many))
    for left, right in zip(a, b, strict=True):
        assert (left.top, left.distinct, left.missing) == (right.top, right.distinct, right.missing)
        if left.numeric and left.count:
            assert left.numeric.quantiles == right.numeric.quantiles
            assert left.numeric.mean == pytest.approx(right.numeric.mean, rel=1e-12)


def test_infinite_values_are_counted_apart(ctx: Any) -> None:
    data = pa.table({"a": pa.array([1.0, float("inf"), float("nan"), None, -float("inf"), 3.0])})
    found = load(statistics.function(ctx, make_raw_examples(ctx, {"train": data})))["train"]["a"]
    assert found.missing == 2 and found.numeric.infinite == 2
    assert (found.numeric.min, found.numeric.max, found.numeric.mean) == (1.0, 3.0, 2.0)


def test_top_values_limits_the_list(ctx: Any) -> None:
    words = [f"w{i}" for i in range(1_500)]
    data = pa.table({"many": words, "number": list(range(1_500)), "few": ["a", "b", "c"] * 500})
    artifact = statistics.function(ctx, make_raw_examples(ctx, {"train": data}), top_values=2)
    found = load(artifact)["train"]
    assert [len(found[name].top) for name in ("many", "number", "few")] == [2, 2, 3]
    assert found["few"].complete and not found["many"].complete


def test_a_damaged_part_is_named(ctx: Any) -> None:
    examples = make_raw_examples(ctx, {"train": table(100)}, rows_per_part=50)
    part = examples.parts("train")[1]
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(StoreError) as caught:
        statistics.function(ctx, examples)
    assert caught.value.problems[0].file == str(part) and caught.value.problems[0].remedy


def test_lost_rows_are_noticed(ctx: Any) -> None:
    examples = make_raw_examples(ctx, {"train": table(100)}, rows_per_part=50)
    examples.parts("train")[1].write_bytes(
        make_raw_examples(ctx, {"train": table(49)}, name="b").parts("train")[0].read_bytes()
    )
    with pytest.raises(DataError, match="should have 100 rows, and 99 were read"):
        statistics.function(ctx, examples)


def test_the_check_passes_on_what_is_known() -> None:
    known = Known(columns=("a", "b"), splits=("train",))
    assert statistics.checker is not None
    assert statistics.checker({"top_values": 20}, {"examples": known}) == ([], {"output": known})
    assert statistics.checker({}, {}) == ([], {"output": Known()})
