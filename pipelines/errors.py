"""Every error that headrace raises on purpose.

    HeadraceError
    ├── InvalidRequestError     the request can't be run as it stands; nothing was started   exit 2
    │   ├── DocumentError       the pipeline's text can't be read
    │   └── PipelineError       it reads, and does not fit together: one or more problems
    ├── StepError               a step failed                                              exit 1
    │   ├── DataError           the data is not what it has to be: file, line, column, value
    │   └── GateError           a gate refused: parity, blessing, schema
    └── StoreError              the store is damaged, unwritable, full or newer than this   exit 1

A message says what is wrong, where, what there was to choose from, and how to mend it.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, with its place and its remedy.

    Attributes:
        what: the fact, as a sentence without its full stop.
        step, argument: where in the pipeline, if anywhere.
        file, line: where on disk; line counts from 1.
        available: what there was to choose from.
        given: what was written in place of one of `available`; the closest match is suggested.
        remedy: what to do, as a sentence without its full stop.
    """

    what: str
    step: str = ""
    argument: str = ""
    file: str = ""
    line: int = 0
    available: tuple[str, ...] = ()
    given: str = ""
    remedy: str = ""

    @property
    def closest(self) -> str:
        """The member of `available` that `given` resembles most, or an empty string."""
        return closest(self.given, self.available)

    @property
    def where(self) -> str:
        """`file:line: step.argument`, as far as it is known."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        name = ".".join(part for part in (self.step, self.argument) if part)
        return ": ".join(part for part in (place, name) if part)

    def at(self, **place: Any) -> Problem:
        """This problem with the parts of `place` that it did not know yet."""
        return replace(self, **{k: v for k, v in place.items() if v and not getattr(self, k)})

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.closest:
            text += f"; did you mean {self.closest!r}?"
        if self.available:
            text += f"\n    available: {_enumerate(self.available)}"
        if self.remedy:
            text += f"\n    remedy: {self.remedy}"
        return text


def closest(given: str, available: Iterable[str]) -> str:
    """The member of `available` that resembles `given` most, or an empty string."""
    names = list(available)
    lowered = {name.lower(): name for name in reversed(names)}
    found = difflib.get_close_matches(given.lower(), list(lowered), n=1, cutoff=0.5) if given else []
    return lowered[found[0]] if found else ""


def _enumerate(names: Sequence[str], most: int = 30) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


class HeadraceError(Exception):
    """The root. `problems` holds what is wrong; keyword arguments are those of `Problem`."""

    exit_code = 1

    def __init__(self, what: str | Problem | Sequence[Problem], **details: Any) -> None:
        if isinstance(what, str):
            what = Problem(what, **details)
        self.problems: tuple[Problem, ...] = (what,) if isinstance(what, Problem) else tuple(what)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def at(self, **place: Any) -> HeadraceError:
        """The same error, notes and cause included, with the place filled in where it was not known yet."""
        # Not by `type(self)(…)`: a subclass may take other arguments.
        error = type(self).__new__(type(self))
        error.__dict__.update(self.__dict__)
        error.problems = tuple(problem.at(**place) for problem in self.problems)
        error.args = ("\n".join(str(problem) for problem in error.problems),)
        error.__cause__, error.__context__ = self.__cause__, self.__context__
        error.__suppress_context__ = self.__suppress_context__
        return error.with_traceback(self.__traceback__)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class InvalidRequestError(HeadraceError):
    """What was asked for can't be run as it stands; nothing was started."""

    exit_code = 2


class DocumentError(InvalidRequestError):
    """A pipeline's document, or another text that a person wrote, can't be read."""


class PipelineError(InvalidRequestError):
    """A pipeline that can be read and does not fit together."""


class StepError(HeadraceError):
    """A step failed."""


class DataError(StepError):
    """The data is not what it has to be; the message names file, line, column and value."""


class GateError(StepError):
    """A gate refused to let something through, and says which rule and by how much."""


class StoreError(HeadraceError):
    """The store is damaged, can't be written, is full, or was written by a newer version."""


def error_to_json(error: HeadraceError) -> dict[str, Any]:
    """The error as JSON values, for another process."""
    return {"error": type(error).__name__, "problems": [asdict(problem) for problem in error.problems]}


def error_from_json(told: dict[str, Any]) -> HeadraceError:
    """The error that `error_to_json` wrote down; a type that isn't known here becomes a StepError."""
    kind = globals().get(told["error"])
    if not (isinstance(kind, type) and issubclass(kind, HeadraceError)):
        kind = StepError
    return kind([Problem(**{**p, "available": tuple(p["available"])}) for p in told["problems"]])


def disk_error(error: OSError, where: str) -> StoreError | None:
    """A StoreError for a full or unwritable disk, or None for any other error of the system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, remedy = (
            "the disk is full",
            "free some space (`headrace gc`), or give another folder by --store",
        )
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what, remedy = f"can't write: {error.strerror}", "give a folder that you may write to by --store"
    else:
        return None
    return StoreError(what, file=str(error.filename or where), remedy=remedy)
