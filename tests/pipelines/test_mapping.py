"""Steps that are mapped over lists: twins, keys, sub-pipelines, the command line's names, Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines import when
from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.document import parse_pipeline, write_pipeline
from headrace.pipelines.errors import HeadraceError, PipelineError
from headrace.pipelines.executor import Request, run_pipeline
from headrace.pipelines.graph import graph_of, render
from headrace.pipelines.mapping import key_of
from headrace.pipelines.pipeline import EachValue, ParamValue, StepOutput, Template
from headrace.pipelines.planning import Selection
from headrace.pipelines.python_source import write_python
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.store import Store
from headrace.pipelines.tracing import each
from headrace.pipelines.values import command_text

GATES = Path(__file__).with_name("gate_components.py")

DOCUMENT = """\
pipeline: shops
params: {countries: [de, fr], rates: [0.5, 1], sizes: null, prefix: shop}
steps:
  last:
    each: {country: "${params.countries}"}
    uses: GATES:copy
    when: ${steps.check.summary.ok}
    with: {files: "${steps.first}", more: "${steps.first[de]}", add: "-${each.country}"}
  first:
    each: {country: "${params.countries}"}
    uses: GATES:source
    with: {text: "${params.prefix} in ${each.country}"}
  check:
    each: {country: "${params.countries}"}
    uses: GATES:check
    when: ${each.country} != it
    with: {files: "${steps.first}"}
  sized:
    each: {size: [{key: small, number: 1, of: {no: 4}}, {key: 2, number: 2, of: {no: 5}}]}
    uses: GATES:copy
    with: {files: "${steps.plain}", number: "${each.size.of.no}", add: "${each.size.key}=${each.size.number}"}
  both:
    each: {country: "${params.countries}", rate: "${params.rates}"}
    uses: GATES:copy
    with: {files: "${steps.first}", add: " ${each.rate}"}
  plain: {uses: "GATES:source"}
  sub:
    each: {country: "${params.countries}"}
    uses: below.yaml
    when: ${steps.check.summary.ok}
    with: {files: "${steps.first}", letters: [a, "${each.country}"]}
  after:
    each: {country: "${params.countries}"}
    uses: GATES:copy
    with: {files: "${steps.sub.copied}"}
  one: {uses: "GATES:copy", with: {files: "${steps.first[fr]}", more: "${steps.sub[de].copied}"}}
outputs: {result: "${steps.last[de]}", copied: "${steps.sub[fr].copied}"}
"""
BELOW = """\
pipeline: below
params: {files: null, letters: [x]}
steps:
  check: {uses: "GATES:check", with: {files: "${params.files}"}}
  letter:
    each: {letter: "${params.letters}"}
    uses: GATES:copy
    when: ["${steps.check.summary.ok}", "${params.files.properties.length} > 2"]
    with: {files: "${params.files}", add: "${each.letter}"}
  copied: {uses: "GATES:copy", with: {files: "${steps.check}"}}
outputs: {copied: "${steps.copied}"}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes documents, in which GATES stands for the file of components; gives the first one's path."""

    def make(text: str, **others: str) -> Path:
        for name, content in {"main": text, **others}.items():
            (tmp_path / f"{name}.yaml").write_text(content.replace("GATES", str(GATES)))
        return tmp_path / "main.yaml"

    return make


@pytest.fixture
def shops(write: Write) -> BoundPipeline:
    return bind(load_pipeline(str(write(DOCUMENT.replace("sizes: null, ", ""), below=BELOW))))


def same(one: BoundPipeline, other: BoundPipeline) -> bool:
    """Whether two pipelines have equal steps, in whatever order."""
    left, right = ({n: _told(s) for n, s in bound.to_json()["steps"].items()} for bound in (one, other))
    return left == right


