"""Garbage collection: keeps the newest runs of every pipeline and what they refer to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .resumable import abandoned
from .reuse import forget_notes
from .store import Store, remove_tree

KEEP = 10
"""How many runs of each pipeline are kept unless told otherwise."""

Key = tuple[str, str]
"""An artifact's type and digest."""


@dataclass(frozen=True)
class Garbage:
    """What can be removed.

    Attributes:
        runs: ids of runs, the newest first.
        artifacts: (type, digest) of artifacts that no kept run refers to.
        size: bytes of these artifacts' files.
    """

    runs: tuple[str, ...]
    artifacts: tuple[Key, ...]
    size: int

    def to_json(self) -> dict[str, Any]:
        """The garbage as JSON values."""
        artifacts = [{"type": kind, "digest": digest} for kind, digest in self.artifacts]
        return {"runs": list(self.runs), "artifacts": artifacts, "bytes": self.size}


def collect(store: Store, keep: int = KEEP, dry_run: bool = False) -> Garbage:
    """Removes old runs, the artifacts that only they refer to, and the litter of killed runs.

    A run is kept, beyond the `keep` newest of its pipeline, if a kept run took a step of it from the
    cache: without its record the step would not be a hit any more.

    Args:
        store: the store.
        keep: how many runs of each pipeline to keep.
        dry_run: only say what would be removed.

    Raises:
        StoreError: a run is using the store.
    """
    with store.exclusive():
        garbage = find_garbage(store, keep)
        if dry_run:
            return garbage
        for run in garbage.runs:
            store.remove_run(run)
        for key in garbage.artifacts:
            store.remove_artifact(*key)
        forget_notes(store.folder, set(store.artifact_keys()))
        for folder in abandoned(store.folder, set(store.runs())):
            remove_tree(folder)
        _forget_searches(store)
        store.sweep()
    return garbage


def _forget_searches(store: Store) -> None:
    """Removes the journals of searches that no run tells of any more."""
    records = {run: store.run_record(run) for run in store.runs()}
    known = _searches(records, set(records))
    for folder in (store.folder / "searches").glob("*"):
        if folder.name not in known:
            remove_tree(folder)


def find_garbage(store: Store, keep: int = KEEP) -> Garbage:
    """What `collect` would remove."""
    records = {run: store.run_record(run) for run in store.runs()}
    newest = _newest(records, keep)
    wanted = {
        told["fingerprint"]
        for run in newest
        for told in records[run]["steps"].values()
        if told["fingerprint"]
    }
    kept = newest | _origins(records, wanted)
    referred = {key for run in kept for key in _referred(records[run])}
    digests = {digest for _, digest in referred}
    unused = tuple(key for key in store.artifact_keys() if key[1] not in digests)
    return Garbage(
        tuple(run for run in records if run not in kept), unused, sum(store.size(*key) for key in unused)
    )


def _newest(records: Mapping[str, Mapping[str, Any]], keep: int) -> set[str]:
    """The newest runs of each pipeline; the records come with the newest first.

    The trials of a search count for nothing and go with its run.
    """
    kept: dict[str, list[str]] = {}
    for run, record in records.items():
        mine = kept.setdefault(record["pipeline"], [])
        if len(mine) < keep and "trial" not in record:
            mine.append(run)
    newest = {run for runs in kept.values() for run in runs}
    searches = _searches(records, newest)
    return newest | {r for r, record in records.items() if record.get("trial", {}).get("search") in searches}


def _searches(records: Mapping[str, Mapping[str, Any]], runs: set[str]) -> set[str]:
    """The keys of the searches that some runs made."""
    return {records[run]["tune"]["search"] for run in runs if "tune" in records[run]}


def _origins(records: Mapping[str, Mapping[str, Any]], wanted: set[str]) -> set[str]:
    """For each fingerprint the newest run that executed it."""
    found: dict[str, str] = {}
    for run, record in records.items():
        for told in record["steps"].values():
            if told["status"] == "ran" and told["fingerprint"] in wanted:
                found.setdefault(told["fingerprint"], run)
    return set(found.values())


def _referred(record: Mapping[str, Any]) -> Iterator[Key]:
    """The artifacts that a run's steps gave and read; the type of an input isn't recorded."""
    for told in record["steps"].values():
        for output in told["outputs"].values():
            yield output["type"], output["digest"]
        for digest in told.get("parts", {}).get("inputs", {}).values():
            yield "", digest
