"""What can be known before a run: values, paths, sub-pipelines, and every problem with its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.errors import PipelineError, Problem
from headrace.pipelines.pipeline import StepOutput
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.values import command_text

WIRING = Path(__file__).with_name("wiring_components.py")

DOCUMENT = """\
pipeline: small
params: {data: a.csv, epochs: 2, dir: sub}
steps:
  fit:
    uses: PARTS:fit
    with: {examples: "${steps.split.examples}", epochs: "${params.epochs}", model: "m.py:build"}
  raw: {uses: "PARTS:read", with: {path: "${params.data}", splits: {train: 8}}}
  more: {uses: "PARTS:read", with: {path: ["${params.dir}/*.csv", "/abs/y"]}}
  split: {uses: "PARTS:split", with: {examples: "${steps.raw}"}}
  deep: {uses: below/sub.yaml, with: {rows: "${steps.split.examples}", extra: "${params.data}"}}
  fn: {uses: "PARTS:learned", with: {examples: "${steps.split.examples}", epochs: 7}}
  after: {uses: "PARTS:split", with: {examples: "${steps.deep.rows}"}}
outputs: {model: "${steps.deep.model}", other: "${steps.fn}"}
"""
SUB = """\
pipeline: sub
params: {rows: null, extra: null, own: b.csv, epochs: 5}
steps:
  theirs: {uses: "PARTS:read", with: {path: "${params.extra}"}}
  ours: {uses: "PARTS:read", with: {path: "${params.own}"}}
  split: {uses: "PARTS:split", with: {examples: "${params.rows}"}}
  fit: {uses: "PARTS:fit", with: {examples: "${steps.split.examples}", epochs: "${params.epochs}"}}
outputs: {model: "${steps.fit}", rows: "${steps.ours}"}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes documents, in which PARTS stands for the file of components; gives the first one's path."""

    def make(text: str, **others: str) -> Path:
        for name, content in {"main": text, **others}.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content.replace("PARTS", str(WIRING)))
        return tmp_path / "main.yaml"

    return make


def problems_of(path: Path, **options: dict[str, object]) -> list[Problem]:
    with pytest.raises(PipelineError) as caught:
        bind(load_pipeline(str(path)), **options)
    return list(caught.value.problems)


def test_every_name_is_resolved_and_every_value_converted(write: Write, tmp_path: Path):
    bound = bind(load_pipeline(str(write(DOCUMENT, below__sub=SUB))))
    order = list(bound.steps)
    assert order == [
        *("raw", "split", "fit", "more", "deep.theirs", "deep.ours", "deep.split", "deep.fit"),
        *("fn.split", "fn.fit", "after"),
    ]
    assert all(order.index(up) < order.index(name) for name in order for up in bound.steps[name].upstream)
    fit = bound.steps["fit"]
    assert fit.parameters == {
        "model": f"{tmp_path}/m.py:build",
        "optimizer": "adam",
        "epochs": 2,
        "rate": 0.1,
        "note": "",
    }
    assert fit.inputs == {"examples": StepOutput("split", "examples")}
    assert fit.component.name == "fit"
    assert bound.steps["raw"].parameters["splits"] == {"train": 8.0}
    assert bound.outputs == {"model": StepOutput("deep.fit"), "other": StepOutput("fn.fit")}
    assert bound.steps["after"].inputs == {"examples": StepOutput("deep.ours")}
    assert bound.params == {"data": "a.csv", "epochs": 2, "dir": "sub"}