def _told(step: dict[str, Any]) -> dict[str, Any]:
    told = {key: step[key] for key in ("uses", "parameters", "inputs", "runner")}
    conditions = [{k: v for k, v in one.items() if k != "said"} for one in step.get("when", ())]
    # What parameters alone decide is decided when a function is traced.
    return {**told, "when": [c for c in conditions if "fact" in str(c)]}


def test_a_step_is_there_once_for_each_item(shops: BoundPipeline):
    steps = shops.steps
    assert sorted(steps) == sorted(
        [f"{n}[{key}]" for n in ("first", "check", "last", "after") for key in ("de", "fr")]
        + ["sized[small]", "sized[2]", "plain", "one"]
        + [f"both[{country},{rate}]" for country in ("de", "fr") for rate in ("0.5", "1")]
        + [f"sub[{c}].{n}" for c in ("de", "fr") for n in ("check", "copied", "letter[a]", f"letter[{c}]")]
    )
    assert steps["last[fr]"].inputs == {"files": StepOutput("first[fr]"), "more": StepOutput("first[de]")}
    assert steps["last[fr]"].parameters["add"] == "-fr"
    assert steps["last[fr]"].when[0].text == "${steps.check[fr].summary.ok}"
    assert steps["first[de]"].parameters["text"] == "shop in de"
    assert (steps["sized[2]"].parameters["number"], steps["sized[small]"].parameters["add"]) == (5, "small=1")
    assert steps["both[fr,0.5]"].inputs == {"files": StepOutput("first[fr]")}
    assert steps["both[fr,0.5]"].parameters["add"] == " 0.5"
    assert [c.text for c in steps["sub[de].letter[a]"].when] == [
        "${steps.check[de].summary.ok}",
        "${steps.sub[de].check.summary.ok}",
        "${steps.first[de].properties.length} > 2",
    ]
    assert steps["after[fr]"].inputs == {"files": StepOutput("sub[fr].copied")}
    assert steps["one"].inputs == {"files": StepOutput("first[fr]"), "more": StepOutput("sub[de].copied")}
    assert shops.outputs == {"result": StepOutput("last[de]"), "copied": StepOutput("sub[fr].copied")}
    assert steps["last[fr]"].upstream == ("first[fr]", "first[de]", "check[fr]")


def test_it_runs_and_is_cached(shops: BoundPipeline, store: Store):
    result = run_pipeline(shops, store, Request(jobs=2), lambda event: None)
    assert result.status == "done", result.errors
    assert result.artifacts["both[fr,0.5]"]["output"].file("text.txt").read_text() == "shop in fr 0.5"
    again = run_pipeline(shops, store, Request(), lambda event: None)
    assert {record.status for record in again.steps.values()} == {"cached"}
    recorded = store.run_record(again.run)
    assert list(recorded["steps"]) == list(shops.steps)
    assert BoundPipeline.from_json(recorded["document"]).steps == shops.steps


def test_a_name_without_a_key_means_all_twins(shops: BoundPipeline, write: Write):
    assert Selection(only="first").steps(shops) == {"first[de]", "first[fr]"}
    assert Selection(only="both[de,1]").steps(shops) == {"both[de,1]"}
    assert Selection(end="after").steps(shops) >= {"after[de]", "after[fr]", "check[fr]"}
    assert "plain" not in Selection(start="first").steps(shops)
    assert Selection(force=frozenset({"sub.letter"})).forces("sub[de].letter[a]")
    with pytest.raises(PipelineError, match=r"there is no step 'first\[it\]'; did you mean 'first\[fr\]'"):
        Selection(only="first[it]").steps(shops)
    path = write(DOCUMENT.replace("sizes: null, ", ""), below=BELOW)
    sets = {"last[de].add": command_text("?"), "last.add": command_text("!"), "sub.check.score": 0.75}
    bound = bind(load_pipeline(str(path)), {"countries": command_text("[de, fr, it]")}, sets)
    assert [bound.steps[f"last[{key}]"].parameters["add"] for key in ("de", "it")] == ["?", "!"]
    assert {bound.steps[f"sub[{key}].check"].parameters["score"] for key in ("de", "it")} == {0.75}
    assert "sub[it].letter[it]" in bound.steps


