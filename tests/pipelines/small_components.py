"""Components that need nothing heavy, for tests of the engine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, NamedTuple

from headrace.pipelines import CodePath, Context, DataError, Files, Source, component
from msgspec import Meta


def helper(number: int) -> int:
    return number + 1


class Pair(NamedTuple):
    left: Files
    right: Files


def _write(ctx: Context, text: str, name: str = "output") -> Files:
    draft = ctx.output(Files, name)
    (draft.path / "text.txt").write_text(text)
    return draft.finish(summary={"characters": len(text)})


@component
def number(ctx: Context, *, value: Annotated[int, Meta(ge=0)] = 1) -> Files:
    """Writes a number, increased by a helper."""
    return _write(ctx, str(helper(value)))


@component
def parity(ctx: Context, files: Files) -> Files:
    """Writes whether the number is even."""
    return _write(ctx, str(int(files.file("text.txt").read_text()) % 2))


@component
def pair(ctx: Context, files: Files) -> Pair:
    """Gives its input twice."""
    text = files.file("text.txt").read_text()
    return Pair(_write(ctx, text, "left"), _write(ctx, text[::-1], "right"))


@component
def joined(ctx: Context, left: Files, right: Files | None = None, *, glue: str = "+") -> Files:
    """Joins two texts."""
    texts = [files.file("text.txt").read_text() for files in (left, right) if files]
    return _write(ctx, glue.join(texts))


@component
def copied(ctx: Context, path: Source) -> Files:
    """Copies a file's text."""
    assert isinstance(path, str)
    return _write(ctx, Path(path).read_text())


@component
def called(ctx: Context, *, function: CodePath) -> Files:
    """Names a user's function."""
    return _write(ctx, Path(function.rpartition(":")[0]).name)


@component
def failing(ctx: Context, files: Files | None = None, *, after: float = 0.0) -> Files:
    """Fails, after it has written half of its output."""
    draft = ctx.output(Files)
    (draft.path / "half.txt").write_text("half")
    time.sleep(after)
    raise DataError("it was meant to fail", file="somewhere.csv", line=3, remedy="nothing")


@component
def crashing(ctx: Context) -> Files:
    """Ends its process."""
    os._exit(3)


@component
def slow(ctx: Context, files: Files | None = None, *, seconds: float = 30.0) -> Files:
    """Sleeps, and says how far it is."""
    for done in range(int(seconds * 10)):
        ctx.progress(done=done, total=int(seconds * 10))
        time.sleep(0.1)
    return _write(ctx, str(os.getpid()))
