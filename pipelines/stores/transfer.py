"""How artifacts get to a remote store and back, so that nobody ever sees half of one.

    artifacts/TYPE/DIGEST/ATTEMPT/FILE   the files, as one attempt wrote them
    manifests/TYPE/DIGEST.json           the manifest with the name of the attempt; written last
    staging/RUN/TYPE.DIGEST.ATTEMPT      that RUN is about to write there; removed after the manifest

Only a manifest makes an artifact. It is written if there is none yet, so that of two runs which publish the
same content the first one's files count; the other's are removed by itself. Where a service doesn't know
conditional writes the last one counts, which has the same content by its digest. The notes in staging tell
what a killed run has left to be removed.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..artifact import MANIFEST, Artifact, artifact_of, confined, content_digest, file_digest
from ..errors import StoreError
from .objects import Objects, side_by_side

_KEY = re.compile(r"manifests/([A-Za-z_]\w*)/([0-9a-f]{64})\.json")
_ATTEMPT = re.compile(r"[0-9a-f]{32}")
_NAMED = re.compile(rb'"attempt": "([0-9a-f]{32})"')


@dataclass(frozen=True)
class Published:
    """An artifact as the remote store has it; `artifact.path` is where its files would lie here."""

    artifact: Artifact
    attempt: str

    @property
    def folder(self) -> str:
        """Where the files are, as a key."""
        return f"artifacts/{self.artifact.type}/{self.artifact.digest}/{self.attempt}"


class Transfer:
    """Publishes, finds, fetches and removes artifacts.

    Args:
        objects: the store's.
        folder: the cache's folder.
    """

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects = objects
        self._folder = folder

    def artifact_keys(self) -> list[tuple[str, str]]:
        """(type, digest) of every artifact."""
        found = (_KEY.fullmatch(key) for key in self._objects.sizes("manifests"))
        return sorted((match[1], match[2]) for match in found if match)

    def find(self, type_name: str, digest: str) -> Published | None:
        """An artifact by its manifest, whose files are not looked at.

        Raises:
            StoreError: the manifest is not what it has to be, or no artifact can have this type and digest.
        """
        key = _manifest(type_name, digest)
        if not _KEY.fullmatch(key):  # from a record, which anybody may have written
            raise StoreError("that is no artifact's type and digest", file=f"{self._objects.uri}/{key}")
        text = self._objects.read_all([key]).get(key)
        return None if text is None else self._published(type_name, digest, text)

    def find_all(self) -> list[Published]:
        """Every artifact whose manifest can be read."""
        found = []
        texts = self._objects.read_all(_manifest(*key) for key in self.artifact_keys())
        for key, text in texts.items():
            match = _KEY.fullmatch(key)
            assert match is not None
            try:
                found.append(self._published(match[1], match[2], text))
            except StoreError:
                continue
        return found

    def _published(self, type_name: str, digest: str, text: bytes) -> Published:
        where = f"{self._objects.uri}/{_manifest(type_name, digest)}"
        artifact = artifact_of(text, self._folder / "artifacts" / type_name / digest, where)
        attempt = json.loads(text).get("attempt", "")
        stable = content_digest(artifact.type, artifact.properties, artifact.files)
        if (artifact.type, artifact.digest, stable) != (type_name, digest, digest):
            raise StoreError(f"{MANIFEST} doesn't match the digest", file=where)
        if not isinstance(attempt, str) or not _ATTEMPT.fullmatch(attempt):
            raise StoreError("the manifest names no attempt", file=where)
        return Published(artifact, attempt)

    def problem(self, published: Published) -> str:
        """What is wrong with an artifact's objects, or an empty string; their content is not read."""
        return self._missing(published.artifact, published.folder)

    def _missing(self, artifact: Artifact, folder: str) -> str:
        sizes = self._objects.sizes(folder)
        for entry in artifact.files:
            size = sizes.get(f"{folder}/{entry.path}")
            if size != entry.size:
                return (
                    f"{entry.path} {'is missing' if size is None else f'has {size} bytes, not {entry.size}'}"
                )
        return ""

    def publish(self, artifact: Artifact, run: str) -> None:
        """Writes an artifact that is in the cache, unless it is there already."""
        known = self._sound(artifact)
        if known is not None and not self.problem(known):
            return
        attempt = uuid.uuid4().hex
        note = f"staging/{run}/{artifact.type}.{artifact.digest}.{attempt}"
        self._objects.write(note, b"")
        ours = Published(artifact, attempt)
        self._objects.upload((artifact.file(f.path), f"{ours.folder}/{f.path}") for f in artifact.files)
        if trouble := self._missing(artifact, ours.folder):
            raise StoreError(
                f"the store lost what was just written: {trouble}",
                file=f"{self._objects.uri}/{ours.folder}",
                remedy="see whether something else removes objects there, and run again",
            )
        key = _manifest(artifact.type, artifact.digest)
        content = json.dumps({**artifact.manifest(), "attempt": attempt}, indent=1).encode()
        if known is None and self._objects.create(key, content):
            pass
        elif known is None and (other := self._sound(artifact)) and not self.problem(other):
            self._objects.remove_folder(ours.folder)
        else:  # what is there is damaged
            self._objects.write(key, content)
        self._objects.remove([note])

    def _sound(self, artifact: Artifact) -> Published | None:
        """The artifact as it is published; one with a damaged manifest counts as one without files."""
        try:
            return self.find(artifact.type, artifact.digest)
        except StoreError:
            return Published(artifact, "0" * 32)

    def fetch(
        self, published: Published, folder: Path, tell: Callable[[int, int], None] | None = None
    ) -> None:
        """Fetches an artifact's files into a new folder, each checked by its SHA-256.

        Args:
            published: the artifact.
            folder: made here.
            tell: takes how many bytes are there, and how many there are to be.

        Raises:
            StoreError: a file is not there, or not what was published.
        """
        artifact = published.artifact
        targets = [confined(folder, entry.path) for entry in artifact.files]
        for parent in {target.parent for target in targets} | {folder}:
            parent.mkdir(parents=True, exist_ok=True)

        def get(number: int) -> None:
            entry, target = artifact.files[number], targets[number]
            key = f"{published.folder}/{entry.path}"
            try:
                self._objects.download(key, target)
            except FileNotFoundError:
                raise self._damaged(artifact, f"{entry.path} is missing") from None
            if file_digest(target) != entry.sha256:
                raise self._damaged(artifact, f"{entry.path} was changed: its SHA-256 is not the manifest's")
            target.chmod(0o444)
            with guard:
                totals.append(totals[-1] + entry.size)
                if tell is not None:
                    tell(totals[-1], whole)

        guard, totals = threading.Lock(), [0]
        whole = sum(entry.size for entry in artifact.files)
        side_by_side(get, range(len(targets)))
        (folder / MANIFEST).write_text(json.dumps(artifact.manifest(), indent=1) + "\n", "utf-8")

    def _damaged(self, artifact: Artifact, trouble: str) -> StoreError:
        return StoreError(
            f"{artifact!r} is damaged in the store: {trouble}",
            file=f"{self._objects.uri}/artifacts/{artifact.type}/{artifact.digest}",
            remedy="run the pipeline again: the step that made it runs anew",
        )

    def withdraw(self, published: Published) -> None:
        """Takes a damaged artifact out of sight, so that it is no hit any more."""
        known = self._sound(published.artifact)
        if known is not None and known.attempt == published.attempt:
            self._objects.remove([_manifest(published.artifact.type, published.artifact.digest)])

    def remove(self, type_name: str, digest: str) -> None:
        """Removes an artifact; the manifest first, so that nobody takes it for one from then on."""
        self._objects.remove([_manifest(type_name, digest)])
        self._objects.remove_folder(f"artifacts/{type_name}/{digest}")

    def clear(self, run: str) -> None:
        """Removes what a run that is over has in staging, and what it was about to publish."""
        notes = self._objects.sizes(f"staging/{run}")
        for note in notes:
            parts = note.rpartition("/")[2].split(".")
            if len(parts) == 3 and _ATTEMPT.fullmatch(parts[2]):
                self._forget_attempt(*parts)
        self._objects.remove(notes)

    def _forget_attempt(self, type_name: str, digest: str, attempt: str) -> None:
        folder = f"artifacts/{type_name}/{digest}/{attempt}"
        if folder not in self._named([_manifest(type_name, digest)]):
            self._objects.remove_folder(folder)

    def _named(self, keys: Iterable[str]) -> set[str]:
        """The folders that manifests name, also those that a newer headrace wrote in a way of its own."""
        named = set()
        for key, text in self._objects.read_all(keys).items():
            place = key.removeprefix("manifests/").removesuffix(".json")
            named |= {f"artifacts/{place}/{found.decode()}" for found in _NAMED.findall(text)}
        return named

    def remove_orphans(self) -> None:
        """Removes every attempt that no manifest names; nobody may be publishing."""
        kept = self._named(_manifest(*key) for key in self.artifact_keys())
        keys = self._objects.sizes("artifacts")
        self._objects.remove(key for key in keys if "/".join(key.split("/")[:4]) not in kept)


def _manifest(type_name: str, digest: str) -> str:
    return f"manifests/{type_name}/{digest}.json"
