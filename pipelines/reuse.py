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
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar

import msgspec

from .fingerprint import Parts, canonical, fingerprint

if TYPE_CHECKING:
    from .artifact import Artifact
    from .store import Store

T = TypeVar("T")

FOLDER = "reuse"
FORMAT = 1
"""Goes into every key: the shape of what notes say, and the engine's part in making a piece."""
_UNREADABLE = (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What comes of a note that is none; the last of one that is nested without end."""
_PIECE = 1 << 20
_COPIES = 4


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
        except _UNREADABLE:
            return None
        return value, self._store.place(note.type, note.digest)

    def note(self, key: str, artifact: Artifact, value: Any) -> None:
        """Notes a piece of an artifact that is finished; it counts as soon as that is published."""
        folder = self._staging / FOLDER
        folder.mkdir(exist_ok=True)
        text = msgspec.json.encode(value)
        told = Note(artifact.type, artifact.digest, hashlib.sha256(text).hexdigest(), msgspec.Raw(text))
        (folder / f"{key}.json").write_bytes(msgspec.json.encode(told))

    def copy(self, files: Sequence[tuple[Path, Path, str]]) -> list[bool]:
        """Copies files out of published artifacts.

        A file counts as what it was if its SHA-256 is; as with every artifact that is taken from the cache,
        it is read for that only if it was touched since it was published.

        Args:
            files: source, target and SHA-256 of each.

        Returns:
            Whether each target is there: not where the source is missing or damaged.
        """
        from concurrent.futures import ThreadPoolExecutor

        stamps: dict[Path, tuple[int, int]] = {}
        for source, _, _ in files:
            with contextlib.suppress(OSError, ValueError):  # a path with NUL is a ValueError
                stamps[source] = _stamp(source)
        try:
            digests = self.digests(list(stamps))
        except OSError:  # one of them vanishes or can't be read just now
            return [False] * len(files)

        def copied(file: tuple[Path, Path, str]) -> bool:
            source, target, sha256 = file
            return digests.get(str(source)) == sha256 and _copy(source, target, stamps[source])

        with ThreadPoolExecutor(_COPIES) as pool:
            return list(pool.map(copied, files))

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
        for path in (staging / FOLDER).iterdir():
            (store / FOLDER).mkdir(exist_ok=True)
            path.rename(store / FOLDER / path.name)


def forget_notes(store: Path, artifacts: Set[tuple[str, str]]) -> None:
    """Removes the notes that are of none of these artifacts (type, digest), or can't be read."""
    for path in (store / FOLDER).glob("*"):
        try:
            note = msgspec.json.decode(path.read_bytes(), type=Note)
            known = (note.type, note.digest) in artifacts
        except _UNREADABLE:
            known = False
        if not known:
            with contextlib.suppress(OSError):
                path.unlink()


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_ctime_ns


def _copy(source: Path, target: Path, stamp: tuple[int, int]) -> bool:
    """Copies a file, and says whether it is there and was not touched since it had this stamp.

    On file systems whose files can share blocks (Btrfs, XFS) a copy takes neither time nor room.
    """
    try:
        with source.open("rb") as reading, target.open("xb") as writing:
            _copy_bytes(reading, writing)
        done = _stamp(source) == stamp and target.stat().st_size == stamp[0]
    except OSError:
        done = False
    if not done:
        target.unlink(missing_ok=True)
    return done


def _copy_bytes(reading: BinaryIO, writing: BinaryIO) -> None:
    left = os.fstat(reading.fileno()).st_size
    try:
        while left > 0:
            done = os.copy_file_range(reading.fileno(), writing.fileno(), left)
            if not done:
                return
            left -= done
    except (OSError, AttributeError):  # not between these file systems, or not on Linux
        reading.seek(0)
        writing.seek(0)
        writing.truncate()
        shutil.copyfileobj(reading, writing, _PIECE)
