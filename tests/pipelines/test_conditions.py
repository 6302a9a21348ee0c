"""Conditions of steps: what they say, what is wrong with them, and what a run makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headrace.pipelines.alone import run_function
from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.cli import cli
from headrace.pipelines.document import parse_pipeline
from headrace.pipelines.errors import DocumentError, PipelineError, StepError
from headrace.pipelines.executor import Request, RunResult, run_pipeline
from headrace.pipelines.graph import render
from headrace.pipelines.planning import Planner, Selection
from headrace.pipelines.processes import WorkerPool
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.store import Store

GATES = Path(__file__).with_name("gate_components.py")
OK = "${steps.check.summary.ok}"

Bind = Callable[..., BoundPipeline]


@pytest.fixture
def chain(tmp_path: Path) -> Bind:
    """Binds source → check, and a → b which look at it under the condition `when`."""

    def make(when: Any, params: dict[str, Any] | None = None, **check: Any) -> BoundPipeline:
        steps = {
            "source": {"uses": f"{GATES}:source", "with": {"text": "${params.text}"}},
            "check": {"uses": f"{GATES}:check", "with": {"files": "${steps.source}", **check}},
            "a": {"uses": f"{GATES}:copy", "when": when, "with": {"files": "${steps.source}"}},
            "b": {"uses": f"{GATES}:copy", "with": {"files": "${steps.a}", "add": "b"}},
            "c": {"uses": f"{GATES}:copy", "with": {"files": "${steps.source}", "add": "c"}},
        }
        document = {"pipeline": "gates", "params": {"text": "text", "go": True}, "steps": steps}
        path = tmp_path / "gates.yaml"
        path.write_text(json.dumps(document))
        return bind(load_pipeline(str(path)), params)

    return make


@pytest.fixture(scope="module", autouse=True)
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers that all runs here share, since to start them takes longer than the runs."""
    POOLS.append(WorkerPool(tmp_path_factory.mktemp("workers")))
    yield
    POOLS.pop().close()


POOLS: list[WorkerPool] = []


def run(bound: BoundPipeline, store: Store, **request: Any) -> RunResult:
    return run_pipeline(bound, store, Request(**request), lambda event: None, POOLS[0])


def statuses(result: RunResult) -> str:
    return " ".join(record.status for record in result.steps.values())


@pytest.mark.parametrize(
    ("when", "seen"),
    [
        (OK, ""),
        (f"not {OK}", "true"),
        ([OK, "${steps.check.summary.metrics.score} >= 0.5"], ""),
        ([OK, "${steps.check.summary.metrics.score} > 0.5", "${params.go}"], "0.5"),
        ("${steps.check.summary.metrics.by.class.a b} < 1", ""),
        ("${steps.check.properties.length} != 11", "11"),
        ("${steps.check.summary.kind} == good", ""),
        ('${steps.check.summary.kind} == "good"', ""),
        ("${steps.check.summary.kind} != good", "'good'"),
        ("${params.text} == ${steps.check.summary.kind}", "'good'"),
        ("${params.go}", ""),
        ("not ${params.go}", "true"),
        (False, "false"),
    ],
)
def test_what_a_condition_says(chain: Bind, store: Store, when: Any, seen: str):
    result = run(chain(when), store)
    a, b = result.steps["a"], result.steps["b"]
    assert (result.status, result.steps["c"].status) == ("done", "ran")
    if not seen:
        assert (a.status, b.status) == ("ran", "ran")
        return
    assert (a.status, b.status) == ("skipped", "skipped")
    assert a.reason.startswith("when ")
    assert a.reason.endswith(f": it is {seen}")
    assert b.reason == f"after a, which is skipped {a.reason}"
    assert "a" not in result.steps["b"].outputs
    assert result.artifacts["a"] == {}


def test_a_metric_that_could_not_be_computed_is_not_good_enough(chain: Bind, store: Store):
    result = run(chain("${steps.check.summary.metrics.score} >= 0.1", score=None), store)
    assert result.steps["a"].reason.endswith("it is null")


def test_the_condition_is_no_part_of_the_fingerprint(chain: Bind, store: Store):
    first = run(chain(OK), store)
    again = run(chain([f"not {OK}"]), store)
    assert statuses(again) == "cached cached skipped skipped cached"
    third = run(chain(["${steps.check.summary.metrics.score} < 1", OK]), store)
    assert statuses(third) == "cached " * 4 + "cached"
    assert third.steps["a"].fingerprint == first.steps["a"].fingerprint
    told = store.run_record(third.run)["steps"]["a"]["conditions"]
    assert told[0] == {"when": "${steps.check.summary.metrics.score} < 1", "seen": 0.5, "met": True}


