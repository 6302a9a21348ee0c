"""How evaluations and models are shown, and what the last line of a run tells of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.pipelines.cli.views import number_text

EVALUATION = {
    "task": {"name": "binary", "label": "survived", "classes": ["no", "yes"]},
    "split": "test",
    "rows": 30,
    "metrics": {"accuracy": 0.8123456789, "auc": 0.9},
    "per_class": {"no": {"support": 21, "recall": 0.95}, "yes": {"support": 9, "recall": None}},
    "slices": {"sex": {"female": {"rows": 10, "accuracy": 0.7, "auc": None}}},
    "naive": {"from": "the shares", "prediction": "no", "metrics": {"accuracy": 0.6, "auc": 0.5}},
    "baseline": {
        "metrics": {"accuracy": 0.8, "auc": None},
        "change": {"accuracy": 0.0123456789, "auc": None},
    },
    "confusion": [[20, 1], [4, 5]],
    "thresholds": {
        "accuracy": {"min": 0.9},
        "auc": 0.5,
        "per_class": {"yes": {"recall": 0.5}},
        "slices": {"sex": {"female": {"auc": {"better_than_naive": 0}}}},
    },
    "blessed": False,
    "reasons": ["accuracy 0.8123 < 0.9"],
}
SHOWN = """
binary of survived, on 30 rows of test

           model  naive  baseline   change
accuracy  0.8123    0.6       0.8  0.01235
auc          0.9    0.5         -        -

              rows  accuracy  auc
sex = female    10       0.7    -

     support  recall
no        21    0.95
yes        9       -

thresholds
  accuracy           min 0.9
  auc                0.5
  recall of yes      0.5
  auc of sex=female  better_than_naive 0
not blessed
  accuracy 0.8123 < 0.9

confusion: a row for each label, a column for each prediction
     no  yes
no   20    1
yes   4    5
"""
CROSSED = {
    "tasks": [{"name": "regression", "label": "price"}, {"name": "binary", "label": "sold"}],
    "split": "train",
    "rows": 30,
    "metrics": {"price/rmse": 12345.6, "sold/accuracy": 0.75},
    "deviations": {"price/rmse": 200.4, "sold/accuracy": None},
    "naive": {"metrics": {"price/rmse": 20000.0, "sold/accuracy": 0.5}},
    "folds": [
        {
            "fold": n,
            "train_rows": 15,
            "rows": 15,
            "best_epoch": 2 + n,
            "metrics": {"price/rmse": 12000.4, "sold/accuracy": 0.7},
        }
        for n in (1, 2)
    ],
    "thresholds": {},
    "blessed": True,
    "reasons": ["no thresholds were given"],
}
SHOWN_CROSSED = """
regression of price; binary of sold, on 30 rows of 2 folds of train

               model      ±  naive
price/rmse     12346  200.4  20000
sold/accuracy   0.75      -    0.5

price
        train_rows  rows  best_epoch   rmse
fold 1          15    15           3  12000
fold 2          15    15           4  12000

sold
        train_rows  rows  best_epoch  accuracy
fold 1          15    15           3       0.7
fold 2          15    15           4       0.7

blessed
  no thresholds were given
"""
SEVERAL = {
    "tasks": [
        {"name": "regression", "label": "price", "classes": []},
        {"name": "binary", "label": "sold", "classes": ["no", "yes"]},
        {"name": "multiclass", "label": "kind", "classes": [f"k{n}" for n in range(13)]},
    ],
    "split": "test",
    "rows": 3,
    "metrics": {"price/rmse": 12.5, "sold/accuracy": 0.75, "kind/accuracy": 0.5},
    "per_class": {
        "no": {"sold/support": 2, "sold/recall": 0.5},
        "yes": {"sold/support": 1, "sold/recall": 1.0},
        "k0": {"kind/support": 3, "kind/recall": 0.5},
    },
    "slices": {"city": {"Rome": {"rows": 1, "price/rmse": 9.0, "sold/accuracy": 1.0, "kind/accuracy": 0.0}}},
    "naive": {"metrics": {"price/rmse": 20.0, "sold/accuracy": 0.5, "kind/accuracy": 0.5}},
    "baseline": None,
    "confusion": {"sold": [[1, 1], [0, 1]]},
    "mistakes": {"kind": [{"label": "k0", "prediction": "k1", "rows": 2}]},
    "thresholds": {"sold/accuracy": 0.7},
    "blessed": True,
    "reasons": ["sold/accuracy 0.75 ≥ 0.7 (rule min: 0.7)"],
}
SHOWN_SEVERAL = """
regression of price; binary of sold; multiclass of kind, on 3 rows of test

               model  naive
