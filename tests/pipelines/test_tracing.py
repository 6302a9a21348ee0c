"""`@pipeline`: promises, names, sub-pipelines, and the way to YAML and Python and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headrace.pipelines import Context, Examples, Model, PipelineError, component, pipeline
from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.document import parse_pipeline, write_pipeline
from headrace.pipelines.linking import use
from headrace.pipelines.pipeline import Pipeline, StepOutput
from headrace.pipelines.python_source import write_python
from headrace.pipelines.resolve import import_object, load_pipeline
from headrace.pipelines.tracing import PipelineFunction, runner

WIRING = Path(__file__).with_name("wiring_components.py")
read, split, fit, learned, whole = (
    import_object(f"{WIRING}:{name}") for name in ("read", "split", "fit", "learned", "whole")
)


def test_calls_become_steps():
    traced = whole.trace(epochs=5)
    assert list(traced.steps) == ["read", "split", "first", "learned.split", "learned.fit"]
    assert {name: dict(step.arguments) for name, step in traced.steps.items()} == {
        "read": {"path": "a.csv", "rows": 3},
        "split": {"examples": StepOutput("read")},
        "first": {"examples": StepOutput("split", "examples"), "epochs": 5},
        "learned.split": {"examples": StepOutput("split", "examples")},
        "learned.fit": {"examples": StepOutput("learned.split", "examples"), "epochs": 9},
    }
    assert traced.outputs == {"output": StepOutput("learned.fit")}
    assert traced.steps["read"].uses == "wiring_components.py:read"
    assert traced.steps["read"].file == str(WIRING)
    assert "split(read(path" in WIRING.read_text().splitlines()[traced.steps["read"].line - 1]
    assert traced.folder == str(WIRING.parent)


def test_repeated_steps_are_numbered():
    @pipeline
    def repeated() -> None:
        for _ in range(3):
            learned(read("a"))

    names = list(repeated.trace().steps)
    assert names[:4] == ["read", "learned.split", "learned.fit", "read_2"]
    assert names[-1] == "learned_3.fit"


class Two(NamedTuple):
    model: Model
    rows: Examples


def test_a_named_tuple_names_the_outputs():
    @pipeline(name="two-things", runner={"name": "direct"})
    def two() -> Two:
        rows = read("a")
        with runner(direct_num_workers="2"):
            model = learned.named("inner")(rows)
        return Two(model, rows)

    traced = two.trace()
    assert (traced.name, traced.runner) == ("two-things", {"name": "direct"})
    assert traced.outputs == {"model": StepOutput("inner.fit"), "rows": StepOutput("read")}
    assert [step.runner for step in traced.steps.values()] == [None, *[{"direct_num_workers": "2"}] * 2]


def failing(body: Any) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        PipelineFunction(body).trace()
    return caught.value


def test_a_promise_has_no_truth_value():
    def branching() -> None:
        if read("a"):
            split(read("b"))

    assert "no truth value" in str(failing(branching))


def test_a_misspelt_output_is_explained():
    def misspelt() -> None:
        fit(split(read("a")).exmples)

    assert "did you mean 'examples'?" in str(failing(misspelt))
    promise = None

    @pipeline
    def kept() -> None:
        nonlocal promise
        promise = split(read("a"))

    kept.trace()
    assert hasattr(promise, "schema")
    assert not hasattr(promise, "path")


def test_several_outputs_can_not_be_one_argument():
    def ambiguous() -> None:
        fit(split(read("a")))

    error = failing(ambiguous)
    (problem,) = error.problems
    assert problem.available == ("examples", "schema")
    assert (problem.step, problem.argument, problem.file) == ("fit", "examples", __file__)


def test_other_wrong_calls_are_explained():
    def twice() -> None:
        read.named("raw")("a")
        read.named("raw")("b")

    def malformed() -> None:
        read.named("a b")("a")

    def unknown() -> None:
        read("a", row=3)

    def value() -> Any:
        read("a")
        return 3

    def wrong_param() -> None:
        whole(epochs="many")

    assert "a step raw already" in str(failing(twice))
    assert "can't be a step's name" in str(failing(malformed))
    assert "did you mean 'rows'?" in str(failing(unknown))
    assert "returns int" in str(failing(value))
    assert "has to be a whole number, not 'many'" in str(failing(wrong_param))
    with pytest.raises(PipelineError, match="did you mean 'epochs'"):
        whole.trace(epoch=3)
    with pytest.raises(PipelineError, match="needs a value for its parameter 'examples'"):
        learned.trace()


def test_a_failed_trace_leaves_no_trace_behind():
    def ends() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        PipelineFunction(ends).trace()
    assert next(iter(whole.trace().steps)) == "read"


def test_a_path_that_is_given_is_relative_to_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert bind(whole).steps["read"].parameters["path"] == str(WIRING.parent / "a.csv")
    assert bind(whole, {"path": "b.csv"}).steps["read"].parameters["path"] == str(tmp_path / "b.csv")


def test_a_traced_pipeline_survives_yaml_and_python(tmp_path: Path):
    traced = whole.trace()
    assert parse_pipeline(write_pipeline(traced)) == traced
    (tmp_path / WIRING.name).write_text(WIRING.read_text())
    (tmp_path / "again.py").write_text(write_python(traced))
    again = load_pipeline(f"{tmp_path}/again.py:whole")
    assert isinstance(again, PipelineFunction)
    assert again.trace() == traced


DOCUMENT = """\
pipeline: my-pipeline
params: {data: a.csv, epochs: 2, dir: "sub{}", flags: [a, 1], must: null}
runner: {name: direct, direct_num_workers: 2}
steps:
  fit: {uses: "PARTS:fit", with: {examples: "${steps.split.examples}", epochs: "${params.epochs}"}}
  list: {uses: "PARTS:read", with: {path: ["${params.dir}/*.csv", 'q"$${x}'], splits: {a: 1, b: 2.5}}}
  split: {uses: "PARTS:split", with: {examples: "${steps.list}", by: "${params.must}"}, runner: direct}
  sub-one: {uses: sub.yaml, with: {rows: "${steps.split.examples}", epochs: "${params.epochs}"}}
  sub-two: {uses: "PARTS:learned", with: {examples: "${steps.sub-one.rows}"}}
  long:
    uses: PARTS:read
    with:
      path: x
      columns: [a long name of a column, another long name of a column, a third long name of a column]
