"""The worst examples as files: JSON with the place of each, and a contact sheet where they are images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ...pipelines.artifact import Examples
from ..ingestion.source_lines import read_lines
from .worst import Worst

JSON, SHEET = "worst_examples.json", "worst_examples.png"
NAMED_BY = "path"
"""The column of raw examples that says which file an image was, by `image_examples`."""
PER_LINE = 12
"""Images of a line of the sheet."""
CELL = 112

ByOutput = Mapping[str, Sequence[Worst]]


def write_worst(folder: Path, examples: Examples, split: str, worst: ByOutput) -> list[str]:
    """Writes the files, and gives their names; none where there is nothing to tell.

    Args:
        folder: where to.
        examples: those that were measured.
        split: which of them.
        worst: by output, "" for a single one.
    """
    if not any(worst.values()):
        return []
    places = places_of(examples, split, sorted({one.row for each in worst.values() for one in each}))
    told = {output: [_told(one, places[one.row]) for one in each] for output, each in worst.items()}
    about = {"split": split, "examples": told.get("", told)}
    (folder / JSON).write_text(
        json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )
    if not any(one.image is not None for each in worst.values() for one in each):
        return [JSON]
    (folder / SHEET).write_bytes(_sheet(split, worst))
    return [JSON, SHEET]


def places_of(examples: Examples, split: str, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Where rows of a split are: the artifact's part, the row within it, and, of raw ones, the source.

    Args:
        examples: raw or transformed.
        split: which of them.
        rows: from 0, ascending, in the order of the parts.
    """
    raw = examples.properties["format"] == "parquet"
    named = raw and examples.properties["columns"].get(NAMED_BY) == "string"
    found: dict[int, dict[str, Any]] = {}
    first = 0
    for told in examples.splits[split]["parts"]:
        own = [row for row in rows if first <= row < first + told["rows"]]
        within = [row - first for row in own]
        path = examples.file(told["path"])
        lines = read_lines(path) if raw and own else None
        names = _column(path, NAMED_BY, within) if named and own else [None] * len(own)
        for row, place, name in zip(own, within, names, strict=True):
            found[row] = {"row": row, "part": told["path"], "part_row": place}
            if lines is not None:
                found[row] |= {"file": lines[0], "line": int(lines[1][place])}
            if name is not None:
                found[row][NAMED_BY] = name
        first += told["rows"]
    return found


def _column(path: Path, name: str, rows: Sequence[int]) -> list[Any]:
    with pq.ParquetFile(path) as file:
        values: list[Any] = (
            file.read(columns=[name], use_threads=False).column(0).take(list(rows)).to_pylist()
        )
    return values


def _told(one: Worst, place: Mapping[str, Any]) -> dict[str, Any]:
    return {**place, **one.answer, "loss": one.loss}


def _sheet(split: str, worst: ByOutput) -> bytes:
    from ..report.contact_sheet import contact_sheet

    note = "the highest loss first; under each image its label, then what was predicted, and how probably"
    return contact_sheet(f"The worst examples of {split}", list(_rows(worst)), cell=CELL, note=note)


def _rows(worst: ByOutput) -> Iterator[Any]:
    from ..report.contact_sheet import Row

    for output, each in worst.items():
        shown = [(rank, one) for rank, one in enumerate(each, 1) if one.image is not None]
        for start in range(0, len(shown), PER_LINE):
            some = shown[start : start + PER_LINE]
            ranks = f"{some[0][0]} to {some[-1][0]}"
            images = [one.image for _, one in some if one.image is not None]
            yield Row(
                output or ranks, images, [_caption(one.answer) for _, one in some], ranks if output else ""
            )


def _caption(answer: Mapping[str, Any]) -> str:
    """The label, and what was predicted."""
    label, prediction = _text(answer["label"]), _text(answer["prediction"])
    probability = f" {answer['probability']:.0%}" if "probability" in answer else ""
    return f"{label} → {prediction}{probability}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