def test_what_a_document_says_and_back(write: Write):
    declared = load_pipeline(str(write(DOCUMENT, below=BELOW)))
    first = declared.steps["first"]
    assert first.each == {"country": ParamValue("countries")}
    assert first.arguments == {"text": Template((ParamValue("prefix"), " in ", EachValue("country")))}
    assert declared.steps["sized"].arguments["number"] == EachValue("size", "of.no")
    assert declared.steps["one"].arguments["more"] == StepOutput("sub[de]", "copied")
    assert parse_pipeline(write_pipeline(declared), "", declared.folder) == declared
    assert {(e.source, e.target) for e in graph_of(declared).edges} >= {("first", "one"), ("check", "last")}


def test_yaml_to_python_to_yaml(write: Write, tmp_path: Path, shops: BoundPipeline):
    path = write(DOCUMENT.replace("sizes: null, ", ""), below=BELOW)
    (tmp_path / "shops.py").write_text(write_python(load_pipeline(str(path))))
    source = (tmp_path / "shops.py").read_text()
    assert "for country in each(countries):" in source
    traced = load_pipeline(f"{tmp_path / 'shops.py'}:shops")
    assert same(bind(traced), shops)
    assert "sub[it].copied" in bind(traced, {"countries": command_text("[de, fr, it]")}).steps
    (tmp_path / "again.yaml").write_text(render(traced, "yaml"))
    assert same(bind(load_pipeline(str(tmp_path / "again.yaml"))), shops)
    (tmp_path / "bound.yaml").write_text(render(shops, "yaml"))
    assert same(bind(load_pipeline(str(tmp_path / "bound.yaml"))), shops)
    (tmp_path / "bound.py").write_text(render(shops, "python"))
    assert same(bind(load_pipeline(f"{tmp_path / 'bound.py'}:shops")), shops)


def test_python_to_yaml_and_back(tmp_path: Path, store: Store):
    for name in ("gated", "mapped"):
        bound = bind(load_pipeline(f"{GATES}:{name}"))
        for form, target in (("yaml", f"{name}.yaml"), ("python", f"{name}.py")):
            (tmp_path / target).write_text(
                render(load_pipeline(f"{GATES}:{name}"), form).replace("gate_components.py", str(GATES))
            )
            suffix = f":{name}" if form == "python" else ""
            assert same(bind(load_pipeline(f"{tmp_path / target}{suffix}")), bound), (name, form)


def test_conditions_in_python():
    steps = bind(load_pipeline(f"{GATES}:gated")).steps
    assert {name: [c.text for c in step.when] for name, step in steps.items() if step.when} == {
        "copy": ["${steps.check.summary.ok}"],
        "third": [
            "${steps.check.summary.ok}",
            "not ${steps.check.summary.ok}",
            "${steps.check.summary.metrics.score} >= 0.25",
            "true",
        ],
        "fourth": ["${steps.check.summary.ok}"],
        "fifth": ['${steps.check.summary.kind} == "a b"', "${steps.check.summary.metrics.score} > 0.25"],
    }


def test_a_map_in_python(store: Store):
    bound = bind(load_pipeline(f"{GATES}:mapped"))
    assert list(bound.steps) == [
        *("source[de]", "inner[de].check", "inner[de].copy", "last[de,one]", "last[de,two]"),
        *("source[fr]", "inner[fr].check", "inner[fr].copy", "last[fr,one]", "last[fr,two]", "single"),
    ]
    result = run_pipeline(bound, store, Request(), lambda event: None)
    skipped = {name for name, record in result.steps.items() if record.status == "skipped"}
    assert skipped == {"inner[fr].copy", "last[fr,one]", "last[fr,two]"}
    assert result.steps["last[fr,one]"].reason == (
        "after inner[fr].copy, which is skipped when ${steps.inner[fr].check.summary.ok}: it is false"
    )


