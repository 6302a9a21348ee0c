"""evaluate: the baseline, row weights, several classes a row, thresholds on parts, and odd splits."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn import metrics as sk

from headrace.components import evaluate
from headrace.components.evaluation.answers import ValueAnswers
from headrace.components.evaluation.class_answers import ClassAnswers
from headrace.components.evaluation.gates import bless
from headrace.components.evaluation.metric_names import BY_TASK
from headrace.components.evaluation.outcome import Measured, calibration
from headrace.components.preprocessing.fitted_file import load_fitted
from headrace.components.training.networks import feed_of, forward, load_network
from headrace.components.training.tasks import Task
from headrace.pipelines.artifact import Model
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, InvalidRequestError

from .model_path import Paths, Prepared, odd_splits

FEATURES: dict[str, Any] = {"größe": "z_score", "A": "z_score", "a": "one_hot"}


def _splits() -> dict[str, pa.Table]:
    """The odd rows with a weight from 0 to 3, and tags that follow the letter."""
    splits = {}
    for name, table in odd_splits().items():
        weight = np.arange(table.num_rows) % 4
        pairs = zip(table["A"].to_pylist(), table["a"].to_pylist(), strict=True)
        told = ["even|" * (number % 2 == 0) + "x" * (letter == "x") for number, letter in pairs]
        tags = [text.strip("|") or "none" for text in told]
        splits[name] = table.append_column("weight", pa.array(weight)).append_column("tags", pa.array(tags))
    return splits


@dataclasses.dataclass
class Made:
    path: Prepared
    model: Model


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def weighted(paths: Paths) -> Made:
    path = paths.prepare(_splits(), FEATURES, "Klasse", weight="weight")
    return Made(path, paths.train(path, epochs=3))


@pytest.fixture(scope="module")
def tagged(paths: Paths) -> Made:
    path = paths.prepare(_splits(), FEATURES, {"tags": [{"split": "|"}, "multi_hot"]})
    return Made(path, paths.train(path, epochs=3))


def _told(paths: Paths, made: Made, examples: Any = None, **arguments: Any) -> dict[str, Any]:
    evaluation = evaluate.function(paths.ctx(), made.model, examples or made.path.examples, **arguments)
    told: dict[str, Any] = evaluation.read_json("evaluation.json")
    return told


def _answers(made: Made, raw: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the network's outputs, each row by itself."""
    fitted = load_fitted(made.model.path / "transform")
    feed = feed_of(made.model, fitted)
    network = forward(load_network(made.model), feed)
    batch = raw.combine_chunks().to_batches()[0]
    outputs = network(feed.pack(np, fitted.apply_numpy(batch, expand=False)))
    return next(iter(fitted.labels_numpy(batch).values())), outputs.numpy()


def test_rows_count_by_their_weights(paths: Paths, weighted: Made) -> None:
    raw = _splits()["test"]
    labels, p = _answers(weighted, raw)
    weights = np.asarray(raw["weight"], np.float64)
    told = _told(paths, weighted)
    assert told["weight"] == {"column": "weight", "sum": weights.sum()}
    assert told["rows"] == len(weights)
    chosen = p.argmax(axis=1)
    assert told["metrics"]["accuracy"] == pytest.approx(
        sk.accuracy_score(labels, chosen, sample_weight=weights)
    )
    loss = sk.log_loss(labels, p, labels=range(3), sample_weight=weights)
    assert told["metrics"]["log_loss"] == pytest.approx(loss, rel=1e-4)
    assert np.sum(told["confusion"]) == pytest.approx(weights.sum())
    assert sum(bin_["rows"] for bin_ in told["calibration"]["bins"]) == pytest.approx(weights.sum())
    of_raw = _told(paths, weighted, weighted.path.raw, slices=["a"])
    assert of_raw["metrics"] == pytest.approx(told["metrics"], rel=1e-4)
    x = np.asarray(raw["a"].to_pylist()) == "x"
    expected = sk.accuracy_score(labels[x], chosen[x], sample_weight=weights[x])
    assert of_raw["slices"]["a"]["x"]["accuracy"] == pytest.approx(expected)


