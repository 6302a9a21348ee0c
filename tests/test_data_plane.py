"""The result doesn't depend on the execution: one worker, threads and processes give the same digests.

Blocks of 1,000 bytes cut a small table into many units, so that every data step is spread as a large one
would be.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from headrace.components import csv_examples, infer_schema, statistics, transform
from headrace.components.data_plane import parts
from headrace.components.data_plane.descriptions import LARGEST_ELEMENT
from headrace.components.data_plane.result import Result
from headrace.components.data_plane.work import run_units
from headrace.pipelines.errors import DataError

EXECUTIONS = {
    "one worker": {"direct_num_workers": "1"},
    "threads": {"direct_num_workers": "2"},
    "processes": {"direct_num_workers": "2", "direct_running_mode": "multi_processing"},
}
FEATURES = {
    "size": [{"impute": "median"}, "log1p", "z_score"],
    "decile": {"from": "size", "apply": [{"impute": "mean"}, {"bucketize": 10}]},
    "city": "one_hot",
    "street": {"vocabulary": {"top_k": 20}},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    chance = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["size", "city", "street", "price"])
        for _ in range(900):
            size = "" if chance.random() < 0.1 else round(chance.lognormvariate(4, 1), 3)
            city = chance.choice(["Oslo", "Bergen", "Tromsø, north", 'the "old" town\nby the sea'])
            writer.writerow([size, city, f"street {chance.randrange(60)}", chance.randrange(10**6)])
    return path


def steps(new_ctx, path: Path, options: dict[str, str]):
    """Digests of every data artifact, and what was told of the work."""
    contexts = [new_ctx(**options) for _ in range(4)]
    examples = csv_examples.function(contexts[0], path=str(path), block_bytes=1000, stratify="city")
    counted = statistics.function(contexts[1], examples)
    schema = infer_schema.function(contexts[2], counted)
    made = transform.function(
        contexts[3], examples, label={"price": "z_score"}, features=FEATURES, schema=schema, shards=3
    )
    artifacts = [examples, counted, schema, made.examples, made.transform]
    work = [event["work"] for ctx in contexts for event in ctx.events if "work" in event]
    return [artifact.digest for artifact in artifacts], work


def test_equal_digests_on_any_number_of_workers(new_ctx, table, monkeypatch):
    monkeypatch.setattr(parts, "UNIT_ROWS", 30)
    found = {name: steps(new_ctx, table, options) for name, options in EXECUTIONS.items()}
    digests = [digests for digests, _ in found.values()]
    assert digests[0] == digests[1] == digests[2]
    for name, (_, work) in found.items():
        by_stage = {facts["stage"]: facts for facts in work}
        assert len(by_stage) >= 5, by_stage.keys()
        spread = [facts for facts in work if facts["units"] >= 16]
        assert len(spread) >= 4, "each data step has to have several units of work"
        assert max(facts["largest_element_bytes"] for facts in work) <= LARGEST_ELEMENT
        if name == "processes":
            assert any(len({worker.split("-")[0] for worker in facts["workers"]}) > 1 for facts in spread)
        if name != "one worker":
            assert any(len(facts["workers"]) > 1 for facts in spread)


def double(unit: int) -> Result:
    return Result(str(2 * unit).encode(), rows=unit)


def refuse(unit: int) -> Result:
    raise DataError("a bad row", file="table.csv", line=unit, available=("a", "b"), remedy="mend it")


@pytest.mark.parametrize("name", list(EXECUTIONS))
def test_results_come_in_the_order_of_the_units(new_ctx, name):
    ctx = new_ctx(**EXECUTIONS[name])
    assert list(run_units(ctx, "double", list(range(40)), double)) == [str(2 * i).encode() for i in range(40)]
    progress = [event["progress"] for event in ctx.events if "progress" in event]
    assert progress[-1] == {"done": 40, "total": 40, "rows": sum(range(40))}
    if name != "processes":  # one process suffices for the error below
        with pytest.raises(DataError) as caught:
            list(run_units(new_ctx(**EXECUTIONS[name]), "refuse", [7], refuse))
        problem = caught.value.problems[0]
        assert (problem.what, problem.line, problem.available) == ("a bad row", 7, ("a", "b"))


def test_no_units_is_no_work(ctx):
    assert list(run_units(ctx, "double", [], double)) == []


def test_what_is_too_large_to_cross_a_stage_is_refused(ctx):
    with pytest.raises(ValueError, match="more than"):
        run_units(ctx, "double", ["x" * LARGEST_ELEMENT], double)


def test_a_path_that_a_worker_elsewhere_would_read_otherwise_is_refused(ctx):
    with pytest.raises(ValueError, match=r"part\.parquet, which isn't the same file"):
        run_units(ctx, "double", [(1, {"file": Path("part.parquet")})], double)
