"""Pictures of a DAG."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.document import parse_pipeline
from headrace.pipelines.errors import InvalidRequestError
from headrace.pipelines.graph import FORMATS, graph_of, render
from headrace.pipelines.resolve import load_pipeline

WIRING = Path(__file__).with_name("wiring_components.py")

DOCUMENT = """\
pipeline: 'the "wine" & <more>'
steps:
  examples: {uses: csv_examples, with: {path: wine.csv}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform: {uses: transform, with: {examples: "${steps.examples}", schema: "${steps.schema}"}}
  train:
    uses: train
    with: {examples: "${steps.transform.examples}", transform: "${steps.transform.transform}"}
  evaluate: {uses: evaluate, with: {model: "${steps.train}", examples: "${steps.transform.examples}"}}
  other: {uses: 'a"b:<c>'}
"""

ASCII = """\
● examples             csv_examples
├─● statistics         statistics     ← examples
│ └─● schema           infer_schema   ← statistics
└───┴─● transform      transform      ← examples, schema
      ├─● train        train          ← transform.examples, transform.transform
      └─┴─● evaluate   evaluate       ← train, transform.examples
● other                a"b:<c>
"""


def test_ascii():
    assert render(parse_pipeline(DOCUMENT), "ascii") == ASCII


def test_a_rail_passes_behind_what_it_does_not_join():
    text = """
pipeline: rails
steps:
  a: {uses: x}
  b: {uses: x}
  c: {uses: x, with: {i: "${steps.a}"}}
  d: {uses: x, with: {i: "${steps.b}", j: "${steps.c}", k: "${steps.a}"}}
"""
    lines = [line.split("   ")[0] for line in render(parse_pipeline(text), "ascii").splitlines()]
    assert lines == ["● a", "│ ● b", "├─│─● c", "└─┴─┴─● d"]


def test_mermaid_and_dot_hold_every_step_and_edge():
    pipeline = parse_pipeline(DOCUMENT)
    graph = graph_of(pipeline)
    pairs = {(edge.source, edge.target) for edge in graph.edges}
    assert len(pairs) == 7
    mermaid = render(pipeline, "mermaid")
    assert mermaid.count("-->") == len(pairs)
    assert 's4["train<br/><small>train</small>"]' in mermaid
    assert "a#quot;b:&lt;c&gt;" in mermaid
    assert 's3 -- "examples, transform" --> s4' in mermaid
    dot = render(pipeline, "dot")
    assert dot.count(" -> ") == len(pairs)
    assert dot.startswith('digraph "the \\"wine\\" & <more>" {')


def test_svg_is_well_formed_and_nothing_overlaps():
    pipeline = parse_pipeline(DOCUMENT)
    root = ElementTree.fromstring(render(pipeline, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text == 'the "wine" & <more>'
    boxes = [box.find(f"{space}rect").attrib for box in root.iter(f"{space}g")]
    assert len(boxes) == len(pipeline.steps)
    assert len(root.findall(f"{space}path")) == 7
    spans = [tuple(float(box[key]) for key in ("x", "y", "width", "height")) for box in boxes]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for number, (x, y, w, h) in enumerate(spans):
        assert x >= 0
        assert y >= 0
        assert x + w <= width + 1
        assert y + h <= height + 1
        for x2, y2, w2, h2 in spans[number + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    texts = {text.text for text in root.iter(f"{space}text")}
    assert {"examples, transform", 'a"b:<c>', *pipeline.steps} <= texts


def test_every_format_draws_functions_and_bound_pipelines():
    function = load_pipeline(f"{WIRING}:whole")
    for form in FORMATS:
        assert "first" in render(function, form)
        assert "first" in render(bind(function), form)
    again = parse_pipeline(render(bind(function, {"epochs": 7}), "yaml"))
    assert again.steps["first"].arguments["epochs"] == 7
    assert again.steps["read"].arguments["path"] == str(WIRING.parent / "a.csv")
    with pytest.raises(InvalidRequestError, match="did you mean 'mermaid'"):
        render(function, "mermad")


def test_a_cycle_can_still_be_drawn():
    steps = 'a: {uses: x, with: {i: "${steps.b}"}}, b: {uses: x, with: {i: "${steps.a}"}}'
    text = f"pipeline: c\nsteps: {{{steps}}}\n"
    drawn = render(parse_pipeline(text), "ascii")
    assert re.findall(r"● (\w)", drawn) == ["b", "a"]
