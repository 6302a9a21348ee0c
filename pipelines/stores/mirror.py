"""Run records of a remote store, mirrored in the cache: what reads runs reads local files.

runs/RUN/record.json           the run's record, with those of its steps as soon as it is over
runs/RUN/steps/STEP.json       a step's record
runs/RUN/log.txt               the log, written when the run is over
executions/FINGERPRINT/RUN.STEP.json    the record of a step that ran, found by what decided it
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..index import Index
from ..store import remove_tree, write_json
from .objects import Objects

_RUN = re.compile(r"[\w-]+")
"""What a run may be called; a name of anything else leads to no folder."""
_NEEDED = {"run", "pipeline", "step", "status", "started", "fingerprint", "outputs"}
"""What a step's record is read for."""
_PLAIN = re.compile(r"[^/\\\0]+")


class Mirror:
    """The records of runs on both sides.

    Args:
        objects: the store's.
        folder: the cache's folder.
        index: the cache's.
    """

    def __init__(self, objects: Objects, folder: Path, index: Index) -> None:
        self._objects = objects
        self._folder = folder
        self._index = index

    def send_run(self, run: str, record: Mapping[str, Any]) -> None:
        """Writes a run's record; of a run that is over with all its steps, and its log."""
        over = record["status"] != "running"
        log = self._folder / "runs" / run / "log.txt"
        if over and log.is_file():
            self._objects.upload([(log, f"runs/{run}/log.txt")])
        whole = {**record, "steps": list(self._steps(run))} if over else record
        self._objects.write(f"runs/{run}/record.json", _json(whole))

    def _steps(self, run: str) -> Iterator[Any]:
        for path in sorted((self._folder / "runs" / run / "steps").glob("*.json")):
            yield json.loads(path.read_text("utf-8"))

    def send_step(self, record: Mapping[str, Any]) -> None:
        """Writes a step's record; one that ran is found by its fingerprint from now on."""
        name, content = _step_name(record), _json(record)
        self._objects.write(f"runs/{record['run']}/steps/{name}.json", content)
        if record["status"] == "ran":
            self._objects.write(f"executions/{record['fingerprint']}/{record['run']}.{name}.json", content)

    def refresh(self, is_alive: Callable[[str], bool]) -> None:
        """Brings the cache's records up to date.

        Args:
            is_alive: whether a process on this machine is at work on a run, whose records are its own.
        """
        # In this order: a run that begins or ends meanwhile is either alive, or there, or not yet here.
        here = [path.name for path in (self._folder / "runs").iterdir()]
        over = {run for run in here if not is_alive(run)}
        there = [run for run in self._objects.names("runs") if _RUN.fullmatch(run)]
        for run in over - set(there):  # collected by another machine
            self._index.forget_runs([run])
            remove_tree(self._folder / "runs" / run)
        wanted = [run for run in there if not self._is_over(run) and not is_alive(run)]
        texts = self._objects.read_all(f"runs/{run}/record.json" for run in wanted)
        records = [found for text in texts.values() if (found := _record(text))]
        for record in records:
            self._keep(record)

    def _is_over(self, run: str) -> bool:
        try:
            record = json.loads((self._folder / "runs" / run / "record.json").read_text("utf-8"))
            return bool(record["status"] != "running")
        except (OSError, ValueError, KeyError):
            return False

    def _keep(self, record: dict[str, Any]) -> None:
        steps = record.pop("steps", None)
        if steps is None:  # of a run at work, or killed
            keys = self._objects.sizes(f"runs/{record['run']}/steps")
            steps = [found for text in self._objects.read_all(keys).values() if (found := _record(text))]
        folder = self._folder / "runs" / record["run"]
        (folder / "steps").mkdir(parents=True, exist_ok=True)
        for step in steps:
            write_json(folder / "steps" / f"{_step_name(step)}.json", step)
        write_json(folder / "record.json", record)
        self._index.add_executions(step for step in steps if step["status"] == "ran")

    def executions(self, fingerprint: str) -> list[dict[str, Any]]:
        """The records of the executions with this fingerprint, the newest first."""
        texts = self._objects.read_all(self._objects.sizes(f"executions/{fingerprint}"))
        records = [found for text in texts.values() if (found := _record(text))]
        return sorted(records, key=lambda record: -record["started"])

    def log(self, run: str) -> Path:
        """Where the log of a run is; fetched if it is there."""
        path = self._folder / "runs" / run / "log.txt"
        if not path.exists():
            with contextlib.suppress(FileNotFoundError):
                path.write_bytes(self._objects.read(f"runs/{run}/log.txt"))
        return path

    def bury(self, run: str) -> None:
        """Marks the record of a run on another machine that was killed."""
        key = f"runs/{run}/record.json"
        record = _record(self._objects.read_all([key]).get(key, b""))
        if record and record["status"] == "running":
            self._objects.write(key, _json({**record, "status": "killed"}))

    def remove(self, run: str, steps: Mapping[str, Mapping[str, Any]]) -> None:
        """Removes a run's record with its executions."""
        for name, told in steps.items():
            if told["status"] == "ran":
                name = _step_name({"step": name})
                self._objects.remove([f"executions/{told['fingerprint']}/{run}.{name}.json"])
        self._objects.remove_folder(f"runs/{run}")


def _record(text: bytes) -> dict[str, Any] | None:
    """A run's or a step's record; one that can't be read, or whose names lead elsewhere, is none."""
    try:
        record = json.loads(text)
        steps = [record] if "step" in record else record.get("steps", ())
        whole = "status" in record and all(step.keys() >= _NEEDED for step in steps)
        plain = all(_PLAIN.fullmatch(_step_name(step)) for step in steps)
        runs = [record["run"], *(step["run"] for step in steps)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    named = all(isinstance(run, str) and _RUN.fullmatch(run) for run in runs)
    return record if whole and plain and named else None


def _step_name(record: Mapping[str, Any]) -> str:
    return str(record["step"]).replace("/", "_")


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
