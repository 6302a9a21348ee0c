"""What the component `accept_examples` does: refuse, or write the rows that stay."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.artifact import Anomalies, Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, GateError, InvalidRequestError, Problem, StepError
from ...schemas.anomalies import from_json
from ..data_plane.parts import read_part
from ..data_plane.result import Result
from ..data_plane.work import run_units
from ..ingestion.source_lines import PATTERN, write_lines
from ..ingestion.writing import write_parquet
from .examine import Part, parts_of, place, source_lines

_TOLD = 20


def accept(ctx: Context, examples: Examples, anomalies: Anomalies) -> Examples:
    """See `headrace.components.accept_examples`."""
    if anomalies.properties["examples"] != examples.digest:
        raise InvalidRequestError(
            "the anomalies are those of other examples",
            argument="anomalies",
            remedy="wire both to the same step: validate_examples has to look at these examples",
        )
    found = from_json(anomalies.file("anomalies.json").read_text("utf-8"))
    errors = [one for one in found if one.severity == "error"]
    if errors:
        problems = [Problem(one.message) for one in errors[:_TOLD]]
        count = "1 anomaly" if len(errors) == 1 else f"{len(errors)} anomalies"
        remedy = (
            "anomalies.json of the validating step has them all (headrace artifacts path STEP); "
            "policy: {KIND or COLUMN: warn} lets them through"
        )
        head = Problem(f"the examples don't pass the gate: {count}", remedy=remedy)
        raise GateError([head, *problems])
    named = {entry.path for entry in anomalies.files if entry.path.startswith("drop/")}
    if not named:
        return examples
    return _without_rows(ctx, examples, anomalies, named)


@dataclass(frozen=True)
class Thin:
    """Work on a part: writes the rows that stay; gives those that go as JSON lines."""

    reasons: tuple[str, ...]
    folder: str

    def __call__(self, item: tuple[Part, str]) -> Result:
        """Gives a line with path and rows, then a line for each row that goes."""
        part, drop = item
        table = read_part(part.path).combine_chunks()
        pairs = np.load(drop) if drop else np.empty((0, 2), np.int64)
        lines = source_lines(part.path)
        keep = np.ones(table.num_rows, bool)
        keep[pairs[:, 0]] = False
        path = Path(self.folder) / f"{part.number:06d}-{uuid.uuid4().hex}.parquet"
        write_parquet(table.filter(pa.array(keep)), path)
        if lines is not None:
            write_lines(path, lines[0], lines[1][keep])
        gone = _told(table.take(pa.array(pairs[:, 0])))
        told: list[Any] = [{"path": str(path), "rows": int(keep.sum()), "read": table.num_rows}]
        for values, (row, reason) in zip(gone, pairs.tolist(), strict=True):
            file, line = place(part, lines, row)
            told.append(
                {"file": file, "line": line, "row": row, "reason": self.reasons[reason], "values": values}
            )
        text = "\n".join(json.dumps(one, ensure_ascii=False, default=str) for one in told)
        return Result(text.encode(), table.num_rows)


def _told(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as JSON values; of an image its size."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_binary(field.type):
            sizes = pc.cast(pc.binary_length(rows.column(number)), pa.string())
            shown = pc.binary_join_element_wise("<image of ", sizes, " bytes>", "")
            rows = rows.set_column(number, field.name, shown)
    told: list[dict[str, Any]] = rows.to_pylist()
    return told


def _without_rows(ctx: Context, examples: Examples, anomalies: Anomalies, named: set[str]) -> Examples:
    parts = parts_of(examples, list(examples.splits))
    drops = [f"drop/{part.name}.npy" for part in parts]
    items = [(p, str(anomalies.file(d)) if d in named else "") for p, d in zip(parts, drops, strict=True)]
    work = Thin(tuple(anomalies.properties["reasons"]), str(ctx.scratch("kept")))
    draft = ctx.output(Examples)
    splits: dict[str, Any] = {split: {"rows": 0, "parts": []} for split in examples.splits}
    rejects = draft.path / "rejects.jsonl"
    if (examples.path / "rejects.jsonl").is_file():
        shutil.copyfile(examples.path / "rejects.jsonl", rejects)
    gone = 0
    with rejects.open("a", encoding="utf-8") as stream:
        for (part, _), payload in zip(items, run_units(ctx, "drop", items, work), strict=True):
            head, *lost = payload.decode().split("\n")  # a value may hold other ends of lines
            stream.writelines(f"{line}\n" for line in lost)
            gone += len(lost)
            _take_in(draft.path, part, json.loads(head), len(lost), splits[part.split])
    _refuse_empty(splits)
    ctx.warn(f"{gone:,} rows were dropped; rejects.jsonl has them")
    properties = {
        **examples.properties,
        "splits": splits,
        "rejects": examples.properties.get("rejects", 0) + gone,
    }
    summary = {"rows": {name: split["rows"] for name, split in splits.items()}, "dropped": gone}
    return draft.finish(properties, summary, volatile=[PATTERN])


def _take_in(folder: Path, part: Part, told: Any, lost: int, split: Any) -> None:
    """Moves a part into the artifact, and checks the account of its rows."""
    if told["rows"] + lost != told["read"]:
        raise StepError(f"{part.name}: {told['read']} rows in, {told['rows']} out and {lost} dropped")
    if not told["rows"]:
        return
    target = folder / part.name
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".parquet", ".lines"):
        source = Path(told["path"]).with_suffix(suffix)
        if source.is_file():
            source.rename(target.with_suffix(suffix))
    split["rows"] += told["rows"]
    split["parts"].append({"path": part.name, "rows": told["rows"]})


def _refuse_empty(splits: Any) -> None:
    empty: Sequence[str] = [split for split, told in splits.items() if not told["rows"]]
    if empty:
        shown = ", ".join(map(repr, empty))
        raise DataError(
            f"every row of the split {shown} would be dropped", remedy="mend the data, or the schema"
        )
