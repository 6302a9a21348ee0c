"""The folder on this machine in which the artifacts of a remote store are read and made.

    CACHE/stores/ID/    a store's folder as `pipelines.store` lays it out; ID is in the remote store's stamp

CACHE is HEADRACE_CACHE, or `~/.cache/headrace`. It holds nothing that the remote store hasn't, but for what
runs are just making, and may be deleted whenever nothing runs. Beyond HEADRACE_CACHE_SIZE (50GB) the
artifacts go that were not used for the longest time, never one that a process is using.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import InvalidRequestError
from ..locks import Lock

SIZE = "50GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

Key = tuple[str, str]
"""An artifact's type and digest."""


def cache_folder(store: str) -> Path:
    """Where the artifacts of the store with this id are kept on this machine."""
    base = os.environ.get("HEADRACE_CACHE", "") or "~/.cache/headrace"
    return Path(base).expanduser().absolute() / "stores" / store


def cache_size() -> int:
    """The bytes that a store's artifacts may take on this machine.

    Raises:
        InvalidRequestError: HEADRACE_CACHE_SIZE is no size.
    """
    text = os.environ.get("HEADRACE_CACHE_SIZE", "") or SIZE
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if not found:
        raise InvalidRequestError(
            f"HEADRACE_CACHE_SIZE={text} is no size", remedy="give a number of bytes, or as 500MB or 50GB"
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


class Cache:
    """What artifacts are in the folder, which are used, and which have to go."""

    def __init__(
        self, folder: Path, size: Callable[[str, str], int], remove: Callable[[str, str], None]
    ) -> None:
        self._folder = folder
        self._size = size
        self._remove = remove
        self._held: dict[Key, Lock] = {}
        self._guard = threading.Lock()

    def hold(self, key: Key) -> None:
        """Keeps an artifact from being removed, until `release`, and notes that it was used."""
        with self._guard:
            if key not in self._held:
                lock = self._lock(key)
                lock.acquire(shared=True)
                self._held[key] = lock
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._folder / "artifacts" / key[0] / key[1])

    def release(self) -> None:
        """Gives all artifacts free."""
        with self._guard:
            while self._held:
                self._held.popitem()[1].release()

    def make_room(self, needed: int = 0) -> None:
        """Removes what was not used for the longest time, until `needed` more bytes fit in."""
        found: list[tuple[float, Key, int]] = []
        for path in (self._folder / "artifacts").glob("*/*"):
            key = (path.parent.name, path.name)
            with contextlib.suppress(FileNotFoundError):  # another process just makes room, too
                found.append((path.stat().st_mtime, key, self._size(*key)))
        keys = [key for _, key, _ in sorted(found)]
        sizes = {key: size for _, key, size in found}
        too_much = sum(sizes.values()) + needed - cache_size()
        for key in keys:
            if too_much <= 0:
                return
            lock = self._lock(key)
            if lock.acquire(wait=False):
                self._remove(*key)
                lock.release(remove=True)
                too_much -= sizes[key]

    def _lock(self, key: Key) -> Lock:
        return Lock(self._folder / "locks" / f"use-{key[0]}-{key[1]}")
