"""What a runner told of a failed job: the user's Python first, of Java one line, and what to do about it."""

from __future__ import annotations

import re

from ..errors import StepError

_BLOCK = re.compile(
    # One way to read a line: of several, a traceback without an end would be read in all combinations.
    r"Traceback \(most recent call last\):\n((?:[ \t].*\n)+)"
    r"(\w[^\n]*(?:\n(?!Traceback|\n|[ \t]+at )[^\n]+)*)"
)
_FRAME = re.compile(r'[ \t]+File "([^"]+)", line (\d+)')
_MISSING = re.compile(
    r"(?:ModuleNotFoundError|ImportError): .*?(?:No module named|cannot import name) '([\w.]+)'"
)
_CAUSE = re.compile(r"Caused by: (?:[\w$]+\.)*([\w$]+(?:: [^\n]*)?)")
_JAVA_PACKAGE = re.compile(r"\b(?:[a-z][\w$]*\.)+(?=[A-Z])")
_LOST = re.compile(
    r"the worker \S+ (?:was killed by \w+|ended with code \d+)|Process died with exit code \d+"
    r"|Channel closed prematurely|StatusRuntimeException: (?:CANCELLED|UNAVAILABLE)[^\n]*"
    r"|(?:TaskManager|Executor|worker)[^\n]{0,80} (?:was lost|no longer reachable)"
)
_LOST_REMEDY = (
    "a worker that nobody ended is mostly one that used up the memory: take fewer at once on a host "
    "(sdk_worker_parallelism), or more memory; see `headrace runs logs`"
)
_BEAM = ("/apache_beam/", "apache_beam/")


def remote_error(what: str, text: str) -> StepError:
    """The error of a job that failed, for people.

    Args:
        what: that it failed, as a sentence without its full stop.
        text: what the runner told, Java and Python alike; all of it is in the log already.

    Returns:
        An error with the Python exception and its traceback, without Beam's frames, if there is one; else
        with the last cause that Java names.
    """
    if lost := _LOST.search(text):
        told = lost[0] if lost[0].startswith("the worker") else f"a worker was lost ({lost[0]})"
        return StepError(f"{what}: {told}", remedy=_LOST_REMEDY)
    trace = python_trace(text)
    if trace:
        last = trace.strip().splitlines()[-1]
        error = StepError(f"{what}: {_cut(last)}", remedy=_remedy(text))
        error.add_note(trace)
        return error
    causes = _CAUSE.findall(text)
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    cause = causes[-1] if causes else _JAVA_PACKAGE.sub("", lines[0]) if lines else ""
    return StepError(f"{what}: {_cut(cause)}" if cause else what, remedy=_remedy(text))


def python_trace(text: str) -> str:
    """The traceback of the exception that came first, without Beam's frames; empty if there is none."""
    # Beam wraps a worker's text into an exception of its own, whose message begins another traceback.
    text = re.sub(r"(?<=: )Traceback \(most", "\nTraceback (most", text)
    blocks = [(frames, last) for frames, last in _BLOCK.findall(text) if not last.rstrip().endswith(":")]
    if not blocks:
        return ""
    frames, last = next(((f, e) for f, e in blocks if _own_frames(f)), blocks[0])
    own = _own_frames(frames)
    return "Traceback (most recent call last):\n" + "".join(own) + _without_beam(last)


def is_lasting(text: str) -> bool:
    """Whether a job would fail again as it did: its workers lack a module."""
    return bool(_MISSING.search(text))


def _own_frames(frames: str) -> list[str]:
    """The frames, each with its source line, that aren't Beam's."""
    found: list[str] = []
    own = False
    for line in frames.splitlines(keepends=True):
        if frame := _FRAME.match(line):
            own = not any(sign in frame[1] for sign in _BEAM) and not frame[1].startswith("<frozen")
        if own:
            found.append(line)
    return found


def _without_beam(message: str) -> str:
    return re.sub(r" \[while running '[^']*'\]", "", message).rstrip() + "\n"


def _remedy(text: str) -> str:
    if found := _MISSING.search(text):
        return (
            f"the workers lack the module {found[1]!r}: install it where they run, or put the code beside "
            "the pipeline's file, from where it travels with the job"
        )
    return "see `headrace runs logs`"


def _cut(text: str, most: int = 1000) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