def test_what_is_looked_at_comes_first_and_its_failure_stops_the_step(chain: Bind, store: Store):
    bound = chain(OK)
    assert bound.steps["a"].upstream == ("source", "check")
    assert bound.downstream("check") == ("a",)
    assert list(Selection(end="b").steps(bound)) != []
    assert Selection(end="b").steps(bound) == {"source", "check", "a", "b"}
    wrong = run(chain("${steps.check.summary.kind} > 3"), store)
    assert statuses(wrong) == "ran ran failed not reached ran"
    assert "'good' and 3 have no order" in str(wrong.errors["a"])


def test_a_plan_tells_what_is_known_now(chain: Bind, store: Store):
    bound = chain(OK)
    plan = Planner(bound, store).plan()
    assert plan["a"].reason == f"first run, if {OK}"
    assert [plan[name].pending for name in ("source", "check", "a", "b", "c")] == [
        False,
        False,
        True,
        True,
        False,
    ]
    run(bound, store)
    assert {decision.action for decision in Planner(bound, store).plan().values()} == {"cached"}
    plan = Planner(chain(OK, ok=False), store).plan()
    assert (plan["a"].action, plan["a"].reason) == ("run", f"after check, if {OK}")
    run(chain(OK, ok=False), store)
    # The condition is known not to hold, though another input is still to be made.
    plan = Planner(chain(OK, ok=False), store, Selection(force=frozenset({"source"}))).plan()
    assert (plan["source"].action, plan["a"].action) == ("run", "run")
    plan = Planner(chain(OK, ok=False), store).plan()
    assert plan["a"].reason == f"when {OK}: it is false"
    assert (plan["b"].action, plan["b"].outputs) == ("skipped", {})


def test_a_selection_stands_on_what_is_in_the_store(chain: Bind, store: Store):
    with pytest.raises(PipelineError) as caught:
        run(chain(OK), store, selection=Selection(only="a"))
    assert [(p.step, p.argument) for p in caught.value.problems] == [("a", "files"), ("a", "when")]
    run(chain(OK, ok=False), store)
    only = run(chain(OK, ok=False), store, selection=Selection(only="a"))
    assert statuses(only) == "skipped " * 4 + "skipped"
    assert only.steps["a"].reason == f"when {OK}: it is false"
    assert only.steps["check"].reason == "not selected"
    forced = run(chain(OK, ok=False), store, selection=Selection(force=frozenset({"a"})))
    assert forced.steps["a"].status == "skipped"


def test_data_that_mend_make_the_steps_run(chain: Bind, store: Store):
    bad = run(chain(OK, {"text": "bad"}), store)
    assert statuses(bad) == "ran ran skipped skipped ran"
    assert statuses(run(chain(OK), store)) == "ran ran ran ran ran"


def test_a_record_gives_the_conditions_back(chain: Bind, store: Store):
    bound = chain([OK, "${steps.check.summary.metrics.score} >= 0.25", "${params.go}"])
    again = BoundPipeline.from_json(json.loads(json.dumps(bound.to_json())))
    assert again.steps["a"].when == bound.steps["a"].when
    assert again.steps["a"].when[2].text == "${params.go}"


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("${steps.chek.summary.ok}", ["there is no step 'chek'", "did you mean 'check'"]),
        ("${steps.check.summary.okay}", ["gives no such entry", "did you mean 'ok'"]),
        ("${steps.check.summary.metrics.scor} > 1", ["did you mean 'score'"]),
        ("${steps.check.properties.size} > 1", ["available: length"]),
        ("${steps.check}", ["${steps.check} is no entry", "write ${steps.check.summary.ENTRY}"]),
        ("${steps.check.ok}", ["write ${steps.check.summary.ok} or ${steps.check.properties.ok}"]),
        ("${params.text}", ["'text', which is neither true nor false"]),
        ("${params.goo}", ["there is no parameter 'goo'", "did you mean 'go'"]),
        ("${params.text.summary.ok}", ["${params.text} is none"]),
        ("${steps.a.summary.ok}", ["the steps need each other: a → a"]),
        ("${steps.b.summary.ok}", ["the steps need each other"]),
    ],
)
def test_a_wrong_condition_is_found_before_the_run(chain: Bind, when: Any, says: list[str]):
    with pytest.raises(PipelineError) as caught:
        chain(when)
    for text in says:
        assert text in str(caught.value)
    assert any(problem.line for problem in caught.value.problems)


