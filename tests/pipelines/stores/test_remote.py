"""A store on S3: what is published, found, fetched, recorded, collected, on several machines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace.pipelines.artifact import Files, content_digest
from headrace.pipelines.cli import cli
from headrace.pipelines.collect import collect
from headrace.pipelines.context import Context
from headrace.pipelines.errors import InvalidRequestError, StoreError
from headrace.pipelines.executor import Request, run_pipeline
from headrace.pipelines.planning import Selection
from headrace.pipelines.store import Store
from headrace.pipelines.stores import find_store, open_store

CHAIN = {"number": ("number", {"value": 3}), "parity": ("parity", {"files": "number"})}


def quiet(event):
    pass


def ran(bound, store, **given):
    result = run_pipeline(bound(**CHAIN), store, Request(**given), listen=quiet)
    assert result.status == "done", result.errors
    return result, {name: record.status for name, record in result.steps.items()}


def draft(folder: Path, text: str = "text", **files: str):
    made = Context("s", folder).output(Files)
    for name, content in {"a.txt": text, **files}.items():
        (made.path / name).write_text(content)
    return made.finish()


def bucket_of(uri: str) -> str:
    return uri.split("/")[2]


def test_what_one_machine_made_is_a_hit_on_another(s3, uri, bound, machine):
    _, first = ran(bound, open_store(uri))
    assert first == {"number": "ran", "parity": "ran"}
    machine("other")
    store = open_store(uri)
    result, second = ran(bound, store)
    assert second == {"number": "cached", "parity": "cached"}
    artifact = result.artifacts["parity"]["output"]
    assert not artifact.path.exists()  # nobody has read it
    assert store.fetch(artifact).file("text.txt").read_text() == "0"
    # A step that runs finds its inputs here.
    _, third = ran(bound, store, selection=Selection(force=frozenset({"parity"})))
    assert third == {"number": "cached", "parity": "ran"}
    assert len(store.runs()) == 3


def test_a_machine_without_records_finds_what_is_made_while_it_runs(s3, uri, bound, machine):
    store = open_store(uri)
    machine("other")
    other = open_store(uri)
    ran(bound, store)
    assert ran(bound, other)[1] == {"number": "cached", "parity": "cached"}


def test_the_same_content_is_there_once(s3, uri, tmp_path, machine):
    one = open_store(uri).publish(draft(tmp_path / "1"))
    machine("other")
    two = open_store(uri).publish(draft(tmp_path / "2"))
    assert one.digest == two.digest
    files = [key for key in s3.objects(bucket_of(uri)) if key.endswith("a.txt")]
    assert len(files) == 1


def test_two_that_publish_at_once_leave_one_whole_artifact(s3, uri, tmp_path, machine):
    """Each has uploaded its files before either writes the manifest; the second one finds it written."""
    meet = threading.Barrier(2, timeout=60)

    def fault(method, path):
        if method == "PUT" and "/manifests/" in path:
            meet.wait()

    stores = []
    for name in ("one", "two"):
        machine(name)
        stores.append((open_store(uri), draft(tmp_path / f"draft {name}")))
    s3.fault = fault
    threads = [threading.Thread(target=store.publish, args=(made,)) for store, made in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    s3.fault = None
    objects = s3.objects(bucket_of(uri))
    (manifest,) = [content for key, content in objects.items() if key.startswith("manifests/")]
    (file,) = [key for key in objects if key.endswith("a.txt")]
    assert json.loads(manifest)["attempt"] in file
    assert not [key for key in objects if key.startswith("staging/")]


@pytest.fixture
def memory(tmp_path, monkeypatch) -> str:
    """A store in memory, for what doesn't depend on the service."""
    pytest.importorskip("fsspec", reason="pip install 'headrace[s3]'")
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    return f"memory://{tmp_path.name}/store"


@pytest.mark.parametrize("harm", ["removed", "changed", "cut"])
def test_damage_in_the_store_is_noticed(s3, uri, bound, machine, harm):
    ran(bound, open_store(uri))
    (key,) = [
        k for k in s3.objects(bucket_of(uri)) if k.startswith("artifacts/Files/") and harmed(s3, uri, k)
    ]
    path = f"/{bucket_of(uri)}/a/store/{key}"
    if harm == "removed":
        s3.request("DELETE", path)
    else:
        s3.request("PUT", path, b"5" if harm == "changed" else b"")
    machine("other")
    store = open_store(uri)
    if harm == "changed":  # of the same size: it is noticed where the file is read
        selection = Selection(force=frozenset({"parity"}))
        result = run_pipeline(bound(**CHAIN), store, Request(selection), listen=quiet)
        assert "is damaged in the store: text.txt was changed" in str(result.errors["parity"])
        assert "run the pipeline again" in str(result.errors["parity"])
    result, statuses = ran(bound, store)
    assert statuses["number"] == "ran"
    if harm != "changed":
        assert "is damaged: text.txt" in result.steps["number"].reason
    machine("third")
    assert ran(bound, open_store(uri))[1] == {"number": "cached", "parity": "cached"}


