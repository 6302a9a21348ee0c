from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from headrace.components import cross_validate, dataset, export
from headrace.components.evaluation.folds import fold_numbers, mean_and_deviation
from headrace.pipelines.artifact import Evaluation
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, InvalidRequestError

from .model_path import Paths, Prepared, odd_splits

FEATURES: dict[str, Any] = {"größe": "z_score", "A": "z_score", "a": "one_hot"}
FEW: dict[str, Any] = {"folds": 3, "epochs": 2, "model": "linear"}


@dataclass
class Made:
    evaluation: Evaluation
    events: list[Any]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("cross"))


@pytest.fixture(scope="module")
def classes(paths: Paths) -> Prepared:
    return paths.prepare(odd_splits(), FEATURES, "Klasse")


@pytest.fixture(scope="module")
def made(paths: Paths, classes: Prepared) -> Made:
    evaluation = _cross(paths, classes, thresholds={"accuracy": 1.5})
    return Made(evaluation, [*paths.events])


def _cross(paths: Paths, path: Prepared, **arguments: Any) -> Any:
    return cross_validate.function(paths.ctx(), path.examples, path.transform, **{**FEW, **arguments})


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_every_row_is_in_one_fold_and_folds_are_even(folds: int) -> None:
    numbers = fold_numbers(103, folds, seed=1)
    counts = np.bincount(numbers, minlength=folds)
    assert counts.sum() == 103 and counts.max() - counts.min() <= 1
    assert (numbers == fold_numbers(103, folds, seed=1)).all()
    assert (numbers != fold_numbers(103, folds, seed=2)).any()


def test_stratified_folds_have_equal_shares_of_each_class() -> None:
    classes = np.random.default_rng(0).choice(4, 200, p=[0.7, 0.2, 0.08, 0.02])
    numbers = fold_numbers(200, 5, 0, classes)
    for kind in range(4):
        counts = np.bincount(numbers[classes == kind], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(numbers)) <= 1


def test_a_metric_that_some_folds_cant_tell() -> None:
    assert mean_and_deviation([1.0, None, 3.0]) == (2.0, pytest.approx(np.sqrt(2)))
    assert mean_and_deviation([None, 3.0]) == (3.0, None)
    assert mean_and_deviation([None]) == (None, None)