@pytest.mark.parametrize(
    "when",
    ["ok", 3, [[OK]], f"{OK} and {OK}", f"not {OK} == 3", f"{OK} = true", f"{OK} in [1]", f"{OK} == [1]"],
)
def test_what_is_no_condition(chain: Bind, when: Any):
    with pytest.raises(DocumentError, match=r"is no condition|compares with one value"):
        chain(when)


def test_a_step_that_is_not_selected_keeps_those_below_it_from_being_there_too(chain: Bind, store: Store):
    run(chain(OK), store)
    run(chain(OK, ok=False), store)
    # Of an earlier run there is an artifact of `a`, which the condition doesn't let through now.
    result = run(chain(OK, ok=False), store, selection=Selection(only="b"))
    assert result.steps["b"].reason == f"after a, which is skipped when {OK}: it is false"


def test_what_a_function_returns_of_a_skipped_step_is_none(store: Store):
    gated = load_pipeline(f"{GATES}:gated")
    assert run_function(gated, {}, store).file("text.txt").read_text() == "text"
    assert run_function(gated, {"text": "bad"}, store) is None


def test_a_failed_run_is_resumed_under_its_conditions(chain: Bind, store: Store, tmp_path: Path):
    bound = chain("${steps.check.summary.kind} > 3")
    failed = run(bound, store)
    assert failed.status == "failed"
    again = BoundPipeline.from_json(store.run_record(failed.run)["document"])
    assert statuses(run(again, store, resumes=failed.run)) == "cached cached failed not reached cached"


def test_a_plan_tells_which_step_has_a_condition_that_compares_nothing(chain: Bind, store: Store):
    bound = chain("${steps.check.summary.kind} > 3")
    run(bound, store)
    with pytest.raises(StepError, match=r"a\.when: .*'good' and 3 have no order"):
        Planner(bound, store).plan()


def test_two_outputs_and_odd_entries(tmp_path: Path, store: Store):
    steps = {
        "source": {"uses": f"{GATES}:source"},
        "both": {"uses": f"{GATES}:checkup", "with": {"files": "${steps.source}"}},
        "a": {
            "uses": f"{GATES}:copy",
            "when": "${steps.both.report.summary.ok}",
            "with": {"files": "${steps.both.files}"},
        },
        "b": {
            "uses": f"{GATES}:copy",
            "when": "${steps.both.report.summary.nothing.there}",
            "with": {"files": "${steps.both.files}"},
        },
    }
    bound = bind(parse_pipeline(json.dumps({"pipeline": "two", "steps": steps})))
    result = run(bound, store)
    assert statuses(result) == "ran ran ran failed"
    assert "the summary of what both gave has no entry 'nothing.there'" in str(result.errors["b"])
    assert result.errors["b"].problems[0].available == ("ok",)
    drawn = render(bound, "ascii")
    assert "both.files, both.report when summary.ok" in drawn
    assert 's1 -- "files, when summary.ok" --> s2' in render(bound, "mermaid")


def test_pictures_tell_conditions_from_inputs(chain: Bind):
    bound = chain([OK, "${steps.check.summary.metrics.score} >= 0.5"])
    label = "when summary.ok, when summary.metrics.score >= 0.5"
    assert f's1 -. "{label.replace(">", "&gt;")}" .-> s2' in render(bound, "mermaid")
    assert f'"check" -> "a" [label="{label}", style=dashed];' in render(bound, "dot")
    assert render(bound, "svg").count("stroke-dasharray") == 1
    assert "← source, check when summary.ok, check when" in render(bound, "ascii")


def test_the_command_line_tells_why(chain: Bind, tmp_path: Path):
    chain(OK, ok=False)
    where = ["--store", str(tmp_path / "s")]

    def headrace(*arguments: str) -> str:
        result = CliRunner().invoke(cli, [*arguments, *where])
        assert result.exit_code == 0, result.output
        return result.output

    pipeline = str(tmp_path / "gates.yaml")
    assert "5 of 5 steps would run, 2 of them only if conditions hold" in headrace("plan", pipeline)
    assert f"first run, if {OK}" in headrace("explain", "a", pipeline)
    assert "3 ran, 2 skipped" in headrace("run", pipeline)
    told = headrace("explain", "a")
    assert f"reason: when {OK}: it is false" in told
    assert f"does not hold: {OK}, it is false" in told
    assert f"after a, which is skipped when {OK}: it is false" in headrace("runs", "show")
    found = json.loads(headrace("explain", "a", pipeline, "--json"))
    assert found["conditions"] == [{"when": OK, "seen": False, "met": False}]
