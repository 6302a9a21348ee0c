"""A store whose truth is on an object store, worked on in a folder of this machine.

It is a local store (`pipelines.store`) in the cache, whose artifacts and records are also written to the
remote side, and found there: see `transfer`, `mirror`, `leases` and `cache` for each. What this promises:

- An artifact is there whole or not at all, for everybody, whatever is killed or cut off.
- A hit is taken only after its files were seen in the remote store; files are fetched before a step that
  reads them, and checked by SHA-256. What one machine computed is a hit on another.
- Two machines at once may compute the same step twice, as nothing locks between them; they give the same
  content, and the first one's files stay. Within one machine a lock keeps it from happening.
- Garbage collection refuses while a run is at work anywhere, and runs wait for it.

What steps keep to go on from after a kill, journals of searches and notes on pieces stay in the cache:
another machine runs such a step from its beginning.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..artifact import Artifact
from ..errors import StoreError
from ..locks import Lock, locked
from ..store import LAYOUT, Store, remove_tree, write_json
from .cache import Cache, cache_folder, cache_size
from .exchange import StoreExchange
from .leases import GC, LIFE, Leases
from .mirror import Mirror
from .objects import Objects
from .transfer import Published, Transfer

STAMP = "store.json"


def stamp_of(objects: Objects) -> dict[str, Any] | None:
    """The stamp of the store at a URI, or None if there is none.

    Raises:
        StoreError: it can't be read, or is of a newer layout.
    """
    try:
        stamp: dict[str, Any] = json.loads(objects.read(STAMP))
        layout, _ = int(stamp["layout"]), uuid.UUID(stamp["id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            "the stamp of the store can't be read",
            file=f"{objects.uri}/{STAMP}",
            remedy="name another store by --store, or delete this one",
        ) from None
    if layout > LAYOUT:
        raise StoreError(
            f"the store has layout {layout}, and this headrace knows up to {LAYOUT}",
            file=objects.uri,
            remedy="upgrade headrace, or use another store by --store",
        )
    return stamp


class RemoteStore(Store):
    """A store at a URI; made if it isn't there."""

    def __init__(self, uri: str) -> None:
        cache_size()  # what is wrong with it is told before anything is run
        self.objects = Objects(uri)
        stamp = stamp_of(self.objects)
        if stamp is None:
            self.objects.create(STAMP, json.dumps({"layout": LAYOUT, "id": str(uuid.uuid4())}).encode())
            stamp = stamp_of(self.objects)  # of who was first
        assert stamp is not None
        super().__init__(cache_folder(stamp["id"]))
        self._transfer = Transfer(self.objects, self.folder)
        self._mirror = Mirror(self.objects, self.folder, self.index)
        self._leases = Leases(self.objects, self._cache_id())
        self._cache = Cache(self.folder, super().size, self._evict)
        self._runs = 0
        self._guard = threading.Lock()
        self.refresh()

    @property
    def uri(self) -> str:
        """The store's URI."""
        return self.objects.uri

    def _cache_id(self) -> str:
        path = self.folder / "cache.json"
        with locked(self.folder / "locks" / "index", remove=True):
            if not path.exists():
                write_json(path, {"id": uuid.uuid4().hex})
        return str(json.loads(path.read_text("utf-8"))["id"])

    def refresh(self) -> None:
        """Takes over the records of what other machines ran since."""
        self._mirror.refresh(super().is_running)

    # Artifacts

    def publish(self, artifact: Artifact) -> Artifact:
        """Takes a finished artifact into the cache and to the remote store."""
        run = self._run_of(artifact.path)
        self._cache.hold((artifact.type, artifact.digest))
        published = super().publish(artifact)
        self._transfer.publish(published, run)
        return published

    def _run_of(self, path: Path) -> str:
        """The run in whose staging folder an artifact was made, or a name of its own."""
        with contextlib.suppress(ValueError):
            return path.relative_to(self.folder / "staging").parts[0]
        return f"publish-{uuid.uuid4().hex}"

    def _usable(self, type_name: str, digest: str) -> Artifact | str:
        try:
            published = self._transfer.find(type_name, digest)
        except StoreError as error:
            return f"is damaged: {error.problems[0].what}"
        if published is None:
            return "was removed"
        trouble = self._transfer.problem(published)
        return f"is damaged: {trouble}" if trouble else published.artifact

    def _published(self, type_name: str, digest: str) -> Published:
        published = self._transfer.find(type_name, digest)
        if published is None:
            raise StoreError("no artifact is here", file=f"{self.uri}/artifacts/{type_name}/{digest}")
        return published

    def artifact(self, type_name: str, digest: str) -> Artifact:
        """A published artifact, whose files need not be on this machine; see `fetch`."""
        return self._published(type_name, digest).artifact

    def exchange(self, staging: Path) -> StoreExchange:
        """How Beam's workers elsewhere read and write this store."""
        return StoreExchange(self.uri, self.folder, staging)

    def artifact_keys(self, prefix: str = "") -> list[tuple[str, str]]:
        """(type, digest) of every published artifact whose digest begins with `prefix`, sorted."""
        return [key for key in self._transfer.artifact_keys() if key[1].startswith(prefix)]

    def artifacts(self) -> Iterator[Artifact]:
        """Every published artifact."""
        for published in self._transfer.find_all():
            yield published.artifact

    def size(self, type_name: str, digest: str) -> int:
        """The bytes that an artifact takes in the remote store, also one that is damaged."""
        return sum(self.objects.sizes(f"artifacts/{type_name}/{digest}").values())

    def remove_artifact(self, type_name: str, digest: str) -> None:
        """Removes an artifact here and there."""
        self._transfer.remove(type_name, digest)
        super().remove_artifact(type_name, digest)

    def _evict(self, type_name: str, digest: str) -> None:
        """Removes an artifact from the cache, whose room is needed now."""
        remove_tree(self.quarantine(self.place(type_name, digest)))

    def fetch(self, artifact: Artifact, tell: Callable[[int, int], None] | None = None) -> Artifact:
        """The artifact with its files in the cache, where they stay until the run is over.

        Args:
            artifact: of this store; another one is given back as it is.
            tell: takes how many bytes are there, and how many there are to be.

        Raises:
            StoreError: the remote store lost or changed a file.
        """
        place = self.place(artifact.type, artifact.digest)
        if artifact.path != place:  # of another store, or nobody's
            return artifact
        self._cache.hold((artifact.type, artifact.digest))
        with locked(self.folder / "locks" / f"fetch-{artifact.digest}", remove=True):
            if place.exists() and self._trouble(place):
                self.quarantine(place)
            if not place.exists():
                self._bring(self._published(artifact.type, artifact.digest), place, tell)
        return artifact

    def _bring(self, published: Published, place: Path, tell: Callable[[int, int], None] | None) -> None:
        self._cache.make_room(sum(entry.size for entry in published.artifact.files))
        name = f"fetch-{uuid.uuid4().hex}"
        with locked(self.folder / "locks" / f"run-{name}", remove=True):
            folder = self.folder / "staging" / name
            try:
                self._transfer.fetch(published, folder, tell)
                place.parent.mkdir(exist_ok=True)
                folder.rename(place)
            except StoreError as error:
                if "is damaged" in str(error):
                    self._transfer.withdraw(published)
                raise
            finally:
                remove_tree(folder)
        self._remember(published.artifact)

    # Runs

    def _executions(self, fingerprint: str) -> Iterator[dict[str, Any]]:
        known = set()
        for record in super()._executions(fingerprint):
            known.add((record["run"], record["step"]))
            yield record
        for record in self._mirror.executions(fingerprint):
            if (record["run"], record["step"]) not in known:
                yield record

    def write_run(self, run: str, record: Mapping[str, Any]) -> None:
        """Writes a run's record here and there."""
        super().write_run(run, record)
        self._mirror.send_run(run, record)

    def write_step(self, record: Mapping[str, Any]) -> None:
        """Writes a step's record here and there; its artifacts are published."""
        super().write_step(record)
        self._mirror.send_step(record)

    def run_log(self, run: str) -> str:
        """What the steps of a run wrote, on whatever machine."""
        self._mirror.log(run)
        return super().run_log(run)

    def remove_run(self, run: str) -> None:
        """Removes a run's record here and there."""
        self._mirror.remove(run, self.run_record(run)["steps"])
        super().remove_run(run)

    @contextmanager
    def running(self, run: str) -> Iterator[Path]:
        """Holds a run's lock and lease, gives its staging folder; first removes killed runs' litter."""
        with super().running(run) as staging, self._leases.held(run):
            self._wait_for_collection(run)
            self._bury_others(run)
            with self._guard:
                self._runs += 1
            try:
                yield staging
            finally:
                with self._guard:
                    self._runs -= 1
                    last = not self._runs
                if last:
                    self._cache.release()
                self._cache.make_room()
                with contextlib.suppress(StoreError):  # else garbage collection does it
                    self._transfer.clear(run)

    def _wait_for_collection(self, run: str, patience: float = 60.0) -> None:
        until = time.monotonic() + patience
        while any(self._is_alive(name, run) for name in self._leases.names() if name.startswith(GC)):
            if time.monotonic() > until:
                raise StoreError(
                    "garbage is being collected in the store", file=self.uri, remedy="wait for it to end"
                )
            time.sleep(1.0)

    def _is_alive(self, name: str, own: str = "") -> bool:
        """Whether the process that took a lease lives; of one on this machine its lock tells."""
        try:
            age = self._leases.age(name, own)
            if self._leases.is_mine(name):
                return super().is_running(name)
        except FileNotFoundError:
            return False
        return age < LIFE

    def is_running(self, run: str) -> bool:
        """Whether a process, here or elsewhere, is at work on a run."""
        return super().is_running(run) or self._is_alive(run)

    def _bury_others(self, own: str) -> None:
        """Removes what killed runs left in the remote store, and marks their records."""
        for name in self._leases.names():
            if name != own and not self._is_alive(name, own):
                if not name.startswith(GC):
                    self._mirror.bury(name)
                    self._transfer.clear(name)
                self._leases.drop(name)

    def _bury(self, run: str) -> None:
        super()._bury(run)
        with contextlib.suppress(FileNotFoundError, ValueError):
            record = json.loads((self.run_folder(run) / "record.json").read_text("utf-8"))
            self._mirror.send_run(run, record)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps runs out on every machine, for `gc`; raises StoreError if one is at work."""
        name = f"{GC}{uuid.uuid4().hex}"
        lock = Lock(self.folder / "locks" / f"run-{name}")
        lock.acquire()
        try:
            with super().exclusive(), self._leases.held(name):
                others = [other for other in self._leases.names() if other != name]
                if any(self._is_alive(other, name) for other in others):
                    raise StoreError("a run is using the store", file=self.uri, remedy="wait for it to end")
                self.refresh()
                self._alone = name
                yield
        finally:
            self._alone = ""
            lock.release(remove=True)

    _alone = ""

    def sweep(self) -> None:
        """Removes what killed runs left; of the remote store only while nobody else uses it."""
        super().sweep()
        if self._alone:
            self._bury_others(self._alone)
            self._transfer.remove_orphans()
            # A run that was over before the service let it clear, or whose workers wrote on after it was.
            self.objects.remove_folder("staging")
