"""The store: a local folder with artifacts and run records.

    STORE/store.json                    the layout's version
    STORE/artifacts/TYPE/DIGEST/        published artifacts, read-only
    STORE/runs/RUN/record.json, steps/  run records
    STORE/staging/RUN/STEP/             where a running step writes; removed afterwards
    STORE/searches/KEY/                 journals of searches, see `tuning.journal`
    STORE/reuse/                        notes on pieces of artifacts, see `reuse`; may be deleted at any time
    STORE/resumable/                    what killed steps go on from, see `resumable`
    STORE/locks/                        one for each run and each fingerprint at work
    STORE/index.sqlite                  made from the others whenever it is missing

An artifact is written in staging, fsynced and renamed into place, so nobody ever sees half of one. What
a killed run left in staging is removed by the next one: its lock is free.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import MANIFEST, Artifact, check_finished, content_digest, file_digest, load_artifact
from .errors import StoreError, disk_error
from .index import Index
from .locks import Lock, locked
from .sharing import share_as

if TYPE_CHECKING:
    from .context import Exchange

LAYOUT = 1
_SETTLED = 2_000_000_000
"""Nanoseconds that a file has to be unchanged before its digest is remembered: a write within the
clock's grain of the last one would leave size and time as they were."""
_MANY = 256
"""Files of an artifact from which on the whole system is synced at once."""