price/rmse      12.5     20
sold/accuracy   0.75    0.5
kind/accuracy    0.5    0.5

price
             rows  rmse
city = Rome     1     9

sold
             rows  accuracy
city = Rome     1         1

kind
             rows  accuracy
city = Rome     1         0

sold
     support  recall
no         2     0.5
yes        1       1

kind
    support  recall
k0        3     0.5

thresholds
  sold/accuracy  0.7
blessed
  sold/accuracy 0.75 ≥ 0.7 (rule min: 0.7)

sold, confusion: a row for each label, a column for each prediction
     no  yes
no    1    1
yes   0    1

kind, the most frequent mistakes
label  prediction  rows
k0     k1          2
"""
MODEL = {
    "task": EVALUATION["task"],
    "inputs": 7,
    "history": [
        {"epoch": 1, "loss": 0.5, "val_loss": 0.44444444},
        {"epoch": 2, "loss": 0.4, "val_loss": 0.5},
    ],
    "best_epoch": 1,
    "settings": {"model": "mlp", "epochs": 5},
}
EXPORT = {
    "version": "1",
    "task": EVALUATION["task"],
    "inputs": [{"name": "the_age", "column": "the age", "dtype": "float32", "type": "float"}],
    "outputs": [{"name": "probabilities", "dtype": "float32", "shape": [None, 2]}],
    "parity": {
        "split": "test",
        "rows": 30,
        "tolerance_ulps": 64.0,
        "output_tolerance": 0.0001,
        "worst_ulps": 2.5655874,
        "worst_feature": "the age",
        "worst_output": 1.78813e-07,
    },
}
OWN = """
import json
from pathlib import Path
from headrace.pipelines import Context, Evaluation, ExportedModel, Files, Model, component

def put(draft, name, told, **facts):
    (draft.path / name).write_text(json.dumps(told))
    return draft.finish(**facts)

@component
def first(ctx: Context) -> Files:
    return ctx.output(Files).finish()

@component
def evaluate(ctx: Context, *, told: dict[str, object]) -> Evaluation:
    summary = {"metrics": told.get("metrics"), "split": "test", "pictures": told.get("pictures")}
    draft = ctx.output(Evaluation)
    if "worst" in told:
        (draft.path / "worst_examples.json").write_text(json.dumps(told["worst"]))
    return put(draft, "evaluation.json", told, summary=summary)

@component
def train(ctx: Context, *, told: dict[str, object]) -> Model:
    return put(ctx.output(Model), "model.json", told, properties={"weights": "0123456789abcdef"})

@component
def export(ctx: Context, *, told: dict[str, object]) -> ExportedModel:
    return put(ctx.output(ExportedModel), "export.json", told)
