"""The JSON Schema of pipeline documents, judged by a validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.pipelines.docstrings import argument_texts, summary
from headrace.pipelines.json_schema import document_schema
from headrace.pipelines.resolve import find_component, ready_pipelines
from headrace.schemas import yaml12

jsonschema = pytest.importorskip("jsonschema")
WIRING = Path(__file__).with_name("wiring_components.py")

HOUSING = """
pipeline: housing
params: {epochs: 25}
steps:
  examples: {uses: csv_examples, with: {path: housing.csv, splits: {train: 8, validation: 1, test: 1}}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      label: {median_house_value: z_score}
      features:
        longitude: z_score
        total_bedrooms: [{impute: median}, log1p, z_score]
        income_bucket: {from: median_income, apply: {bucketize: [1.5, 3, 4.5, 6]}}
        ocean_proximity: one_hot
  train:
    uses: train
    with:
      examples: "${steps.transform.examples}"
      transform: "${steps.transform.transform}"
      model: mlp
      epochs: "${params.epochs}"
      seed: 1
  evaluate: {uses: evaluate, with: {model: "${steps.train}", examples: "${steps.transform.examples}"}}
  export:
    uses: export
    with: {model: "${steps.train}", evaluation: "${steps.evaluate}", examples: "${steps.examples}"}
"""


def errors(schema: dict[str, Any], text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [".".join(str(p) for p in error.path) for error in validator.iter_errors(yaml12.load(text))]


@pytest.fixture(scope="module")
def builtin() -> dict[str, Any]:
    return document_schema()


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return document_schema({name: find_component(f"{WIRING}:{name}") for name in ("read", "split", "fit")})


def test_it_is_a_schema(builtin: dict[str, Any]):
    jsonschema.Draft202012Validator.check_schema(builtin)
    assert json.loads(json.dumps(builtin)) == builtin


def test_the_housing_document_and_the_ready_ones_are_valid(builtin: dict[str, Any]):
    assert errors(builtin, HOUSING) == []
    for path in ready_pipelines().values():
        assert errors(builtin, path.read_text()) == []


GOOD = [
    "raw: {uses: read, with: {path: [a, b], rows: '${params.n}', splits: {train: '${params.n}'}}}",
    "raw: {uses: read, with: {path: '${steps.x}', splits: '${params.splits}', columns: null}}",
    "fit: {uses: fit, with: {examples: '${steps.x.y}', optimizer: '${params.o}', rate: 1, epochs: 3}}",
    "sub: {uses: other.yaml, with: {anything: 3}, runner: direct}",
    "raw: {each: {n: [1, a, {key: x, y: 2}]}, uses: read, with: {path: '${each.n}.csv', rows: '${each.n}'}}",
    "raw: {each: {n: '${params.n}', m: [2]}, uses: read, with: {path: a}, when: '${steps.a.summary.ok}'}",
    "sub: {uses: a.yaml, when: ['not ${steps.a[1].summary.ok}', '${steps.a.summary.b} >= 3', false]}",
    "raw[de]: {uses: read, with: {path: '${steps.x[de].y}'}}",
    "sub: {uses: 'my.module:thing', runner: {name: direct, direct_num_workers: 2}}",
]
BAD = [
    ("raw: {uses: read, with: {path: a, rows: 0}}", "steps.raw.with.rows"),
    ("raw: {uses: read, with: {path: a, rows: ten}}", "steps.raw.with.rows"),
    ("raw: {uses: read, with: {path: a, splits: {train: x}}}", "steps.raw.with.splits"),
    ("raw: {uses: read, with: {pth: a}}", "steps.raw.with"),
    ("raw: {uses: read}", "steps.raw"),
    ("raw: {uses: raed, with: {path: a}}", "steps.raw.uses"),
    ("raw: {uses: read, wiht: {path: a}}", "steps.raw"),
    ("fit: {uses: fit, with: {examples: rows.csv}}", "steps.fit.with.examples"),
    ("fit: {uses: fit, with: {examples: '${steps.a}', optimizer: adm}}", "steps.fit.with.optimizer"),
    ("a b: {uses: read, with: {path: a}}", "steps"),
    ("raw: {each: {n: []}, uses: read, with: {path: a}}", "steps.raw.each.n"),
    ("raw: {each: {n: [{name: a}]}, uses: read, with: {path: a}}", "steps.raw.each.n"),
    ("raw: {each: {}, uses: read, with: {path: a}}", "steps.raw.each"),
    ("raw: {uses: read, with: {path: a}, when: ok}", "steps.raw.when"),
    ("raw: {uses: read, with: {path: a}, when: ['${steps.a.summary.b} = 3']}", "steps.raw.when"),
]


@pytest.mark.parametrize("step", GOOD)
def test_what_is_right(small: dict[str, Any], step: str):
    assert errors(small, f"pipeline: p\nsteps:\n  {step}\n") == []


@pytest.mark.parametrize(("step", "where"), BAD)
def test_what_is_wrong(small: dict[str, Any], step: str, where: str):
    assert where in errors(small, f"pipeline: p\nsteps:\n  {step}\n")


def test_the_document_itself(small: dict[str, Any]):
    assert errors(small, "pipeline: p\n") == [""]
    assert errors(small, "pipeline: p\nstesp: {}\nsteps: {a: {uses: x.yaml}}\n") == [""]
    assert errors(small, "pipeline: p\nsteps: {a: {uses: x.yaml}}\noutputs: {o: 3}\n") == ["outputs.o"]


def test_descriptions_come_from_the_docstrings(small: dict[str, Any]):
    arguments = small["$defs"]["with_read"]["properties"]
    assert arguments["rows"]["description"] == "how many, at most."
    assert arguments["rows"]["default"] == 10
    assert arguments["path"]["description"] == "Files: what to read."
    assert small["$defs"]["with_read"]["description"] == "Reads rows."
    read = find_component(f"{WIRING}:read")
    assert summary(read.function) == "Reads rows."
    assert argument_texts(read.function)["ctx"] == "given by headrace."
