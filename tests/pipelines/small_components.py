"""Components that need nothing heavy, for tests of the engine."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from headrace.pipelines import CodePath, Context, DataError, Files, Source, component


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
def picture(ctx: Context) -> Files:
    """Writes a file for people to look at."""
    draft = ctx.output(Files)
    (draft.path / "größe 1.png").write_bytes(b"pixels")
    return draft.finish(summary={"pictures": ["größe 1.png"]})


@component
def parity(ctx: Context, files: Files) -> Files:
    """Writes whether the number is even."""
    return _write(ctx, str(int(files.file("text.txt").read_text()) % 2))


@component
def placed(ctx: Context, files: Files, *, apart: bool = False) -> Files:
    """Writes the number of its process, which is another one if `apart`."""
    return _write(ctx, str(os.getpid()))


@placed.process_of
def process_of_placed(arguments: Mapping[str, Any]) -> str:
    """Knows parameters and inputs."""
    assert arguments["files"].file("text.txt").is_file()
    return "tensorflow" if arguments["apart"] else ""


@component(process="tensorflow")
def devices(ctx: Context, *, count: int) -> Files:
    """Writes Keras' backend and the number of logical CPU devices."""
    import keras
    import tensorflow as tf

    return _write(ctx, json.dumps([keras.backend.backend(), len(tf.config.list_logical_devices("CPU"))]))


@devices.process_of
def process_of_devices(arguments: Mapping[str, Any]) -> str:
    """Is asked ahead of the run, too."""
    return f"tensorflow:{arguments['count']}"


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


class OddError(DataError):
    """An error of a third party, with arguments of its own."""

    def __init__(self, first: str, second: int) -> None:
        super().__init__(f"{first} and {second}")


@component
def misbehaving(ctx: Context, *, how: str) -> Files:
    """Does what a component should not do, or may do and others forget."""
    draft = ctx.output(Files)
    text = draft.path / "text.txt"
    text.write_text("")
    if how == "exit":
        sys.exit(0)
    elif how == "type":
        return 3  # type: ignore[return-value]
    elif how == "odd error":
        raise OddError("one", 2)
    elif how == "stdin":
        text.write_bytes(subprocess.run(["cat"], stdout=subprocess.PIPE, check=True, timeout=20).stdout)
    elif how == "orphan":
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True).start()
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "link":
        (draft.path / "link").symlink_to("/etc/hostname")
    elif how == "manifest":
        (draft.path / "manifest.json").write_text("{}")
    elif how == "names":
        for name in ("a\nb", "ü €", 'x"y', os.fsdecode(b"\xff")):
            (draft.path / name).write_text("")
    made = draft.finish()
    if how == "late":
        (draft.path / "more.txt").write_text("")
    return made


@component
def listed(ctx: Context, path: Source) -> Files:
    """Names the files of a folder."""
    return _write(ctx, ",".join(sorted(p.name for p in Path(str(path)).iterdir())))
