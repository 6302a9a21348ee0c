"""YAML documents: what they say, what is wrong with them, and writing them."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.pipelines.document import parse_pipeline, read_pipeline, write_pipeline
from headrace.pipelines.errors import DocumentError
from headrace.pipelines.pipeline import ParamValue, Pipeline, Step, StepOutput, Template

DOCUMENT = """\
pipeline: small
params: {data: a.csv, epochs: 2, dir: sub}
runner: {name: direct, direct_num_workers: 2}
steps:
  raw:
    uses: read
    with:
      path: "${params.data}"
      columns: ["${params.dir}/x", "cost in $${", 12:30]
      rows: 1e1
  split: {uses: split, with: {examples: "${steps.raw}"}, runner: direct}
  fit: {uses: fit, with: {examples: "${steps.split.examples}", epochs: "${params.epochs}"}}
  bare: {uses: bare}
outputs: {model: "${steps.fit}"}
"""


def test_what_a_document_says():
    found = parse_pipeline(DOCUMENT, "small.yaml", "/somewhere")
    assert found == Pipeline(
        name="small",
        params={"data": "a.csv", "epochs": 2, "dir": "sub"},
        steps={
            "raw": Step(
                "raw",
                "read",
                {
                    "path": ParamValue("data"),
                    "columns": [Template((ParamValue("dir"), "/x")), "cost in ${", "12:30"],
                    "rows": 10.0,
                },
            ),
            "split": Step("split", "split", {"examples": StepOutput("raw")}, runner={"name": "direct"}),
            "fit": Step(
                "fit", "fit", {"examples": StepOutput("split", "examples"), "epochs": ParamValue("epochs")}
            ),
            "bare": Step("bare", "bare"),
        },
        outputs={"model": StepOutput("fit")},
        runner={"name": "direct", "direct_num_workers": "2"},
    )
    assert (found.folder, found.file) == ("/somewhere", "small.yaml")
    raw = found.steps["raw"]
    assert (raw.line, raw.argument_lines["uses"], raw.argument_lines["columns"]) == (5, 6, 9)
    assert found.output_lines == {"model": 14}


def test_writing_gives_an_equal_pipeline_back():
    found = parse_pipeline(DOCUMENT)
    assert parse_pipeline(write_pipeline(found)) == found


def test_a_step_of_an_inlined_pipeline_has_a_dot_in_its_name():
    text = """
pipeline: dots
steps:
  sub.raw: {uses: read, with: {path: x}}
  both: {uses: split, with: {examples: "${steps.sub.raw}"}}
  last: {uses: fit, with: {examples: "${steps.sub.raw.part}"}}
"""
    found = parse_pipeline(text)
    assert found.steps["both"].arguments["examples"] == StepOutput("sub.raw")
    assert found.steps["last"].arguments["examples"] == StepOutput("sub.raw", "part")


BOMB = "pipeline: a\na: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

WRONG = {
    "duplicate key": ("pipeline: a\nsteps:\n  s: {uses: x}\n  s: {uses: y}\n", 4, "s"),
    "unknown key": ("pipeline: a\nstesp: {}\nsteps: {s: {uses: x}}\n", 2, "did you mean 'steps'?"),
    "unknown key of a step": (
        "pipeline: a\nsteps:\n  s: {uses: x,\n    wiht: {}}\n",
        4,
        "did you mean 'with'?",
    ),
    "steps is a list": ("pipeline: a\nsteps:\n  - uses: x\n", 2, "steps has to be a mapping"),
    "a step is a text": ("pipeline: a\nsteps:\n  s: csv\n", 3, "a step has to be a mapping"),
    "no steps": ("pipeline: a\n", 0, "no steps"),
    "no name": ("steps: {s: {uses: x}}\n", 0, "no name"),
    "no uses": ("pipeline: a\nsteps:\n  s: {}\n", 3, "doesn't say what it uses"),
    "not a mapping": ("- 1\n", 1, "the document has to be a mapping"),
    "empty": ("", 0, "the document has to be a mapping"),
    "not YAML": ("pipeline: [a\nsteps: {\n", 2, ""),
    "a bomb of aliases": (BOMB, 0, "alias"),
    "an object": ("pipeline: !!python/object:os.system x\n", 1, ""),
    "reference to nothing": (
        'pipeline: a\nsteps:\n  s: {uses: x, with: {a: "${env.HOME}"}}\n',
        3,
        "refers to nothing",
    ),
    "reference without an end": (
        'pipeline: a\nsteps:\n  s: {uses: x, with: {a: "${params.b"}}\n',
        3,
        "doesn't end",
    ),
    "a step in a text": (
        'pipeline: a\nsteps:\n  s: {uses: x, with: {a: "b${steps.c}"}}\n',
        3,
        "can't be put into",
    ),
    "a default that refers": (
        'pipeline: a\nparams: {p: "${steps.s}"}\nsteps: {s: {uses: x}}\n',
        2,
        "default",
    ),
    "an output that is a value": (
        "pipeline: a\nsteps: {s: {uses: x}}\noutputs:\n  o: 3\n",
        4,
        "refer to a step",
    ),
    "a malformed name": ("pipeline: a\nsteps:\n  a b: {uses: x}\n", 3, "can't be a step's name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_document_is_explained(case):
    text, line, says = WRONG[case]
    with pytest.raises(DocumentError) as caught:
        parse_pipeline(text, "wrong.yaml")
    assert says in str(caught.value)
    problem = caught.value.problems[0]
    assert problem.file == "wrong.yaml"
    if line:
        assert problem.line == line


def test_all_problems_of_a_document_are_reported_together():
    text = "pipeline: a\nparms: {}\nsteps:\n  s: {use: x}\n  t: 3\n"
    with pytest.raises(DocumentError) as caught:
        parse_pipeline(text)
    assert [(p.line, p.step) for p in caught.value.problems] == [
        (2, ""),
        (4, "s"),
        (4, "s"),
        (5, "t"),
        (5, "t"),
    ]


def test_a_file_that_is_not_there_names_its_neighbours(tmp_path: Path):
    (tmp_path / "housing.yaml").write_text(DOCUMENT)
    with pytest.raises(DocumentError, match=r"did you mean 'housing.yaml'") as caught:
        read_pipeline(tmp_path / "housing.yml")
    assert caught.value.exit_code == 2
    (tmp_path / "latin.yaml").write_bytes("pipeline: größe".encode("latin-1"))
    with pytest.raises(DocumentError, match="not UTF-8"):
        read_pipeline(tmp_path / "latin.yaml")


def test_relative_paths_belong_to_the_file_s_folder(tmp_path: Path):
    (tmp_path / "small.yaml").write_text("\ufeff" + DOCUMENT, "utf-8")
    assert read_pipeline(tmp_path / "small.yaml").folder == str(tmp_path)
