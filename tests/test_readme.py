"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.document import parse_pipeline, write_pipeline
from headrace.pipelines.tracing import PipelineFunction

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    header = "longitude,total_bedrooms,median_income,median_house_value,ocean_proximity"
    rows = [f"{-120 - i / 90},{i % 17},{i % 9},{i * 1000},{('NEAR BAY', 'INLAND')[i % 2]}" for i in range(90)]
    (tmp_path / "housing.csv").write_text("\n".join([header, *rows]) + "\n")
    return tmp_path


def test_the_document_binds(table):
    text = next(text for text in blocks("yaml") if "pipeline: housing" in text)
    (table / "housing.yaml").write_text(text)
    bound = bind(parse_pipeline(text, str(table / "housing.yaml"), str(table)))
    assert list(bound.steps) == [
        "examples",
        "statistics",
        "schema",
        "transform",
        "train",
        "evaluate",
        "export",
    ]


def test_the_document_of_images_binds(tmp_path):
    from PIL import Image

    text = next(text for text in blocks("yaml") if "pipeline: photos" in text)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 6)).save(tmp_path / "photos" / name / "1.jpg")
    bound = bind(parse_pipeline(text, str(tmp_path / "photos.yaml"), str(tmp_path)))
    assert list(bound.steps) == ["examples", "transform", "train", "evaluate", "export"]


def test_the_python_pipeline_binds_and_becomes_a_document(table, monkeypatch):
    monkeypatch.chdir(table)
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(blocks("python")[0], "<readme>", "exec"), names)
    function = names["housing"]
    assert isinstance(function, PipelineFunction)
    bound = bind(function)
    assert len(bound.steps) == 7
    assert "uses: transform" in write_pipeline(function.trace())


def test_the_pipeline_of_countries_binds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = Path(__file__).parent / "countries" / "schema.yaml"
    (tmp_path / "schema.yaml").write_bytes(example.read_bytes())
    for country in ("de", "fr", "it"):
        (tmp_path / f"{country}.csv").write_text("age,city,sold\n1,a,yes\n2,b,no\n")
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(next(b for b in blocks("python") if "def countries" in b), "<readme>", "exec"), names)
    function = names["countries"]
    assert isinstance(function, PipelineFunction)
    bound = bind(function)
    assert {"train[de]", "export[it]"} <= set(bound.steps)
    assert "when:" in write_pipeline(function.trace())


def test_the_component_runs(new_ctx, tmp_path):
    from headrace.pipelines import Examples

    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(blocks("python")[1], "<readme>", "exec"), names)
    examples = Examples(tmp_path, "d", {"format": "parquet", "splits": {"train": {"rows": 3, "parts": []}}})
    made = names["row_counts"].function(new_ctx(), examples)  # type: ignore[attr-defined]
    assert made.file("rows.txt").read_text() == "rows\ntrain: 3"


def test_the_model_function_gives_probabilities():
    import numpy as np

    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(blocks("python")[2], "<readme>", "exec"), names)
    model = names["build"](inputs=4, outputs=3, task="multiclass", units=5)  # type: ignore[operator]
    assert np.allclose(np.asarray(model(np.zeros((2, 4), np.float32))).sum(axis=1), 1)


def test_the_two_commands_are_the_first_blocks_of_shell():
    first, second = blocks("sh")[:2]
    assert "headrace run digits" in first
    assert "pytest" in second
