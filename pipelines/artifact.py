"""Artifacts: immutable folders with a manifest, found by the digest of their content.

A component writes into a `Draft` (`ctx.output(Statistics)`), and `finish` hashes what is there and
gives the artifact. The digest covers the type, the properties, and the name and SHA-256 of every file
that is not volatile (a file is volatile if it differs by nature: it holds a time, or a random id).
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Generic, TypeVar

from .errors import StepError, StoreError

MANIFEST = "manifest.json"
FORMAT = 1
"""The version of the manifest's layout; a store with a higher one is refused."""


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact: its path relative to the artifact (with slashes), bytes and SHA-256."""

    path: str
    size: int
    sha256: str
    volatile: bool = False


@dataclass(frozen=True, repr=False)
class Artifact:
    """An immutable folder. Subclasses are its types; a new type is a new subclass, nothing else.

    Attributes:
        path: the folder.
        digest: SHA-256 in hex of the content: type, properties and files.
        properties: JSON values that belong to the content, for example splits and columns.
        summary: JSON values that are shown to people and are not part of the digest.
        files: every file but the manifest, sorted by path.
    """

    path: Path
    digest: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[FileEntry, ...] = ()

    types: ClassVar[dict[str, type[Artifact]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Artifact.types[cls.__name__] = cls

    def __repr__(self) -> str:
        """The type and the beginning of the digest, as the command line shows it."""
        return f"{self.type}({self.digest[:12]})"

    @property
    def type(self) -> str:
        """The name of the artifact's type."""
        return type(self).__name__

    def file(self, name: str) -> Path:
        """The path of one of the artifact's files, which has to lie inside it."""
        return confined(self.path, name)

    def read_json(self, name: str) -> Any:
        """The content of one of the artifact's JSON files."""
        return json.loads(self.file(name).read_text("utf-8"))

    @property
    def pictures(self) -> list[Path]:
        """The pictures in it for people to look at: the files that `pictures` names in the summary."""
        return [self.file(name) for name in self.summary.get("pictures") or ()]

    def manifest(self) -> dict[str, Any]:
        """The manifest as JSON values."""
        return {
            "format": FORMAT,
            "type": self.type,
            "digest": self.digest,
            "properties": dict(self.properties),
            "summary": dict(self.summary),
            "files": [
                {
                    "path": f.path,
                    "size": f.size,
                    "sha256": f.sha256,
                    **({"volatile": True} if f.volatile else {}),
                }
                for f in self.files
            ],
        }


class Files(Artifact):
    """Plain files, as another component wants to read them."""


class RowsInSplits(Artifact):
    """Rows in splits, each in files: what Examples and Predictions have in common.

    Properties: `format`, and `splits`, a mapping from the split's name to `{"rows": int, "parts": [{"path":
    str, "rows": int}, …]}`; the rest is stated by the component.
    """

    def __repr__(self) -> str:
        """The type, the beginning of the digest, and the rows of each split."""
        rows = ", ".join(
            f"{name} {split['rows']}" for name, split in self.properties.get("splits", {}).items()
        )
        return f"{self.type}({self.digest[:12]}{f': {rows}' if rows else ''})"

    @property
    def splits(self) -> Mapping[str, Any]:
        """The splits by name, in the order of ingestion."""
        splits: Mapping[str, Any] = self.properties["splits"]
        return splits

    def rows(self, split: str) -> int:
        """The number of rows of a split."""
        return int(self.splits[split]["rows"])

    def parts(self, split: str) -> list[Path]:
        """The files of a split, in order."""
        return [self.file(part["path"]) for part in self.splits[split]["parts"]]


class Examples(RowsInSplits):
    """Rows in splits: Parquet parts as ingested (`format` is "parquet"), or TFRecord shards as transformed
    ("tfrecord")."""


class Statistics(Artifact):
    """Statistics of every feature of every split, in `statistics.json`."""


class Schema(Artifact):
    """The expected features, their types, presence and domains, in `schema.yaml`."""


class Anomalies(Artifact):
    """Where data departs from its schema."""


class Transform(Artifact):
    """A fitted preprocessing: its plan and constants, as JSON and npz."""


class Model(Artifact):
    """A trained Keras model with the Transform that made its input."""


class Evaluation(Artifact):
    """Metrics of a model on a split, and whether it is blessed."""


class ExportedModel(Artifact):
    """A SavedModel with the preprocessing inside, in a version folder."""


class Predictions(RowsInSplits):
    """The answers of an exported model to rows, in their order; `format` is "parquet", "csv" or "tfrecord".

    Properties: `model`, the ExportedModel's digest; `columns`, their types by name.
    """


class Trials(Artifact):
    """The trials of a search: `trials.json`, a table in `trials.csv` and a picture in `trials.png`.

    Properties: `search`, the settings; `best`, the best trial's number, values and metric.
    """


