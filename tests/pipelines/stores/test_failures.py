"""A store on S3 that falters, refuses, isn't there; and runs that are killed while they write."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headrace.pipelines.artifact import Files, load_artifact
from headrace.pipelines.collect import collect
from headrace.pipelines.context import Context
from headrace.pipelines.errors import InvalidRequestError, StoreError
from headrace.pipelines.executor import run_pipeline
from headrace.pipelines.stores import open_store

from .conftest import KEY, SECRET

CHAIN = {"number": ("number", {"value": 3}), "parity": ("parity", {"files": "number"})}


def draft(folder: Path, files: int = 4):
    made = Context("s", folder).output(Files)
    for number in range(files):
        (made.path / f"{number}.txt").write_text(str(number) * 1000)
    return made.finish()


def keys(s3, uri: str, *folders: str) -> list[str]:
    return [key for key in s3.objects(uri.split("/")[2]) if key.startswith(folders)]


class Sometimes:
    """Faults for a share of the requests, by a seed: never twice in a row for one request."""

    def __init__(self, faults, share=0.3):
        self._random = random.Random(7)
        self._faults, self._share = faults, share
        self._lock = threading.Lock()
        self.given = 0
        self._last = set()

    def __call__(self, method, path):
        with self._lock:
            if (method, path) in self._last:
                self._last.discard((method, path))
                return None
            if self._random.random() > self._share:
                return None
            self._last.add((method, path))
            self.given += 1
            return self._random.choice(self._faults)


@pytest.mark.parametrize("faults", [[500, 503], ["cut", "lost"], ["half", ("slow", 0.3)]], ids=str)
def test_a_run_outlives_a_service_that_falters(s3, uri, tmp_path, machine, faults):
    s3.fault = sometimes = Sometimes(faults)
    store = open_store(uri)
    with store.running("20260101-000000-a"):
        artifact = store.publish(draft(tmp_path / "draft"))
        store.write_run("20260101-000000-a", {"run": "20260101-000000-a", "status": "done", "pipeline": "p"})
    machine("other")
    other = open_store(uri)
    fetched = other.fetch(other.artifact("Files", artifact.digest))
    assert other.problem(fetched) == ""
    assert other.runs() == ["20260101-000000-a"]
    assert sometimes.given > 5
    s3.fault = None
    assert len(keys(s3, uri, "artifacts/")) == 4
    assert not keys(s3, uri, "leases/", "staging/")


def test_a_service_that_stays_away_fails_the_step_and_nobody_sees_half(s3, uri, bound, machine, monkeypatch):
    from headrace.pipelines.stores import objects

    monkeypatch.setattr(objects, "TRIES", 2)
    store = open_store(uri)
    s3.fault = lambda method, path: 503 if method == "PUT" and "/manifests/" in path else None
    result = run_pipeline(bound(**CHAIN), store, listen=lambda event: None)
    told = str(result.errors["number"])
    assert result.status == "failed"
    assert "the store can't be used after 2 tries" in told
    assert "run again: what is done is kept" in told
    s3.fault = None
    assert not keys(s3, uri, "artifacts/", "manifests/", "staging/", "leases/")
    machine("other")
    assert run_pipeline(bound(**CHAIN), open_store(uri), listen=lambda event: None).status == "done"


KILLED = """
import os, sys
from pathlib import Path
from headrace.pipelines.artifact import Files
from headrace.pipelines.context import Context
from headrace.pipelines.stores import open_store
store = open_store(sys.argv[1])
with store.running("20260101-000000-killed") as staging:
    store.write_run("20260101-000000-killed", {"run": "20260101-000000-killed", "status": "running",
        "pipeline": "p", "order": [], "document": {}})
    made = Context("s", staging).output(Files)
    for number in range(4):
        (made.path / f"{number}.txt").write_text(str(number) * 1000)
    store.publish(made.finish())
