"""What a step may use again of what it made before: pieces of its earlier artifacts.

A step whose input grew runs again as a whole, though most of what it makes it has made before. So a component
may note, beside an artifact that it finishes, what each piece of it was made of (a key: a digest of all that
decides the piece) and what it consists of (a value, with the files' SHA-256). The next attempt recalls the
value by the key and copies the files out of the earlier artifact.

    STORE/reuse/KEY.json    {"type", "digest": the artifact that holds the files, "sha256", "value"}

Nothing rests on these notes. They are written after the artifact is published, whole or not at all; one that
is missing, damaged or of another shape is a piece that is made again, and so is one whose files are not
there or not what they were. The folder may be deleted at any time, and `headrace gc` removes the notes of
artifacts that are gone. Artifacts stay on their own: files are copied, never referred to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence, Set
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from .fingerprint import Parts, canonical, fingerprint

if TYPE_CHECKING:
    from .artifact import Artifact
    from .store import Store

T = TypeVar("T")

FOLDER = "reuse"
FORMAT = 1
"""Goes into every key: the shape of what notes say, and the engine's part in making a piece."""
_PIECE = 1 << 20


class Note(msgspec.Struct, frozen=True):
    """A note as it is stored; `value` is the component's own, and `sha256` that of its text."""

    type: Annotated[str, msgspec.Meta(pattern=r"^\w+$")]
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    sha256: str
    value: msgspec.Raw


class Reuse:
    """One attempt's access to the notes of earlier ones.

    Args:
        store: the folder of the store.
        code: what stands for the step's code and libraries in every key, see `code_of`.
        staging: the attempt's folder, where new notes wait until the artifact is published.
        fresh: recall nothing, as the step was forced; new notes are taken all the same.
    """

    def __init__(self, store: Path, code: str, staging: Path, fresh: bool = False) -> None:
        self._folder = store
        self._code = code
        self._staging = staging
        self._fresh = fresh

    def to_json(self) -> dict[str, Any]:
        """What another process makes it of, as keyword arguments but `staging`, which it knows."""
        return {"store": str(self._folder), "code": self._code, "fresh": self._fresh}

    @cached_property
    def _store(self) -> Store:
        from .store import Store

        return Store(self._folder)

    def digests(self, paths: Sequence[Path]) -> dict[str, str]:
        """SHA-256 of each file by path; one that the store knows and that didn't change isn't read."""
        return self._store.digests(paths)

    def key(self, facts: Any) -> str:
        """The key of a piece: `facts` are JSON values of all that decides it beside the code."""
        return hashlib.sha256(canonical([FORMAT, self._code, facts])).hexdigest()

    def recall(self, key: str, kind: type[T]) -> tuple[T, Path] | None:
        """What was noted, and the folder of the artifact that has the files; None if there is no good note.

        Args:
            key: see `key`.
            kind: the value's type, which it is checked against.
        """
        if self._fresh:
            return None
        try:
            note = msgspec.json.decode(self._place(key).read_bytes(), type=Note)
            if hashlib.sha256(note.value).hexdigest() != note.sha256:
                return None
            value = msgspec.json.decode(note.value, type=kind)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return value, self._store.place(note.type, note.digest)

    def note(self, key: str, artifact: Artifact, value: Any) -> None:
        """Notes a piece of an artifact that is finished; it counts as soon as that is published."""
        folder = self._staging / FOLDER
        folder.mkdir(exist_ok=True)
        text = msgspec.json.encode(value)
        told = Note(artifact.type, artifact.digest, hashlib.sha256(text).hexdigest(), msgspec.Raw(text))
        (folder / f"{key}.json").write_bytes(msgspec.json.encode(told))

    def _place(self, key: str) -> Path:
        return self._folder / FOLDER / f"{key}.json"


def code_of(parts: Parts) -> str:
    """What stands for a step's component, code and libraries in the keys of its pieces."""
    return fingerprint(replace(parts, parameters={}, inputs={}))


def keep_notes(store: Path, staging: Path) -> None:
    """Takes an attempt's notes into the store; its artifacts are published.

    Without them nothing is wrong, so that a full disk is no error here.
    """
    with contextlib.suppress(OSError):
        (store / FOLDER).mkdir(exist_ok=True)
        for path in (staging / FOLDER).iterdir():
            path.rename(store / FOLDER / path.name)


def forget_notes(store: Path, artifacts: Set[tuple[str, str]]) -> None:
    """Removes the notes that are of none of these artifacts (type, digest), or can't be read."""
    for path in (store / FOLDER).glob("*"):
        try:
            note = msgspec.json.decode(path.read_bytes(), type=Note)
            known = (note.type, note.digest) in artifacts
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            known = False
        if not known:
            with contextlib.suppress(OSError):
                path.unlink()


def copy_checked(source: Path, target: Path, sha256: str) -> bool:
    """Copies a file, and says whether it is there and has this SHA-256; the copy of another is removed.

    On file systems that can share blocks between files (Btrfs, XFS) the copy takes neither time nor room.
    """
    hashed = hashlib.sha256()
    try:
        _copy(source, target)
        with target.open("rb", buffering=0) as stream:
            while piece := stream.read(_PIECE):
                hashed.update(piece)
    except OSError:
        target.unlink(missing_ok=True)
        return False
    if hashed.hexdigest() != sha256:
        target.unlink()
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        left = os.fstat(reading.fileno()).st_size
        try:
            while left > 0:
                done = os.copy_file_range(reading.fileno(), writing.fileno(), left)
                if not done:
                    return  # shorter than it was: its digest will tell
                left -= done
        except (OSError, AttributeError):  # across file systems, or not on Linux
            reading.seek(0)
            writing.seek(0)
            writing.truncate()
            shutil.copyfileobj(reading, writing, _PIECE)
