"""Components whose artifacts say something of themselves, for tests of conditions and maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from headrace.pipelines import Context, Examples, Files, Known, Model, component, each, pipeline, when
from headrace.pipelines.component import Checked


def _write(ctx: Context, text: str, output: str = "output", **summary: Any) -> Files:
    draft = ctx.output(Files, output)
    (draft.path / "text.txt").write_text(text)
    return draft.finish({"length": len(text)}, summary)


class Checkup(NamedTuple):
    files: Files
    report: Files


@component
def source(ctx: Context, *, text: str = "text") -> Files:
    """Writes a text."""
    return _write(ctx, text)


@component
def check(
    ctx: Context, files: Files, *, ok: bool = True, score: float | None = 0.5, kind: str = "good"
) -> Files:
    """Says what it was told to say; a text "bad" is not in order."""
    text = files.file("text.txt").read_text()
    metrics = {"score": score, "by.class": {"a b": 0.25}}
    return _write(ctx, f"{ok}{score}{kind}", ok=ok and text != "bad", kind=kind, metrics=metrics)


@check.check
def _entries(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    facts = {
        "summary": ("ok", "kind", "metrics"),
        "properties": ("length",),
        "metrics": ("score", "by.class"),
    }
    return [], {"output": Known(facts=facts)}


@component
def checkup(ctx: Context, files: Files) -> Checkup:
    """Gives two outputs."""
    return Checkup(_write(ctx, "a", "files"), _write(ctx, "b", "report", ok=True))


@component
def copy(ctx: Context, files: Files, more: Files | None = None, *, add: str = "", number: int = 0) -> Files:
    """Copies a text."""
    return _write(ctx, files.file("text.txt").read_text() + add + (str(number) if number else ""))


@component
def ready(ctx: Context, examples: Examples) -> Model:
    """Is wired and never run."""
    raise NotImplementedError


@pipeline
def gated(text: str = "text", more: bool = True, least: float = 0.25) -> Files:
    """Every way to state a condition in Python."""
    first = source(text=text)
    checked = check(first, kind="a b")
    with when(checked.summary["ok"]):
        second = copy(first)
        with when(~(checked.summary["ok"]), checked.summary["metrics"]["score"] >= least, more):
            copy.named("third")(second)
        copy.named("fourth")(second, add="!")
    with when(checked.summary["kind"] == "a b", least < checked.summary["metrics"]["score"]):
        copy.named("fifth")(first)
    return second


@pipeline
def inner(files: Files, ok: bool = True) -> Files:
    """Used by `mapped`."""
    checked = check(files, ok=ok)
    with when(checked.summary["ok"]):
        return copy(files)


@pipeline
def mapped(names: list[str] = ["de", "fr"]) -> None:  # noqa: B006 - never changed
    """Loops in Python."""
    begun = {}
    numbers: list[dict[str, Any]] = [{"key": "one", "value": 1}, {"key": "two", "value": 2}]
    for name in each(names):
        begun[name] = source(text=name)
        copied = inner(begun[name], ok=name != "fr")
        for number in each(numbers):
            copy.named("last")(copied, number=number["value"])
    copy.named("single")(begun["de"])
