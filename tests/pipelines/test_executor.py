"""Runs of small pipelines: order, cache, failures, processes, records."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path

import pytest

from headrace.pipelines.errors import DataError, PipelineError
from headrace.pipelines.executor import Request, run_pipeline
from headrace.pipelines.planning import Planner, Selection
from headrace.pipelines.store import Store

CHAIN = {
    "a": ("number", {"value": 2}),
    "b": ("parity", {"files": "a"}),
    "c": ("pair", {"files": "b"}),
    "d": ("joined", {"left": "c.left", "right": "c.right"}),
}


def statuses(result):
    return {name: record.status for name, record in result.steps.items()}


def text(result, step, output="output"):
    return result.artifacts[step][output].file("text.txt").read_text()


def quiet(event):
    pass


def test_a_chain_runs_then_is_cached_and_a_change_reruns_only_what_it_reaches(bound, store):
    first = run_pipeline(bound(**CHAIN), store, listen=quiet)
    assert statuses(first) == dict.fromkeys("abcd", "ran")
    assert text(first, "d") == "1+1"
    assert {record.reason for record in first.steps.values()} == {"first run"}

    second = run_pipeline(bound(**CHAIN), store, listen=quiet)
    assert statuses(second) == dict.fromkeys("abcd", "cached")
    assert first.run in second.steps["a"].reason

    # 2 → 4: b gives the same bytes again, which cuts off c and d.
    third = run_pipeline(bound(**CHAIN | {"a": ("number", {"value": 4})}), store, listen=quiet)
    assert statuses(third) == {"a": "ran", "b": "ran", "c": "cached", "d": "cached"}
    assert third.steps["a"].reason == "a.value 2 → 4"
    assert third.steps["b"].reason.startswith("input files ")
    assert third.steps["b"].reason.endswith("(from a)")


def test_a_failing_step_stops_what_needs_it_and_nothing_else(bound, store):
    steps = {
        "a": ("number", {}),
        "bad": ("failing", {"files": "a"}),
        "under": ("parity", {"files": "bad"}),
        "good": ("parity", {"files": "a"}),
    }
    result = run_pipeline(bound(**steps), store, Request(jobs=2), quiet)
    assert result.status == "failed"
    assert statuses(result) == {"a": "ran", "bad": "failed", "under": "not reached", "good": "ran"}
    error = result.errors["bad"]
    assert isinstance(error, DataError)
    assert error.problems[0].step == "bad"
    assert "somewhere.csv:3" in str(error)
    assert not list((store.folder / "staging").iterdir())
    assert [a.type for a in store.artifacts()] == ["Files", "Files"]
    record = store.run_record(result.run)
    assert record["status"] == "failed"
    assert record["steps"]["bad"]["error"]["error"] == "DataError"


def test_a_process_that_dies_is_a_failed_step_that_names_its_end(bound, store):
    result = run_pipeline(bound(a=("crashing", {})), store, listen=quiet)
    assert "ended with code 3" in str(result.errors["a"])


def test_a_component_chooses_its_process_by_its_arguments(bound, store):
    chain = {"a": ("number", {}), "b": ("placed", {"files": "a"}), "c": ("placed", {"files": "b"})}
    chain["d"] = ("placed", {"files": "c", "apart": True})
    chain["e"] = ("placed", {"files": "d", "apart": True})
    result = run_pipeline(bound(**chain), store, Request(jobs=1), quiet)
    here, again, apart, beside = (text(result, step) for step in "bcde")
    assert here == again != apart == beside


def test_steps_run_side_by_side(bound, store):
    steps = {name: ("slow", {"seconds": 0.3}) for name in ("a",)} | {"b": ("slow", {"seconds": 0.4})}
    running, most = set(), []

    def listen(event):
        if event.get("status") == "running":
            running.add(event["step"])
        elif "status" in event and "step" in event:
            running.discard(event["step"])
        most.append(len(running))

    result = run_pipeline(bound(**steps), store, Request(jobs=2), listen)
    assert max(most) == 2
    assert text(result, "a") != text(result, "b")  # two processes
    assert str(os.getpid()) not in (text(result, "a"), text(result, "b"))


def test_progress_and_messages_reach_the_listener(bound, store):
    events = []
    run_pipeline(bound(a=("slow", {"seconds": 0.2})), store, listen=events.append)
    assert {"step": "a", "progress": {"done": 1, "total": 2}} in [dict(e) for e in events]


def test_pictures_are_named_by_their_path_when_a_step_has_made_them(bound, store):
    events = []
    result = run_pipeline(bound(a=("picture", {}), b=("number", {})), store, listen=events.append)
    (path,) = result.artifacts["a"]["output"].pictures
    assert path.read_bytes() == b"pixels"
    assert [event["step"] for event in events if event.get("say") == f"look at {path}"] == ["a"]
    again = []
    run_pipeline(bound(a=("picture", {})), store, listen=again.append)
    assert not [event for event in again if "say" in event]


def test_selection(bound, store):
    with pytest.raises(PipelineError, match="no artifact in the store"):
        run_pipeline(bound(**CHAIN), store, Request(Selection(only="c")), quiet)
    upto = run_pipeline(bound(**CHAIN), store, Request(Selection(end="b")), quiet)
    assert statuses(upto) == {"a": "ran", "b": "ran", "c": "skipped", "d": "skipped"}
    only = run_pipeline(bound(**CHAIN), store, Request(Selection(only="c")), quiet)
    assert statuses(only) == {"a": "skipped", "b": "skipped", "c": "ran", "d": "skipped"}
    below = run_pipeline(bound(**CHAIN), store, Request(Selection(start="c")), quiet)
    assert statuses(below) == {"a": "skipped", "b": "skipped", "c": "cached", "d": "ran"}
    forced = run_pipeline(bound(**CHAIN), store, Request(Selection(force=frozenset(["c"]))), quiet)
    assert statuses(forced) == {"a": "cached", "b": "cached", "c": "ran", "d": "cached"}
    assert forced.steps["c"].reason == "forced"
    with pytest.raises(PipelineError, match="did you mean"):
        run_pipeline(bound(alpha=("number", {})), store, Request(Selection(only="alpah")), quiet)


def test_a_plan_says_what_a_run_would_do(bound, store):
    plan = Planner(bound(**CHAIN), store).plan()
    assert {name: d.action for name, d in plan.items()} == dict.fromkeys("abcd", "run")
    assert {(d.reason, d.provisional) for d in plan.values()} == {("first run", False)}
    run_pipeline(bound(**CHAIN), store, listen=quiet)
    assert {d.action for d in Planner(bound(**CHAIN), store).plan().values()} == {"cached"}
    changed = Planner(bound(**CHAIN | {"a": ("number", {"value": 4})}), store).plan()
    assert (changed["b"].reason, changed["b"].provisional) == ("after a", True)


def test_external_files_count_by_content(bound, store, tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("12")
    steps = {"a": ("copied", {"path": str(source)}), "b": ("parity", {"files": "a"})}
    assert statuses(run_pipeline(bound(**steps), store, listen=quiet)) == {"a": "ran", "b": "ran"}
    os.utime(source, (1, 1))
    assert statuses(run_pipeline(bound(**steps), store, listen=quiet)) == {"a": "cached", "b": "cached"}
    moved = tmp_path / "elsewhere.txt"
    source.rename(moved)
    steps["a"] = ("copied", {"path": str(moved)})
    assert statuses(run_pipeline(bound(**steps), store, listen=quiet)) == {"a": "cached", "b": "cached"}
    moved.write_text("14")
    changed = run_pipeline(bound(**steps), store, listen=quiet)
    assert statuses(changed) == {"a": "ran", "b": "ran"}
    assert changed.steps["a"].reason == "a.path: the content of the file changed"
    moved.unlink()
    gone = run_pipeline(bound(**steps), store, listen=quiet)
    assert "isn't there" in str(gone.errors["a"])


def test_code_counts_and_comments_do_not(bound, store, tmp_path):
    module = tmp_path / "mine.py"
    original = (Path(__file__).parent / "small_components.py").read_text()
    steps = {"a": ("number", {"value": 1})}

    def run(code):
        module.write_text(code)
        sys.modules.pop("mine", None)
        return run_pipeline(bound(file=module, **steps), store, listen=quiet)

    run(original)
    commented = original.replace("    return number + 1", "    # not counted\n    return (number +\n  1)")
    assert statuses(run(commented)) == {"a": "cached"}
    assert statuses(run(original.replace('"""Sleeps, and', '"""Dozes, and'))) == {"a": "cached"}
    unrelated = original.replace("it was meant to fail", "another message")
    assert statuses(run(unrelated)) == {"a": "cached"}
    changed = run(original.replace("return number + 1", "return number + 2"))
    assert statuses(changed) == {"a": "ran"}
    assert changed.steps["a"].reason == "code changed: mine:helper"


def test_a_users_function_named_by_a_string_counts_with_its_helpers(bound, store, tmp_path):
    (tmp_path / "model.py").write_text("from tools import width\n\ndef build():\n    return width()\n")
    tools = tmp_path / "tools.py"
    tools.write_text("def width():\n    return 3\n\ndef other():\n    return 1\n")
    steps = {"a": ("called", {"function": f"{tmp_path}/model.py:build"})}
    assert statuses(run_pipeline(bound(**steps), store, listen=quiet)) == {"a": "ran"}
    tools.write_text("def width():\n    return 3  # three\n\ndef other():\n    return 20\n")
    assert statuses(run_pipeline(bound(**steps), store, listen=quiet)) == {"a": "cached"}
    tools.write_text("def width():\n    return 4\n\ndef other():\n    return 20\n")
    changed = run_pipeline(bound(**steps), store, listen=quiet)
    assert statuses(changed) == {"a": "ran"}
    assert changed.steps["a"].reason == "a.function: code changed: tools:width"


def test_a_damaged_artifact_is_found_and_made_again(bound, store):
    first = run_pipeline(bound(**CHAIN), store, listen=quiet)
    path = first.artifacts["a"]["output"].file("text.txt")
    path.chmod(0o644)
    path.write_text("9")
    os.utime(path, (1, 1))
    again = run_pipeline(bound(**CHAIN), store, listen=quiet)
    assert statuses(again)["a"] == "ran"
    assert "damaged: text.txt was changed" in again.steps["a"].reason
    assert text(again, "a") == "3"
    shutil.rmtree(first.artifacts["b"]["output"].path)
    third = run_pipeline(bound(**CHAIN), store, listen=quiet)
    assert statuses(third) == {"a": "cached", "b": "ran", "c": "cached", "d": "cached"}


def test_the_index_is_rebuilt_from_the_records(bound, store):
    run_pipeline(bound(**CHAIN), store, listen=quiet)
    store.index.close()
    for path in store.folder.glob("index.sqlite*"):
        path.unlink()
    assert statuses(run_pipeline(bound(**CHAIN), Store(store.folder), listen=quiet)) == dict.fromkeys(
        "abcd", "cached"
    )
    for path in store.folder.glob("index.sqlite*"):
        path.write_bytes(b"no database" * 1000)
    assert statuses(run_pipeline(bound(**CHAIN), Store(store.folder), listen=quiet)) == dict.fromkeys(
        "abcd", "cached"
    )


def test_two_runs_at_once_compute_a_step_once(bound, store):
    pipeline = bound(a=("slow", {"seconds": 1.0}))
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(run_pipeline(pipeline, Store(store.folder), listen=quiet))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses(result)["a"] for result in results) == ["cached", "ran"]
    assert text(results[0], "a") == text(results[1], "a")


def test_a_runs_record_is_whole(bound, store):
    result = run_pipeline(bound(**CHAIN), store, listen=quiet)
    record = store.run_record(result.run)
    assert record["status"] == "done"
    assert list(record["steps"]) == ["a", "b", "c", "d"]
    assert record["document"]["steps"]["a"]["parameters"] == {"value": 2}
    shown = json.loads(json.dumps(result.to_json()))
    assert shown["steps"]["c"]["outputs"]["left"]["type"] == "Files"
    assert Path(shown["steps"]["c"]["outputs"]["left"]["path"], "text.txt").read_text() == "1"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", r"called sys\.exit\(0\)"),
        ("type", "promised Files as output and gave int"),
        ("odd error", "one and 2"),
        ("orphan", "killed by signal SIGKILL"),
        ("link", "a link or a special file"),
        ("manifest", "headrace's own file"),
        ("late", r"more\.txt changed after finish"),
    ],
)
def test_what_a_component_should_not_do_fails_its_step_and_leaves_nothing(bound, store, how, told):
    result = run_pipeline(bound(a=("misbehaving", {"how": how})), store, listen=quiet)
    assert re.search(told, str(result.errors["a"]))
    assert not list((store.folder / "staging").iterdir())
    assert not list(store.artifacts())


def test_a_step_that_reads_standard_input_takes_no_jobs(bound, store):
    steps = {"a": ("misbehaving", {"how": "stdin"}), "b": ("parity", {"files": "c"}), "c": ("number", {})}
    result = run_pipeline(bound(**{k: steps[k] for k in "acb"}), store, listen=quiet)
    assert statuses(result) == dict.fromkeys("acb", "ran")
    assert text(result, "a") == ""


def test_odd_file_names_are_published_and_found_again(bound, store):
    pipeline = bound(a=("misbehaving", {"how": "names"}))
    assert statuses(run_pipeline(pipeline, store, listen=quiet)) == {"a": "ran"}
    assert statuses(run_pipeline(pipeline, store, listen=quiet)) == {"a": "cached"}


def test_a_file_of_the_working_folder_does_not_shadow_the_standard_library(
    bound, store, tmp_path, monkeypatch
):
    (tmp_path / "queue.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert statuses(run_pipeline(bound(a=("number", {})), store, listen=quiet)) == {"a": "ran"}


def test_names_inside_a_folder_count(bound, store, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("1")
    pipeline = bound(a=("listed", {"path": str(folder)}))
    assert statuses(run_pipeline(pipeline, store, listen=quiet)) == {"a": "ran"}
    (folder / "a.txt").rename(folder / "b.txt")
    again = run_pipeline(pipeline, store, listen=quiet)
    assert statuses(again) == {"a": "ran"}
    assert text(again, "a") == "b.txt"


def test_code_that_is_no_python_any_more_fails_its_step_with_the_line(bound, store, tmp_path):
    (tmp_path / "model.py").write_text("def build():\n    return (\n")
    steps = {"a": ("called", {"function": f"{tmp_path}/model.py:build"})}
    result = run_pipeline(bound(**steps), store, listen=quiet)
    assert "model.py:2" in str(result.errors["a"])


def test_a_worker_with_tensorflow_is_replaced_in_time(bound, store, monkeypatch):
    monkeypatch.setattr("headrace.pipelines.processes.JOBS", 2)
    numbers = {f"n{n}": ("number", {"value": n}) for n in range(5)}
    steps = {f"s{n}": ("placed", {"files": f"n{n}", "apart": True}) for n in range(5)}
    result = run_pipeline(bound(**numbers, **steps), store, listen=lambda event: None)
    places = [result.artifacts[f"s{n}"]["output"].file("text.txt").read_text() for n in range(5)]
    assert [places.index(place) for place in places] == [0, 0, 2, 2, 4]
