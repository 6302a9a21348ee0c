"""The store: publishing, damage, litter, locks, layouts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.pipelines.artifact import Examples, Files, load_artifact
from headrace.pipelines.context import Context
from headrace.pipelines.errors import StoreError
from headrace.pipelines.index import Index
from headrace.pipelines.locks import Lock
from headrace.pipelines.store import Store


def draft(folder: Path, text: str = "text", **finish):
    folder.mkdir(parents=True, exist_ok=True)
    made = Context("s", folder).output(Files)
    (made.path / "sub").mkdir()
    (made.path / "sub" / "a.txt").write_text(text)
    (made.path / "time.txt").write_text(str(time.time_ns()))
    return made.finish(volatile=["time.txt"], **finish)


def test_equal_content_is_one_artifact(store, tmp_path):
    one = store.publish(draft(tmp_path / "1", properties={"p": 1}))
    two = store.publish(draft(tmp_path / "2", properties={"p": 1}))
    other = store.publish(draft(tmp_path / "3", properties={"p": 2}))
    assert one.path == two.path
    assert one.digest == two.digest != other.digest
    assert one.file("sub/a.txt").read_text() == "text"
    assert not one.file("sub/a.txt").stat().st_mode & 0o222
    assert store.problem(one) == ""
    assert {a.digest for a in store.artifacts()} == {one.digest, other.digest}


def test_the_summary_is_not_part_of_the_digest(store, tmp_path):
    one = store.publish(draft(tmp_path / "1", summary={"shown": 1}))
    two = store.publish(draft(tmp_path / "2", summary={"shown": 2}))
    assert one.digest == two.digest
    assert two.summary == {"shown": 2}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "sub/../../x", ""])
def test_names_that_lead_out_are_refused(store, tmp_path, name):
    artifact = store.publish(draft(tmp_path / "1"))
    with pytest.raises(StoreError, match="leads out"):
        artifact.file(name)


def test_a_tampered_manifest_is_noticed(store, tmp_path):
    artifact = store.publish(draft(tmp_path / "1"))
    manifest = json.loads((artifact.path / "manifest.json").read_text())
    manifest["properties"] = {"rows": 7}
    (artifact.path / "manifest.json").write_text(json.dumps(manifest))
    assert "doesn't match the digest" in store.problem(load_artifact(artifact.path))
    manifest["files"][0]["path"] = "../../x"
    (artifact.path / "manifest.json").write_text(json.dumps(manifest))
    assert store.problem(load_artifact(artifact.path))
    (artifact.path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="can't be read"):
        load_artifact(artifact.path)


def test_a_missing_file_is_noticed(store, tmp_path):
    artifact = store.publish(draft(tmp_path / "1"))
    artifact.file("sub/a.txt").unlink()
    assert store.problem(artifact) == "a.txt is missing"
    # Publishing the same content again heals it.
    healed = store.publish(draft(tmp_path / "2"))
    assert store.problem(healed) == ""


def test_a_digest_is_not_remembered_of_a_file_that_is_still_changing(store, tmp_path):
    path = tmp_path / "f"
    path.write_text("a")
    before = store.digests([path])
    stat = path.stat()
    path.write_text("b")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as if within the clock's grain
    assert store.digests([path]) != before


def test_a_store_of_a_newer_layout_is_refused(tmp_path):
    Store(tmp_path / "s")
    (tmp_path / "s" / "store.json").write_text('{"layout": 99}')
    with pytest.raises(StoreError, match=r"layout 99.*\n.*upgrade headrace"):
        Store(tmp_path / "s")


def test_a_folder_that_cannot_be_a_store_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Store(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o555)
    with pytest.raises(StoreError, match="can't write"):
        Store(tmp_path / "s")


def test_a_full_disk_is_told_as_such(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("the system has no /dev/full")
    store = Store(tmp_path / "s")
    (tmp_path / "s" / "runs" / "r" / "steps").mkdir(parents=True)
    from headrace.pipelines.errors import disk_error

    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("w") as stream:
        stream.write("x" * 100_000)
    told = disk_error(caught.value, str(store.folder))
    assert told is not None
    assert "disk is full" in str(told)
    assert "headrace gc" in str(told)


KILLED = """
import sys, time
from pathlib import Path
from headrace.pipelines.store import Store
store = Store(Path(sys.argv[1]))
with store.running("20000101-000000-killed") as staging, store.computing("f" * 64):
    store.write_run("20000101-000000-killed", {"status": "running", "run": "x"})
    (staging / "half").write_text("half")
    print("there", flush=True)
    time.sleep(60)
