"""The parts of a search that run nothing: ranges, settings, metrics, ranking, the journal and the picture."""

from __future__ import annotations

import csv
import io
import math

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.document import parse_pipeline, write_pipeline
from headrace.pipelines.errors import DocumentError, PipelineError, Problem
from headrace.pipelines.pipeline import Pipeline
from headrace.pipelines.python_source import write_python
from headrace.pipelines.tracing import PipelineFunction
from headrace.pipelines.tuning.journal import Journal
from headrace.pipelines.tuning.metric import direction_of, find, live, numbers
from headrace.pipelines.tuning.plot import linear, note_of, panels, scale_of, trials_plot
from headrace.pipelines.tuning.settings import tune_settings
from headrace.pipelines.tuning.space import Choices, Range, axis_of, grid, probes, size
from headrace.pipelines.tuning.study import Study
from headrace.pipelines.tuning.trials import Trial, best_so_far, csv_text, ranked, rows
from headrace.pipelines.tuning.values import search_problems, shared_steps, with_values

from .tuning_cases import DOCUMENT, small

OVER = {"fit.rate": "1e-4..1:log", "fit.args.width": [1, 2, 3]}
READ = {
    "1e-4..1e-1:log": Range(1e-4, 1e-1, True),
    "16..128": Range(16, 128),
    "0.0..0.5": Range(0.0, 0.5),
    "-3..-1": Range(-3, -1),
    "1..1000:log:4": Choices((1, 10, 100, 1000), True),
    "0.0..1.0:3": Choices((0.0, 0.5, 1.0)),
    "0.5,1,2": Choices((0.5, 1, 2)),
    "adam, sgd": Choices(("adam", "sgd")),
    "[8, 16]": Choices((8, 16)),
    "[[32], [64, 32]]": Choices(([32], [64, 32])),
    "[32],[64, 32]": Choices(([32], [64, 32])),
    "1,true,1.0,1": Choices((1, True, 1.0)),
    "a..b": Choices(("a..b",)),
}


@pytest.mark.parametrize("text", READ)
def test_what_is_written_is_a_range_or_choices(text):
    axis = axis_of(text)
    assert axis == READ[text]
    assert not isinstance(axis, Problem)
    assert axis_of(axis.to_json()) == (axis if isinstance(axis, Range) else Choices(axis.values))
    assert isinstance(axis, Choices) or axis.whole == READ[text].whole