"""


@pytest.fixture
def own(headrace):
    """A pipeline whose artifacts have the files that the built-in components write."""
    Path("own.py").write_text(OWN)
    steps = {
        name: {"uses": f"own.py:{name}", "with": {"told": told}}
        for name, told in (("train", MODEL), ("evaluate", EVALUATION), ("export", EXPORT))
    }
    # JSON is YAML.
    Path("own.yaml").write_text(
        json.dumps({"pipeline": "own", "steps": {"first": {"uses": "own.py:first"}} | steps})
    )
    return headrace


def shown(headrace, name):
    result = headrace("artifacts", "show", name)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_an_evaluation_is_shown_as_a_table_of_metrics_and_slices(own):
    own("run", "own.yaml")
    assert shown(own, "evaluate").partition("\n\n")[2] == SHOWN[1:]


def test_top_k_accuracies_have_columns_behind_the_first_metric(own):
    metrics = dict.fromkeys(("accuracy", *"abcdefgh", "top_3_accuracy", "top_5_accuracy"), 0.5)
    told = {**EVALUATION, "metrics": metrics, "slices": {"sex": {"female": {"rows": 3, **metrics}}}}
    own("run", "own.yaml", "--set", f"evaluate.told={json.dumps(told)}")
    head = "rows  accuracy  top_3_accuracy  top_5_accuracy    a    b    c    d    e\n"
    assert head in shown(own, "evaluate")


def test_pictures_are_named_by_path_when_their_step_ends(own):
    told = {**EVALUATION, "pictures": ["evaluation.json"]}
    result = own("run", "own.yaml", "--set", f"evaluate.told={json.dumps(told)}")
    (line,) = [line for line in result.stderr.splitlines() if "look at " in line]
    assert line.startswith("evaluate: look at ") and Path(line.rpartition("look at ")[2]).is_file()
    assert line.removeprefix("evaluate: ") in shown(own, "evaluate")
    assert "look at" not in own("run", "own.yaml", "--set", f"evaluate.told={json.dumps(told)}").stderr


def test_the_worst_examples_are_shown_with_their_places(own):
    place = {"row": 8, "part": "test/part-00000.parquet", "part_row": 8}
    named = {
        **place,
        "path": "a\x1b[2J.png",
        "label": "no",
        "prediction": "yes",
        "probability": 0.987,
        "loss": 4.5,
    }
    from_csv = {**place, "file": "a.csv", "line": 7, "label": ["x", "y"], "prediction": [], "loss": 2.0}
    value = {**place, "label": 1.23456, "prediction": 2.0, "error": 0.8, "loss": 0.6}
    told = {**EVALUATION, "worst": {"split": "test", "examples": [named, from_csv, value, *[value] * 9]}}
    own("run", "own.yaml", "--set", f"evaluate.told={json.dumps(told)}")
    lines = shown(own, "evaluate").partition("the worst examples\n")[2].splitlines()
    assert lines[0].split() == ["label", "prediction", "loss"] and len(lines) == 6
    assert lines[1].split() == ["a\ufffd[2J.png", "no", "yes", "(99%)", "4.5"]
    assert lines[2].split() == ["a.csv", "line", "7", "x,", "y", "none", "2"]
    assert lines[3].split() == ["test/part-00000.parquet", "row", "8", "1.235", "2", "0.6"]


def test_a_cross_validation_is_shown_with_its_folds(own):
    own("run", "own.yaml", "--set", f"evaluate.told={json.dumps(CROSSED)}")
    assert shown(own, "evaluate").partition("\n\n")[2] == SHOWN_CROSSED[1:]


def test_several_labels_are_shown_one_after_another(own):
    crowd = {"tasks": [*SEVERAL["tasks"]], **MODEL}
    del crowd["task"]
    told = own(
        "run", "own.yaml", "--set", f"evaluate.told={json.dumps(SEVERAL)}",
        "--set", f"train.told={json.dumps(crowd)}",
    ).stdout  # fmt: skip
    assert shown(own, "evaluate").partition("\n\n")[2] == SHOWN_SEVERAL[1:]
    assert "test: price/rmse 12.5, sold/accuracy 0.75, kind/accuracy 0.5" in told
    model = shown(own, "train")
    assert "classes of sold  no, yes\nclasses of kind  k0, k1" in model and "and 1 more" in model


def test_an_evaluation_of_another_layout_is_shown_as_it_is(own):
    own("run", "own.yaml", "--set", 'evaluate.told={"score": 1}')
    assert "evaluation.json" in shown(own, "evaluate")


def test_models_are_shown_in_short(own):
    own("run", "own.yaml")
    model = shown(own, "train")
    assert "task        binary of survived\nclasses     no, yes\n" in model
    assert "epochs      2 of 5\nbest epoch  1: loss 0.5, val_loss 0.4444\nweights     0123456789ab\n" in model
    export = shown(own, "export")
    assert "inputs\n  the_age  float32  column the age\n" in export
    assert "outputs\n  probabilities  float32  [rows, 2]\n" in export
    assert "2.566 ulps apart at most (the age), 64 allowed" in export


def test_the_last_line_of_a_run_tells_of_no_step_that_was_skipped(own):
    whole = own("run", "own.yaml").stdout
    assert "test: accuracy 0.8123" in whole
    assert "exported to" in whole
    part = own("run", "own.yaml", "--to", "first").stdout
    assert "1 cached, 3 skipped" in part
    assert "accuracy" not in part
    assert "exported to" not in part


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (50220.123, "50220"),
        (0.47739, "0.4774"),
        (1234.5678, "1235"),
        (-5.4e-05, "-5.4e-05"),
        (None, "-"),
        (31, "31"),
    ],
)
def test_numbers_are_readable(value, text):
    assert number_text(value) == text
