"""What a unit of work leaves in the step's staging folder: its result or its error, each a whole file.

    000012-16384-<random>     the result of unit 12, which read 16,384 rows
    000012.error              why unit 12 failed when it was tried last, as JSON

Beam's workers write them, the driver reads them; only a result's name crosses Beam. A name tells enough to
count what is done without opening a file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...pipelines.errors import HeadraceError, StoreError
from ...pipelines.runners.probe import Proof
from ...pipelines.worker import failure
from .result import Result

_RESULT = re.compile(r"(\d{6,})-(\d+)-[0-9a-f]{32}")

_PASSING = (ConnectionError, TimeoutError, MemoryError, StoreError)
_PASSING_CODES = (errno.EIO, errno.ESTALE, errno.EAGAIN)


class Partial(NamedTuple):
    """The reference to a unit's spilled result.

    Attributes:
        unit: the unit's number from 0.
        rows: how many rows the unit read.
        path: the file that holds the result's bytes, as its worker names it.
        worker: process, thread, user and host that did it, see `worker_name`.
    """

    unit: int
    rows: int
    path: str
    worker: str


@dataclass(frozen=True)
class Spill:
    """Works on one numbered unit, and writes what it gave; a picklable callable.

    Attributes:
        work: gives a unit's Result.
        folder: where it is written; every worker has to reach it, by itself or through an exchange.
        proof: what a worker elsewhere proves before its first unit.
    """

    work: Callable[[Any], Result]
    folder: Path
    proof: Proof | None = None

    def __call__(self, element: tuple[int, Any]) -> Partial:
        """Does one unit."""
        unit, item = element
        try:
            if self.proof is not None:
                self.proof.give()
            result = self.work(item)
        except Exception as error:
            # Beam hands an exception on as text below hundreds of lines of its own; the driver reads this
            # file and raises the error as it was.
            with suppress(OSError):  # the disk may be full, which then is the error that comes through
                write_whole(self.folder / f"{unit:06d}.error", json.dumps(told_error(unit, error)).encode())
            raise
        path = self.folder / f"{unit:06d}-{result.rows}-{uuid.uuid4().hex}"
        write_whole(path, result.payload)
        return Partial(unit, result.rows, str(path), worker_name())


@dataclass(frozen=True)
class WriteReferences:
    """Writes all partials' references as one JSON file; a picklable callable."""

    path: Path

    def __call__(self, element: tuple[None, Iterable[Partial]]) -> None:
        """Takes what `GatherPartials` gives."""
        partials = [tuple(partial) for partial in element[1]]
        largest = max(len(json.dumps(partial)) for partial in partials)
        told = json.dumps({"partials": sorted(partials), "largest": largest})
        write_whole(self.path, told.encode())


def told_error(unit: int | str, error: Exception) -> dict[str, Any]:
    """An error as `worker.failure` tells it, with what is to be done about it.

    `certain`: another attempt would only meet it again, so that the job may end at once. `passing`: the
    machine is to blame, and another attempt may do. What is neither is an exception that nobody foresaw.
    """
    told = failure(error)
    passing = isinstance(error, _PASSING) or getattr(error, "errno", 0) in _PASSING_CODES
    certain = isinstance(error, HeadraceError) and not passing
    return {**told, "unit": unit, "certain": certain, "passing": passing}


def worker_name() -> str:
    """`process-thread@user@host` of who asks; task managers on one host may differ by their users."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    return f"{os.getpid()}-{threading.get_ident()}@{user}@{socket.gethostname()}"


def counted(names: Iterable[str]) -> tuple[int, int]:
    """The units that are done, and their rows, by the names of the files in a stage's folder."""
    rows: dict[str, int] = {}
    for name in names:
        if found := _RESULT.fullmatch(name):
            rows[found[1]] = int(found[2])  # a unit that was done twice counts once
    return len(rows), sum(rows.values())


def finished(folder: Path) -> dict[int, Partial]:
    """The results that are in a stage's folder, by unit, whoever did them."""
    found = (_RESULT.fullmatch(path.name) for path in sorted(folder.iterdir()))
    return {
        int(each[1]): Partial(int(each[1]), int(each[2]), str(folder / each[0]), "") for each in found if each
    }


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is there whole or not at all."""
    partly = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partly")
    partly.write_bytes(content)
    partly.rename(path)
