"""How Beam's workers elsewhere read and write a remote store by themselves.

Work in Beam uses plain paths: of artifacts, and of files in the step's staging folder. On the driver these
lie in the cache. A worker elsewhere has a folder of its own in place of the cache, see `place`: what a unit
names is fetched into it before, and what the unit wrote is brought to the store after, from where the
driver and other workers take it.

    staging/RUN/STEP/…      the step's staging folder, as the driver and the workers see it

Credentials aren't handed on: workers find them in their own environment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .objects import Objects, side_by_side
from .paths import dumped

T = TypeVar("T")
R = TypeVar("R")

PARTLY = ".partly"
"""The end of the names of files that are not whole yet."""
_LOOKS = 2.0
"""Seconds between two looks at what workers left."""


class StoreExchange:
    """The driver's side: see `context.Exchange`.

    Args:
        uri: the store's.
        folder: the cache's folder.
        staging: the step's folder in it.
    """

    def __init__(self, uri: str, folder: Path, staging: Path) -> None:
        self._uri = uri
        self._folder = folder
        self._staging = staging
        self._objects = Objects(uri)
        self._seen: list[str] = []
        self._looked = 0.0

    def to_json(self) -> dict[str, Any]:
        """What another process makes it of, as keyword arguments but `staging`, which it knows."""
        return {"uri": self._uri, "folder": str(self._folder)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any], staging: Path) -> StoreExchange:
        """Reads what `to_json` gave."""
        return cls(told["uri"], Path(told["folder"]), staging)

    def around(self, work: Callable[[T], R]) -> Callable[[T], R]:
        """The same work for a worker elsewhere; what it needs is in the store from now on."""
        here = self._here()
        known = self._objects.sizes(self._key(self._staging))
        self._objects.upload((path, key) for key, (path, size) in here.items() if known.get(key) != size)
        text, named = dumped(work, str(self._folder))
        files = {name: self._below(name, here) for name in named}
        folders = tuple(sorted(self._key(path) for path in self._staging.rglob("*") if path.is_dir()))
        return Elsewhere(self._uri, str(self._folder), self._key(self._staging), text, files, folders)

    def _here(self) -> dict[str, tuple[Path, int]]:
        """The files of the staging folder with their sizes, by key."""
        paths = (path for path in self._staging.rglob("*") if path.is_file() and path.suffix != PARTLY)
        return {self._key(path): (path, path.stat().st_size) for path in paths}

    def _below(self, name: str, here: Iterable[str]) -> tuple[str, ...]:
        """The keys of what the work may read under a name; of an artifact that is for the worker to find."""
        if name.startswith("artifacts/"):
            return (name,)
        return tuple(key for key in here if key == name or key.startswith(f"{name}/"))

    def _key(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def names(self, folder: Path) -> list[str]:
        """The names of the files right in a folder, here or in the store; the store is asked now and then."""
        if time.monotonic() - self._looked > _LOOKS:
            self._looked = time.monotonic()
            self._seen = self._objects.names(self._key(folder))
        return list({*self._seen, *(path.name for path in folder.iterdir())})

    def collect(self, folder: Path) -> None:
        """Fetches everything that workers wrote below the step's staging folder."""
        here = {key: size for key, (_, size) in self._here().items()}
        there = self._objects.sizes(self._key(self._staging))
        wanted = [key for key, size in there.items() if here.get(key) != size]
        side_by_side(lambda key: fetch_whole(self._objects, key, self._folder / key), wanted)


def fetch_whole(objects: Objects, key: str, path: Path) -> None:
    """Fetches an object into a file that is there whole or not at all; raises FileNotFoundError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(f".{path.name}{PARTLY}")
    try:
        objects.download(key, partly)
        partly.rename(path)
    finally:
        partly.unlink(missing_ok=True)


@dataclass(frozen=True)
class Elsewhere:
    """Work as it is handed to a worker elsewhere; a picklable callable.

    Attributes:
        uri: the store's.
        folder: the driver's cache.
        staging: the step's staging folder, as a key.
        work: the pickled work, whose paths are relative to the cache.
        files: the keys of what the work reads, by the names in it.
        folders: the folders that the staging folder holds, as keys.
    """

    uri: str
    folder: str
    staging: str
    work: bytes
    files: Mapping[str, tuple[str, ...]]
    folders: tuple[str, ...]

    def __call__(self, item: Any) -> Any:
        """Does the work on one item, with its files fetched before, and what it wrote sent after."""
        from .place import place_of

        return place_of(self).done(self, item)