"""


@pytest.mark.parametrize("moment", ["/0.txt", "/3.txt", "/manifests/"])
def test_a_kill_while_publishing_leaves_nothing_that_counts(s3, uri, tmp_path, machine, moment):
    process: list[subprocess.Popen[bytes]] = []

    def fault(method, path):
        if method == "PUT" and moment in path:
            process[0].kill()
            process[0].wait()
            return None if moment == "/manifests/" else "cut"
        return None

    open_store(uri)  # so that there is a store before the process is in its place
    s3.fault = fault
    process.append(subprocess.Popen([sys.executable, "-c", KILLED, uri]))
    assert process[0].wait() == -9
    s3.fault = None
    machine("other")
    store = open_store(uri)
    until = time.monotonic() + 30
    while moment == "/manifests/" and not store.artifact_keys() and time.monotonic() < until:
        time.sleep(0.05)  # the manifest was on its way
    published = list(store.artifacts())
    assert len(published) == (moment == "/manifests/")
    machine("cache")
    store = open_store(uri)
    with store.running("20260101-000001-next"):
        pass
    assert store.run_record("20260101-000000-killed")["status"] == "killed"
    assert len(keys(s3, uri, "artifacts/")) == 4 * len(published)
    assert not keys(s3, uri, "staging/", "leases/")
    artifact = store.publish(draft(tmp_path / "again"))
    assert store.problem(store.fetch(artifact)) == ""
    assert len(keys(s3, uri, "artifacts/")) == 4


@pytest.mark.parametrize("code", ["NotImplemented", "PreconditionFailed"])
def test_a_service_that_knows_no_conditional_writes(s3, uri, tmp_path, code):
    """Some refuse them, some say of one that failed no more than that."""
    asked = set()

    def fault(method, path):
        if method == "PUT" and ("/manifests/" in path or "store.json" in path) and path not in asked:
            asked.add(path)
            return 501 if code == "NotImplemented" else 412, f"<Error><Code>{code}</Code></Error>".encode()
        return None

    s3.fault = fault
    artifact = open_store(uri).publish(draft(tmp_path / "draft"))
    assert len(asked) == 2
    assert list(open_store(uri).artifacts()) == [artifact]
    assert len(keys(s3, uri, "artifacts/")) == 4


def test_a_fetch_that_is_cut_off_leaves_no_artifact(s3, uri, tmp_path, machine, monkeypatch):
    from headrace.pipelines.stores import objects

    artifact = open_store(uri).publish(draft(tmp_path / "draft"))
    machine("other")
    store = open_store(uri)
    monkeypatch.setattr(objects, "TRIES", 2)
    s3.fault = lambda method, path: "half" if path.endswith("2.txt") else None
    with pytest.raises(StoreError, match="can't be used after 2 tries"):
        store.fetch(store.artifact("Files", artifact.digest))
    place = store.place("Files", artifact.digest)
    assert not place.exists()
    assert not list((store.folder / "staging").iterdir())
    s3.fault = None
    store.fetch(store.artifact("Files", artifact.digest))
    assert load_artifact(place).digest == artifact.digest


def test_litter_of_attempts_goes_with_the_garbage(s3, uri, tmp_path):
    store = open_store(uri)
    artifact = store.publish(draft(tmp_path / "draft"))
    folder = f"artifacts/Files/{artifact.digest}/{'0' * 32}"
    store.objects.write(f"{folder}/0.txt", b"half")
    store.objects.write(f"artifacts/Files/{'1' * 64}/{'2' * 32}/0.txt", b"half")
    collect(store, keep=1, dry_run=True)
    assert len(keys(s3, uri, "artifacts/")) == 6
    with store.running("20260101-000000-a"):
        store.write_run("20260101-000000-a", record(artifact))
        store.write_step(step(artifact))
    collect(store, keep=1)
    assert len(keys(s3, uri, "artifacts/")) == 4
    assert store._usable("Files", artifact.digest) == artifact


def record(artifact):
    return {"run": "20260101-000000-a", "status": "done", "pipeline": "p", "document": {"steps": {}}}


def step(artifact):
    return {
        "run": "20260101-000000-a", "step": "s", "pipeline": "p", "status": "ran", "started": 1.0,
        "parts": {}, "fingerprint": "f" * 64,
        "outputs": {"output": {"type": "Files", "digest": artifact.digest}},
    }  # fmt: skip


def told(uri: str) -> str:
    with pytest.raises(StoreError) as caught:
        open_store(uri)
    return str(caught.value)


def test_a_bucket_that_is_not_there(s3):
    text = told("s3://no-such-bucket-anywhere/x")
    assert "there is no such bucket" in text
    assert "make the bucket" in text


def test_no_credentials(s3, uri, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    text = told(uri)
    assert "there are no credentials for the store" in text
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in text


def test_wrong_credentials(s3, uri):
    s3.fault = lambda method, path: (403, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
    s3.seen.clear()
    text = told(uri)
    assert "the store refuses: " in text
    assert "AWS_PROFILE" in text
    assert len(s3.seen) < 3  # what won't pass isn't tried again and again


def test_an_address_where_nobody_answers(s3, monkeypatch):
    from headrace.pipelines.stores import objects

    monkeypatch.setattr(objects, "TRIES", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    text = told("s3://bucket/x")
    assert "the store can't be used after 2 tries" in text
    assert "see whether the network and the service are well" in text


def test_without_the_package(s3, uri, tmp_path):
    code = (
        "import sys\nsys.modules['s3fs'] = None\nfrom headrace.pipelines.stores import open_store\n"
        "try:\n    open_store(sys.argv[1])\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    run = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, check=True, text=True)
    assert run.stdout.startswith("StoreError")
    assert "needs the package s3fs, which isn't installed" in run.stdout
    assert "pip install 'headrace[s3]'" in run.stdout


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("s3://key:secret@bucket/x", "holds credentials"),
        ("s3://bucket/x?secret=1", "holds credentials or options"),
        ("simplecache::s3://key:secret@bucket/x", "has one scheme"),
        ("s3://", "names no bucket"),
        ("nowhere://bucket/x", "nowhere:// is not supported"),
    ],
)
def test_addresses_that_are_none(uri, what):
    pytest.importorskip("fsspec")
    with pytest.raises(InvalidRequestError, match=what) as caught:
        open_store(uri)
    assert "key:secret" not in str(caught.value)


def test_credentials_are_written_nowhere(s3, uri, tmp_path, bound):
    """Not in the store, the cache, the records, the logs."""
    loud = {"number": ("number", {}), "bad": ("failing", {"files": "number"})}
    events = []
    result = run_pipeline(bound(**loud), open_store(uri), listen=events.append)
    assert result.status == "failed"
    written = list(s3.objects(uri.split("/")[2]).values())
    for folder, _, names in os.walk(tmp_path):
        written += [(Path(folder) / name).read_bytes() for name in names]
    written.append(json.dumps(events, default=str).encode())
    assert len(written) > 20
    assert not [content for content in written if SECRET.encode() in content or KEY.encode() in content]