def harmed(s3, uri, key: str) -> bool:
    """Whether it is the file that `number` made."""
    return s3.request("GET", f"/{bucket_of(uri)}/a/store/{key}")[1] == b"4"


def test_names_in_the_store_lead_nowhere(s3, uri, bound, machine, tmp_path):
    ran(bound, open_store(uri))
    bucket = bucket_of(uri)
    keys = [key for key in s3.objects(bucket) if key.startswith("manifests/")]
    for key in keys:
        content = s3.objects(bucket)[key].replace(b'"path": "text.txt"', b'"path": "../../../../../evil"')
        s3.request("PUT", f"/{bucket}/a/store/{key}", content)
    record = {"run": "../../evil", "status": "done", "steps": []}
    s3.request("PUT", f"/{bucket}/a/store/runs/evil/record.json", json.dumps(record).encode())
    machine("other")
    assert ran(bound, open_store(uri))[1] == {"number": "ran", "parity": "ran"}
    assert not list(tmp_path.rglob("evil"))


def test_records_that_lack_something_count_as_not_there(memory, machine, bound):
    store = open_store(memory)
    result, _ = ran(bound, store)
    for name, record in (
        ("1", {"run": "1", "status": "done", "steps": [{"run": "1", "step": "s"}]}),
        ("2", {"run": "2", "status": "done", "steps": [{"run": "2", "status": "ran"}]}),
        ("3", {"run": "3", "steps": []}),
    ):
        store.objects.write(f"runs/{name}/record.json", json.dumps(record).encode())
    fingerprint = result.steps["number"].fingerprint
    store.objects.write(f"executions/{fingerprint}/9.number.json", b'{"run": "9", "step": "number"}')
    machine("other")
    other = open_store(memory)
    assert other.runs() == [result.run]
    assert ran(bound, other)[1] == {"number": "cached", "parity": "cached"}


def test_a_run_that_begins_while_another_process_opens_the_store_keeps_its_records(memory, monkeypatch):
    run = "20260101-000000-new"
    store, other = open_store(memory), open_store(memory)
    listed = other.objects.names

    def names(folder: str) -> list[str]:
        found = listed(folder)
        if folder == "runs":  # the run is written down here, and not yet there
            (store.run_folder(run) / "steps").mkdir(parents=True)
            (store.run_folder(run) / "record.json").write_text('{"status": "running"}')
        return found

    monkeypatch.setattr(other.objects, "names", names)
    with store.running(run):
        other.refresh()
        assert (store.run_folder(run) / "record.json").exists()


def test_a_type_in_a_record_leads_nowhere(tmp_path, memory):
    store = open_store(memory)
    made = store.publish(draft(tmp_path / "draft"))
    kind = "../../../escaped"
    digest = content_digest(kind, {}, made.files)
    manifest = {**made.manifest(), "type": kind, "digest": digest, "attempt": "a" * 32}
    store.objects.write(f"manifests/{kind}/{digest}.json", json.dumps(manifest).encode())
    store.objects.write(f"artifacts/{kind}/{digest}/{'a' * 32}/a.txt", b"text")
    record = {
        "run": "r", "pipeline": "p", "step": "s", "status": "ran", "started": 1.0, "fingerprint": "f" * 64,
        "parts": {}, "outputs": {"output": {"type": kind, "digest": digest}},
    }  # fmt: skip
    store.objects.write(f"executions/{'f' * 64}/r.s.json", json.dumps(record).encode())
    assert "that is no artifact's type and digest" in str(store.find("f" * 64))


def test_garbage_goes_on_both_sides(s3, uri, bound, machine):
    store = open_store(uri)
    for value in (1, 2, 3):
        result = run_pipeline(bound(number=("number", {"value": value})), store, listen=quiet)
    machine("other")
    other = open_store(uri)
    with store.running("20260101-000000-busy"), pytest.raises(StoreError, match="a run is using the store"):
        collect(other, keep=1)
    garbage = collect(other, keep=1)
    assert (len(garbage.runs), len(garbage.artifacts), garbage.size) == (2, 2, 2)
    objects = s3.objects(bucket_of(uri))
    assert len([key for key in objects if key.startswith(("artifacts/", "manifests/"))]) == 2
    assert len([key for key in objects if key.startswith("executions/")]) == 1
    assert not [key for key in objects if key.startswith(("leases/", "staging/"))]
    machine("cache")
    store = open_store(uri)  # forgets what the other one collected
    assert store.runs() == [result.run]
    again = run_pipeline(bound(number=("number", {"value": 1})), store, listen=quiet)
    assert again.steps["number"].status == "ran"