def test_a_path_is_relative_to_whoever_wrote_it(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pipeline = load_pipeline(str(write(DOCUMENT, below__sub=SUB)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def paths(**params: object) -> dict[str, object]:
        steps = bind(pipeline, params).steps
        return {n: steps[n].parameters["path"] for n in ("raw", "more", "deep.theirs", "deep.ours")}

    assert paths() == {
        "raw": f"{tmp_path}/a.csv",
        "more": [f"{tmp_path}/sub/*.csv", "/abs/y"],
        "deep.theirs": f"{tmp_path}/a.csv",
        "deep.ours": f"{tmp_path}/below/b.csv",
    }
    given = paths(data=command_text("q.csv"), dir="../up")
    assert given["raw"] == given["deep.theirs"] == f"{elsewhere}/q.csv"
    assert given["more"] == [f"{tmp_path}/up/*.csv", "/abs/y"]
    assert paths(data=command_text("[q.csv, 'gs://b/*.csv']"))["raw"] == [
        f"{elsewhere}/q.csv",
        "gs://b/*.csv",
    ]


def test_what_is_typed_is_read_by_its_annotation(write: Write):
    pipeline = load_pipeline(str(write(DOCUMENT, below__sub=SUB)))
    typed = {"fit.note": "12", "deep.fit.rate": "1e-3", "raw.splits": "{train: 3}", "raw.columns": "[a, no]"}
    steps = bind(
        pipeline, {"epochs": command_text("11")}, {k: command_text(v) for k, v in typed.items()}
    ).steps
    assert steps["fit"].parameters["note"] == "12"
    assert steps["fit"].parameters["epochs"] == 11
    assert steps["deep.fit"].parameters["rate"] == 1e-3
    assert steps["raw"].parameters["splits"] == {"train": 3.0}
    assert steps["raw"].parameters["columns"] == ["a", "no"]
    nested = bind(pipeline, sets={"raw.splits.test": command_text("1")}).steps["raw"]
    assert nested.parameters["splits"] == {"train": 8.0, "test": 1.0}


def test_the_record_of_a_bound_pipeline_gives_it_back(write: Write):
    bound = bind(load_pipeline(str(write(DOCUMENT, below__sub=SUB))), target="main.yaml")
    again = BoundPipeline.from_json(json.loads(json.dumps(bound.to_json())))
    assert again == bound


WRONG = """\
pipeline: wrong
params: {n: null}
steps:
  raw: {uses: "PARTS:read", with: {path: 3, rows: 0, splits: {train: x}}}
  a: {uses: "PARTS:split", with: {examples: "${steps.rawx}"}}
  b:
    uses: PARTS:split
    with:
      examples: "${steps.c}"
      shema: "${steps.a.schema}"
  c: {uses: "PARTS:fit", with: {examples: "${steps.a}", epochs: "${params.epoch}", optimizer: adm}}
  d: {uses: "PARTS:fit", with: {examples: "${steps.a.exmples}", rate: "${steps.raw}"}}
  e: {uses: "PARTS:fitt"}
  f: {uses: csv_exampls}
  g: {uses: "PARTS:fit"}
  h: {uses: "PARTS:fit", with: {examples: rows.csv, epochs: 2.5}}
  i: {uses: "PARTS:not_a_component"}
  j: {uses: "no_such_package.part:thing"}
  k: {uses: "PARTS:fit", with: {examples: ["${steps.raw}"]}}
outputs: {o: "${steps.a.exampels}"}
"""
EXPECTED = [
    # line, step.argument, part of the text, closest
    (11, "c.epochs", "no parameter 'epoch'", ""),
    (13, "e.uses", "has no 'fitt'", "fit"),
    (14, "f.uses", "no component 'csv_exampls'", "csv_examples"),
    (17, "i.uses", "neither a component nor a pipeline, but a int", ""),
    (18, "j.uses", "importing no_such_package.part failed", ""),
    (4, "raw.path", "has to be a text or a list, each item a text, not 3", ""),
    (4, "raw.rows", "has to be a whole number, 1 or more, not 0", ""),
    (4, "raw.splits", "[train]: has to be a number, not 'x'", ""),
    (5, "a.examples", "no step 'rawx'", "raw"),
    (10, "b.shema", "split has no argument 'shema'", "schema"),
    (9, "b.examples", "takes Examples, and ${steps.c} gives Model", ""),
    (11, "c.examples", "a has several outputs", ""),
    (11, "c.optimizer", "'adm' is not a choice", "adam"),
    (12, "d.examples", "a has no output 'exmples'", "examples"),
    (12, "d.rate", "rate is a parameter, and ${steps.raw} gives Examples", ""),
    (15, "g.examples", "fit needs examples", ""),
    (16, "h.examples", "has to be Examples, not 'rows.csv'", ""),
    (16, "h.epochs", "has to be a whole number, not 2.5", ""),
    (19, "k.examples", "can't be inside a list", ""),
    (20, "", "a has no output 'exampels'", "examples"),
]


def test_all_problems_are_reported_together_each_with_its_place(write: Write):
    path = write(WRONG)
    problems = problems_of(path, params={"m": 1}, sets={"x.rows": 1, "raw": 2})
    assert "no parameter 'm'" in problems[0].what
    assert "needs a value for its parameter 'n'" in problems[1].what
    in_document = [p for p in problems if p.line]
    assert all(p.file == str(path) for p in in_document)
    found = {(p.line, ".".join(x for x in (p.step, p.argument) if x)): p for p in in_document}
    for line, where, text, closest in EXPECTED:
        assert text in found[line, where].what
        assert found[line, where].closest == closest or not closest
    assert len(in_document) == len(EXPECTED)
    loose = [p.what for p in problems if not p.line]
    assert sum(what.startswith("--set") for what in loose) == 2
    assert "for example ${steps.raw}" in found[15, "g.examples"].remedy


def test_a_cycle_is_shown(write: Write):
    text = """\
pipeline: circle
steps:
  a: {uses: "PARTS:split", with: {examples: "${steps.c.examples}"}}
  b: {uses: "PARTS:split", with: {examples: "${steps.a.examples}"}}
  c: {uses: "PARTS:split", with: {examples: "${steps.b.examples}"}}
"""
    (problem,) = problems_of(write(text))
    assert problem.what == "the steps need each other: a → c → b → a"
    assert problem.line == 3


def test_a_pipeline_that_uses_itself_is_refused(write: Write):
    (problem,) = problems_of(
        write(
            "pipeline: a\nsteps:\n  s: {uses: other.yaml}\n",
            other="pipeline: o\nsteps:\n  t: {uses: main.yaml}\n",
        )
    )
    assert "uses itself" in problem.what


def test_sub_pipelines_check_their_parameters_and_outputs(write: Write):
    text = """\
pipeline: main
steps:
  raw: {uses: "PARTS:read", with: {path: x}}
  one: {uses: below/sub.yaml, with: {rows: "${steps.raw}", epoch: 3}}
  two: {uses: "PARTS:learned", with: {examples: "${steps.raw}", epochs: many}}
  three: {uses: "PARTS:fit", with: {examples: "${steps.one.rws}"}}
"""
    problems = problems_of(write(text, below__sub=SUB))
    told = [(p.line, p.where.split(": ")[-1], p.what) for p in problems]
    assert told == [
        (4, "one.epoch", "sub has no parameter 'epoch'"),
        (4, "one.extra", "sub needs a value for its parameter 'extra'"),
        (5, "two.epochs", "has to be a whole number, not 'many'"),
        (6, "three.examples", "the pipeline one has no output 'rws'"),
    ]


def test_a_component_s_own_check_gets_what_is_known(write: Write):
    text = """\
pipeline: known
steps:
  second:
    uses: PARTS:split
    with:
      examples: "${steps.first.examples}"
      by: citty
  first: {uses: "PARTS:split", with: {examples: "${steps.raw}", by: city}}
  raw: {uses: "PARTS:read", with: {path: x, columns: [city, price]}}
"""
    (problem,) = problems_of(write(text))
    assert (problem.step, problem.argument, problem.line, problem.closest) == ("second", "by", 7, "city")


def test_a_runner_that_does_not_exist_is_found_before_the_run(write: Write):
    text = """\
pipeline: r
runner: direkt
steps:
  raw: {uses: "PARTS:read", with: {path: x}, runner: {direct_num_workers: some}}
"""
    one, two = problems_of(write(text))
    assert one.closest == "direct"
    assert two.step == "raw"


def test_a_runner_option_that_does_not_exist_is_found_before_the_run(write: Write):
    text = """\
pipeline: r
runner: {name: direct, direct_num_workers: 2}
steps:
  raw: {uses: "PARTS:read", with: {path: x}, runner: {direct_num_worker: 2}}
"""
    (problem,) = problems_of(write(text))
    assert (problem.step, problem.line, problem.closest) == ("raw", 4, "direct_num_workers")


def test_a_runner_option_in_python_may_be_a_number():
    from headrace.pipelines.checks import _runner_problems

    assert _runner_problems({"name": "direct", "direct_num_workers": 2}) == []
    assert len(_runner_problems({"direct_num_workers": -2})) == 1


LIGHT = """
import sys, time
from headrace.pipelines.binding import bind
from headrace.pipelines.errors import PipelineError
from headrace.pipelines.resolve import load_pipeline
try:
    bind(load_pipeline(sys.argv[1]))
    print("valid")
except PipelineError as error:
    print("wrong", len(error.problems))
heavy = {"numpy", "pyarrow", "tensorflow", "apache_beam", "keras", "google.protobuf", "pydantic", "rich"}
print(sorted(heavy & set(sys.modules)))
"""


HOUSING = """\
pipeline: housing
steps:
  examples: {uses: csv_examples, with: {path: housing.csv}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with:
      examples: "${steps.examples}"
      schema: "${steps.schema}"
      label: {price: z_score}
      features: {rooms: [{impute: median}, log1p, z_score], near: one_hot}
  train:
    uses: train
    with: {examples: "${steps.transform.examples}", transform: "${steps.transform.transform}"}
  evaluate: {uses: evaluate, with: {model: "${steps.train}", examples: "${steps.transform.examples}"}}
  export:
    uses: export
    with: {model: "${steps.train}", evaluation: "${steps.evaluate}", examples: "${steps.examples}"}
"""
MISSPELT = HOUSING.replace("rooms:", "romos:")


@pytest.mark.parametrize(
    ("text", "says"),
    [(DOCUMENT, "valid"), (WRONG, "wrong"), (HOUSING, "valid"), (MISSPELT, "wrong 1")],
)
def test_checking_imports_nothing_heavy(write: Write, text: str, says: str):
    path = write(text, below__sub=SUB)
    path.with_name("housing.csv").write_text("rooms,near,price\n1,sea,2.5\n")
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    verdict, heavy = done.stdout.splitlines()
    assert verdict.startswith(says)
    assert heavy == "[]"
