"""Units of work that break in several ways, and a component that does them; Beam's workers import this."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from headrace.components.data_plane.result import Result
from headrace.components.data_plane.work import run_units
from headrace.pipelines import Context, DataError, Files, component


@dataclass(frozen=True)
class Double:
    """Gives twice the number.

    Attributes:
        folder: a file is made here for each unit that is begun.
        seconds: how long a unit takes.
        kill: the unit at which the worker is killed, once.
        always: kill it whenever it gets there.
        refuse: the unit that is bad data.
        stumble: the unit at which the code is wrong.
        unsteady: the unit that fails once for the network's sake.
    """

    folder: Path
    seconds: float = 0.0
    kill: int = -1
    always: bool = False
    refuse: int = -1
    stumble: int = -1
    unsteady: int = -1

    def __call__(self, unit: int) -> Result:
        (self.folder / f"begun-{unit}").touch()
        if unit == self.refuse:
            raise DataError("a bad row", file="table.csv", line=unit, remedy="mend it")
        if unit == self.stumble:
            return Result(str(1 / (unit - unit)).encode())
        if unit == self.unsteady and self._first("unsteady"):
            raise ConnectionResetError(104, "Connection reset by peer")
        if unit == self.kill and (self.always or self._first("killed")):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        return Result(str(2 * unit).encode(), rows=unit)

    def _first(self, name: str) -> bool:
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@component
def doubled(ctx: Context, *, folder: str, units: int = 60, seconds: float = 0.2, kill: int = -1) -> Files:
    """Writes the doubles of some numbers."""
    work = Double(Path(folder), seconds, kill)
    draft = ctx.output(Files)
    (draft.path / "doubled.txt").write_bytes(b" ".join(run_units(ctx, "double", list(range(units)), work)))
    return draft.finish()
