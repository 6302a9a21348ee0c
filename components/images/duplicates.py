"""Images that are there more than once, to the byte: in a split, across splits, with different labels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...pipelines.context import Context
from ..ingestion.placing import NOWHERE
from .addresses import in_message

FILE = "duplicates.jsonl"
_MOST = 100


@dataclass(frozen=True)
class Account:
    """What a piece wrote of its images.

    Attributes:
        path: the file, see `work.ReadImages`.
        spill: the rows' common name where splits were given later, or "".
    """

    path: str
    spill: str

    def read(self) -> pa.Table:
        """`low`, `high`, `split`, `path`, and the labels, with the splits as they are."""
        with pa.memory_map(self.path) as source:
            table = pa.ipc.open_file(source).read_all()
        if not self.spill:
            return table
        return table.set_column(2, "split", pa.array(np.load(f"{self.spill}.splits.npy")))


def report(ctx: Context, accounts: Sequence[Account], splits: Sequence[str], folder: Path) -> dict[str, Any]:
    """Finds duplicates, writes them into `duplicates.jsonl`, a group a line, and says so.

    Args:
        ctx: the step's context.
        accounts: of all pieces, in order.
        splits: the names of the splits.
        folder: the artifact's.

    Returns:
        The property `duplicates`: how many groups of equal images there are, how many images in them beyond
        the first of each, and how many groups are in several splits, or have different labels.
    """
    twice = _twice([account.read() for account in accounts])
    told = {"groups": 0, "images": 0, "across_splits": 0, "different_labels": 0}
    examples: dict[str, str] = {}
    if twice:
        with (folder / FILE).open("w", encoding="utf-8") as stream:
            for group in twice:
                line = _line(group, splits)
                told["groups"] += 1
                told["images"] += line["count"] - 1
                for what in ("across_splits", "different_labels"):
                    told[what] += line[what]
                    if line[what]:
                        examples.setdefault(
                            what, " and ".join(in_message(each["path"]) for each in line["images"][:2])
                        )
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        _warn(ctx, told, examples)
    return {"duplicates": told}


def _twice(tables: Sequence[pa.Table]) -> list[list[dict[str, Any]]]:
    """Groups of rows with equal digests, in the order of their first ones; rows in no split don't count."""
    low, high, split = (
        np.concatenate([table.column(name).to_numpy() for table in tables])
        for name in ("low", "high", "split")
    )
    order = np.lexsort((np.arange(len(low)), high, low))
    equal = (low[order][1:] == low[order][:-1]) & (high[order][1:] == high[order][:-1])
    kept = order[np.append(equal, False) | np.append(False, equal)]
    kept = kept[split[kept] != NOWHERE]
    whole = pa.concat_tables(tables)
    groups: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for row in whole.take(pa.array(np.sort(kept))).to_pylist():
        groups[row["low"], row["high"]].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _line(group: Sequence[dict[str, Any]], splits: Sequence[str]) -> dict[str, Any]:
    labels = [
        {k.removeprefix("label:"): v for k, v in row.items() if k.startswith("label:")} for row in group
    ]
    texts = {json.dumps(each, sort_keys=True, default=str) for each in labels}
    images = [
        {"path": row["path"], "split": splits[row["split"]], **({"labels": own} if own else {})}
        for row, own in zip(group[:_MOST], labels, strict=False)
    ]
    return {
        "count": len(group),
        "across_splits": len({row["split"] for row in group}) > 1,
        "different_labels": len(texts) > 1,
        "images": images,
    }


def _warn(ctx: Context, told: dict[str, int], examples: dict[str, str]) -> None:
    text = f"{told['images']} images are there more than once ({FILE} has them in {told['groups']} groups)"
    if told["across_splits"]:
        text += f"; {told['across_splits']} groups are in several splits, such as {examples['across_splits']}"
    if told["different_labels"]:
        text += f"; {told['different_labels']} have different labels, such as {examples['different_labels']}"
    ctx.warn(text)
