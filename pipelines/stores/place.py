"""The folder that a thread of a Beam worker elsewhere has in place of the driver's cache.

It lies in the worker's temporary folder, which goes with it. It is one a thread, so that what is new in it
was written by the unit that was just done. Its path is as long as that of the driver's cache: files that
hold paths, such as a unit's result, are turned from one to the other byte by byte, whatever their format.
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifact import MANIFEST, confined, file_digest
from ..errors import StoreError
from .exchange import PARTLY, fetch_whole
from .objects import Objects, side_by_side
from .paths import dumped, loaded, moved
from .transfer import Transfer

if TYPE_CHECKING:
    from .exchange import Elsewhere

_ARTIFACT = re.compile(r"artifacts/(\w+)/([0-9a-f]{64})(?:/(.+))?")
_RANDOM = 8
"""Characters of a folder's name at least that nobody else has."""
_threads = threading.local()


def place_of(work: Elsewhere) -> Place:
    """This thread's place for the store of some work."""
    places: dict[tuple[str, str], Place] = _threads.__dict__.setdefault("places", {})
    key = (work.uri, work.folder)
    if key not in places:
        places[key] = Place(*key)
    return places[key]


def folder_as_long_as(driver: str) -> str:
    """A new folder for temporary files whose path has as many bytes as `driver`.

    Raises:
        StoreError: there is none as short as that.
    """
    length = len(driver.encode())
    for base in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp"]):  # noqa: S108 - for TMPDIR's sake
        rest = length - len(base.encode()) - 1
        if rest >= _RANDOM and os.access(base, os.W_OK):
            folder = f"{base}/{os.urandom(rest).hex()[:rest]}"
            os.mkdir(folder, 0o700)  # noqa: PTH102 - with its mode at once
            return folder
    raise StoreError(
        f"a worker has no folder for temporary files with a path of {length} bytes, as the run's cache has",
        file=driver,
        remedy="set a shorter TMPDIR for the workers, or a longer HEADRACE_CACHE for the run",
    )


class Place:
    """A thread's folder, and what of the store is in it."""

    def __init__(self, uri: str, driver: str) -> None:
        self._driver = driver
        self._root = folder_as_long_as(driver)
        atexit.register(shutil.rmtree, self._root, ignore_errors=True)
        self._folder = Path(self._root)
        self._objects = Objects(uri)
        self._transfer = Transfer(self._objects, self._folder)
        self._work: tuple[bytes, Any] = (b"", None)
        self._own: dict[str, tuple[int, int]] = {}

    def done(self, told: Elsewhere, item: Any) -> Any:
        """Does work on an item; what it wrote is in the store afterwards, also if it failed."""
        work = self._loaded(told)
        text, names = dumped(item, self._driver)
        fetched = [path for name in names for path in self._bring(name)]
        try:
            result = work(loaded(text, self._root))
        finally:
            self._send(told.staging, {*fetched})
            for path in fetched:
                path.unlink(missing_ok=True)
        return moved(result, self._root, self._driver)

    def _loaded(self, told: Elsewhere) -> Any:
        """The work with all that it reads; the same one isn't loaded again."""
        if self._work[0] != told.work:
            shutil.rmtree(self._folder / told.staging, ignore_errors=True)
            for folder in (told.staging, *told.folders):
                (self._folder / folder).mkdir(parents=True, exist_ok=True)
            for name in dict.fromkeys(key for keys in told.files.values() for key in keys):
                self._bring(name)
            self._own = dict(self._written(told.staging))
            self._work = (told.work, loaded(told.work, self._root))
        return self._work[1]

    def _bring(self, name: str) -> list[Path]:
        """Fetches what a name means, if the store has it: a file, or all in a folder; gives what is new."""
        path = self._folder / name
        if path.is_file():
            return []
        if found := _ARTIFACT.fullmatch(name):
            return self._bring_artifact(found[1], found[2], found[3] or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not name.startswith("staging/") or path.is_dir():
            return []
        try:
            fetch_whole(self._objects, name, path)
        except FileNotFoundError:
            return []  # it is going to be written
        return [path, *self._named_in(path)]

    def _named_in(self, path: Path) -> list[Path]:
        """Turns the paths in a file of JSON to this folder's, and fetches those as well."""
        if path.suffix != ".json":
            return []
        content = path.read_bytes()
        old = self._driver.encode()
        names = {found[1].decode() for found in re.finditer(re.escape(old) + rb'/([^"\\]+)', content)}
        path.write_bytes(content.replace(old, self._root.encode()))
        return [fetched for many in side_by_side(self._bring, sorted(names)) for fetched in many]

    def _bring_artifact(self, type_name: str, digest: str, file: str) -> list[Path]:
        published = self._transfer.find(type_name, digest)
        if published is None:
            raise StoreError("no artifact is here", file=f"{self._objects.uri}/{type_name}/{digest}")
        folder = published.artifact.path
        if not file:
            if not (folder / MANIFEST).exists():
                self._transfer.fetch(published, folder)
            return []
        known = {entry.path: entry for entry in published.artifact.files}
        wanted = [known[name] for name in known if name == file or name.startswith(f"{file}/")]
        for entry in wanted:
            target = confined(folder, entry.path)
            fetch_whole(self._objects, f"{published.folder}/{entry.path}", target)
            if file_digest(target) != entry.sha256:
                raise StoreError(f"{entry.path} is damaged in the store", file=published.folder)
        return [confined(folder, entry.path) for entry in wanted]

    def _written(self, staging: str) -> Iterable[tuple[str, tuple[int, int]]]:
        """The files below the staging folder with size and time, the oldest first."""
        paths = (p for p in (self._folder / staging).rglob("*") if p.is_file() and p.suffix != PARTLY)
        stats = sorted((path.stat().st_mtime_ns, path.stat().st_size, str(path)) for path in paths)
        return [(path, (size, changed)) for changed, size, path in stats]

    def _send(self, staging: str, fetched: set[Path]) -> None:
        """Brings what is new to the store and forgets it here; the newest last, which tells of the others."""
        new = [
            p for p, stamp in self._written(staging) if self._own.get(p) != stamp and Path(p) not in fetched
        ]
        for path in new:
            _replace(path, self._root.encode(), self._driver.encode())
        files = [(Path(path), Path(path).relative_to(self._folder).as_posix()) for path in new]
        self._objects.upload(files[:-1])
        self._objects.upload(files[-1:])
        for path in new:
            if path not in self._own:
                Path(path).unlink()


def _replace(path: str, old: bytes, new: bytes) -> None:
    """Replaces bytes in a file by as many others."""
    assert len(old) == len(new)
    with contextlib.suppress(ValueError), open(path, "r+b") as stream:  # noqa: PTH123, SIM117
        with mmap.mmap(stream.fileno(), 0) as content:  # ValueError: it is empty
            at = content.find(old)
            while at >= 0:
                content[at : at + len(old)] = new
                at = content.find(old, at + len(new))