"""


def test_the_litter_of_a_killed_run_goes_with_the_next_one(store):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(store.folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    assert store.is_running("20000101-000000-killed")
    with store.running("other"):
        assert (store.folder / "staging" / "20000101-000000-killed" / "half").exists()
        with pytest.raises(StoreError, match="using the store"), store.exclusive():
            pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not store.is_running("20000101-000000-killed")
    with store.running("next"):
        assert [p.name for p in (store.folder / "staging").iterdir()] == ["next"]
    assert store.run_record("20000101-000000-killed")["status"] == "killed"
    assert sorted(p.name for p in (store.folder / "locks").iterdir()) == ["using"]
    with store.exclusive():
        pass


def test_locks(tmp_path):
    one, two = Lock(tmp_path / "l"), Lock(tmp_path / "l")
    assert one.acquire()
    assert not two.acquire(wait=False)
    one.release(remove=True)
    assert two.acquire(wait=False)
    two.release()
    assert one.acquire(shared=True)
    assert two.acquire(shared=True, wait=False)


def test_a_manifest_of_a_newer_format_is_refused(store, tmp_path):
    artifact = store.publish(draft(tmp_path / "1"))
    manifest = json.loads((artifact.path / "manifest.json").read_text())
    (artifact.path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(StoreError, match="upgrade headrace"):
        load_artifact(artifact.path)


def test_an_unknown_type_of_artifact_still_loads(store, tmp_path):
    made = draft(tmp_path / "1")
    kind = type("Foreign", (Files,), {})
    artifact = store.publish(replace(made, path=made.path))
    assert load_artifact(artifact.path).type == "Files"
    assert kind.__name__ == "Foreign"


def test_publishing_replaces_an_artifact_without_its_manifest(store, tmp_path):
    first = store.publish(draft(tmp_path / "1"))
    (first.path / "manifest.json").unlink()
    again = store.publish(draft(tmp_path / "2"))
    assert again.path == first.path
    assert not store.problem(again)


def test_an_index_that_was_not_filled_is_filled_by_the_next_one(tmp_path):
    path = tmp_path / "index.sqlite"
    half = Index(path)
    assert half.fresh
    half.close()
    second = Index(path)
    assert second.fresh
    second.filled()
    second.close()
    assert not Index(path).fresh


def test_an_index_of_another_version_is_made_anew(tmp_path):
    path = tmp_path / "index.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript("CREATE TABLE files (path TEXT); PRAGMA user_version=99;")
    index = Index(path)
    assert index.fresh
    index.remember_files([("a", 1, 2, "d")])
    assert index.files(["a"]) == {"a": (1, 2, "d")}


OPENS = "import sys, pathlib; from headrace.pipelines.store import Store; Store(pathlib.Path(sys.argv[1]))"


def test_many_processes_may_make_a_store_at_once(tmp_path):
    command = [sys.executable, "-c", OPENS, str(tmp_path / "s")]
    processes = [subprocess.Popen(command) for _ in range(8)]
    assert [process.wait() for process in processes] == [0] * 8


def test_a_file_that_was_exchanged_with_its_old_time_is_read_again(store, tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.pipelines.store._SETTLED", 0)
    path = tmp_path / "f"
    path.write_text("a")
    before = store.digests([path])
    stat = path.stat()
    time.sleep(0.02)
    path.write_text("b")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.digests([path]) != before


def test_an_artifact_shows_itself_in_one_line(tmp_path):
    splits = {"train": {"rows": 16490, "parts": []}, "test": {"rows": 2104, "parts": []}}
    examples = Examples(tmp_path, "951f326761cf" + "0" * 52, {"splits": splits, "columns": {"a": "int"}})
    assert repr(examples) == "Examples(951f326761cf: train 16490, test 2104)"
    assert repr(Examples(tmp_path, "951f326761cf" + "0" * 52)) == "Examples(951f326761cf)"
    assert repr(Files(tmp_path, "1a2b" * 16)) == "Files(1a2b1a2b1a2b)"