outputs: {model: "${steps.sub-one.model}", other: "${steps.sub-two}"}
"""
SUB = """\
pipeline: sub
params: {rows: null, epochs: 5}
steps:
  sub: {uses: "PARTS:learned", with: {examples: "${params.rows}", epochs: "${params.epochs}"}}
  ours: {uses: "PARTS:read", with: {path: b.csv}}
outputs: {model: "${steps.sub}", rows: "${steps.ours}"}
"""


def facts(bound: BoundPipeline) -> dict[str, Any]:
    steps = {n: (s.uses, dict(s.parameters), dict(s.inputs)) for n, s in bound.steps.items()}
    return {"name": bound.name, "steps": steps, "outputs": bound.outputs, "params": bound.params}


def test_a_document_survives_python(tmp_path: Path):
    (tmp_path / WIRING.name).write_text(WIRING.read_text())
    (tmp_path / "main.yaml").write_text(DOCUMENT.replace("PARTS", WIRING.name))
    (tmp_path / "sub.yaml").write_text(SUB.replace("PARTS", WIRING.name))
    document = load_pipeline(f"{tmp_path}/main.yaml")
    assert isinstance(document, Pipeline)
    assert parse_pipeline(write_pipeline(document)) == document
    source = write_python(document)
    (tmp_path / "main.py").write_text(source)
    function = load_pipeline(f"{tmp_path}/main.py:my_pipeline")
    assert isinstance(function, PipelineFunction)
    for params in ({"must": "x"}, {"must": "y", "epochs": 9, "dir": "other"}):
        one, two = bind(document, params), bind(function, params)
        assert facts(one) == facts(two)
        assert one.runner == two.runner
        assert one.steps["split"].runner == two.steps["split"].runner == {"name": "direct"}
    assert all(len(line) <= 110 for line in source.splitlines())


def test_a_document_is_called_like_a_pipeline(tmp_path: Path):
    (tmp_path / WIRING.name).write_text(WIRING.read_text())
    (tmp_path / "sub.yaml").write_text(SUB.replace("PARTS", WIRING.name))
    sub = use(f"{tmp_path}/sub.yaml")

    @pipeline
    def outer() -> Model:
        made = sub.named("s")(rows=read("a"), epochs=3)
        fit(made.rows)
        return made.model

    traced = outer.trace()
    assert list(traced.steps) == ["read", "s.sub.split", "s.sub.fit", "s.ours", "fit"]
    assert traced.steps["s.sub.split"].arguments["examples"] == StepOutput("read")
    assert traced.steps["s.ours"].arguments["path"] == str(tmp_path / "b.csv")
    assert traced.outputs == {"output": StepOutput("s.sub.fit")}


def test_a_component_without_an_import_path_is_not_written():
    @component
    def local(ctx: Context, examples: Examples) -> Examples:
        """Can't be imported."""
        raise NotImplementedError

    @pipeline
    def uses_local() -> None:
        local(read("a"))

    for write in (write_pipeline, write_python):
        with pytest.raises(PipelineError, match="can't be imported by this name") as caught:
            write(uses_local.trace())
        assert caught.value.problems[0].step == "local"
    assert bind(uses_local).steps["local"].component.name == "local"


def test_an_error_while_tracing_names_file_and_line():
    def misspelt() -> None:
        read("a", row=3)

    def promising() -> None:
        fit(split(read("a")).exmples)

    for function in (misspelt, promising):
        (problem,) = failing(function).problems
        assert problem.file == __file__
        assert problem.line == function.__code__.co_firstlineno + 1


def test_a_long_chain_of_steps_is_no_problem():
    @pipeline
    def chain(length: int = 3000) -> Examples:
        rows = read("a")
        for _ in range(length):
            rows = split(rows).examples
        return rows

    assert list(bind(chain).steps)[-1] == "split_3000"


def test_a_parameter_may_be_called_like_a_module():
    text = """
pipeline: hidden
params: {components: x.csv, headrace: 3}
steps:
  examples: {uses: csv_examples, with: {path: "${params.components}", seed: "${params.headrace}"}}
"""
    source = write_python(parse_pipeline(text))
    assert 'use("csv_examples")' in source
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    (step,) = namespace["hidden"].trace().steps.values()
    assert step.uses == "csv_examples"
    assert step.arguments["seed"] == 3