def test_the_worst_rows_of_a_table_are_told_with_their_places(paths: Paths, weighted: Made) -> None:
    raw = _splits()["test"]
    labels, p = _answers(weighted, raw)
    loss = -np.log(p[np.arange(len(labels)), labels] / p.sum(axis=1))
    loss[np.asarray(raw["weight"]) == 0] = -1
    evaluation = evaluate.function(paths.ctx(), weighted.model, weighted.path.raw, worst_examples=5)
    found = evaluation.read_json("worst_examples.json")["examples"]
    assert [one["row"] for one in found] == np.argsort(-loss, kind="stable")[:5].tolist()
    assert found[0]["loss"] == pytest.approx(loss.max(), rel=1e-4)
    assert found[0]["label"] == raw["Klasse"][found[0]["row"]].as_py()
    assert not evaluation.pictures and not (evaluation.path / "worst_examples.png").exists()
    of_shards = evaluate.function(paths.ctx(), weighted.model, weighted.path.examples, worst_examples=5)
    same = of_shards.read_json("worst_examples.json")["examples"]
    assert [one["loss"] for one in same] == pytest.approx([one["loss"] for one in found], rel=1e-4)
    bare = evaluate.function(paths.ctx(), weighted.model, weighted.path.raw, worst_examples=0, top_k=[2])
    assert "worst_examples.json" not in [entry.path for entry in bare.files]
    assert 0 < bare.read_json("evaluation.json")["metrics"]["top_2_accuracy"] <= 1


def test_several_classes_a_row(paths: Paths, tagged: Made) -> None:
    told = _told(paths, tagged)
    truth, p = _answers(tagged, _splits()["test"])
    assert told["task"]["name"] == "multilabel"
    assert set(told["metrics"]) == set(BY_TASK["multilabel"])
    expected = sk.f1_score(truth, p >= 0.5, average="micro", zero_division=0)
    assert told["metrics"]["f1_micro"] == pytest.approx(expected)
    assert set(told["per_class"]) == set(told["task"]["classes"]) == {"even", "x", "none"}
    support = {name: told["per_class"][name]["support"] for name in told["per_class"]}
    assert [support[name] for name in told["task"]["classes"]] == truth.sum(axis=0).tolist()
    assert told["confusion"] is None
    of_raw = _told(paths, tagged, tagged.path.raw)
    assert of_raw["metrics"] == pytest.approx(told["metrics"], rel=1e-4)


def test_a_baseline_model_is_compared_with(paths: Paths, weighted: Made) -> None:
    other = paths.train(weighted.path, model="linear", epochs=1)
    thresholds = {"log_loss": {"better_than_baseline": 100.0}, "accuracy": {"better_than_baseline": -1.0}}
    told = _told(paths, weighted, baseline=other, thresholds=thresholds)
    ours, theirs = told["metrics"], told["baseline"]["metrics"]
    assert theirs == pytest.approx(_told(paths, Made(weighted.path, other))["metrics"])
    assert told["baseline"]["change"]["log_loss"] == pytest.approx(ours["log_loss"] - theirs["log_loss"])
    assert told["baseline"]["weights"] == other.properties["weights"]
    assert not told["blessed"]
    (reason,) = told["reasons"]
    assert reason.startswith("log_loss ") and "rule better_than_baseline: 100" in reason
    assert "the baseline model has" in reason and reason.endswith("too high")


def test_a_baseline_of_another_task_is_refused(paths: Paths, weighted: Made, tagged: Made) -> None:
    with pytest.raises(InvalidRequestError, match="baseline model does something else"):
        _told(paths, weighted, weighted.path.raw, baseline=tagged.model)
    with pytest.raises(InvalidRequestError, match="no baseline model is given"):
        _told(paths, weighted, thresholds={"better_than_baseline": 0})


def test_the_naive_prediction_is_always_told(paths: Paths, weighted: Made) -> None:
    told = _told(paths, weighted)
    assert told["baseline"] is None
    train = _splits()["train"]
    counts = {
        c["values"].as_py(): c["counts"].as_py() for c in pc.value_counts(train["Klasse"].combine_chunks())
    }
    assert told["naive"]["prediction"] == max(counts, key=lambda name: counts[name])
    shares = np.asarray([counts[name] / train.num_rows for name in told["task"]["classes"]])
    test = _splits()["test"]
    labels = [told["task"]["classes"].index(name) for name in test["Klasse"].to_pylist()]
    weights = np.asarray(test["weight"], np.float64)
    expected = np.average(-np.log(shares[labels]), weights=weights)
    assert told["naive"]["metrics"]["log_loss"] == pytest.approx(expected, rel=1e-5)
    assert told["naive"]["metrics"]["auc"] == pytest.approx(0.5)


def test_thresholds_on_classes_and_slices(paths: Paths, weighted: Made) -> None:
    thresholds = {
        "per_class": {"*": {"recall": 0.0}, "hoch": {"precision": {"max": -1}}},
        "slices": {"a": {"zé": {"accuracy": 1.5}}},
    }
    told = _told(paths, weighted, weighted.path.raw, slices=["a"], thresholds=thresholds)
    assert [reason.split(" of ")[0] for reason in told["reasons"]] == ["precision", "accuracy"]
    assert "accuracy of a=zé" in told["reasons"][1]
    with pytest.raises(InvalidRequestError, match="no class 'hoh'; did you mean 'hoch'"):
        _told(paths, weighted, thresholds={"per_class": {"hoh": {"recall": 0.5}}})


