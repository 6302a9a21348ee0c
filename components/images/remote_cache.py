"""A folder in which images from the network are kept by their URL, so that a second run needn't ask again.

An entry is one file: a line of JSON (the sha256 of what follows, and what the server said to tell a newer
version by), then the bytes. It is written beside its place and renamed, and checked when it is read, so that
two runs may share the folder and one may be killed. URLs, which may hold secrets, aren't in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".image"
_MARK, _OFTEN = ".pruned", 60
"""A file whose time says when the folder was pruned, and after how many seconds it may be again."""


@dataclass(frozen=True)
class Cached:
    """What was kept: the bytes, and the headers by which the server knows the version."""

    data: bytes
    validators: dict[str, str]


class RemoteCache:
    """The folder.

    Args:
        folder: is made where it isn't there, for its owner only.
        max_bytes: beyond which those are removed that weren't used for longest, not at once but soon.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._written = 0
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, url: str) -> Cached | None:
        """What is kept of a URL; None if nothing, or nothing whole."""
        place = self._place(url)
        try:
            head, _, data = place.read_bytes().partition(b"\n")
            told = json.loads(head)
            whole = told["sha256"] == hashlib.sha256(data).hexdigest()
            validators = {str(k): str(v) for k, v in told["validators"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if not whole:
            return None
        with suppress(OSError):
            os.utime(place)
        return Cached(data, validators)

    def put(self, url: str, data: bytes, validators: Mapping[str, str]) -> None:
        """Keeps the bytes of a URL; a full disk or the like only means that they aren't kept."""
        place = self._place(url)
        head = json.dumps({"sha256": hashlib.sha256(data).hexdigest(), "validators": dict(validators)})
        partly = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            place.parent.mkdir(mode=0o700, exist_ok=True)
            with partly.open("wb") as file:
                file.write(head.encode() + b"\n" + data)
            partly.replace(place)
        except OSError:
            with suppress(OSError):
                partly.unlink(missing_ok=True)
            return
        with self._lock:
            self._written += len(data)
            full = self._written > self._max_bytes // 8
            self._written = 0 if full else self._written
        if full:
            self.prune()

    def tidy(self) -> None:
        """Prunes the folder, unless nothing was added or somebody has just done so: it means to list it."""
        mark = self._folder / _MARK
        try:
            recent = time.time() - mark.stat().st_mtime < _OFTEN
        except OSError:
            recent = False
        if self._written and not recent:
            with suppress(OSError):
                mark.touch()
            self.prune()

    def prune(self) -> None:
        """Removes what goes beyond the bound, the longest unused first."""
        kept = []
        for place in self._folder.glob("??/*"):
            with suppress(OSError):
                told = place.stat()
                kept.append((told.st_mtime, told.st_size, place))
        size = 0
        for _, bytes_, place in sorted(kept, key=lambda one: one[0], reverse=True):
            size += bytes_
            if size > self._max_bytes:
                with suppress(OSError):
                    place.unlink(missing_ok=True)

    def _place(self, url: str) -> Path:
        key = hashlib.sha256(url.partition("#")[0].encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / key[:2] / (key[2:] + _SUFFIX)
