"""Which frames of a traceback are of the user's own code."""

from __future__ import annotations

import sysconfig
import types
from pathlib import Path

from .staged_code import STAGED

_OURS = tuple(Path(__file__).parents[1] / name for name in ("pipelines", "components", "schemas"))


def own_trace(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback from the first frame of the user's own code on; None if there is none."""
    while trace is not None and not _is_own(trace.tb_frame):
        trace = trace.tb_next
    return trace


def own_place(trace: types.TracebackType | None) -> tuple[str, int]:
    """File and line of the last frame of the user's own code; an empty name if there is none."""
    place = ("", 0)
    while trace is not None:
        if _is_own(trace.tb_frame):
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return place


def is_own_file(file: str) -> bool:
    """Whether a file is neither of an installed or built-in module nor of headrace."""
    if not Path(file).is_absolute():
        return False  # `<string>` and Cython's `pyarrow/error.pxi` are nobody's files
    if STAGED in Path(file).parts:
        return True
    installed = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not any(Path(file).is_relative_to(folder) for folder in (*installed, *_OURS))


def _is_own(frame: types.FrameType) -> bool:
    if frame.f_globals.get("__name__", "").partition(".")[0] == "headrace":
        return False
    return is_own_file(frame.f_code.co_filename)
