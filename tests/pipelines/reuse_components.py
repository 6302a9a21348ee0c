"""A component that makes a piece of each file, and takes over those that it has made before."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from headrace.pipelines import Context, DataError, FilePaths, Files, component


class Piece(msgspec.Struct, frozen=True):
    name: str
    sha256: str


@component
def upper(
    ctx: Context, paths: FilePaths, *, end: str = "", killed: bool = False, failing: bool = False
) -> Files:
    """Writes each file in capitals; the summary has the names of those that it had to read."""
    draft = ctx.output(Files)
    reuse, read = ctx.reuse, []
    assert reuse is not None
    files = [Path(path) for path in paths]
    digests = reuse.digests(files)
    keys = {file.name: reuse.key([digests[str(file)], end]) for file in files}
    for file in files:
        known = reuse.recall(keys[file.name], Piece)
        target = draft.path / file.name
        if known is None or reuse.copy([(known[1] / known[0].name, target, known[0].sha256)]) != [True]:
            read.append(file.name)
            target.write_text(file.read_text().upper() + end)
    made = draft.finish(summary={"read": sorted(read)})
    for entry in made.files:
        reuse.note(keys[entry.path], made, Piece(entry.path, entry.sha256))
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    if failing:
        raise DataError("no")
    return made
