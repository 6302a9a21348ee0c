"""A component that counts up to a number, and goes on where it was killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from headrace.pipelines import Context, DataError, Files, component


@component
def count(ctx: Context, *, to: int = 5, pace: int = 1, stop: str = "", marker: str = "") -> Files:
    """Notes each number in the folder that survives; is killed or fails half-way while `marker` exists."""
    folder = ctx.resumable("count", without=("pace",))
    kept = sorted(int(path.stem) for path in folder.glob("*.number")) if folder else []
    begin = kept[-1] + 1 if kept else 0
    ctx.say(f"from {begin}" if folder else "nowhere")
    for number in range(begin, to, pace):
        if folder:
            (folder / f"{number}.number").touch()
        if number == to // 2 and marker and Path(marker).exists():
            Path(marker).unlink()
            if stop == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise DataError("no")
    draft = ctx.output(Files)
    (draft.path / "end.txt").write_text(str(to))
    return draft.finish(summary={"begin": begin})
