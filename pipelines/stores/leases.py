"""Leases: how runs on several machines see each other at work, as an object store has no locks.

    leases/RUN.json      {"cache": ID}, written anew every BEAT seconds by the process that runs RUN
    leases/gc-ID.json    the same for garbage collection

A lease is alive for LIFE seconds after it was last written. Ages are differences between the service's own
times: whoever decides over another's lease has just written one, so no machine's clock counts.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreError
from .objects import Objects

FOLDER = "leases"
BEAT = 20.0
LIFE = 180.0
GC = "gc-"
"""How the leases of garbage collections begin."""


class Leases:
    """The leases of a store.

    Args:
        objects: the store's.
        cache: the id of this machine's cache, by which its own runs are known.
    """

    def __init__(self, objects: Objects, cache: str) -> None:
        self._objects = objects
        self._content = json.dumps({"cache": cache}).encode()
        self._cache = cache

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Holds a lease for a block, in a thread that writes it again and again."""
        self._objects.write(_key(name), self._content)
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                with contextlib.suppress(StoreError):  # the next beat may come through
                    self._objects.write(_key(name), self._content)

        thread = threading.Thread(target=beat, daemon=True, name=f"lease {name}")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with contextlib.suppress(StoreError):  # it ends by itself in LIFE seconds
                self.drop(name)

    def drop(self, name: str) -> None:
        """Removes a lease."""
        self._objects.remove([_key(name)])

    def names(self) -> list[str]:
        """The names of all leases, alive or not."""
        return [name.removesuffix(".json") for name in self._objects.names(FOLDER)]

    def is_mine(self, name: str) -> bool:
        """Whether a lease was taken with this machine's cache, where a lock tells at once if it is alive."""
        content = self._objects.read_all([_key(name)]).get(_key(name), b"{}")
        try:
            return bool(json.loads(content).get("cache") == self._cache)
        except ValueError:
            return False

    def age(self, name: str, own: str = "") -> float:
        """Seconds from when a lease was written to when `own` was, or to this machine's now.

        Raises:
            FileNotFoundError: there is none.
        """
        then = self._objects.modified(_key(name)).timestamp()
        return (self._objects.modified(_key(own)).timestamp() if own else time.time()) - then


def _key(name: str) -> str:
    return f"{FOLDER}/{name}.json"
