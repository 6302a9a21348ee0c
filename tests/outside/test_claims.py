"""Packages that claim one name, a built-in one, or that are broken: told, and in nobody else's way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.pipelines.entry_points import KINDS

from .conftest import Commands, Headrace

Claim = Callable[..., Path]
PARTS = '''
from headrace.pipelines import Context, Files, component, pipeline

@component
def hello(ctx: Context, *, text: str = "hello") -> Files:
    """Says it."""
    draft = ctx.output(Files)
    (draft.path / "said.txt").write_text(text)
    return draft.finish()

@component
def unreadable(ctx: Context, *, value: "NoSuchType" = 1) -> Files: ...

@pipeline
def greetings(text: str = "hi"):
    return hello(text=text)

def halved(xp, column):
    return column / 2

def plain(inputs, outputs, task): ...
'''


def train(model: str) -> str:
    return f"""
pipeline: p
steps:
  examples: {{uses: csv_examples, with: {{path: wine.csv}}}}
  made: {{uses: transform, with: {{examples: "${{steps.examples}}", label: b, features: {{a: z_score}}}}}}
  train:
    uses: train
    with: {{examples: "${{steps.made.examples}}", transform: "${{steps.made.transform}}", model: {model}}}
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that commands run in, with documents that use what packages offer."""
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    for name, uses in (("hello", "hello"), ("built_in", "wine_csv"), ("broken", "bad_import")):
        (folder / f"{name}.yaml").write_text(f"pipeline: p\nsteps:\n  one: {{uses: {uses}}}\n")
    (folder / "wine.csv").write_text("a,b\n1,x\n2,y\n")
    (folder / "halved.yaml").write_text(train("mlp").replace("z_score", "halved"))
    for model in ("ridge", "missing", "mlp"):
        (folder / f"{model}.yaml").write_text(train(model))
    return folder


def test_two_packages_that_claim_one_name(claim: Claim, commands: Commands, work: Path):
    own = {"components.hello": "one_pack:hello", "transforms.halved": "one_pack:halved",
           "models.ridge": "one_pack:plain", "pipelines.greet": "one_pack:greetings"}  # fmt: skip
    one = claim("one-pack", own, PARTS)
    other = claim("two-pack", {key: path.replace("one", "two") for key, path in own.items()}, PARTS, "2.1")
    uses = [
        ["validate", "hello.yaml"],
        ["validate", "halved.yaml"],
        ["validate", "ridge.yaml"],
        ["plan", "greet"],
    ]
    for (code, _, errors), kind in zip(
        commands(*uses, sites=(one, other)), ("component", "transform", "model", "pipeline"), strict=True
    ):
        assert code == 2
        assert f"2 packages offer a {kind}" in errors
        assert "one-pack 1 and two-pack 2.1" in errors
    (code, listed, warned), fine, schema = commands(
        ["components"], ["validate", "mlp.yaml"], ["schema"], sites=(one, other)
    )
    assert code == fine[0] == schema[0] == 0
    assert "hello" not in listed and "offer a component 'hello': one-pack 1 and two-pack 2.1" in warned
    assert "write the import path of the one that is meant, one_pack:hello or two_pack:hello" in warned
    assert [one[0] for one in commands(*uses, sites=(one,))] == [0] * 4
    same = claim("three-pack", {"components.hello": "one_pack:hello"}, "")
    assert commands(["validate", "hello.yaml"], sites=(one, same))[0][0] == 0


def test_a_name_that_is_built_in_stays_what_it_is(claim: Claim, commands: Commands, work: Path):
    points = {
        "components.wine_csv": "one_pack:hello", "models.mlp": "one_pack:plain",
        "losses.mse": "one_pack:plain", "transforms.z_score": "one_pack:halved",
        "pipelines.wine": "one_pack:greetings",
    }  # fmt: skip
    site = claim("one-pack", points, PARTS)
    kinds = [key.partition(".")[::2] for key in points]
    listed = commands(*(["components", "--kind", kind] for kind, _ in kinds), sites=(site,))
    for (kind, name), (code, text, warned) in zip(kinds, listed, strict=True):
        assert code == 0
        assert f"the {KINDS[kind]} {name!r} of the package one-pack 1 has the name of a" in warned
        assert "one-pack" not in text
    used = commands(
        ["plan", "built_in.yaml"], ["plan", "mlp.yaml", "--json"], ["plan", "wine"], sites=(site,)
    )
    assert [code for code, *_ in used] == [0, 0, 0]
    assert "export" in used[2][1]


def test_what_is_broken_is_told_where_it_is_used_and_nowhere_else(
    claim: Claim, commands: Commands, work: Path
):
    points = {
        "components.bad_import": "bad_pack:gone", "components.bad_signature": "one_pack:unreadable",
        "components.no_component": "one_pack:halved", "models.missing": "bad_pack.networks:ridge",
        "transforms.halved": "one_pack:halve", "pipelines.nowhere": "one_pack.ready",
    }  # fmt: skip
    bad = claim("bad-pack", points, "import no_such_module_anywhere\n", "0.3")
    good = claim("one-pack", {"components.hello": "one_pack:hello"}, PARTS)
    sites = (bad, good)
    (code, listed, warned), schema, hello, built_in, mlp = commands(
        ["components"], ["schema"], ["plan", "hello.yaml"], ["plan", "built_in.yaml"],
        ["validate", "mlp.yaml"], sites=sites,
    )  # fmt: skip
    assert [code, schema[0], hello[0], built_in[0], mlp[0]] == [0] * 5
    assert "with_hello" in json.loads(schema[1])["$defs"] and "hello" in listed
    for name in ("bad_import", "bad_signature", "no_component"):
        assert name not in listed
        assert f"the component {name!r} of the package bad-pack 0.3" in warned
    torn = claim("torn-pack", {}, "")
    (torn / "torn-pack-1.dist-info" / "entry_points.txt").write_text("[a.b]\nno\n")
    (code, listed, warned), missing = commands(["components"], ["plan", "nowhere"], sites=(torn, good))
    assert (code, missing[0]) == (0, 2) and "no pipeline 'nowhere'" in missing[2]
    assert "hello" in listed and "the entry points of the package torn-pack 1 can't be read" in warned
    used = commands(
        ["validate", "broken.yaml"], ["validate", "missing.yaml"], ["validate", "halved.yaml"],
        ["plan", "nowhere"], ["components", "bad_signature"], sites=sites,
    )  # fmt: skip
    for (code, _, errors), what in zip(
        used,
        (
            "no_such_module_anywhere", "no module 'bad_pack.networks'", "no function 'halve'",
            "no package 'one_pack.ready'", "NoSuchType",
        ),
        strict=True,
    ):  # fmt: skip
        assert code == 2
        assert "of the package bad-pack 0.3" in errors and what in errors, errors


LOADED = """
import sys
from headrace.pipelines.errors import HeadraceError
from headrace.pipelines.import_path import load_function
try:
    load_function(sys.argv[1])
