"""Searches that really run: what is shared, what is remembered, what fails, what is published."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from headrace.pipelines import Trials
from headrace.pipelines.binding import bind
from headrace.pipelines.collect import collect
from headrace.pipelines.document import parse_pipeline
from headrace.pipelines.errors import InvalidRequestError, StepError
from headrace.pipelines.executor import run_pipeline
from headrace.pipelines.lineage import Lineage
from headrace.pipelines.store import Store
from headrace.pipelines.tuning.tune import tune

from .tuning_cases import COMPONENTS, DOCUMENT, search, small, statuses


def trial_runs(store: Store) -> list[dict]:
    records = [store.run_record(run) for run in store.runs()]
    return [r for r in records if r.get("trial", {}).get("number") is not None]


def test_a_search_shares_what_no_trial_changes_and_runs_the_best(store):
    events: list = []
    tuned = search(store, parallel=2, events=events)
    assert [trial.state for trial in tuned.trials] == ["done"] * 6
    assert tuned.best.metric == max(trial.metric for trial in tuned.trials)
    assert statuses(store) == {"data": 1, "fit": 6, "judge": 6, "tune": 1}
    assert {name: step.status for name, step in tuned.result.steps.items()} == dict.fromkeys(
        ("data", "fit", "judge"), "cached"
    )
    chosen = store.run_record(tuned.result.run)
    assert chosen["best_of"]["number"] == tuned.best.number
    assert chosen["document"]["steps"]["fit"]["parameters"]["rate"] == tuned.best.values["fit.rate"]
    numbers = sorted(record["trial"]["number"] for record in trial_runs(store))
    assert numbers == list(range(6))
    began = [event["trial"] for event in events if event.get("status") == "running" and "values" in event]
    assert began == list(range(6))
    # Two workers did all of it, the best's run included.
    processes = {r["steps"]["fit"]["outputs"]["output"]["summary"]["process"] for r in trial_runs(store)}
    assert len(processes) <= 2


def test_the_artifact_and_its_lineage(store):
    tuned = search(store, trials=3)
    artifact = store.artifact("Trials", tuned.artifact.digest)
    assert isinstance(artifact, Trials)
    assert store.problem(artifact) == ""
    told = artifact.read_json("trials.json")
    assert [trial["values"] for trial in told["trials"]] == [dict(t.values) for t in tuned.trials]
    with artifact.file("trials.csv").open(encoding="utf-8") as stream:
        first = next(csv.DictReader(stream))
    assert (first["rank"], first["trial"]) == ("1", str(tuned.best.number))
    assert float(first["judge.accuracy"]) == tuned.best.metric
    assert artifact.pictures[0].read_bytes().startswith(b"\x89PNG")
    lineage = Lineage.of(store.run_record(run) for run in store.runs())
    kinds = {lineage.types[digest] for digest in lineage.upstream(artifact.digest)}
    assert kinds == {"Files", "Model"}
    # An equal search elsewhere gives an equal artifact, times and runs apart.
    other = search(Store(store.folder.parent / "other"), trials=3, parallel=2)
    assert other.artifact.digest == artifact.digest


def test_the_same_search_again_trains_nothing_and_more_trials_only_the_new_ones(store):
    before = search(store, trials=4)
    again = search(store, trials=4)
    assert again.trials == before.trials
    assert again.artifact.digest == before.artifact.digest
    assert statuses(store)["fit"] == 4
    more = search(store, trials=6, parallel=2)
    assert more.trials[:4] == before.trials
    assert statuses(store)["fit"] == 6


def test_a_result_that_was_removed_is_made_again(store):
    before = search(store, trials=2)
    model = trial_runs(store)[0]["steps"]["fit"]["outputs"]["output"]
    shutil.rmtree(store.place(model["type"], model["digest"]))
    again = search(store, trials=2)
    assert [trial.metric for trial in again.trials] == [trial.metric for trial in before.trials]
    assert statuses(store)["fit"] == 3


def test_failing_trials_count_and_do_not_stop_the_search(store):
    over = {"fit.args.width": [1, 13, 17, 19, 2]}
    tuned = search(store, over=over, metric="fit.val_loss", method="grid", parallel=2)
    assert [trial.state for trial in tuned.trials] == ["done", "failed", "failed", "failed", "done"]
    errors = [trial.error for trial in tuned.trials]
    assert "the loss is NaN in epoch 1" in errors[1]
    assert errors[2] == "fit.val_loss is nan"
    assert "ended with code 9" in errors[3]
    assert tuned.best.number == 4
    again = search(store, over=over, metric="fit.val_loss", method="grid")
    assert again.trials == tuned.trials
    assert len(trial_runs(store)) == 5, "what failed isn't tried again"
    search(store, over=over, metric="fit.val_loss", method="grid", retry_failed=True)
    assert len(trial_runs(store)) == 8


def test_a_search_of_which_every_trial_fails_says_why(store):
    with pytest.raises(StepError, match=r"none of 1 trials was done: .*NaN in epoch 1") as caught:
        search(store, over={"fit.args.width": [13]}, metric="fit.val_loss", method="grid")
    assert "--retry-failed" in str(caught.value)
    searches = [store.run_record(run) for run in store.runs()]
    assert {r["status"] for r in searches if "tune" in r} == {"failed"}


def test_what_all_trials_share_fails_once(store):
    text = DOCUMENT.replace(f"{COMPONENTS}:data', with: {{log: '${{params.log}}'}}", "FAILING'")
    assert "FAILING" in text
    failing = Path(__file__).with_name("small_components.py")
    with pytest.raises(StepError, match="it was meant to fail"):
        tune(
            parse_pipeline(text.replace("FAILING", f"{failing}:failing")), store=store, listen=lambda e: None
        )
    assert trial_runs(store) == []


def test_hyperband_ends_what_is_behind_and_repeats_itself(store, tmp_path):
    given = {
        "over": {"fit.args.width": "1..30"},
        "metric": "fit.val_loss",
        "method": "hyperband",
        "trials": 12,
    }
    given["sets"] = {"fit.pause": 0.01}
    one = search(store, **given)
    states = [(trial.state, trial.epochs, trial.metric) for trial in one.trials]
    assert {trial.state for trial in one.trials} >= {"done", "pruned"}
    pruned = [trial for trial in one.trials if trial.state == "pruned"]
    assert {trial.epochs for trial in pruned} <= {1, 3}
    assert {store.run_record(trial.run)["status"] for trial in pruned} == {"pruned"}
    journal = next((store.folder / "searches").glob("*/journal.jsonl")).read_text().splitlines()
    reports = [event for event in map(json.loads, journal) if "report" in event]
    least = {(event["report"], round(event["value"] - 1 / event["epoch"], 9)) for event in reports}
    assert len(least) == len(dict(least)) > 5, "what was told after an epoch counts for that epoch"
    elsewhere = search(Store(tmp_path / "other"), **given)
    assert [(trial.state, trial.epochs, trial.metric) for trial in elsewhere.trials] == states
    runs = len(trial_runs(store))
    assert search(store, **given).trials == one.trials
    assert len(trial_runs(store)) == runs, "a pruned trial isn't begun again"


def test_what_failed_is_tried_again_when_its_code_has_changed(store, tmp_path):
    own = tmp_path / "own_components.py"
    own.write_text(COMPONENTS.read_text())
    text = DOCUMENT.replace(str(COMPONENTS), str(own))
    given = {"over": {"fit.args.width": [1, 13]}, "metric": "fit.val_loss", "method": "grid"}
    (tmp_path / "small.yaml").write_text(text)
    first = command(tmp_path, given)
    assert [trial["state"] for trial in first["trials"]] == ["done", "failed"]
    own.write_text(own.read_text().replace("if width == 13", "if width == 14"))
    second = command(tmp_path, given)
    assert [trial["state"] for trial in second["trials"]] == ["done", "done"]


def command(folder: Path, given: dict) -> dict:
    """The search in a process of its own, which knows nothing of the modules of this one."""
    import json
    import subprocess
    import sys

    ((name, values),) = given["over"].items()
    over = f"{name}={','.join(map(str, values))}"
    call = [sys.executable, "-c", "from headrace.pipelines.cli import main; main()", "tune", "small.yaml"]
    call += ["--over", over, "--metric", given["metric"], "--method", given["method"], "--json"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_metric_that_is_not_there_is_told_before_any_trial_where_it_can_be(store):
    with pytest.raises(
        InvalidRequestError, match=r"judge gives no metric 'acc'.*did you mean 'accuracy'"
    ) as early:
        search(store, metric="judge.acc")
    assert "inland/rmse" in str(early.value)
    assert len(trial_runs(store)) == 1, "the first trial told"
    run_pipeline(bind(small()), store, listen=lambda event: None)
    with pytest.raises(InvalidRequestError, match="did you mean 'accuracy'"):
        search(store, metric="judge.accurate", direction="maximize")
    assert len(trial_runs(store)) == 1, "what the pipeline gave before told"
    assert search(store, metric="judge.metrics.inland/rmse", trials=2).best.metric is not None


def test_garbage_collection_keeps_the_trials_of_a_kept_search(store):
    run_pipeline(bind(small()), store, listen=lambda event: None)
    tuned = search(store, trials=12)
    assert collect(store, keep=3).runs == ()
    assert search(store, trials=12).trials == tuned.trials
    for _ in range(2):
        run_pipeline(bind(small()), store, listen=lambda event: None)
    collect(store, keep=2)
    assert trial_runs(store) == []
    assert list((store.folder / "searches").iterdir()) == []


def test_two_equal_searches_at_once_are_refused(store):
    from headrace.pipelines.locks import Lock
    from headrace.pipelines.tuning.search import search_folder, search_key
    from headrace.pipelines.tuning.settings import tune_settings

    bound = bind(small())
    folder = search_folder(store, search_key(bound, tune_settings(bound.tune or {})))
    folder.mkdir(parents=True)
    lock = Lock(folder / "lock")
    lock.acquire()
    with pytest.raises(InvalidRequestError, match="at work already"):
        search(store)
    lock.release()
    assert len(search(store, trials=1).trials) == 1


def test_a_pruned_trial_leaves_its_worker_to_the_next_one(store):
    over = {"fit.args.width": [2, 900, 901, 902, 3]}
    tuned = search(store, over=over, metric="fit.val_loss", method="hyperband", sets={"fit.pause": 0.05})
    pruned = [trial for trial in tuned.trials if trial.state == "pruned"]
    assert pruned
    done = [record for record in trial_runs(store) if record["status"] == "done"]
    processes = {r["steps"]["fit"]["outputs"]["output"]["summary"]["process"] for r in done}
    assert len(processes) == 1, "no process was ended for those that were behind"


def test_a_search_of_a_pipeline_with_conditions(store):
    text = DOCUMENT.replace("with: {model:", "when: '${steps.fit.properties.least} < 1.5', with: {model:")
    tuned = tune(parse_pipeline(text), store=store, trials=8, listen=lambda event: None)
    failed = [trial for trial in tuned.trials if trial.state == "failed"]
    assert failed and len(failed) < 8
    assert failed[0].error.startswith("judge is skipped when ${steps.fit.properties.least} < 1.5: it is ")
    assert tuned.best.metric == max(trial.metric for trial in tuned.trials if trial.state == "done")
    assert {step.status for step in tuned.result.steps.values()} == {"cached"}
    # The condition is another one, and so is the search.
    looser = text.replace("< 1.5", "< 9")
    again = tune(parse_pipeline(looser), store=store, trials=8, listen=lambda event: None)
    assert [trial.state for trial in again.trials] == ["done"] * 8
    assert statuses(store)["fit"] == 8


def test_what_all_trials_need_may_not_be_skipped(store):
    gate = "more: {uses: 'COMPONENTS:data', when: '${steps.data.properties.go} == true'}\n  fit:"
    text = DOCUMENT.replace("fit:", gate.replace("COMPONENTS", str(COMPONENTS)), 1).replace(
        "files: '${steps.data}'", "files: '${steps.more}'"
    )
    with pytest.raises(StepError, match=r"more\.when: .*has no entry 'go'"):
        tune(parse_pipeline(text), store=store, listen=lambda event: None)
    never = text.replace("'${steps.data.properties.go} == true'", "false")
    with pytest.raises(StepError, match=r"more: the step is skipped when false: it is false"):
        tune(parse_pipeline(never), store=store, listen=lambda event: None)
    assert "fit" not in statuses(store)


def test_a_search_over_one_of_several_twins(store):
    text = DOCUMENT.replace("  fit:\n", "  fit:\n    each: {kind: [a, b]}\n").replace(
        "judge: {uses:", "judge: {each: {kind: [a, b]}, uses:"
    )
    text = text.replace("fit.rate:", "'fit[a].rate':").replace("fit.args.width:", "'fit[a].args.width':")
    text = text.replace("judge.accuracy", "judge[a].accuracy")
    tuned = tune(parse_pipeline(text), store=store, trials=3, listen=lambda event: None)
    assert [trial.state for trial in tuned.trials] == ["done"] * 3
    assert set(tuned.best.values) == {"fit[a].rate", "fit[a].args.width"}
    assert statuses(store)["fit[a]"] == 3
