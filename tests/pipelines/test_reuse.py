"""Pieces of earlier artifacts: noted once these are published, recalled by key, and never relied upon."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines import reuse as module
from headrace.pipelines.alone import run_alone
from headrace.pipelines.artifact import Artifact
from headrace.pipelines.collect import collect
from headrace.pipelines.executor import Request, RunResult, run_pipeline
from headrace.pipelines.fingerprint import Parts
from headrace.pipelines.planning import Selection
from headrace.pipelines.resolve import find_component
from headrace.pipelines.reuse import Reuse, code_of
from headrace.pipelines.store import Store

COMPONENTS = Path(__file__).with_name("reuse_components.py")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for path in paths:
        path.write_text(path.stem)
    return [str(path) for path in paths]


@pytest.fixture
def run(bound: Callable[..., Any], store: Store) -> Callable[..., RunResult]:
    def go(paths: list[str], force: bool = False, **arguments: Any) -> RunResult:
        asked = bound(file=COMPONENTS, all=("upper", {"paths": paths, **arguments}))
        selection = Selection(force=frozenset({"all"} if force else ()))
        return run_pipeline(asked, store, Request(selection), lambda event: None)

    return go


def read(result: RunResult) -> list[str]:
    assert result.status == "done", result.errors
    return list(made(result).summary["read"])


def made(result: RunResult) -> Artifact:
    return result.artifacts["all"]["output"]


def notes(store: Store) -> list[Path]:
    return sorted((store.folder / "reuse").glob("*"))


def test_only_what_is_new_is_made(run: Any, store: Store, files: list[str], tmp_path: Path) -> None:
    assert read(run(files[:2])) == ["a.txt", "b.txt"]
    result = run(files)
    assert read(result) == ["c.txt"]
    assert [made(result).file(name).read_text() for name in ("a.txt", "c.txt")] == ["A", "C"]
    assert all(path.stat().st_nlink == 1 for path in made(result).path.iterdir()), "artifacts share no file"
    assert len(notes(store)) == 3
    Path(files[1]).write_text("changed")
    assert read(run(files)) == ["b.txt"]
    assert read(run(files, end="!")) == ["a.txt", "b.txt", "c.txt"]
    assert read(run(files[::2], force=True)) == ["a.txt", "c.txt"], "what is forced is made in earnest"
    assert read(run(files[:1])) == []


def test_a_component_that_is_called_alone_finds_them_too(run: Any, store: Store, files: list[str]) -> None:
    run(files[:2])
    upper = find_component(f"{COMPONENTS}:upper")
    assert run_alone(upper, {"paths": files}, store).summary["read"] == ["c.txt"]
    assert read(run(files[1:])) == []


@pytest.mark.parametrize("how", ["killed", "failing"])
def test_what_was_not_published_leaves_no_note(run: Any, store: Store, files: list[str], how: str) -> None:
    assert run(files, **{how: True}).status == "failed"
    assert not notes(store)
    assert len(read(run(files))) == 3


def test_a_key_tells_code_and_facts_apart(tmp_path: Path) -> None:
    one, two = (Reuse(tmp_path, code, tmp_path) for code in "12")
    keys = [reuse.key(facts) for reuse in (one, two) for facts in ("a", ["a"], 1, 1.0, None, {"a": 1})]
    assert len(set(keys)) == len(keys)
    parts = Parts("m:f", {"m:f": "x"}, {"numpy": "2"}, {"seed": 1}, {"examples": "y"})
    assert code_of(parts) == code_of(Parts("m:f", {"m:f": "x"}, {"numpy": "2"}, {"seed": 2}))
    others = [Parts("m:f", {"m:f": "z"}, {"numpy": "2"}), Parts("m:f", {"m:f": "x"}, {"numpy": "3"})]
    assert code_of(parts) not in [code_of(other) for other in others]


def test_what_is_damaged_is_made_again(run: Any, store: Store, files: list[str]) -> None:
    place = made(run(files[:2])).path / "a.txt"
    place.chmod(0o644)
    place.write_text("X")
    assert read(run(files)) == ["a.txt", "c.txt"]
    for note in notes(store)[:2]:
        note.write_bytes(note.read_bytes()[:-9])
    assert len(read(run(files[1:]))) + len(read(run(files[:1]))) == 2
    place.unlink()
    shutil.rmtree(store.folder / "artifacts")
    assert read(run(files, end="")) == ["a.txt", "b.txt", "c.txt"]


def test_whatever_lies_in_the_folder_is_no_more_than_a_miss(
    run: Any, store: Store, files: list[str], tmp_path: Path
) -> None:
    def folder(note: Path) -> None:
        note.unlink()
        note.mkdir()

    def loop(note: Path) -> None:
        note.unlink()
        note.symlink_to(note)

    def nested(note: Path) -> None:
        told = b'{"type": "Files", "digest": "%s", "sha256": "", "value": %s}'
        note.write_bytes(told % (b"0" * 64, b"[" * 100_000 + b"]" * 100_000))

    for place, damage in enumerate((folder, loop, nested, lambda note: note.write_bytes(b"\xff" * 99))):
        paths = []
        for name in ("one", "two"):
            paths.append(tmp_path / f"{name}-{place}.txt")
            paths[-1].write_text(f"{name} {place}")
        before = set(notes(store))
        run([str(paths[0])])
        (own,) = set(notes(store)) - before
        damage(own)
        assert read(run([str(path) for path in paths])) == [path.name for path in paths]
        if own.is_file():
            damage(own)
    collect(store, keep=1)
    shutil.rmtree(store.folder / "reuse")
    (store.folder / "reuse").write_text("no folder")
    assert read(run(files)) == ["a.txt", "b.txt", "c.txt"]


def test_notes_go_with_their_artifacts(run: Any, store: Store, files: list[str]) -> None:
    run(files)
    run(files[:1])
    (store.folder / "reuse" / "litter.json").write_text("{}")
    assert len(notes(store)) == 4
    collect(store, keep=1, dry_run=True)
    assert len(notes(store)) == 4
    collect(store, keep=1)
    assert len(notes(store)) == 1, "that of the one artifact that is kept"
    assert read(run(files)) == ["b.txt", "c.txt"]


def test_a_copy_is_whole_or_not_there(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(3 << 20))
    reuse = Reuse(store.folder, "code", tmp_path)
    digest = reuse.digests([source])[str(source)]

    def refuse(*arguments: int) -> int:
        raise OSError(errno.EXDEV, "between file systems")

    for system in (os.copy_file_range, refuse):
        monkeypatch.setattr(os, "copy_file_range", system)
        assert reuse.copy([(source, target, digest)]) == [True]
        assert target.read_bytes() == source.read_bytes()
        target.unlink()
    assert reuse.copy([(source, target, "0" * 64), (tmp_path / "none", target, digest)]) == [False, False]

    def touched(*arguments: Any) -> None:
        copy_bytes(*arguments)
        source.chmod(0o600)

    copy_bytes = module._copy_bytes
    monkeypatch.setattr(module, "_copy_bytes", touched)
    assert reuse.copy([(source, target, digest)]) == [False]
    assert not target.exists()
