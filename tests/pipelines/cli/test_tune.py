"""`headrace tune` as a person uses it: killed, interrupted, resumed, watched, and without Optuna."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.pipelines.store import Store
from headrace.pipelines.tuning.settings import tune_settings

from ..tuning_cases import COMPONENTS, DOCUMENT

CALL = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()"]


@pytest.fixture
def folder(headrace, tmp_path):
    """The folder of the fixture `headrace`, with `small.yaml`, which says how it is searched."""
    (tmp_path / "small.yaml").write_text(DOCUMENT)
    return tmp_path


def told(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def facts(tuned):
    """What has to be equal, however a search was disturbed."""
    return [(t["number"], t["values"], t["state"], t["metric"], t["epochs"]) for t in tuned["trials"]]


def started(*args, until):
    """A search as a process, as soon as it has written a line that begins so."""
    process = subprocess.Popen([*CALL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(until):
            return process
    raise AssertionError("".join(lines))


def children(pid):
    """The processes that any thread of a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(pids, seconds=10):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_a_killed_search_goes_on_as_if_nothing_had_happened(folder, headrace):
    search = ["tune", "small.yaml", "--method", "hyperband", "--trials", "7", "--json"]
    search += ["--param", "log=log.txt", "--param", "pause=0.02"]
    whole = told(headrace(*search, "--store", "whole"))
    Path("log.txt").unlink()
    for until in ("trial 1  rate", "trial 3  "):
        process = started(*search, until=until)
        workers = children(process.pid)
        time.sleep(0.05)
        process.kill()
        process.communicate()
        assert ended(workers), "no worker outlives a killed search"
    again = told(headrace(*search))
    assert facts(again) == facts(whole)
    lines = Path("log.txt").read_text().splitlines()
    assert lines.count("data") == 1
    finished = {tuple(t["values"].values()) for t in again["trials"] if t["state"] == "done"}
    lasts = [line.split() for line in lines if line.endswith(" 9")]
    assert len(lasts) <= len(finished) + 2, "what was finished isn't trained again, but where it was killed"
    records = [json.loads(path.read_text()) for path in Path(".headrace/runs").glob("*/record.json")]
    assert "killed" in {record["status"] for record in records if "tune" in record}


def test_an_interrupted_search_ends_its_workers_and_says_how_to_go_on(folder, headrace):
    search = ["tune", "small.yaml", "--param", "pause=0.05", "-j", "2"]
    process = started(*search, until="trial 2  rate")
    workers = children(process.pid)
    assert len(workers) >= 2
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert ended(workers)
    assert "Traceback" not in stderr
    store = Store(folder / ".headrace")
    search_run = next(run for run in store.runs() if "tune" in store.run_record(run))
    assert f"the same command again, or headrace resume {search_run}" in stderr
    statuses = {store.run_record(run)["status"] for run in store.runs()}
    assert statuses <= {"done", "interrupted"}
    assert list((folder / ".headrace" / "staging").iterdir()) == []
    resumed = told(headrace("resume", "--json"))
    assert [trial["state"] for trial in resumed["trials"]] == ["done"] * 6
    assert store.run_record(resumed["run"])["request"]["resumes"] == search_run
    nothing = headrace("resume")
    assert (nothing.exit_code, "nothing to resume" in nothing.stderr) == (2, True)


def test_an_interrupt_behind_the_search_leaves_the_best_run_to_go_on_with(folder, headrace):
    slow = Path(COMPONENTS).with_name("small_components.py")
    last = f"  last: {{uses: '{slow}:slow', with: {{files: '${{steps.judge}}', seconds: 30}}}}\n"
    (folder / "small.yaml").write_text(DOCUMENT.replace("tune:\n", f"{last}tune:\n"))
    process = started("tune", "small.yaml", "--trials", "2", until="last   running")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    store = Store(folder / ".headrace")
    newest = store.run_record(store.runs()[0])
    assert (newest["status"], "best_of" in newest) == ("interrupted", True)
    assert f"headrace resume {newest['run']}" in stderr


