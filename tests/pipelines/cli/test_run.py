"""`headrace run` and `headrace resume`, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def statuses(told):
    return {name: step["status"] for name, step in told["steps"].items()}


def test_run_prints_one_json_object_on_standard_output_and_the_rest_elsewhere(headrace, tmp_path):
    result = headrace("run", "chain.yaml", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["status"], statuses(told)) == (
        "done",
        dict.fromkeys(["number", "parity", "pair", "joined"], "ran"),
    )
    assert list(told["steps"]["pair"]["outputs"]) == ["left", "right"]
    output = told["steps"]["number"]["outputs"]["output"]
    assert output["type"] == "Files"
    assert output["summary"] == {"characters": 1}
    assert (Path(output["path"]) / "text.txt").read_text() == "4"
    assert Path(output["path"]).name == output["digest"]
    assert Path(output["path"]).is_relative_to(tmp_path / ".headrace")
    assert "number  ran" in result.stderr
    assert f"run {told['run']} of chain" in result.stderr
    assert "done in" in result.stderr


def test_a_second_run_is_cached_and_a_parameter_reruns_what_it_reaches(headrace):
    headrace("run", "chain.yaml")
    again = json.loads(headrace("run", "chain.yaml", "--json").stdout)
    assert set(statuses(again).values()) == {"cached"}

    changed = headrace("run", "chain.yaml", "--param", "value=5", "--json")
    told = json.loads(changed.stdout)
    assert statuses(told) == {"number": "ran", "parity": "ran", "pair": "cached", "joined": "cached"}
    assert told["steps"]["number"]["reason"] == "number.value 3 → 5"

    glued = json.loads(headrace("run", "chain.yaml", "--set", "joined.glue=5", "--json").stdout)
    assert statuses(glued) == {"number": "cached", "parity": "cached", "pair": "cached", "joined": "ran"}
    assert "'+' → '5'" in glued["steps"]["joined"]["reason"]  # a text, although YAML would read a number


def test_selections(headrace):
    first = headrace("run", "chain.yaml", "--only", "joined")
    assert first.exit_code == 2
    assert "needs ${steps.pair.left}" in first.stderr
    up_to = json.loads(headrace("run", "chain.yaml", "--to", "parity", "--json").stdout)
    assert statuses(up_to) == {"number": "ran", "parity": "ran", "pair": "skipped", "joined": "skipped"}
    rest = json.loads(headrace("run", "chain.yaml", "--from", "pair", "--json").stdout)
    assert statuses(rest) == {"number": "skipped", "parity": "skipped", "pair": "ran", "joined": "ran"}
    forced = json.loads(headrace("run", "chain.yaml", "--force", "parity", "--json").stdout)
    assert statuses(forced) == {"number": "cached", "parity": "ran", "pair": "cached", "joined": "cached"}
    assert forced["steps"]["parity"]["reason"] == "forced"
    both = headrace("run", "chain.yaml", "--only", "pair", "--to", "pair")
    assert both.exit_code == 2
    assert "--only can't be given together with" in both.stderr


def test_a_failing_branch_leaves_the_others_alone(headrace):
    result = headrace("run", "branches.yaml", "-j", "2", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["status"] == "failed"
    assert statuses(told) == {
        "number": "ran",
        "bad": "failed",
        "below": "not reached",
        "good": "ran",
        "after": "ran",
    }
    assert "error: somewhere.csv:3: bad: it was meant to fail" in result.stderr
    assert "remedy: nothing" in result.stderr
    assert "Traceback" not in result.stderr
    assert f"headrace resume {told['run']}" in result.stderr
    assert not list(Path(".headrace/staging").iterdir())


def test_resume_goes_on_with_the_run_that_failed(headrace):
    failed = json.loads(headrace("run", "branches.yaml", "-j", "2", "--json").stdout)
    text = Path("branches.yaml").read_text()
    Path("branches.yaml").write_text(text.replace("failing", "parity"))  # what resume does not look at

    resumed = headrace("resume", "--json")
    told = json.loads(resumed.stdout)
    assert resumed.exit_code == 1
    assert statuses(told)["number"] == statuses(told)["good"] == "cached"
    assert statuses(told)["bad"] == "failed"
    record = json.loads((Path(".headrace/runs") / told["run"] / "record.json").read_text())
    assert record["request"]["resumes"] == failed["run"]
    assert record["request"]["jobs"] == 2


def test_resume_forces_a_step_only_once_and_keeps_the_selection(headrace):
    headrace("run", "branches.yaml")
    failed = json.loads(headrace("run", "branches.yaml", "--force", "good", "--to", "below", "--json").stdout)
    assert statuses(failed)["good"] == "skipped"
    forced = json.loads(headrace("run", "branches.yaml", "--force", "good", "--json").stdout)
    assert statuses(forced)["good"] == "ran"
    told = json.loads(headrace("resume", forced["run"], "--json").stdout)
    assert statuses(told)["good"] == "cached"
    told = json.loads(headrace("resume", failed["run"], "--json").stdout)
    assert statuses(told)["good"] == "skipped"


def test_resume_has_nothing_to_do(headrace):
    assert "there is no store" in headrace("resume").stderr
    done = json.loads(headrace("run", "chain.yaml", "--json").stdout)["run"]
    result = headrace("resume")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"the last run, {done}, is done" in result.stderr
    assert f"run {done} is done" in headrace("resume", done).stderr
    assert "there is no run 'nonsense'" in headrace("resume", "nonsense").stderr


def test_an_unforeseen_error_is_told_with_its_traceback(headrace):
    Path("own.py").write_text(
        "from headrace.pipelines import Context, Files, component\n"
        "@component\n"
        "def broken(ctx: Context) -> Files:\n"
        "    raise ZeroDivisionError('by accident')\n"
    )
    Path("broken.yaml").write_text("pipeline: broken\nsteps:\n  one: {uses: 'own.py:broken'}\n")
    result = headrace("run", "broken.yaml")
    assert result.exit_code == 1
    assert "one     failed" in result.stderr.replace("one  failed", "one     failed")
    assert "own.py:4: one: ZeroDivisionError: by accident" in result.stderr
    assert "Traceback" in result.stderr
    logs = headrace("runs", "logs")
    assert "ZeroDivisionError: by accident" in logs.stdout


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["run", "chian.yaml"], "did you mean 'chain.yaml'?"),
        (["run", "chain"], "there is no pipeline 'chain'"),
        (["run", "chain.yaml", "--param", "vaule=3"], "did you mean 'value'?"),
        (["run", "chain.yaml", "--param", "value"], "has to be of the form NAME=VALUE"),
        (["run", "chain.yaml", "--param", "value=1", "--param", "value=2"], "gives value twice"),
        (["run", "chain.yaml", "--param", "value=-1"], "0 or more, not -1"),
        (["run", "chain.yaml", "--set", "joned.glue=x"], "did you mean 'joined'?"),
        (["run", "chain.yaml", "--set", "joined.gleu=x"], "did you mean 'glue'?"),
        (["run", "chain.yaml", "--from", "nmber"], "did you mean 'number'?"),
        (["run", "chain.yaml", "--sample", "5"], "no step of the pipeline can sample"),
        (["run", "chain.yaml", "--runner", "flonk"], "there is no runner 'flonk'"),
        (["run", "chain.yaml", "--runner-option", "direct_num_workers=x"], "has to be a whole number"),
        (["run", "chain.yaml", "--store", "nowhere://bucket/store"], "nowhere:// is not supported"),
        (["run", "chain.yaml", "-j", "0"], "x>=1"),
        (["run"], "Missing argument 'PIPELINE'"),
        (["flurb"], "No such command 'flurb'"),
    ],
)
def test_what_can_be_known_before_is_told_before(headrace, args, told):
    result = headrace(*args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not Path(".headrace").exists()


def test_the_store_is_the_option_or_the_variable_or_the_folder(headrace, monkeypatch, tmp_path):
    headrace("run", "chain.yaml", "--to", "number", "--store", f"file://{tmp_path}/one")
    monkeypatch.setenv("HEADRACE_STORE", "two")
    headrace("run", "chain.yaml", "--to", "number")
    assert Path("one/store.json").is_file()
    assert Path("two/store.json").is_file()
    assert not Path(".headrace").exists()
