"""Checkpoints: what a killed training needs to go on exactly, as files that are there whole or not at all.

    checkpoint-STAGE-STEP.npz   every variable, and as JSON where the course is; the last few are kept
    best-EPOCH.npz              the weights of the best epoch, to which the checkpoints refer

A file is written under another name, brought to the disk and renamed, so that a kill at any instant leaves
the one before. One that was damaged since is noticed by the checksums in it, and the one before counts.
Variables are copied while the training waits, and written while it goes on. At a SIGTERM there is one more,
and then the process ends.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...pipelines.context import Context
from .checkpoint_rule import CheckpointRule
from .stop_signal import StopSignal

FORMAT = 1
"""Of the files; one of another format counts as damaged."""
_ABOUT = "about"
_DTYPES = "dtypes"
UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)
"""What comes of a file that is no checkpoint."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What a training goes on from.

    Attributes:
        course: the state of the course, as JSON values.
        variables: by key, as the stepper gave them.
        best: the weights of the best epoch; None while there is none.
        place: what it was trained on, in words.
    """

    course: Mapping[str, Any]
    variables: Arrays
    best: Sequence[npt.NDArray[Any]] | None
    place: str


class Checkpoints:
    """Keeps the checkpoints of one training in a folder; a `with` block for as long as it runs.

    Args:
        folder: of nobody else.
        rule: when they are made.
        say: takes a text for people.
        warn: takes a text that asks for attention.
        place: what it is trained on, in words.
    """

    def __init__(
        self,
        folder: Path,
        rule: CheckpointRule,
        say: Callable[[str], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
        place: str = "",
    ) -> None:
        self.say, self.warn, self.place = say, warn, place
        self._folder = folder
        self._rule = rule
        self._last = (0, 0)
        self._since = time.monotonic()
        self._cost = 0.0
        self._best = 0
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self._stop = StopSignal()

    def __enter__(self) -> Checkpoints:
        """From now on a SIGTERM makes a checkpoint due."""
        self._stop.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Waits until all is on the disk."""
        self.close()
        self._stop.__exit__()

    def latest(self) -> Checkpoint | None:
        """The last checkpoint that can be read; it is told of those that can't be, and they are removed."""
        self._remove_halves()
        for path in sorted(self._folder.glob("checkpoint-*.npz"), reverse=True):
            try:
                return self._read(path)
            except UNREADABLE as error:
                self.warn(f"the checkpoint {path.name} is damaged and left out: {error}")
                path.unlink(missing_ok=True)
        return None

    def kept(self) -> str:
        """Which checkpoint is kept and how its weights are used, as a clause; empty if there is none."""
        self.close()
        for path in sorted(self._folder.glob("checkpoint-*.npz"), reverse=True):
            course = self._about(path.name).get("course")
            if course:
                epoch, step = course["first"] + course["epoch"] + 1, course["step"]
                last = f"the last good checkpoint (epoch {epoch}, step {step:,})"
                return f"weights: {path} begins with those of {last}"
        return ""

    def are_due(self, stage: int, step: int) -> bool:
        """Whether it is time for a checkpoint, or the last moment for one.

        Args:
            stage: counted from 0.
            step: of the stage.
        """
        steps = step - self._last[1] if stage == self._last[0] else step
        return self._stop.asked or self._rule.is_due(steps, time.monotonic() - self._since, self._cost)

    def write(
        self,
        course: Mapping[str, Any],
        variables: Callable[[], Arrays],
        best: Sequence[npt.NDArray[Any]] | None,
    ) -> None:
        """Makes a checkpoint, unless a weight isn't finite.

        Args:
            course: the state of the course, as JSON values; `stage`, `step` and `best_epoch` are looked at.
            variables: gives copies of all variables.
            best: the weights of the best epoch, which nobody changes any more.
        """
        self.close()
        started = time.monotonic()
        copied = variables()
        self._last = (course["stage"], course["step"])
        if _are_finite(copied):
            about = {"format": FORMAT, "course": course, "best": course["best_epoch"] if best else 0}
            about["place"] = self.place
            # The course goes on while it is written.
            text = json.dumps(about).encode()
            name = f"checkpoint-{course['stage']:03d}-{course['step']:010d}.npz"
            arguments = (name, text, copied, about["best"], best, started)
            self._thread = threading.Thread(target=self._write, args=arguments)
            self._thread.start()
        self._since = time.monotonic()
        self._cost = max(self._cost, self._since - started)
        if self._stop.asked:
            self.close()
            self._stop.obey()

    def close(self) -> None:
        """Waits until what is being written is on the disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._trouble:
            self.warn(f"no checkpoint could be written: {self._trouble}")
            self._trouble = ""

    def _write(
        self, name: str, about: bytes, variables: Arrays, epoch: int, best: Any, started: float
    ) -> None:
        """In a thread of its own."""
        try:
            if epoch and epoch != self._best:
                weights = {f"weight/{number:05d}": values for number, values in enumerate(best)}
                write_arrays(self._folder / _best_name(epoch), weights)
                self._best = epoch
            write_arrays(self._folder / name, {**variables, _ABOUT: np.frombuffer(about, np.uint8)})
            self._remove_old()
        except OSError as error:
            self._trouble = str(error)
        self._cost = time.monotonic() - started

    def _remove_old(self) -> None:
        """Keeps the last checkpoints and the weights that they refer to."""
        names = sorted(path.name for path in self._folder.glob("checkpoint-*.npz"))
        for name in names[: -self._rule.keep]:
            (self._folder / name).unlink(missing_ok=True)
        used = {_best_name(self._about(name)["best"]) for name in names[-self._rule.keep :]}
        for path in self._folder.glob("best-*.npz"):
            if path.name not in used:
                path.unlink(missing_ok=True)

    def _remove_halves(self) -> None:
        """Removes what kills left half written, which may be as large as the checkpoints."""
        for path in self._folder.glob(".*.npz"):
            path.unlink(missing_ok=True)

    def _about(self, name: str) -> dict[str, Any]:
        try:
            return _about_of(read_arrays(self._folder / name, only=_ABOUT))
        except UNREADABLE:
            return {"best": 0}

    def _read(self, path: Path) -> Checkpoint:
        arrays = read_arrays(path)
        about = _about_of(arrays)
        best = None
        if about["best"]:
            weights = read_arrays(self._folder / _best_name(about["best"]))
            best = [weights[key] for key in sorted(weights)]
            self._best = about["best"]
        variables = {key: value for key, value in arrays.items() if key != _ABOUT}
        self._last = (about["course"]["stage"], about["course"]["step"])
        return Checkpoint(about["course"], variables, best, about["place"])


def checkpoints_of(
    folder: Path | None, rule: CheckpointRule, ctx: Context, place: str, *, several_hosts: bool = False
) -> Checkpoints | None:
    """The checkpoints of a step; None where there is no place for them.

    Args:
        folder: what `ctx.resumable` gave.
        rule: when they are made.
        ctx: the step's context.
        place: what it is trained on, in words.
        several_hosts: whether this host has to agree with others; it then keeps some in any case, since all
            hosts have to take part.
    """
    if not several_hosts:
        return Checkpoints(folder, rule, ctx.say, ctx.warn, place) if folder else None
    from .host_checkpoints import HostCheckpoints

    if folder is None:
        folder = ctx.staging / "checkpoints"
        folder.mkdir(exist_ok=True)
    return HostCheckpoints(folder, rule, ctx.say, ctx.warn, place)


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Writes an npz file that is there whole or not at all.

    Raises:
        OSError: the disk is full, or the folder is gone.
    """
    partly = path.with_name(f".{path.name}")
    # What NumPy doesn't know (bfloat16) is written as the bytes that it is.
    dtypes = {key: str(value.dtype) for key, value in arrays.items() if value.dtype.kind == "V"}
    plain = {key: value.view(_bytes_of(value)) if key in dtypes else value for key, value in arrays.items()}
    told = np.frombuffer(json.dumps(dtypes).encode(), np.uint8)
    try:
        with partly.open("wb") as stream:
            np.savez(stream, **{_DTYPES: told, **plain})  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        partly.replace(path)
    except OSError:
        partly.unlink(missing_ok=True)  # a full disk is not to be kept full by half a file
        raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_arrays(path: Path, only: str = "") -> dict[str, npt.NDArray[Any]]:
    """Reads what `write_arrays` wrote, checking its checksums.

    Args:
        path: the file.
        only: the key of the one array that is wanted; all by default.

    Raises:
        OSError, ValueError and others: it is not there or damaged.
    """
    # Opened here: NumPy leaves a damaged file open.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        if only:
            return {only: file[only]}
        dtypes = json.loads(file[_DTYPES].tobytes())
        found = {key: file[key] for key in file.files if key != _DTYPES}
    for key, name in dtypes.items():
        import ml_dtypes

        found[key] = found[key].view(getattr(ml_dtypes, name))
    return found


def _bytes_of(values: npt.NDArray[Any]) -> str:
    return f"u{values.dtype.itemsize}"


def _about_of(arrays: Arrays) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(arrays[_ABOUT].tobytes())
    if about["format"] != FORMAT:
        raise ValueError(f"its format is {about['format']}")
    return about


def _best_name(epoch: int) -> str:
    return f"best-{epoch:06d}.npz"


def _are_finite(arrays: Arrays) -> bool:
    """Whether every weight is a number, and what the optimizer remembers of it."""
    return all(
        bool(np.isfinite(values).all())
        for key, values in arrays.items()
        if values.dtype.kind in "fV" and key.startswith(("model/", "optimizer/"))
    )