@pytest.mark.slow
def test_a_search_that_is_killed_at_any_instant_ends_like_an_undisturbed_one(folder, headrace):
    search = [
        "tune",
        "small.yaml",
        "--method",
        "hyperband",
        "--trials",
        "9",
        "--json",
        "--param",
        "pause=0.02",
    ]
    whole = told(headrace(*search, "--store", "whole"))
    instants = random.Random(1)
    for _ in range(12):
        process = subprocess.Popen([*CALL, *search], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(instants.uniform(0.2, 2.0))
        process.kill()
        process.wait()
    again = told(headrace(*search))
    assert facts(again) == facts(whole)
    assert again["artifact"]["digest"] == whole["artifact"]["digest"]


def test_flags_overrule_the_section_of_the_document(folder, headrace):
    assert headrace("validate", "small.yaml").exit_code == 0
    flags = ["--over", "fit.args.width=1..3", "--metric", "fit.val_loss", "--method", "grid"]
    found = told(headrace("tune", "small.yaml", *flags, "--json"))
    assert [trial["values"] for trial in found["trials"]] == [{"fit.args.width": n} for n in (1, 2, 3)]
    assert found["best"]["values"] == {"fit.args.width": 2}
    shown = headrace("tune", "small.yaml", *flags)
    first, second = shown.stdout.splitlines()[:2]
    assert first.split() == ["RANK", "TRIAL", "WIDTH", "FIT.VAL_LOSS", "TOOK", "STATE"]
    assert second.split()[:3] == ["1", "1", "2"]
    assert "3 trials, 3 of them known already" in shown.stderr
    assert "best: trial 1, fit.args.width=2" in shown.stdout
    turned = told(headrace("tune", "small.yaml", *flags, "--maximize", "--json"))
    assert turned["best"]["values"]["fit.args.width"] != 2


def test_a_wrong_search_is_refused_before_there_is_a_store(folder, headrace):
    for flags, says in (
        (["--over", "fti.rate=1,2"], "did you mean 'fit'"),
        (["--over", "fit.rate"], "has to be of the form NAME=VALUE"),
        (["--metric", "fit.width"], "--maximize or --minimize"),
        (["--method", "grid"], "how many: LOW..HIGH:log:4"),
    ):
        result = headrace("tune", "small.yaml", *flags)
        assert (result.exit_code, says in result.stderr) == (2, True), result.stderr
    assert not Path(".headrace").exists()
    (folder / "small.yaml").write_text(DOCUMENT.replace("fit.rate:", "fit.rat:"))
    result = headrace("validate", "small.yaml")
    assert (result.exit_code, "did you mean 'rate'" in result.stderr) == (2, True)
    assert "small.yaml:" in result.stderr


def test_the_reading_commands_know_a_search(folder, headrace):
    headrace("tune", "small.yaml")
    listed = headrace("runs", "list").stdout
    assert "search of judge.accuracy" in listed
    assert "and 7 runs of searches; --trials shows them" in listed
    assert len(told(headrace("runs", "list", "--json"))) == 2
    assert "trial 5: rate" in headrace("runs", "list", "--trials").stdout
    assert len(told(headrace("runs", "list", "--trials", "--json"))) == 9
    shown = headrace("artifacts", "show", "tune").stdout
    assert "RANK  TRIAL  RATE" in shown
    assert "trials.png" in shown
    tree = headrace("lineage", "tune").stdout
    assert tree.count("judge in run") == 6
    assert "with the best setting of search" in headrace("runs", "show").stdout
    model = told(headrace("artifacts", "show", "fit", "--json"))
    best = told(headrace("tune", "small.yaml", "--json"))["result"]["steps"]["fit"]["outputs"]["output"]
    assert model["digest"] == best["digest"], "a name means what the best run gave, not the last trial"


def test_without_optuna_it_is_said_before_the_run(folder):
    code = "import sys; sys.modules['optuna'] = None; from headrace.pipelines.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "tune", "small.yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'headrace[tune]'" in done.stderr
    assert not Path(".headrace").exists()


def test_nothing_heavy_is_imported_to_check_a_search(folder):
    code = (
        "import sys\nfrom headrace.pipelines.cli import cli\n"
        "try:\n    cli.main(['validate', 'small.yaml'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'optuna', 'numpy', 'PIL', 'tensorflow', 'rich'} & set(sys.modules), sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_section_is_in_the_json_schema():
    jsonschema = pytest.importorskip("jsonschema")
    from headrace.pipelines.json_schema import document_schema
    from headrace.schemas import yaml12

    validator = jsonschema.Draft202012Validator(document_schema({}))
    document = yaml12.load(DOCUMENT)
    assert list(validator.iter_errors(document)) == []
    for change in ({"trials": 0}, {"metric": "accuracy"}, {"over": {"rate": [1]}}, {"method": "tpe"}):
        wrong = {**document, "tune": {**document["tune"], **change}}
        assert [error.path[0] for error in validator.iter_errors(wrong)] == ["tune"], change


def test_a_terminal_shows_what_runs_and_the_best_so_far(folder):
    from rich.console import Console as Terminal

    from headrace.pipelines.cli.live_trials import LiveTuneConsole
    from headrace.pipelines.document import parse_pipeline
    from headrace.pipelines.tuning.tune import tune

    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=True, width=120, legacy_windows=False)
    pipeline = parse_pipeline(DOCUMENT)
    seen = []
    with LiveTuneConsole(tune_settings(pipeline.tune), terminal) as console:

        def listen(event):
            console(event)
            with terminal.capture() as drawn:
                if event.get("progress", {}).get("epoch") == 5:
                    terminal.print(console)
            seen.append(drawn.get())

        tune(pipeline, store=Store(folder / "store"), trials=3, parallel=2, listen=listen)
    tables = [text for text in seen if text]
    assert any("▸ trial 1" in text and "fit · epoch 5/9" in text for text in tables)
    assert any("best 0." in text and " of 6" in text for text in tables)
    assert "trial 2" in stream.getvalue()
    assert os.fspath(COMPONENTS) not in stream.getvalue()
