"""Folders in which a step keeps what it needs to go on after it was killed.

    STORE/resumable/KEY/     the step's own files
    STORE/locks/resumable-KEY  held by the process that works there, for as long as it does

KEY stands for everything that decides what the step gives: its code and libraries, its inputs and its
parameters, but for those of which the component says that it can go on with other ones. So a step that is
run again, by `headrace resume` or as it stands, finds what its killed attempt left, and one with other
parameters finds nothing. The folder goes when the step's outputs are published; what nobody went on from
goes with the record of its run, by `headrace gc`.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .fingerprint import Parts, canonical, fingerprint
from .locks import Lock

FOLDER = "resumable"
FORMAT = 1
"""Goes into every key."""
_RUN = "run.txt"
PATIENCE = 5.0
"""Seconds that an attempt waits for a folder: a worker whose run was killed needs a moment to notice it, and
`Store.sweep` holds each lock for an instant."""


@dataclass
class Resumables:
    """One attempt's access to the folders of its killed ones.

    Attributes:
        store: the folder of the store.
        staging: the attempt's folder, where the keys are noted until the outputs are published.
        run: the attempt's run.
        rest: stands for the step's component, code, libraries and inputs.
        parameters: a digest of each semantic parameter.
        fresh: begin anew, as the step was forced.
    """

    store: Path
    staging: Path
    run: str
    rest: str
    parameters: Mapping[str, str]
    fresh: bool = False
    _held: list[Lock] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Parts, store: Path, staging: Path, run: str, fresh: bool = False) -> Resumables:
        """Those of a step whose fingerprint is made of `parts`."""
        digests = {name: _digest(value) for name, value in parts.parameters.items()}
        return cls(store, staging, run, fingerprint(replace(parts, parameters={})), digests, fresh)

    def to_json(self) -> dict[str, Any]:
        """What another process makes it of, as keyword arguments but `staging`, which it knows."""
        return {
            "store": str(self.store), "run": self.run, "rest": self.rest, "parameters": dict(self.parameters),
            "fresh": self.fresh,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any], staging: Path) -> Resumables:
        """Reads what `to_json` gave."""
        return cls(**{**value, "store": Path(value["store"])}, staging=staging)

    def take(self, facts: Any, without: Sequence[str]) -> Path | None:
        """The folder for these facts, locked until `release`; see `Context.resumable`."""
        kept = {name: digest for name, digest in sorted(self.parameters.items()) if name not in without}
        key = _digest([FORMAT, self.rest, kept, facts])
        lock = Lock(self.store / "locks" / f"{FOLDER}-{key}")
        until = time.monotonic() + PATIENCE
        while not lock.acquire(wait=False):
            if time.monotonic() >= until:
                return None
            time.sleep(0.02)
        self._held.append(lock)
        folder = self.store / FOLDER / key
        if self.fresh:
            _remove(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _RUN).write_text(self.run, "utf-8")
        (self.staging / FOLDER).mkdir(exist_ok=True)
        (self.staging / FOLDER / key).touch()
        return folder

    def release(self) -> None:
        """Gives the folders back; the attempt is over."""
        while self._held:
            self._held.pop().release(remove=True)


def end_resumables(store: Path, staging: Path) -> None:
    """Removes the folders of an attempt whose outputs are published, unless another attempt holds them."""
    for note in (staging / FOLDER).glob("*"):
        lock = Lock(store / "locks" / f"{FOLDER}-{note.name}")
        if lock.acquire(wait=False):
            _remove(store / FOLDER / note.name)
            lock.release(remove=True)


def abandoned(store: Path, runs: Set[str]) -> list[Path]:
    """The folders that were left by none of these runs."""
    return [path for path in sorted((store / FOLDER).glob("*")) if _run_of(path) not in runs]


def _run_of(folder: Path) -> str:
    try:
        return (folder / _RUN).read_text("utf-8")
    except (OSError, ValueError):
        return ""


def _remove(folder: Path) -> None:
    from .store import remove_tree

    # Out of sight at once, so that nobody goes on from half of it.
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)
    remove_tree(gone)


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