WRONG = {
    "1..1": "ends at 1",
    "0..1:log": "can't begin at 0",
    "1..9:lgo": "did you mean 'log'",
    "1..9:1": "2 or more",
    "": "nothing to choose from",
    "[1": "neither a range nor",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_neither_is_explained(text):
    problem = axis_of(text)
    assert isinstance(problem, Problem)
    assert WRONG[text] in str(problem)


def test_a_grid_has_every_combination_and_probes_have_every_end():
    axes = {"a": Range(1, 3), "b": Choices(("x", "y"))}
    assert size(axes) == 6
    assert [tuple(values.values()) for values in grid(axes)] == [
        (1, "x"), (1, "y"), (2, "x"), (2, "y"), (3, "x"), (3, "y"),
    ]  # fmt: skip
    assert list(probes(axes)) == [{"a": 1, "b": "x"}, {"a": 3, "b": "y"}]
    assert size({**axes, "c": Range(0.0, 1.0)}) is None


def test_a_setting_is_a_function_of_seed_and_number():
    told = tune_settings({"over": OVER, "metric": "judge.accuracy", "seed": 7})
    one, other = Study(told), Study(told)
    backwards = [other.values(number) for number in (9, 4, 0)]
    assert [one.values(number) for number in (9, 4, 0)] == backwards
    one.report(0, 1, 0.5, 9)
    one.end(0, "failed", None)
    assert one.values(10) == other.values(10)
    drawn = [one.values(number)["fit.rate"] for number in range(40)]
    assert all(1e-4 <= rate <= 1 and rate == float(f"{rate:.6g}") for rate in drawn)
    assert 8 < sum(rate < 1e-2 for rate in drawn) < 32, "every decade is as likely as the next"
    elsewhere = Study(tune_settings({"over": OVER, "metric": "judge.accuracy", "seed": 8}))
    assert elsewhere.values(0) != one.values(0)


def test_a_random_search_of_few_settings_tries_each_once():
    told = {"over": {"fit.args.width": "1..4", "fit.epochs": [2, 3]}, "metric": "fit.val_loss", "trials": 50}
    settings = tune_settings(told)
    assert settings.trials == 8
    study = Study(settings)
    tried = [tuple(study.values(number).values()) for number in range(8)]
    assert len(set(tried)) == 8
    assert all(isinstance(width, int) for width, _ in tried)
    alike = Study(tune_settings({"over": {"fit.args.width": [0, False, 1, True]}, "metric": "fit.val_loss"}))
    assert {repr(alike.values(number)["fit.args.width"]) for number in range(4)} == {
        "0",
        "False",
        "1",
        "True",
    }


def test_hyperband_gives_up_what_is_behind():
    study = Study(tune_settings({"over": OVER, "metric": "fit.val_loss", "method": "hyperband"}))
    given_up = {}
    for number in range(20):
        for epoch in range(1, 10):
            if study.report(number, epoch, number + 1 / epoch, 9):
                given_up[number] = epoch
                break
        study.end(number, "pruned" if number in given_up else "done", float(number))
    assert 0 not in given_up
    assert len(given_up) > 5
    assert set(given_up.values()) <= {1, 3, 9}


def test_the_direction_is_told_by_the_name():
    lower, higher = (
        ("val_loss", "price/rmse", "log_loss", "mae", "ece"),
        ("val_accuracy", "pr_auc", "f1", "r2"),
    )
    assert {direction_of(f"evaluate.{name}") for name in lower} == {"minimize"}
    assert {direction_of(f"evaluate.{name}") for name in higher} == {"maximize"}
    assert direction_of("evaluate.width") is None


def test_a_metric_is_found_in_the_summaries():
    summary = {"metrics": {"accuracy": 0.9, "price/rmse": 3}, "rows": 8, "text": "x", "ok": True}
    one = {"output": {"summary": summary}}
    assert numbers(one) == {"accuracy": 0.9, "price/rmse": 3.0, "rows": 8.0}
    assert find("accuracy", one) == find("metrics.accuracy", one) == 0.9
    assert find("acuracy", one) is None
    two = {"left": {"summary": {"best": {"val_loss": 1.5}}}, "right": {"summary": {"rows": 2}}}
    assert numbers(two) == {"left.val_loss": 1.5, "right.rows": 2.0}
    assert find("left.best.val_loss", two) == 1.5


def test_what_a_step_tells_while_it_runs_is_turned_to_the_objective():
    told = {"epoch": 2, "val_loss": 0.5, "val_accuracy": 0.8}
    assert live("accuracy", "maximize", told) == 0.8
    assert live("val_loss", "minimize", told) == 0.5
    assert live("f1", "maximize", told) == -0.5, "of less use, but the only thing that is told"
    assert live("accuracy", "maximize", {"epoch": 2, "loss": 0.5}) is None
    assert live("val_loss", "minimize", {"val_loss": math.nan}) is None
    assert live("error_score", "minimize", {"val_error_score": 0.3}) == 0.3, "as was asked for"


def test_values_are_put_into_the_steps():
    bound = with_values(bind(small()), {"fit.args.width": 2, "fit.rate": 1, "data.rows": 5})
    assert bound.steps["fit"].parameters["args"] == {"width": 2}
    assert bound.steps["fit"].parameters["rate"] == 1.0
    assert isinstance(bound.steps["fit"].parameters["rate"], float)
    again = with_values(bound, {"fit.args.depth.left": 3})
    assert again.steps["fit"].parameters["args"] == {"width": 2, "depth": {"left": 3}}


def test_what_no_trial_changes_is_known():
    bound = bind(small())
    told = {"over": OVER, "metric": "judge.accuracy"}
    assert shared_steps(bound, tune_settings(told)) == ("data",)
    assert shared_steps(bound, tune_settings({**told, "over": {"judge.shift": [0, 1]}})) == ("data", "fit")


UNFIT = {
    "unknown step": ({"over": {"fti.rate": [1]}}, "did you mean 'fit'"),
    "unknown argument": ({"over": {"fit.rat": [1]}}, "did you mean 'rate'"),
    "an artifact": ({"over": {"fit.files": ["x"]}}, "an artifact can't be searched"),
    "below the range": ({"over": {"fit.rate": "-1.0..1.0"}}, "has to be a number, more than 0"),
    "one choice of many": ({"over": {"fit.epochs": [3, "many"]}}, "has to be a whole number"),
    "the component's own check": ({"over": {"fit.args.width": [1, "wide"]}}, "width has to be a number"),
    "metric of no step": ({"metric": "jugde.accuracy"}, "did you mean 'judge'"),
    "no influence": (
        {"over": {"judge.shift": [0, 1]}, "metric": "fit.val_loss"},
        "can't change fit.val_loss",
    ),
    "a range in a grid": ({"method": "grid", "over": {"fit.rate": "0.1..0.2"}}, "how many: LOW..HIGH:log:4"),
    "unknown method": ({"method": "tpe"}, "there is no method 'tpe'"),
    "no direction": ({"metric": "judge.width"}, "--maximize or --minimize"),
    "no trials": ({"trials": 0}, "trials has to be a whole number, 1 or more"),
    "unknown key": ({"trails": 3}, "did you mean 'trials'"),
    "a reference": ({"over": {"fit.rate": ["${params.pause}"]}}, "can't refer to parameters"),
    "over nothing": ({"over": {}}, "the search is over nothing"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_search_that_does_not_fit_is_refused_when_the_document_is_bound(case):
    changes, says = UNFIT[case]
    told = {"over": OVER, "metric": "judge.accuracy", **changes}
    whole = small()
    pipeline = Pipeline("small", whole.params, whole.steps, tune=told)
    with pytest.raises(PipelineError) as caught:
        bind(pipeline)
    assert says in str(caught.value)


def test_a_wrong_section_names_its_line():
    text = DOCUMENT.replace("metric: judge.accuracy", "metric: accuracy")
    with pytest.raises(DocumentError, match=r"write STEP.METRIC") as caught:
        parse_pipeline(text, "small.yaml")
    line = text.splitlines().index("  metric: accuracy") + 1
    assert [(p.file, p.line, p.argument) for p in caught.value.problems] == [("small.yaml", line, "metric")]


def test_the_section_survives_yaml_and_python(tmp_path):
    pipeline = small()
    assert pipeline.tune is not None
    assert parse_pipeline(write_pipeline(pipeline)).tune == pipeline.tune
    names: dict[str, object] = {}
    exec(compile(write_python(pipeline), "<written>", "exec"), names)
    function = names["small"]
    assert isinstance(function, PipelineFunction)
    assert function.trace(log="", pause=0.0).tune == pipeline.tune
    assert bind(function, {"log": "", "pause": 0.0}).tune == pipeline.tune


TRIALS = (
    Trial(0, {"fit.rate": 0.1, "fit.args.width": 1}, "done", 0.5, 1.0, "r0"),
    Trial(1, {"fit.rate": 0.01, "fit.args.width": 2}, "done", 0.8, 1.0, "r1"),
    Trial(2, {"fit.rate": 0.5, "fit.args.width": 3}, "failed", seconds=2.0, error="the loss is NaN"),
    Trial(3, {"fit.rate": 0.02, "fit.args.width": 2}, "done", 0.8, 1.0, "r3"),
    Trial(4, {"fit.rate": 0.9, "fit.args.width": 2}, "pruned", epochs=3),
)


def test_the_table_has_the_best_first():
    assert [trial.number for trial in ranked(TRIALS, "maximize")] == [1, 3, 0, 4, 2]
    assert best_so_far(TRIALS, "maximize") == [(0, 0.5), (1, 0.8), (3, 0.8)]
    assert best_so_far(TRIALS, "minimize") == [(0, 0.5), (1, 0.5), (3, 0.5)]
    names = ["fit.rate", "fit.args.width"]
    table = rows(TRIALS, names, "judge.accuracy", "maximize")
    assert table[0] == ["RANK", "TRIAL", "RATE", "WIDTH", "JUDGE.ACCURACY", "TOOK", "STATE"]
    assert table[1] == ["1", "1", "0.01", "2", "0.8", "1.0 s", "done"]
    assert table[4][-1] == "pruned after epoch 3"
    assert table[5] == ["", "2", "0.5", "3", "", "2.0 s", "failed: the loss is NaN"]
    read = list(csv.DictReader(io.StringIO(csv_text(TRIALS, names, "judge.accuracy", "maximize"))))
    assert [row["trial"] for row in read] == ["1", "3", "0", "4", "2"]
    assert (read[0]["judge.accuracy"], read[0]["run"], read[3]["epochs"]) == ("0.8", "r1", "3")


def test_a_cut_off_line_of_the_journal_is_passed_over(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write({"begun": 0, "values": {"a": 1}, "mark": "m0"})
    journal.write({"ended": 0, "trial": TRIALS[0].to_json()}, sure=True)
    journal.write({"begun": 1, "values": {"a": 2}, "mark": "m1"})
    whole = (tmp_path / "journal.jsonl").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "journal.jsonl").write_bytes(whole[:length])
        read = Journal(tmp_path / "journal.jsonl")
        assert set(read.marks()) <= {0, 1}
        assert list(read.ended().values()) in ([], [TRIALS[0]])
        assert len(read.events) >= whole[:length].count(b"\n")
    read.keep(lambda number: number == 0)
    read.write({"begun": 2, "values": {}, "mark": "m2"})
    assert Journal(tmp_path / "journal.jsonl").marks() == {0: "m0", 2: "m2"}


def test_the_picture_shows_every_parameter_and_the_best_so_far():
    from PIL import Image

    settings = tune_settings({"over": OVER, "metric": "judge.accuracy"})
    drawn = panels(TRIALS, settings)
    assert [panel.title for panel in drawn] == ["fit.rate", "fit.args.width", "trial: best so far"]
    assert drawn[0].dots == [(0.1, 0.5), (0.01, 0.8), (0.02, 0.8)]
    assert drawn[0].best == (0.01, 0.8)
    assert drawn[2].steps == [(0, 0.5), (1, 0.8), (3, 0.8)]
    image = Image.open(io.BytesIO(trials_plot(TRIALS, settings)))
    assert image.format == "PNG"
    assert (214, 92, 35) in {color for _, color in image.getcolors(1 << 16)}, "the best is marked"


def test_scales_have_round_ticks_in_their_places():
    rates = scale_of(Range(1e-4, 1e-1, True))
    assert [text for _, text in rates.ticks] == ["0.0001", "0.001", "0.01", "0.1"]
    assert rates.place(1e-4) < 0.1 < 0.9 < rates.place(1e-1)
    gaps = [b - a for (a, _), (b, _) in zip(rates.ticks, rates.ticks[1:], strict=False)]
    assert max(gaps) == pytest.approx(min(gaps)), "decades are equally wide"
    assert [text for _, text in scale_of(Choices(("adam", "sgd"))).ticks] == ["adam", "sgd"]
    assert [text for _, text in linear(0, 10).ticks] == ["0", "5", "10"]
    assert linear(3, 3).place(3) == pytest.approx(0.5)


def test_the_picture_says_which_trials_it_cant_place():
    up = linear(0.03, 0.09)
    assert note_of(2, [0.03, 0.09], up) == ""
    assert note_of(5, [0.03, 0.09, 1.06, 1.08], up) == (
        "1 pruned or failed are not shown; 2 far worse than the others: hollow, at the edge of the scale"
    )


def test_a_search_that_fits_has_no_problems():
    bound = bind(small())
    assert search_problems(tune_settings(bound.tune or {}), bound) == []