except HeadraceError as error:
    print(error)
"""


def test_code_that_fails_when_it_is_needed_names_its_package(claim: Claim, python: Headrace):
    site = claim("bad-pack", {}, "import no_such_module_anywhere\ndef ridge(inputs, outputs, task): ...\n")
    (site / "bad-pack-1.dist-info" / "top_level.txt").write_text("bad_pack\n")
    told = python("-c", LOADED, "bad_pack:ridge", sites=(site,)).stdout
    assert "importing bad_pack, of the package bad-pack, failed: ModuleNotFoundError" in told


LOOKS = """
import sys
from pathlib import Path
from headrace.pipelines import entry_points
from headrace.pipelines.binding import bind
from headrace.pipelines.errors import PipelineError
from headrace.pipelines.resolve import load_pipeline
try:
    bind(load_pipeline(sys.argv[1]))
except PipelineError as error:
    print(error)
print(entry_points._installed.cache_info().misses)
"""


def test_a_document_without_names_of_others_looks_at_no_package(python: Headrace, work: Path):
    told = train("linear").replace("model: linear", "model: linear, loss: KLDivergence, metrics: [mae, AUC]")
    (work / "plain.yaml").write_text(told.replace("{a: z_score}", "{a: [log1p, {clip: [0, 3]}]}"))
    (work / "misspelt.yaml").write_text(train("liner"))
    plain, misspelt = (python("-c", LOOKS, f"{name}.yaml").stdout for name in ("plain", "misspelt"))
    assert plain.splitlines() == ["0"]
    assert misspelt.splitlines()[-1] == "1" and "did you mean 'linear'?" in misspelt