def test_garbage_is_collected_beside_a_damaged_manifest(tmp_path, memory):
    store = open_store(memory)
    store.objects.write(f"manifests/Files/{'0' * 64}.json", b"{")
    store.objects.write(f"artifacts/Files/{'0' * 64}/{'1' * 32}/a.txt", b"text")
    assert collect(store).size == 4
    assert not store.objects.sizes("manifests") | store.objects.sizes("artifacts")


def test_garbage_collection_removes_what_runs_that_are_over_left_in_staging(memory):
    store = open_store(memory)
    store.objects.write("staging/20260101-000000-over/train/part", b"half")
    collect(store, dry_run=True)
    assert store.objects.sizes("staging")
    collect(store)
    assert not store.objects.sizes("staging")


def test_garbage_collection_keeps_the_files_of_manifests_that_it_cannot_read(tmp_path, memory, machine):
    store = open_store(memory)
    made = store.publish(draft(tmp_path / "draft"))
    (key,) = store.objects.sizes("manifests")
    newer = {**json.loads(store.objects.read(key)), "format": 99}
    store.objects.write(key, json.dumps(newer, indent=1).encode())
    files = store.objects.sizes("artifacts")
    with store.exclusive():
        store.sweep()
    assert files
    assert store.objects.sizes("artifacts") == files
    assert store.size("Files", made.digest) == 4