def confined(folder: Path, name: str) -> Path:
    """`folder/name`, refused if it leaves `folder`.

    Raises:
        StoreError: the name is absolute or climbs out, so the manifest was not written by headrace.
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise StoreError(
            f"the file name {name!r} leads out of its artifact",
            file=str(folder),
            remedy="the manifest was tampered with: delete the artifact and run the pipeline again",
        )
    return folder.joinpath(*parts.parts)


def content_digest(type_name: str, properties: Mapping[str, Any], files: Sequence[FileEntry]) -> str:
    """SHA-256 in hex over an artifact's type, properties and stable files."""
    stable = [[f.path, f.size, f.sha256] for f in files if not f.volatile]
    text = json.dumps(
        [FORMAT, type_name, properties, stable], sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 in hex of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


A = TypeVar("A", bound=Artifact)


class Draft(Generic[A]):
    """An artifact while it is being written: fill `path`, then call `finish`.

    Args:
        kind: its type.
        path: the folder, which is made.
        filled: whether the folder is there, and others have filled it.
    """

    def __init__(self, kind: type[A], path: Path, filled: bool = False) -> None:
        self.kind = kind
        self.path = path
        path.mkdir(parents=True, exist_ok=filled)

    def finish(
        self,
        properties: Mapping[str, Any] | None = None,
        summary: Mapping[str, Any] | None = None,
        volatile: Sequence[str] = (),
        digests: Mapping[str, str] | None = None,
    ) -> A:
        """Hashes the files and gives the artifact, still in its staging folder.

        Args:
            properties: JSON values that belong to the content.
            summary: JSON values for people.
            volatile: patterns (`*` crosses slashes) of files that differ between equal runs.
            digests: SHA-256 by name of files that were hashed while they were written, or read to the end
                since, and needn't be read again.

        Raises:
            StepError: something in the folder is not a plain file, or is called `manifest.json`.
        """
        names = sorted(path.relative_to(self.path).as_posix() for path in _plain_files(self.path))
        if MANIFEST in names:
            raise StepError(
                f"{MANIFEST} is the name of headrace's own file",
                file=str(self.path / MANIFEST),
                remedy="give the file another name, and call finish() once",
            )
        known = digests or {}
        entries = tuple(self._entry(name, volatile, known.get(name)) for name in names)
        # Through JSON and back, so that what a component gets next is what a later process will load.
        stated = json.loads(json.dumps(properties or {}, allow_nan=False))
        shown = json.loads(json.dumps(summary or {}))
        digest = content_digest(self.kind.__name__, stated, entries)
        artifact = self.kind(self.path, digest, stated, shown, entries)
        (self.path / MANIFEST).write_text(json.dumps(artifact.manifest(), indent=1) + "\n", "utf-8")
        return artifact

    def _entry(self, name: str, volatile: Sequence[str], sha256: str | None) -> FileEntry:
        path = self.path / name
        loose = any(fnmatch.fnmatch(name, pattern) for pattern in volatile)
        return FileEntry(name, path.stat().st_size, sha256 or file_digest(path), loose)


def _plain_files(folder: Path) -> list[Path]:
    """Every file below a folder; raises StepError for a link or a special file."""
    found = []
    for path in folder.rglob("*"):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            continue
        # A link would leave the content outside the store, where it can change.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise StepError(
                "an artifact holds plain files only, and this is a link or a special file",
                file=str(path),
                remedy="copy the file's content",
            )
        found.append(path)
    return found


def check_finished(artifact: Artifact) -> None:
    """Checks that nothing happened to an artifact's folder since `finish`.

    Raises:
        StepError: a file was added, removed or written to.
    """
    sealed = (artifact.path / MANIFEST).stat().st_mtime_ns
    present = {path.relative_to(artifact.path).as_posix(): path for path in _plain_files(artifact.path)}
    sizes = {entry.path: entry.size for entry in artifact.files}
    changed = {MANIFEST, *sizes} ^ present.keys()
    for name, size in sizes.items():
        status = present[name].stat() if name in present else None
        if status and (status.st_size != size or status.st_mtime_ns > sealed):
            changed.add(name)
    if changed:
        raise StepError(
            f"{', '.join(sorted(changed)[:5])} changed after finish()",
            file=str(artifact.path),
            remedy="write all files first, then return what `finish()` gives",
        )


def load_artifact(path: Path) -> Artifact:
    """Reads an artifact's manifest; its files are not touched.

    Raises:
        StoreError: there is no manifest, it can't be read, or it was written by a newer version.
    """
    try:
        text = (path / MANIFEST).read_text("utf-8")
    except FileNotFoundError as error:
        raise StoreError("no artifact is here", file=os.fspath(path)) from error
    except ValueError:
        text = ""
    return artifact_of(text, path, str(path / MANIFEST))


def artifact_of(text: str | bytes, path: Path, where: str) -> Artifact:
    """The artifact whose manifest this is; the text comes from `where`, its files are or will be in `path`.

    Raises:
        StoreError: the text can't be read, or was written by a newer version.
    """
    try:
        manifest = json.loads(text)
        if manifest["format"] > FORMAT:
            raise StoreError(
                f"the artifact has format {manifest['format']}, and this headrace reads up to {FORMAT}",
                file=where,
                remedy="upgrade headrace, or use another store",
            )
        files = tuple(
            FileEntry(f["path"], f["size"], f["sha256"], f.get("volatile", False)) for f in manifest["files"]
        )
        kind: type[Artifact] = Artifact.types.get(manifest["type"]) or type(manifest["type"], (Artifact,), {})
        return kind(path, manifest["digest"], manifest["properties"], manifest["summary"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the manifest can't be read ({error})",
            file=where,
            remedy="delete the artifact's folder and run the pipeline again",
        ) from error
