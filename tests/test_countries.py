"""A model for each country, from one document: trained if the data is in order, exported if it is blessed."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.bound import BoundPipeline
from headrace.pipelines.executor import run_pipeline
from headrace.pipelines.graph import render
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.store import Store

COUNTRIES = Path(__file__).with_name("countries")


def _rows(country: str, rows: int = 400) -> str:
    """Whether a thing sells is told by its price; in France it isn't, and Italy's cities are unknown."""
    draw = random.Random(country)
    lines = ["price,city,sold"]
    for _ in range(rows):
        price = draw.uniform(0, 100)
        sold = price < 50 if country != "fr" else draw.random() < 0.5
        city = draw.choice("abc") if country != "it" else "nowhere"
        lines.append(f"{price:.2f},{city},{'yes' if sold else 'no'}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def bound(tmp_path: Path) -> BoundPipeline:
    folder = tmp_path / "countries"
    shutil.copytree(COUNTRIES, folder)
    for country in ("de", "fr", "it"):
        (folder / f"{country}.csv").write_text(_rows(country))
    return bind(load_pipeline(str(folder / "countries.yaml")))


def test_it_binds_and_is_drawn(bound: BoundPipeline):
    assert [name for name in bound.steps if name.endswith("export")] == [
        f"country[{country}].export" for country in ("de", "fr", "it")
    ]
    drawn = render(bound, "ascii")
    assert "country[it].examples, schema, country[it].validate when summary.ok" in drawn
    assert bound.steps["country[fr].examples"].parameters["path"].endswith("/countries/fr.csv")


@pytest.mark.slow
def test_each_country_goes_as_far_as_its_data_lets_it(bound: BoundPipeline, tmp_path: Path):
    store = Store(tmp_path / "store")
    result = run_pipeline(bound, store, listen=lambda event: None)
    assert result.status == "done", result.errors
    skipped = {name: record.reason for name, record in result.steps.items() if record.status == "skipped"}
    invalid = "when ${steps.country[it].validate.summary.ok}: it is false"
    assert skipped == {
        "country[fr].export": "when ${steps.country[fr].evaluate.summary.blessed}: it is false",
        "country[it].transform": invalid,
        **{
            f"country[it].{step}": f"after country[it].transform, which is skipped {invalid}"
            for step in ("train", "evaluate", "export")
        },
    }
    assert result.artifacts["country[de].export"]["output"].type == "ExportedModel"
    assert {r.status for name, r in result.steps.items() if name not in skipped} == {"ran"}
    again = run_pipeline(bound, store, listen=lambda event: None)
    assert {r.status for name, r in again.steps.items() if name not in skipped} == {"cached"}
    assert {name for name, record in again.steps.items() if record.status == "skipped"} == set(skipped)
    told = json.loads((store.run_folder(again.run) / "steps" / "country[de].export.json").read_text())
    assert [one["met"] for one in told["conditions"]] == [True, True]