class Store:
    """A local store; made if it isn't there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder = folder.absolute()
        try:
            self._open()
        except OSError as error:
            raise disk_error(error, str(folder)) or StoreError(
                f"can't be used as a store: {error.strerror or error}",
                file=str(folder),
                remedy="give a folder that you may write to by --store",
            ) from error

    def _open(self) -> None:
        share_as(self.folder)
        for name in ("artifacts", "runs", "staging", "locks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        stamp = self.folder / "store.json"
        if not stamp.exists():
            write_json(stamp, {"layout": LAYOUT})
        try:
            layout = int(json.loads(stamp.read_text("utf-8"))["layout"])
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                "the stamp of the store can't be read",
                file=str(stamp),
                remedy="name another store by --store, or delete this one",
            ) from None
        if layout > LAYOUT:
            raise StoreError(
                f"the store has layout {layout}, and this headrace knows up to {LAYOUT}",
                file=str(self.folder),
                remedy="upgrade headrace, or use another store by --store",
            )
        if not os.access(self.folder, os.W_OK):
            raise PermissionError(13, "Permission denied", str(self.folder))
        # One after another: SQLite doesn't wait for the other process while it turns a new file to WAL.
        with locked(self.folder / "locks" / "index", remove=True):
            self.index = self._open_index()
            if self.index.fresh:
                self.rebuild_index()

    def _open_index(self) -> Index:
        path = self.folder / "index.sqlite"
        try:
            return Index(path)
        except sqlite3.DatabaseError:  # no database; one that is only locked or unwritable is a StoreError
            for file in self.folder.glob("index.sqlite*"):
                file.unlink(missing_ok=True)
            return Index(path)

    def rebuild_index(self) -> None:
        """Fills the index from the run records; one that can't be read counts as not there."""
        self.index.add_executions(r for r in self._step_records() if r.get("status") == "ran")
        self.index.filled()

    def _step_records(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob("runs/*/steps/*.json")):
            with contextlib.suppress(OSError, ValueError):
                yield json.loads(path.read_text("utf-8"))

    # Artifacts

    @property
    def uri(self) -> str:
        """What people call the store: its folder, or its URI."""
        return str(self.folder)

    def place(self, type_name: str, digest: str) -> Path:
        """Where an artifact with this type and digest lies, or would lie."""
        return self.folder / "artifacts" / type_name / digest

    def publish(self, artifact: Artifact) -> Artifact:
        """Moves a finished artifact out of staging; if an equal one is there already, that one is kept.

        Raises:
            StepError: its files are not those that it was finished with.
        """
        place = self.place(artifact.type, artifact.digest)
        if place.exists() and self._trouble(place):
            self.quarantine(place)
        if not place.exists():
            check_finished(artifact)
            for entry in artifact.files:
                with contextlib.suppress(
                    PermissionError
                ):  # another user's: a worker of a shared store made it
                    (artifact.path / entry.path).chmod(0o444)
            _fsync_tree(artifact)
            place.parent.mkdir(exist_ok=True)
            try:
                artifact.path.rename(place)
            except OSError:
                if not place.exists():  # else another run has just published the same content
                    raise
            _fsync(place.parent)
        published = replace(load_artifact(place), summary=artifact.summary)
        self._remember(published)
        return published

    def _trouble(self, place: Path) -> str:
        """What is wrong with the artifact in a place, or an empty string."""
        try:
            return self.problem(load_artifact(place))
        except StoreError as error:
            return error.problems[0].what

    def _usable(self, type_name: str, digest: str) -> Artifact | str:
        """A published artifact, whole and undamaged, or why there is none, as a predicate."""
        place = self.place(type_name, digest)
        if not place.exists():
            return "was removed"
        if trouble := self._trouble(place):
            self.quarantine(place)
            return f"is damaged: {trouble}"
        return load_artifact(place)

    def fetch(self, artifact: Artifact, tell: Callable[[int, int], None] | None = None) -> Artifact:
        """The artifact with its files on this machine's disk; here they are there always.

        Args:
            artifact: of this store, or of nobody's.
            tell: takes how many bytes are there, and how many there are to be.
        """
        return artifact

    def _remember(self, artifact: Artifact) -> None:
        rows = []
        for entry in artifact.files:
            stat = (artifact.path / entry.path).stat()
            rows.append((str(artifact.path / entry.path), stat.st_size, stat.st_ctime_ns, entry.sha256))
        self.index.remember_files(rows)

    def artifact(self, type_name: str, digest: str) -> Artifact:
        """A published artifact; raises StoreError if it isn't there."""
        return load_artifact(self.place(type_name, digest))

    def exchange(self, staging: Path) -> Exchange | None:
        """How Beam's workers elsewhere reach a step's staging folder; None where it is a folder of all."""
        return None

    def artifact_keys(self, prefix: str = "") -> list[tuple[str, str]]:
        """(type, digest) of every published artifact whose digest begins with `prefix`, sorted."""
        folders = sorted((self.folder / "artifacts").glob(f"*/{prefix}*"))
        return [(folder.parent.name, folder.name) for folder in folders]

    def artifacts(self) -> Iterator[Artifact]:
        """Every published artifact."""
        for key in self.artifact_keys():
            yield self.artifact(*key)

    def size(self, type_name: str, digest: str) -> int:
        """The bytes that an artifact takes, also one that is damaged."""
        return sum(f.stat().st_size for f in self.place(type_name, digest).rglob("*") if f.is_file())

    def remove_artifact(self, type_name: str, digest: str) -> None:
        """Removes an artifact; its folder goes at once, so that nobody sees half of it."""
        self.quarantine(self.place(type_name, digest))

    def problem(self, artifact: Artifact) -> str:
        """What is wrong with an artifact's files, or an empty string.

        A file whose size and time of change are those at publishing is not read again.
        """
        stable = content_digest(artifact.type, artifact.properties, artifact.files)
        if stable != artifact.digest:
            return f"{MANIFEST} doesn't match the digest"
        try:
            digests = self.digests([artifact.file(entry.path) for entry in artifact.files])
        except FileNotFoundError as error:
            return f"{Path(str(error.filename)).name} is missing"
        for entry in artifact.files:
            if digests[str(artifact.path / entry.path)] != entry.sha256:
                return f"{entry.path} was changed: its SHA-256 is not the one in the manifest"
        return ""

    def quarantine(self, place: Path) -> Path:
        """Takes a damaged artifact to where it is removed with the litter, and tells where."""
        litter = self.folder / "staging" / f"damaged-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            place.rename(litter)
        return litter

    def digests(self, paths: Iterable[Path]) -> dict[str, str]:
        """SHA-256 of each file by path; remembered by size and time of change."""
        stats = {str(path): path.stat() for path in paths}
        known = self.index.files(list(stats))
        digests: dict[str, str] = {}
        learnt = []
        for name, stat in stats.items():
            size, changed, digest = known.get(name, (-1, -1, ""))
            if (size, changed) != (stat.st_size, stat.st_ctime_ns):
                digest = file_digest(Path(name))
                if time.time_ns() - stat.st_ctime_ns > _SETTLED:
                    learnt.append((name, stat.st_size, stat.st_ctime_ns, digest))
            digests[name] = digest
        if learnt:
            self.index.remember_files(learnt)
        return digests

    def find(self, fingerprint: str) -> tuple[dict[str, Artifact], dict[str, Any]] | str:
        """Outputs and record of an earlier execution with this fingerprint, whole and undamaged.

        Returns:
            (outputs by name, record), or a sentence that says why there is none.
        """
        why = ""
        for record in self._executions(fingerprint):
            outputs = {}
            for name, output in record["outputs"].items():
                found = self._usable(output["type"], output["digest"])
                if isinstance(found, str):
                    what = "its output" if name == "output" else f"its output {name}"
                    why = why or f"{what} {found}"
                    break
                outputs[name] = replace(found, summary=output.get("summary", {}))
            else:
                return outputs, record
        return why

    def _executions(self, fingerprint: str) -> Iterator[dict[str, Any]]:
        yield from self.index.executions(fingerprint)

    # Runs

    def run_folder(self, run: str) -> Path:
        """The folder of a run's record."""
        return self.folder / "runs" / run

    def run_log(self, run: str) -> str:
        """What the steps of a run and their libraries wrote; empty where nothing was."""
        path = self.run_folder(run) / "log.txt"
        return path.read_text("utf-8", "replace") if path.is_file() else ""

    def remove_run(self, run: str) -> None:
        """Removes a run's record; what it made is no hit any more because of it."""
        # The index first: what it doesn't know is not taken for a hit, whatever else is still there.
        self.index.forget_runs([run])
        remove_tree(self.run_folder(run))

    def runs(self) -> list[str]:
        """The ids of all runs, the newest first."""
        return sorted((path.parent.name for path in self.folder.glob("runs/*/record.json")), reverse=True)

    def run_record(self, run: str) -> dict[str, Any]:
        """A run's record with those of its steps under `steps`; raises StoreError for an unknown run."""
        folder = self.run_folder(run)
        if not (folder / "record.json").is_file():
            raise StoreError(f"there is no run {run!r}", given=run, available=tuple(self.runs()[:20]))
        record: dict[str, Any] = json.loads((folder / "record.json").read_text("utf-8"))
        steps = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("steps/*.json"))]
        found = {step["step"]: step for step in steps}
        record["steps"] = {name: found[name] for name in record.get("order", found) if name in found}
        return record

    def write_run(self, run: str, record: Mapping[str, Any]) -> None:
        """Writes a run's record, whole or not at all."""
        folder = self.run_folder(run)
        (folder / "steps").mkdir(parents=True, exist_ok=True)
        write_json(folder / "record.json", record)

    def write_step(self, record: Mapping[str, Any]) -> None:
        """Writes a step's record; one that ran becomes a hit for its fingerprint from now on."""
        name = str(record["step"]).replace("/", "_")
        folder = self.run_folder(record["run"]) / "steps"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{name}.json", record)
        if record["status"] == "ran":
            self.index.add_executions([record])

    @contextmanager
    def running(self, run: str) -> Iterator[Path]:
        """Holds a run's lock and gives its staging folder; removes the litter of killed runs first."""
        using = Lock(self.folder / "locks" / "using")
        using.acquire(shared=True)
        lock = Lock(self.folder / "locks" / f"run-{run}")
        lock.acquire()
        staging = self.folder / "staging" / run
        try:
            self.sweep()
            staging.mkdir()
            yield staging
        finally:
            remove_tree(staging)
            lock.release(remove=True)
            using.release()

    def is_running(self, run: str) -> bool:
        """Whether a living process holds the run's lock."""
        path = self.folder / "locks" / f"run-{run}"
        if not path.exists():
            return False
        lock = Lock(path)
        if not lock.acquire(wait=False):
            return True
        lock.release()
        return False

    def sweep(self) -> None:
        """Removes what killed runs left behind, and marks their records."""
        for litter in list((self.folder / "staging").iterdir()):
            if litter.name.startswith("damaged-"):
                remove_tree(litter)
                continue
            lock = Lock(self.folder / "locks" / f"run-{litter.name}")
            if lock.acquire(wait=False):
                self._bury(litter.name)
                remove_tree(litter)
                lock.release(remove=True)
        for path in list((self.folder / "locks").glob("*-*")):
            # A run makes its lock before its staging folder, so a free lock may be one that is just made.
            lock = Lock(path)
            if lock.acquire(wait=False):
                if path.name.startswith("run-"):
                    self._bury(path.name.removeprefix("run-"))
                lock.release(remove=True)

    def _bury(self, run: str) -> None:
        """Marks the record of a run that was killed."""
        folder = self.run_folder(run)
        for partly in folder.rglob(".*"):
            partly.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError, ValueError):
            record = json.loads((folder / "record.json").read_text("utf-8"))
            if record["status"] == "running":
                write_json(folder / "record.json", {**record, "status": "killed"})

    @contextmanager
    def computing(self, fingerprint: str) -> Iterator[None]:
        """Holds a fingerprint, so that two runs at once don't compute the same thing twice."""
        with locked(self.folder / "locks" / f"step-{fingerprint}", remove=True):
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps runs out, for `gc`; raises StoreError if one is at work."""
        lock = Lock(self.folder / "locks" / "using")
        if not lock.acquire(wait=False):
            raise StoreError("a run is using the store", file=str(self.folder), remedy="wait for it to end")
        try:
            yield
        finally:
            lock.release()


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file that is there whole or not at all."""
    partly = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with partly.open("w", encoding="utf-8") as stream:
            json.dump(value, stream, indent=1)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        partly.rename(path)
    except OSError as error:
        partly.unlink(missing_ok=True)
        raise disk_error(error, str(path)) or error from error


def remove_tree(folder: Path) -> None:
    """Removes a folder if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def _fsync_tree(artifact: Artifact) -> None:
    """Brings an artifact's files and folders to the disk."""
    files = [artifact.path / entry.path for entry in artifact.files]
    if len(files) > _MANY and sys.platform == "linux":
        os.sync()  # waits for everything at once, where a call for each file would take minutes
        return
    folders = {parent for file in files for parent in file.parents if parent.is_relative_to(artifact.path)}
    for path in [*files, artifact.path / MANIFEST, *sorted(folders), artifact.path]:
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