def test_a_class_that_the_split_lacks_and_a_split_of_one_row(paths: Paths) -> None:
    splits = _splits()
    splits["test"] = splits["test"].filter(pc.not_equal(splits["test"]["Klasse"], "hoch"))
    splits["one"] = splits["test"].slice(0, 1)
    path = paths.prepare(splits, FEATURES, "Klasse")
    made = Made(path, paths.train(path, epochs=1))
    told = _told(paths, made, thresholds={"per_class": {"hoch": {"recall": 0.1}}})
    assert told["per_class"]["hoch"]["support"] == 0
    assert told["reasons"] == [
        "recall of hoch can't be computed on these rows, and has a threshold (rule min: 0.1)"
    ]
    one = _told(paths, made, split="one", thresholds={"auc": 0.5})
    assert one["rows"] == 1
    assert one["metrics"]["accuracy"] in (0.0, 1.0)
    assert "auc can't be computed" in one["reasons"][0]


def test_weights_that_cant_be_measured_with(paths: Paths, weighted: Made) -> None:
    from .raw_examples import make_raw_examples

    rows = _splits()["test"]
    place = rows.schema.get_field_index("weight")
    for weights, what in ((np.zeros(40, np.int64), "all rows .* are 0"), (np.full(40, -1), "below 0")):
        tables = {"test": rows.set_column(place, "weight", pa.array(weights))}
        with pytest.raises(DataError, match=what):
            _told(paths, weighted, make_raw_examples(paths.ctx(), tables))


def test_several_outputs_have_their_names_before_their_metrics() -> None:
    rng = np.random.default_rng(0)
    tasks = {"price": Task("regression", "price"), "sold": Task("binary", "sold", ("no", "yes"))}
    price, sold, p = rng.normal(size=50), rng.integers(0, 2, 50), rng.random(50)
    answers: dict[str, Any] = {
        "price": ValueAnswers.reduce(price, price + 1),
        "sold": ClassAnswers.reduce(sold, np.stack([1 - p, p], 1)),
    }
    facts = {"price": {"mean": 0.5}, "sold": {"counts": {"no": 30, "yes": 10}}}
    texts = pa.chunked_array([pa.array(["a", "b"] * 25)])
    measured = Measured(tasks, answers, facts, 50, {"part": texts})
    report, naive = measured.report(), measured.naive()
    assert report.metrics["price/mae"] == pytest.approx(1.0)
    assert report.metrics["sold/accuracy"] == sk.accuracy_score(sold, p > 0.5)
    assert naive.metrics["price/rmse"] == pytest.approx(np.sqrt(np.mean((price - 0.5) ** 2)))
    assert set(report.per_class["yes"]) >= {"sold/recall", "sold/support"}
    assert report.slices["part"]["b"]["rows"] == 25
    assert report.slices["part"]["b"]["price/mae"] == pytest.approx(1.0)
    assert measured.naive_from()["prediction"] == {"price": 0.5, "sold": "no"}
    assert set(measured.details(calibration)) == {"sold"}
    thresholds = {"better_than_naive": 0, "sold/accuracy": 2, "per_class": {"yes": {"sold/recall": 2}}}
    verdict = bless(thresholds, measured.names, report, naive)
    assert [reason.partition(" ")[0] for reason in verdict.reasons][-2:] == ["sold/accuracy", "sold/recall"]


def test_thresholds_are_checked_before_anything_runs() -> None:
    assert evaluate.checker is not None
    arguments = {"thresholds": {"accurcy": 1, "better_than_baseline": 0, "slices": {"a": {"x": {"f1": 1}}}}}
    problems, _ = evaluate.checker(arguments, {"model": Known(), "examples": Known()})
    assert [problem.closest for problem in problems] == ["accuracy", "", ""]
    assert "no baseline model" in problems[1].what
    assert "no slice column" in problems[2].what
    arguments = {"thresholds": {"better_than_baseline": 0}}
    assert not evaluate.checker(arguments, {"model": Known(), "baseline": Known()})[0]


def test_equal_arguments_give_equal_bytes(paths: Paths, weighted: Made, tmp_path: Path) -> None:
    first, second = (
        evaluate.function(paths.ctx(), weighted.model, weighted.path.examples).digest for _ in range(2)
    )
    assert first == second