def _mapped(each: str, text: str = '"${each.x}"', more: str = "") -> str:
    return f"""\
pipeline: p
params: {{xs: [a, b], none: []}}
steps:
  one: {{each: {each}, uses: "GATES:source", with: {{text: {text}}}}}
{more}"""


TWO = '  two: {each: EACH, uses: "GATES:copy", with: {files: "${steps.one}"}}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_mapped("{x: []}"), ["one.each.x: the list is empty"]),
        (_mapped('{x: "${params.none}"}'), ["the list is empty"]),
        (_mapped("{x: [a, b, a]}"), ["two items have the key 'a'"]),
        (_mapped('{x: [1, "1"]}'), ["two items have the key '1'"]),
        (_mapped("{x: [a b]}"), ["'a b' can't be a key", "{key: uk, name: United Kingdom}"]),
        (_mapped("{x: [a/b]}"), ["can't be a key"]),
        (_mapped('{x: ["a]"]}'), ["can't be a key"]),
        (_mapped("{x: [null]}"), ["null can't be a key"]),
        (_mapped("{x: [[a]]}"), ["can't be a key"]),
        (_mapped("{x: [{name: a}]}"), ["has no entry `key`"]),
        (_mapped("{x: a}"), ["has to be a list, not 'a'"]),
        (_mapped("{x: {a: b}}"), ["has to be a list"]),
        (_mapped("{}"), ["each is over nothing"]),
        (_mapped("{x.y: [a]}"), ["can't be a map's name"]),
        (_mapped('{x: "${params.ys}"}'), ["there is no parameter 'ys'", "did you mean 'xs'"]),
        (_mapped('{x: "${steps.one}"}'), ["has to be a list"]),
        (_mapped("{x: [a]}", '"${each.y}"'), ["the step is not mapped over 'y'", "available: x"]),
        (_mapped("{x: [a]}", '"${each.x.name}"'), ["the item a is no mapping", "write ${each.x}"]),
        (
            _mapped("{x: [{key: a, nam: b}]}", '"${each.x.name}"'),
            ["the item a has no entry 'name'", "did you mean 'nam'"],
        ),
        (_mapped("{x: [a]}", "t", TWO.replace("EACH", "{x: [a, b]}")), ["one has no twin for [b]"]),
        (_mapped("{x: [a]}", "t", TWO.replace("EACH", "{y: [a]}")), ["mapped over x, and this step over y"]),
        (
            _mapped("{x: [a, b]}", "t", TWO.replace("each: EACH, ", "")),
            ["there once for each item", "name one, for example ${steps.one[a]}"],
        ),
        (
            _mapped("{x: [a, b]}", "t", TWO.replace("each: EACH, ", "").replace("one}", "one[c]}")),
            ["there is no step 'one[c]'", "one[a], one[b]"],
        ),
        (_mapped("{x: [a, b]}", "[]"), ["one[a].text: has to be a text"]),
        (_mapped("{x: [a]}", "t", 'outputs: {y: "${steps.one}"}\n'), ["outputs.y: one is there once"]),
        (_mapped("{x: [a]}", "t", TWO.replace("each: EACH, ", "").replace("two:", "one[a]:")), ["one[a]"]),
    ],
)
def test_a_wrong_map_is_explained(write: Write, text: str, says: list[str]):
    with pytest.raises(HeadraceError) as caught:
        bind(load_pipeline(str(write(text))))
    for part in says:
        assert part in str(caught.value)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].line > 2


def test_what_is_wrong_in_python():
    with pytest.raises(PipelineError, match="inside a @pipeline function"):
        list(each([1]))
    with pytest.raises(PipelineError, match="inside a @pipeline function"), when(True):
        pass
    assert key_of("de", {"key": 3}) == "de,3"
