"""`headrace step`: a component by itself, with artifacts named as the store and its runs name them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.pipelines.artifact import load_artifact

from .conftest import SMALL


def folder_of(result) -> Path:
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    return Path(line)


def text(folder: Path) -> str:
    return (folder / "text.txt").read_text()


def test_values_are_yaml_and_the_output_is_the_folder_alone(headrace):
    made = folder_of(headrace("step", f"{SMALL}:number", "--arg", "value=4"))
    assert text(made) == "5"
    again = headrace("step", f"{SMALL}:number", "--arg", "value=4")
    assert folder_of(again) == made
    assert "nothing changed since run" in again.stderr
    forced = headrace("step", f"{SMALL}:number", "--arg", "value=4", "--force")
    assert folder_of(forced) == made
    assert "forced" in forced.stderr


@pytest.mark.parametrize("form", ["step", "digest", "folder", "run"])
def test_an_artifact_has_many_names(headrace, form):
    run = json.loads(headrace("run", "chain.yaml", "--to", "number", "--json").stdout)
    told = run["steps"]["number"]["outputs"]["output"]
    headrace("run", "chain.yaml", "--to", "number", "--param", "value=8")  # a newer run with another number
    names = {
        "step": "number",
        "digest": told["digest"][:9],
        "folder": told["path"],
        "run": f"{run['run']}:number",
    }
    made = folder_of(headrace("step", f"{SMALL}:parity", "--arg", f"files={names[form]}"))
    assert text(made) == ("1" if form == "step" else "0")


def test_what_a_pipeline_made_is_a_hit_and_several_outputs_have_their_names(headrace):
    run = json.loads(headrace("run", "chain.yaml", "--json").stdout)
    pair = headrace("step", f"{SMALL}:pair", "--arg", "files=parity")
    assert "nothing changed" in pair.stderr
    outputs = run["steps"]["pair"]["outputs"]
    assert pair.stdout.splitlines() == [f"{name} {outputs[name]['path']}" for name in ("left", "right")]
    joined = headrace(
        "step",
        f"{SMALL}:joined",
        "--arg",
        "left=pair.left",
        "--arg",
        "right=null",
        "--arg",
        "glue=-",
        "--json",
    )
    told = json.loads(joined.stdout)
    assert (told["status"], told["steps"]["joined"]["status"]) == ("done", "ran")
    assert text(Path(told["steps"]["joined"]["outputs"]["output"]["path"])) == "0"


def test_lineage_and_explain_know_it(headrace):
    headrace("run", "chain.yaml", "--to", "number")
    made = load_artifact(folder_of(headrace("step", f"{SMALL}:parity", "--arg", "files=number")))
    tree = headrace("lineage", made.digest[:12]).stdout
    assert "parity" in tree and "files: Files" in tree and "number in run" in tree
    runs = json.loads(headrace("runs", "list", "--json").stdout)
    assert runs[0]["pipeline"] == "parity"


def test_a_source_is_a_file_if_there_is_one_and_else_an_artifact(headrace, tmp_path):
    (tmp_path / "number").write_text("a file")
    headrace("run", "chain.yaml", "--to", "number")
    assert text(folder_of(headrace("step", f"{SMALL}:copied", "--arg", "path=number"))) == "a file"
    (tmp_path / "number").unlink()
    refused = headrace("step", f"{SMALL}:copied", "--arg", "path=number")  # it gets the artifact
    assert refused.exit_code == 1 and "AssertionError" in refused.stderr
    gone = headrace("step", f"{SMALL}:copied", "--arg", "path=nowhere.csv")
    assert gone.exit_code != 0 and "nowhere.csv" in gone.stderr


@pytest.mark.parametrize(
    "args, said",
    [
        (["nunber"], "nunber"),
        ([f"{SMALL}:number", "--arg", "valu=3"], "did you mean 'value'"),
        ([f"{SMALL}:number", "--arg", "value=-3"], "value"),
        ([f"{SMALL}:number", "--arg", "value"], "NAME=VALUE"),
        ([f"{SMALL}:parity"], "needs the argument 'files'"),
        ([f"{SMALL}:parity", "--arg", "files=nunber"], "did you mean 'number'"),
        ([f"{SMALL}:parity", "--arg", "files=zz:number"], "there is no run 'zz'"),
        ([f"{SMALL}:joined", "--arg", "left=pair"], "pair.left"),
        (["statistics", "--arg", "examples=number"], "can't take an artifact of type Files"),
        (["chain.yaml"], "is a pipeline, not a component"),
        ([], "say which component"),
        ([f"{SMALL}:number", "--runner", "abacus"], "there is no runner 'abacus'"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_runs(headrace, args, said):
    headrace("run", "chain.yaml")
    runs = headrace("runs", "list").stdout
    refused = headrace("step", *args)
    assert refused.exit_code == 2
    assert said in refused.stderr, refused.stderr
    assert refused.stdout == ""
    assert headrace("runs", "list").stdout == runs


def test_a_failure_is_told_and_can_be_resumed(headrace):
    headrace("run", "chain.yaml", "--to", "number")
    failed = headrace("step", f"{SMALL}:failing", "--arg", "files=number")
    assert failed.exit_code == 1
    assert "it was meant to fail" in failed.stderr and "headrace resume" in failed.stderr
    resumed = headrace("resume")
    assert resumed.exit_code == 1 and "it was meant to fail" in resumed.stderr
    records = json.loads(headrace("runs", "list", "--json").stdout)
    assert [record["status"] for record in records][:2] == ["failed", "failed"]


def test_help_tells_the_arguments(headrace):
    told = headrace("step", f"{SMALL}:joined", "--help")
    assert told.exit_code == 0
    assert "--arg K=V" in told.stdout and "right" in told.stdout and "default +" in told.stdout
    assert "Usage:" in headrace("step", "-h").stdout
