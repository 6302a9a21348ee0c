"""What runs and artifacts are called on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequestError

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..store import Store

_DIGEST = re.compile(r"[0-9a-f]{4,64}")


def run_id(store: Store, name: str) -> str:
    """The run that a name means.

    Args:
        store: where to look.
        name: the beginning of an id, or of an id's last part; empty for the newest run.

    Raises:
        InvalidRequestError: there is none, or several.
    """
    runs = store.runs()
    found = [run for run in runs if _begins(run, name)] if name else runs[:1]
    if not runs:
        raise InvalidRequestError("there are no runs in the store", file=store.uri)
    if name in found:
        return name
    if len(found) != 1:
        what = f"{name!r} may be any of {len(found)} runs" if found else f"there is no run {name!r}"
        raise InvalidRequestError(
            what,
            given="" if found else name,
            available=tuple(found or runs),
            remedy="see `headrace runs list`",
        )
    return found[0]


def _begins(run: str, name: str) -> bool:
    return run.startswith(name) or run.rpartition("-")[2].startswith(name)


def run_record(store: Store, name: str = "") -> dict[str, Any]:
    """The record of the run that a name means, with the status `killed` if its process is gone."""
    return with_state(store, store.run_record(run_id(store, name)))


def with_state(store: Store, record: dict[str, Any]) -> dict[str, Any]:
    """A run's record with its true status: one that says `running` may have been killed."""
    if record.get("status") == "running" and not store.is_running(record["run"]):
        return {**record, "status": "killed"}
    return record


def artifact_named(store: Store, name: str, run: str = "") -> Artifact:
    """The artifact that a name means.

    Args:
        store: where to look.
        name: the beginning of a digest (4 characters at least), a step (`train`), or a step's output
            (`transform.examples`); or the artifact's own folder.
        run: the run whose step is meant; by default the newest one in which it has an output.

    Raises:
        InvalidRequestError: there is none, or several.
    """
    if "/" in name and (Path(name) / "manifest.json").is_file():
        from ..artifact import load_artifact

        return load_artifact(Path(name).absolute())
    found = store.artifact_keys(name) if _DIGEST.fullmatch(name) and not run else []
    if len(found) > 1:
        raise InvalidRequestError(
            f"{name!r} may be any of {len(found)} artifacts",
            available=tuple(f"{kind} {digest[:16]}" for kind, digest in found),
        )
    if not found:
        found = [_output_named(store, name, run)]
    return store.artifact(*found[0])


def _output_named(store: Store, name: str, run: str) -> tuple[str, str]:
    """(type, digest) of a step's output."""
    seen: dict[str, None] = {}
    for record in _records(store, [run_id(store, run)] if run else store.runs()):
        outputs = outputs_of(record)
        if name in outputs:
            return outputs[name]
        several = [output for output in outputs if output.startswith(f"{name}.")]
        if several:
            raise InvalidRequestError(f"{name} has several outputs", available=tuple(several))
        seen.update(dict.fromkeys(outputs))
    where = f"run {run}" if run else "the store"
    raise InvalidRequestError(
        f"there is no artifact {name!r} in {where}",
        given=name,
        available=tuple(seen),
        remedy="name a step, a step's output, or the beginning of a digest; see `headrace artifacts list`",
    )


def _records(store: Store, runs: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The records of runs in their order, but those of a search's trials behind all others."""
    trials = []
    for run in runs:
        record = store.run_record(run)
        if "trial" in record:
            trials.append(record)
        else:
            yield record
    yield from trials


def outputs_of(record: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """(type, digest) of a run's outputs by `step`, or `step.output` where a step has several."""
    return {
        step if name == "output" else f"{step}.{name}": (output["type"], output["digest"])
        for step, told in record["steps"].items()
        for name, output in told["outputs"].items()
    }
