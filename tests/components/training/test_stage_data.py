"""Stages that learn from other examples, splits, rates and batch sizes than the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.components import apply_transform, cross_validate, train
from headrace.components.training.networks import load_network
from headrace.pipelines.artifact import Examples, Model
from headrace.pipelines.component import Known
from headrace.pipelines.errors import DataError, InvalidRequestError

from ..model_path import Paths, Prepared
from ..raw_examples import make_raw_examples
from .test_resume import Attempts, require_equal_from_some

FEATURES = {"a": "identity", "b": "identity"}


def table(rows: int, seed: int, turned: bool = False) -> pa.Table:
    """Points in the plane, of the class "right" where a > 0; the other way round if turned."""
    a, b = np.random.default_rng(seed).normal(size=(2, rows))
    sides = np.where((a > 0) != turned, "right", "left")
    return pa.table({"a": a, "b": b, "side": pa.array(sides, pa.string())})


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("stage_data"))


@pytest.fixture(scope="module")
def own(paths: Paths) -> Prepared:
    tables = {"train": table(96, 0), "validation": table(40, 1), "odd": table(48, 2, turned=True)}
    return paths.prepare(tables, FEATURES, {"side": "vocabulary"})


@pytest.fixture(scope="module")
def turned(paths: Paths, own: Prepared) -> Examples:
    """Many examples that say the opposite."""
    tables = {"train": table(640, 3, turned=True), "validation": table(80, 4, turned=True)}
    return apply_transform.function(paths.ctx(), make_raw_examples(paths.ctx(), tables), own.transform)


def trained(paths: Paths, own: Prepared, turned: Examples, **told: Any) -> Model:
    return train.function(
        paths.ctx(), own.examples, own.transform, pretraining=turned,
        **{"model": "linear", "learning_rate": 0.2, "seed": 1, **told},
    )  # fmt: skip


PRE = {"examples": "pretraining", "epochs": 3, "learning_rate_schedule": {"constant": None, "warmup": 1}}


def test_pretraining_then_training_on_ones_own(paths: Paths, own: Prepared, turned: Examples) -> None:
    """What was learned first is the opposite of what is right in the end."""
    first = trained(paths, own, turned, stages=[PRE])
    both = trained(paths, own, turned, stages=[PRE, {"epochs": 6}])
    alone = paths.train(own, model="linear", learning_rate=0.2, seed=1, epochs=6)
    slopes = [load_network(model).get_weights()[0] for model in (first, both)]
    classes = first.read_json("model.json")["task"]["classes"]
    right = 1.0 if classes[1] == "right" else -1.0
    assert slopes[0][0, 0] * right < -0.5 < 0.5 < slopes[1][0, 0] * right
    history = both.read_json("model.json")["history"]
    assert [row["stage"] for row in history] == [1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert history[:3] == first.read_json("model.json")["history"]
    # What the second stage begins with is wrong on its own examples, though good on the first's. Its best
    # epoch is one of its own, since losses on other examples are no measure.
    assert history[3]["loss"] > 2 * alone.read_json("model.json")["history"][0]["loss"]
    about = both.read_json("model.json")
    assert about["best_epoch"] > 3
    assert about["history"][about["best_epoch"] - 1]["val_loss"] == min(r["val_loss"] for r in history[3:])
    assert about["settings"]["stages"][0]["examples"] == "pretraining"
    assert about["settings"]["stages"][0]["batch_size"] == 32  # 640 examples, and 8 for the 96 of its own
    assert about["settings"]["batch_size"] == 8


def test_a_stage_has_splits_rates_and_an_optimizer_of_its_own(
    paths: Paths, own: Prepared, turned: Examples
) -> None:
    stages = [
        {"train_split": "odd", "epochs": 2, "optimizer": {"sgd": {"momentum": 0.9}}, "learning_rate": 0.5},
        {"epochs": 1, "learning_rate": 1e-9, "batch_size": 96, "optimizer": "sgd"},
    ]
    model = paths.train(own, model="linear", stages=stages)
    odd = paths.train(own, model="linear", stages=stages[:1])
    # The second stage moves nothing: its batches are one, at a rate of next to nothing.
    for a, b in zip(load_network(model).get_weights(), load_network(odd).get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    history = model.read_json("model.json")["history"]
    assert history[2]["loss"] > history[1]["loss"]  # the train split says the opposite of the odd one
    without = [{"validation_split": "none", "epochs": 2}]
    paths.train(own, model="linear", stages=without)
    assert any("stage 1: there are no examples in a split 'none'" in str(event) for event in paths.events)


@pytest.mark.slow
def test_the_same_bits_again(paths: Paths, own: Prepared, turned: Examples) -> None:
    stages = [PRE, {"epochs": 2, "train_split": "odd"}]
    told = {"stages": stages, "class_weights": "balanced"}
    assert trained(paths, own, turned, **told).digest == trained(paths, own, turned, **told).digest


@pytest.mark.slow
def test_folds_hold_their_rows_out_of_each_stage(paths: Paths, own: Prepared) -> None:
    stages = [{"train_split": "odd", "epochs": 1}, {"epochs": 2}]
    told = cross_validate.function(
        paths.ctx(), own.examples, own.transform, folds=2, model="linear", stages=stages,
        optimizer={"adam": {"beta_1": 0.8}}, learning_rate_schedule={"step": 1, "warmup": 0.5},
    )  # fmt: skip
    settings = told.read_json("evaluation.json")["settings"]
    assert settings["optimizer"] == {"adam": {"beta_1": 0.8}}
    assert settings["learning_rate_schedule"] == {"step": 1, "warmup": 0.5}
    assert settings["stages"][0]["train_split"] == "odd"


def test_examples_that_a_stage_cant_learn_from(paths: Paths, own: Prepared, turned: Examples) -> None:
    with pytest.raises(InvalidRequestError, match="stage 1: the examples have no split 'od'") as refused:
        paths.train(own, stages=[{"train_split": "od"}])
    assert (refused.value.problems[0].argument, refused.value.problems[0].closest) == ("stages", "odd")
    few = paths.prepare({"train": table(8, 5), "few": table(1, 6)}, FEATURES, {"side": "vocabulary"})
    with pytest.raises(DataError, match="stage 2: the split 'few' has 1 examples"):
        paths.train(few, stages=[{}, {"train_split": "few"}])
    with pytest.raises(DataError, match=r"stage 1: batch_size is 90, and the split 'odd' has 48"):
        paths.train(own, stages=[{"train_split": "odd"}, {}], batch_size=90)
    other = paths.prepare({"train": table(64, 7)}, {"a": "identity"}, {"side": "vocabulary"})
    with pytest.raises(InvalidRequestError, match="stage 1: these examples were made by another transform"):
        trained(paths, own, other.examples, stages=[PRE])
    # The same features and as many classes, but numbered as they are frequent there.
    other = paths.prepare({"train": table(64, 7, turned=True)}, FEATURES, {"side": "vocabulary"})
    with pytest.raises(InvalidRequestError, match=r"(?s)made by a transform of their own.*apply_transform"):
        trained(paths, own, other.examples, stages=[PRE])
    with pytest.raises(InvalidRequestError, match="stage 1: there are no examples for pre-training"):
        paths.train(own, stages=[PRE])


def test_what_doesnt_fit_is_told_before_anything_runs() -> None:
    assert train.checker is not None
    known = {"examples": Known(splits=("train", "test")), "pretraining": Known(splits=("all",))}

    def told(stages: Any, **more: Known) -> list[str]:
        assert train.checker is not None
        return [str(problem) for problem in train.checker({"stages": stages}, more or known)[0]]

    assert told([{"examples": "pretraining", "train_split": "all"}, {"train_split": "test"}]) == []
    (text,) = told([{"examples": "pretraining", "train_split": "al"}])
    assert text.startswith("stages: stage 1: the examples have no split 'al'; did you mean 'all'?")
    (text,) = told([{"epochs": 2}])
    assert text.startswith("pretraining: no stage says examples: pretraining")
    (text,) = told([{"examples": "pretraining"}], examples=Known())
    assert "stage 1 learns from examples: pretraining, and the step has none" in text
    (text,) = told([{"examples": "pretrain"}], examples=Known())
    assert "stage 1: examples has to be examples or pretraining, not 'pretrain'" in text
    (text,) = told([{"batch_size": 0}], examples=Known())
    assert "stage 1: batch_size has to be a whole number" in text


def test_warm_start_from_a_model_with_another_head(paths: Paths, own: Prepared, tmp_path: Path) -> None:
    """A Model of two classes gives its hidden layers to one of three."""
    first = paths.train(own, model_args={"hidden_units": [8]}, epochs=2)
    three = table(96, 8).append_column("kind", pa.array(["x", "y", "z"] * 32))
    other = paths.prepare(
        {"train": three.drop_columns(["side"]), "validation": three.drop_columns(["side"]).slice(0, 30)},
        FEATURES, {"kind": "vocabulary"},
    )  # fmt: skip
    still = {"learning_rate": 1e-12, "epochs": 1, "model_args": {"hidden_units": [8]}}
    model = paths.train(other, weights=first, **still)
    told = [event for event in paths.events if "begin" in str(event)]
    assert "output" in str(told) and "at random" in str(told)
    ours, theirs = load_network(model), load_network(first)
    np.testing.assert_allclose(
        ours.get_layer("hidden_1").get_weights()[0], theirs.get_layer("hidden_1").get_weights()[0], atol=1e-6
    )
    assert ours.get_layer("output").kernel.shape == (8, 3)


@pytest.mark.slow
def test_stages_with_their_own_examples_go_on_where_they_were(tmp_path: Path) -> None:
    """With a schedule that follows the losses, averaged weights and gradients that are added up."""
    attempts = Attempts(tmp_path)
    tables = {"train": table(96, 0), "validation": table(40, 1), "odd": table(48, 2, turned=True)}
    prepared = attempts.prepare(tables, FEATURES, {"side": "vocabulary"})
    more = make_raw_examples(attempts.ctx(), {"train": table(200, 3), "validation": table(30, 4)})
    pretraining = apply_transform.function(attempts.ctx(), more, prepared.transform)
    plateau = {"plateau": {"patience": 1, "min_delta": 1.0, "factor": 0.5}, "warmup": 0.5}
    averaging = {"adam": {"use_ema": True, "gradient_accumulation_steps": 2}}
    stages = [
        {"examples": "pretraining", "epochs": 4, "learning_rate_schedule": plateau, "optimizer": averaging},
        {"train_split": "odd", "epochs": 4, "learning_rate_schedule": {**plateau, "warmup": 0}},
    ]
    told: dict[str, Any] = {"model_args": {"hidden_units": [8], "dropout": 0.3}, "stages": stages}
    require_equal_from_some(attempts, prepared, [0, 1], pretraining=pretraining, **told)