def test_dataset_gives_only_the_rows_that_are_wanted(paths: Paths, classes: Prepared) -> None:
    whole = np.concatenate([x for x, _ in dataset(classes.examples, matrix=True).as_numpy_iterator()])
    only = fold_numbers(len(whole), 3, 0) == 1
    told = dataset(classes.examples, batch_size=7, matrix=True, only=only)
    assert len(list(told)) == -(-int(only.sum()) // 7)
    chosen = np.concatenate([x for x, _ in told.as_numpy_iterator()])
    assert (chosen == whole[only]).all()
    shuffled = dataset(classes.examples, batch_size=7, matrix=True, shuffle=True, seed=3, only=only)
    mixed = np.concatenate([x for x, _ in shuffled.as_numpy_iterator()])
    assert not (mixed == chosen).all()
    assert sorted(map(tuple, mixed)) == sorted(map(tuple, chosen))
    with pytest.raises(DataError, match="2 rows were told of"):
        dataset(classes.examples, only=np.ones(2, bool))


def test_the_metrics_are_means_over_the_folds(made: Made) -> None:
    told = made.evaluation.read_json("evaluation.json")
    folds = told["folds"]
    assert [fold["fold"] for fold in folds] == [1, 2, 3]
    assert sum(fold["rows"] for fold in folds) == told["rows"] == 160
    assert all(fold["rows"] + fold["train_rows"] == 160 for fold in folds)
    assert told["stratified_by"] == "Klasse"
    each = [fold["metrics"]["accuracy"] for fold in folds]
    assert told["metrics"]["accuracy"] == pytest.approx(np.mean(each))
    assert told["deviations"]["accuracy"] == pytest.approx(np.std(each, ddof=1))
    assert told["naive"]["metrics"]["auc"] == pytest.approx(0.5)
    assert not told["blessed"] and "rule min: 1.5" in told["reasons"][0]
    assert any("thresholds are not met" in event.get("warn", "") for event in made.events)
    done = [event["progress"]["done"] for event in made.events if "done" in event.get("progress", {})]
    assert done == sorted(done) and done[-1] == 6


@pytest.mark.slow
def test_folds_side_by_side_give_the_same_numbers(paths: Paths, classes: Prepared) -> None:
    one, two = (_cross(paths, classes, folds=2, epochs=1, model="mlp", parallel=n) for n in (1, 2))
    assert one.digest == two.digest


def test_a_regression_in_the_labels_units_without_validation(paths: Paths) -> None:
    splits = {name: table for name, table in odd_splits().items() if name != "validation"}
    path = paths.prepare(splits, FEATURES, {"Preis €": "z_score"})
    told = _cross(paths, path, folds=2).read_json("evaluation.json")
    assert told["validation_split"] is None and told["stratified_by"] is None
    assert [fold["best_epoch"] for fold in told["folds"]] == [2, 2]
    prices = np.asarray(odd_splits()["train"]["Preis €"])
    assert told["naive"]["metrics"]["rmse"] == pytest.approx(prices.std(), rel=0.05)


def test_what_cant_be_cross_validated(paths: Paths, classes: Prepared, made: Made) -> None:
    with pytest.raises(DataError, match="160 rows, and 81 folds need 162"):
        _cross(paths, classes, folds=81)
    with pytest.raises(InvalidRequestError, match="raw ones"):
        cross_validate.function(paths.ctx(), classes.raw, classes.transform)
    with pytest.raises(InvalidRequestError, match="did you mean 'accuracy'"):
        _cross(paths, classes, thresholds={"acuracy": 0.5})
    model = paths.train(classes, epochs=1)
    with pytest.raises(InvalidRequestError, match="evaluation is of another model"):
        export.function(paths.ctx(), model, classes.raw, made.evaluation)


def test_arguments_are_checked_before_anything_runs() -> None:
    assert cross_validate.checker is not None
    arguments: dict[str, Any] = {"model": "mpl", "thresholds": {"better_than_baseline": 0, "per_class": {}}}
    problems, _ = cross_validate.checker(arguments, {"examples": Known(), "transform": Known()})
    assert [problem.argument for problem in problems] == ["model", "thresholds", "thresholds"]
    arguments = {"baseline": "linaer", "thresholds": {"better_than_baseline": 0}}
    (problem,), _ = cross_validate.checker(arguments, {})
    assert (problem.argument, problem.closest) == ("baseline", "linear")
    (problem,), _ = cross_validate.checker({"baseline": "linear", "baseline_args": {"l3": 1}}, {})
    assert problem.argument == "baseline_args"


@pytest.mark.slow
def test_a_baseline_is_measured_on_the_same_folds(paths: Paths, classes: Prepared) -> None:
    arguments = {"folds": 2, "epochs": 1, "baseline": "linear", "baseline_args": {"l2": 0.5}}
    thresholds = {"better_than_baseline": 2}
    told = _cross(paths, classes, **arguments, thresholds=thresholds).read_json("evaluation.json")
    done = [event["progress"]["done"] for event in paths.events if "done" in event.get("progress", {})]
    assert done == sorted(done) and done[-1] == 4
    other, metrics = told["baseline"], told["metrics"]
    assert other["model"] == "linear" and other["model_args"] == {"l2": 0.5}
    pairs = [(fold["metrics"]["log_loss"], fold["baseline"]["log_loss"]) for fold in told["folds"]]
    apart = [own - before for own, before in pairs]
    assert other["change"]["log_loss"] == pytest.approx(np.mean(apart)) and min(map(abs, apart)) > 0
    assert other["change_deviations"]["log_loss"] == pytest.approx(np.std(apart, ddof=1))
    assert f"the baseline model has {other['metrics']['accuracy']:.4g}" in told["reasons"][0]
    assert told["reasons"][0].startswith(f"accuracy {metrics['accuracy']:.4g} <")
    alone = _cross(paths, classes, folds=2, epochs=1, model="linear", model_args={"l2": 0.5})
    assert alone.read_json("evaluation.json")["metrics"] == other["metrics"]
