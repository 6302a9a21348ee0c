"""Components to search over, which need nothing heavy."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from headrace.pipelines import Context, Files, Model, StepError, component


def _write(ctx: Context, text: str) -> Files:
    draft = ctx.output(Files)
    (draft.path / "text.txt").write_text(text)
    return draft.finish()


@component
def data(ctx: Context, *, rows: int = 8, log: str = "") -> Files:
    """Writes rows, and into a log that it was called."""
    if log:
        with Path(log).open("a") as stream:
            stream.write("data\n")
    return _write(ctx, "\n".join(str(row) for row in range(rows)))


@component
def fit(
    ctx: Context,
    files: Files,
    *,
    rate: Annotated[float, Meta(gt=0)] = 0.1,
    args: dict[str, Any] | None = None,
    epochs: int = 9,
    pause: float = 0.0,
    log: str = "",
) -> Model:
    """Sinks towards a loss that is least at rate 0.01 and width 2; tells each epoch as `train` does.

    A width of 13 fails, one of 17 gives NaN, one of 19 kills its process.
    """
    width = (args or {}).get("width", 1)
    if width == 13:
        raise StepError("the loss is NaN in epoch 1")
    if width == 19:
        os._exit(9)
    least = abs(math.log10(rate) + 2) + abs(width - 2)
    for epoch in range(1, epochs + 1):
        if epoch > 1:  # within an epoch the validation of the one before is told
            before = epoch - 1
            ctx.progress(epoch=epoch, epochs=epochs, val_loss=least + 1 / before, validated=before)
        time.sleep(pause)
        ctx.progress(epoch=epoch, epochs=epochs, loss=9.0, val_loss=least + 1 / epoch)
        if log:
            with Path(log).open("a") as stream:
                stream.write(f"{rate} {width} {epoch}\n")
    value = math.nan if width == 17 else least + 1 / epochs
    draft = ctx.output(Model)
    (draft.path / "least.txt").write_text(repr(least))
    best = {"val_loss": value, "epoch": epochs}
    return draft.finish({"least": least}, {"process": os.getpid(), "best": best})


@component
def judge(ctx: Context, model: Model, *, shift: float = 0.0) -> Files:
    """Gives two metrics of a model, the second by slice."""
    draft = ctx.output(Files)
    (draft.path / "text.txt").write_text("judged")
    accuracy = 1 / (1 + model.properties["least"]) + shift
    return draft.finish({}, {"metrics": {"accuracy": accuracy, "inland/rmse": 1 - accuracy}, "rows": 8})


@fit.check
def _check(arguments: Mapping[str, Any], known: Any) -> Any:
    from headrace.pipelines import Problem

    width = (arguments["args"] or {}).get("width", 1)
    wrong = [] if isinstance(width, int | float) else [Problem("width has to be a number", argument="args")]
    return wrong, {}
