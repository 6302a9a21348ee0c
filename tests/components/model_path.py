"""The way from raw rows to a trained model, for the tests of train, evaluate and export."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.components import train, transform
from headrace.pipelines.artifact import Examples, Model, Transform
from headrace.pipelines.context import Context

from .raw_examples import make_raw_examples

ODD_FEATURES: dict[str, Any] = {
    "income ü": {"from": "Median Income ($)", "apply": [{"impute": "median"}, "log1p", "z_score"]},
    "größe": "z_score",
    "od280/od315": {"bucketize": [1.0, 2.0, 4.0]},
    "A": "z_score",
    "a": "one_hot",
    "2nd": "min_max",
    "self": [{"hash": 8}, "one_hot"],
    "flag": "identity",
}
"""Columns with spaces, Unicode, slashes, leading digits, and a pair that differs only in case."""


def odd_table(rows: int, seed: int = 0) -> pa.Table:
    """Rows with a learnable label of three classes (`Klasse`), of two (`ok`), and a value (`Preis €`)."""
    rng = np.random.default_rng(seed)
    income, size, ratio, second = (rng.exponential(3, rows) for _ in range(4))
    number, flag = rng.integers(0, 50, rows), rng.random(rows) < 0.5
    letter, self = rng.choice(["x", "y", "zé"], rows), rng.choice([f"s{i}" for i in range(20)], rows)
    score = np.log1p(income) + 0.5 * (letter == "y") + size / 6 + 0.02 * number
    classes = np.array(["hoch", "mittel", "tief"])[np.digitize(-score, [-2.5, -1.8])]
    absent = rng.random(rows) < 0.05
    return pa.table(
        {
            "Median Income ($)": pa.array(np.where(absent, None, income), pa.float64()),
            "größe": size,
            "od280/od315": ratio,
            "A": number,
            "a": pa.array(np.where(absent, None, letter), pa.string()),
            "2nd": second,
            "self": pa.array(self, pa.string()),
            "flag": flag,
            "Klasse": pa.array(classes, pa.string()),
            "ok": score > 2.0,
            "Preis €": 1000 * score + 50_000,
        }
    )


@dataclass
class Prepared:
    """Raw and transformed examples with their transform."""

    raw: Examples
    examples: Examples
    transform: Transform


class Paths:
    """Makes artifacts in folders of their own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self.events: list[Mapping[str, Any]] = []

    def ctx(self) -> Context:
        """A new context; what it is told is kept in `events`, which starts anew."""
        staging = self._folder / f"attempt-{next(self._numbers)}"
        staging.mkdir()
        self.events = []
        return Context("step", staging, listener=self.events.append)

    def prepare(
        self, tables: Mapping[str, pa.Table], features: Mapping[str, Any], label: Any, **more: Any
    ) -> Prepared:
        """Raw examples of the tables, transformed."""
        raw = make_raw_examples(self.ctx(), tables)
        examples, fitted = transform.function(self.ctx(), raw, features=dict(features), label=label, **more)
        return Prepared(raw, examples, fitted)

    def train(self, path: Prepared, **parameters: Any) -> Model:
        """A trained model."""
        return train.function(self.ctx(), path.examples, path.transform, **{"epochs": 2, **parameters})


def odd_splits() -> dict[str, pa.Table]:
    """240 odd rows in three splits."""
    table = odd_table(240)
    return {"train": table.slice(0, 160), "validation": table.slice(160, 40), "test": table.slice(200)}