def test_the_commands_read_a_remote_store(s3, uri, machine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = Path(__file__).parents[1] / "small_components.py"
    (tmp_path / "p.yaml").write_text(
        f"pipeline: chain\nsteps:\n  number: {{uses: '{small}:number'}}\n"
        f"  parity: {{uses: '{small}:parity', with: {{files: '${{steps.number}}'}}}}\n"
    )

    def call(*args: str) -> str:
        result = CliRunner().invoke(cli, [*args, "--store", uri])
        assert result.exit_code == 0, result.output
        return result.output

    assert "there is no store at s3://" in CliRunner().invoke(cli, ["runs", "list", "--store", uri]).output
    assert "first run" in call("plan", "p.yaml")
    assert "2 ran" in call("run", "p.yaml")
    machine("other")
    assert "chain" in call("runs", "list")
    assert "parity" in call("artifacts", "list")
    assert "number in run" in call("lineage", "parity")
    assert "parity" in call("explain", "parity")
    assert "cached" in call("plan", "p.yaml")
    folder = Path(call("artifacts", "path", "parity").strip())
    assert (folder / "text.txt").read_text() == "0"
    assert "removed 0 runs" in call("gc")
    assert find_store(uri) is not None


def test_another_machine_sees_what_runs_and_goes_on_with_what_was_killed(
    s3, uri, bound, machine, monkeypatch
):
    code = (
        "import sys, time\nfrom headrace.pipelines.stores import open_store\n"
        "store = open_store(sys.argv[1])\nwith store.running('20260101-000000-killed') as staging:\n"
        "    store.write_run('20260101-000000-killed', {'run': '20260101-000000-killed', 'pipeline': 'p',\n"
        "        'status': 'running', 'order': [], 'document': {}})\n"
        "    store.objects.write('staging/20260101-000000-killed/half', b'half')\n"
        "    print('there', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, uri], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    machine("other")
    other = open_store(uri)
    assert other.is_running("20260101-000000-killed")
    process.kill()
    process.wait()
    process.stdout.close()
    assert other.is_running("20260101-000000-killed")  # nobody knows there for a while
    machine("cache")
    store = open_store(uri)
    assert not store.is_running("20260101-000000-killed")
    with store.running("20260101-000001-next"):
        pass
    assert store.run_record("20260101-000000-killed")["status"] == "killed"
    assert not [k for k in s3.objects(bucket_of(uri)) if k.startswith(("staging/", "leases/"))]
    other.refresh()
    assert other.run_record("20260101-000000-killed")["status"] == "killed"


def test_a_lease_that_nobody_renews_ends(s3, uri, monkeypatch):
    from headrace.pipelines.stores import remote

    store = open_store(uri)
    store.objects.write("leases/20260101-000000-gone.json", b'{"cache": "another"}')
    assert store.is_running("20260101-000000-gone")
    store.objects.write("staging/20260101-000000-gone/half", b"")
    monkeypatch.setattr(remote, "LIFE", -1.0)
    with store.running("20260101-000001-next"):
        pass
    assert not [k for k in s3.objects(bucket_of(uri)) if k.startswith(("staging/", "leases/"))]


def test_the_cache_keeps_to_its_size(s3, uri, tmp_path, machine, monkeypatch):
    store = open_store(uri)
    made = [store.publish(draft(tmp_path / str(n), str(n) * 4000)) for n in range(3)]
    machine("other")
    monkeypatch.setenv("HEADRACE_CACHE_SIZE", "10kB")
    other = open_store(uri)
    with other.running("20260101-000000-a"):
        first = [other.fetch(other.artifact("Files", artifact.digest)) for artifact in made]
        assert all(artifact.path.is_dir() for artifact in first)  # in use, whatever the limit says
    left = [artifact for artifact in first if artifact.path.exists()]
    assert [artifact.digest for artifact in left] == [artifact.digest for artifact in made[1:]]
    again = other.fetch(other.artifact("Files", made[0].digest))
    assert again.file("a.txt").read_text() == "0" * 4000
    assert not left[0].path.exists()
    assert not list((other.folder / "staging").iterdir())  # the room is there at once
    monkeypatch.setenv("HEADRACE_CACHE_SIZE", "much")
    with pytest.raises(InvalidRequestError, match="HEADRACE_CACHE_SIZE=much is no size"):
        open_store(uri)


def test_two_processes_may_make_room_at_once(tmp_path, memory, monkeypatch):
    store = open_store(memory)
    kept, gone = (store.publish(draft(tmp_path / text, text)) for text in ("kept", "gone"))
    store._cache.release()
    size = store._cache._size

    def meanwhile(kind: str, digest: str) -> int:
        shutil.rmtree(gone.path, ignore_errors=True)
        return size(kind, digest) if digest == kept.digest else gone.path.stat().st_size

    monkeypatch.setattr(store._cache, "_size", meanwhile)
    monkeypatch.setenv("HEADRACE_CACHE_SIZE", "1")
    store._cache.make_room()
    assert not kept.path.exists()


def test_what_is_made_stays_in_the_cache_until_it_is_in_the_store(tmp_path, memory, monkeypatch):
    """Another process makes room between the two."""
    monkeypatch.setenv("HEADRACE_CACHE_SIZE", "1")
    store, other = open_store(memory), open_store(memory)
    publish = Store.publish

    def crowded(*given):
        made = publish(*given)
        other._cache.make_room()
        return made

    monkeypatch.setattr(Store, "publish", crowded)
    artifact = store.publish(draft(tmp_path / "draft"))
    assert store._usable("Files", artifact.digest) == artifact


def test_a_store_in_memory(memory, machine, bound):
    ran(bound, open_store(memory))
    machine("other")
    assert ran(bound, open_store(memory))[1] == {"number": "cached", "parity": "cached"}


def test_a_local_store_imports_nothing_of_it(tmp_path):
    code = (
        "import sys\nfrom headrace.pipelines.stores import open_store\nopen_store(sys.argv[1])\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('fsspec', 's3fs', 'botocore', 'aiohttp')])"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True)
    assert told.stdout == b"[]\n"


@pytest.mark.slow
def test_wine_from_its_source_to_a_served_model(s3, uri, tmp_path, machine):
    """One machine runs it all; another takes it from the store, trains on fetched examples, and predicts."""

    def call(*args: str) -> str:
        command = [sys.executable, "-c", "from headrace.pipelines.cli import main; raise SystemExit(main())"]
        done = subprocess.run([*command, *args], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = json.loads(call("run", "wine", "--store", uri, "--json"))
    assert {step["status"] for step in first["steps"].values()} == {"ran"}
    machine("other")
    second = json.loads(call("run", "wine", "--store", uri, "--json"))
    assert {step["status"] for step in second["steps"].values()} == {"cached"}
    assert not list(
        (tmp_path / "other").glob("stores/*/artifacts/*/*")
    )  # nothing is fetched that nobody reads
    third = json.loads(call("run", "wine", "--store", uri, "--json", "--force", "train"))
    weights = [run["steps"]["train"]["outputs"]["output"]["digest"] for run in (first, third)]
    assert third["steps"]["train"]["status"] == "ran"
    assert weights[0] == weights[1]
    table = call("artifacts", "path", "source", "--store", uri).strip()
    answers = call("predict", "export", f"{table}/wine.csv", "--store", uri)
    assert answers.count("\n") > 170
