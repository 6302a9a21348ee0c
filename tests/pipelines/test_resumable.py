"""Folders in which a step leaves what it goes on from after it was killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines import resumable
from headrace.pipelines.alone import run_alone
from headrace.pipelines.collect import collect
from headrace.pipelines.context import Context
from headrace.pipelines.executor import Request, RunResult, run_pipeline
from headrace.pipelines.fingerprint import Parts
from headrace.pipelines.planning import Selection
from headrace.pipelines.resolve import find_component
from headrace.pipelines.resumable import Resumables
from headrace.pipelines.store import Store

COMPONENTS = Path(__file__).with_name("resumable_components.py")


@pytest.fixture
def run(bound: Callable[..., Any], store: Store, tmp_path: Path) -> Callable[..., RunResult]:
    marker = tmp_path / "marker"

    def go(stops: bool = False, force: bool = False, resumes: str = "", **arguments: Any) -> RunResult:
        if stops:
            marker.touch()
        given = {"stop": "killed", "marker": str(marker), **arguments}
        asked = bound(file=COMPONENTS, all=("count", given))
        selection = Selection(force=frozenset({"all"} if force else ()))
        return run_pipeline(asked, store, Request(selection, resumes=resumes), lambda event: None)

    return go


def begun(result: RunResult) -> int:
    assert result.status == "done", result.errors
    return int(result.artifacts["all"]["output"].summary["begin"])


def folders(store: Store) -> list[Path]:
    return sorted((store.folder / "resumable").glob("*"))


def test_a_killed_step_goes_on_and_leaves_nothing(run: Any, store: Store) -> None:
    assert run(True).status == "failed"
    (left,) = folders(store)
    assert sorted(path.name for path in left.glob("*.number")) == ["0.number", "1.number", "2.number"]
    result = run()
    assert begun(result) == 3
    assert {"say": "from 3"} in result.steps["all"].messages
    assert not folders(store)
    assert not list((store.folder / "locks").glob("resumable-*"))


def test_what_decides_the_output_tells_the_folders_apart(run: Any, store: Store) -> None:
    assert run(True).status == "failed"
    assert begun(run(to=6)) == 0
    assert len(folders(store)) == 1
    assert begun(run(pace=2)) == 3, "of this parameter the component says that it may be another"


def test_a_forced_step_begins_anew_and_its_resumed_run_goes_on(run: Any, store: Store) -> None:
    assert run(True).status == "failed"
    assert begun(run(force=True)) == 0
    killed = run(True, force=True)
    assert killed.status == "failed"
    assert begun(run(force=True, resumes=killed.run)) == 3


def test_a_step_that_failed_keeps_it_until_its_run_is_collected(run: Any, store: Store) -> None:
    assert run(True, stop="failed", to=4).status == "failed"
    collect(store, keep=1)
    assert len(folders(store)) == 1
    begun(run(to=9))
    collect(store, keep=1)
    assert not folders(store)


def test_a_component_that_is_called_alone_goes_on_too(run: Any, store: Store, tmp_path: Path) -> None:
    assert run(True).status == "failed"
    count = find_component(f"{COMPONENTS}:count")
    marker = str(tmp_path / "marker")
    assert run_alone(count, {"stop": "killed", "marker": marker}, store).summary["begin"] == 3
    assert not folders(store)


@pytest.fixture
def attempt(store: Store, tmp_path: Path) -> Callable[..., Resumables]:
    parts = Parts("count", parameters={"to": 3, "pace": 1})

    def made(name: str, **more: Any) -> Resumables:
        staging = tmp_path / name
        staging.mkdir()
        return Resumables.of(parts, store.folder, staging, name, **more)

    return made


def test_what_holds_a_folder_for_a_moment_is_waited_for(attempt: Any) -> None:
    killed, next_one = attempt("killed"), attempt("next")
    folder = killed.take("a", ())
    dies = threading.Timer(0.2, killed.release)
    dies.start()
    assert next_one.take("a", ()) == folder
    dies.join()


def test_a_folder_is_one_attempts_at_a_time(attempt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "PATIENCE", 0.0)
    first, second = attempt("first"), attempt("second")
    folder = first.take("a", ())
    assert folder is not None and second.take("a", ()) is None
    other = second.take("b", ())
    assert other is not None and other != folder
    events: list[Any] = []
    ctx = Context("count", second.staging, listener=events.append, resumables=second)
    assert ctx.resumable("a") is None
    assert [list(event) for event in events] == [["warn"]]
    first.release()
    (folder / "kept").touch()
    assert Resumables.from_json(first.to_json(), first.staging).take("a", ()) == folder
    assert (folder / "kept").exists()
    anew = attempt("third", fresh=True).take("b", ("to",))
    assert anew is not None and anew not in (folder, other)
