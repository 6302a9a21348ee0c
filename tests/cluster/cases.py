"""The pipelines that are executed everywhere, up to their shards; each is given the folder of its data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from million_rows import PIPELINE as MILLION
from million_rows import write_table

HOUSING_CSV = Path(__file__).parents[3] / "shared" / "data" / "housing.csv"
HOUSING = """
pipeline: housing
steps:
  examples: {uses: csv_examples, with: {path: housing.csv, splits: {train: 8, validation: 1, test: 1}}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      features: auto
      label: {median_house_value: z_score}
"""
ROWS = 1_000_000


def wine(data: Path) -> str:
    return "wine"


def digits(data: Path) -> str:
    return "digits"


def housing(data: Path) -> str:
    (data / "housing.csv").write_bytes(HOUSING_CSV.read_bytes())
    (data / "housing.yaml").write_text(HOUSING)
    return str(data / "housing.yaml")


def million(data: Path, rows: int = ROWS) -> str:
    if not (data / "million.csv").exists():
        write_table(data / "million.csv", rows)
        (data / "million.yaml").write_text(MILLION)
    return str(data / "million.yaml")


CASES: dict[str, Callable[[Path], str]] = {
    "wine": wine, "digits": digits, "housing": housing, "million": million,
}  # fmt: skip
