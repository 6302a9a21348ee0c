"""A package outside the project: its parts are used, offered, suggested and fingerprinted like our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headrace.schemas import yaml12

from .conftest import PACKAGE, Commands, Headrace, install

READY = (PACKAGE / "tidy_tables" / "ready" / "tidy_wine.yaml").read_text("utf-8")
USED = """
pipeline: mine
steps:
  wine: {uses: tidy_wine, with: {epochs: 3}}
  again:
    uses: evaluate
    with: {model: "${steps.wine.model}", examples: "${steps.wine.examples}", split: train}
"""


def read(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_catalog_names_its_parts_and_their_package(tidy_tables: Path, commands: Commands):
    own = {
        "components": "class_counts", "transforms": "signed_log", "models": "softmax_ridge",
        "losses": "smooth_crossentropy", "metrics": "sureness", "pipelines": "tidy_wine",
    }  # fmt: skip
    asked = [["components", "--kind", kind, "--json"] for kind in own]
    *listed, (_, described, _) = commands(*asked, ["components", "class_counts"], sites=(tidy_tables,))
    for name, (code, text, errors) in zip(own.values(), listed, strict=True):
        assert (code, errors) == (0, "")
        rows = {row["name"]: row for row in json.loads(text)}
        assert rows[name]["package"] == "tidy-tables 1.2"
        assert [one for one, row in rows.items() if "package" in row] == [name]
        assert len(rows) > 1
    assert "Counts the values of a column of strings" in described
    assert "1 or more" in described


def test_a_misspelt_name_is_suggested(tidy_tables: Path, commands: Commands, tmp_path: Path):
    names = {
        "class_counts": "class_count", "signed_log,": "singed_log,", "softmax_ridge": "softmax_rigde",
        "smooth_crossentropy": "smoth_crossentropy", "sureness": "surenes",
    }  # fmt: skip
    (tmp_path / "work" / "right.yaml").write_text(READY)
    for right, wrong in names.items():
        (tmp_path / "work" / f"{wrong.strip(',')}.yaml").write_text(READY.replace(right, wrong))
    lines = [["validate", f"{wrong.strip(',')}.yaml"] for wrong in names.values()]
    (code, _, _), *misspelt = commands(
        ["validate", "right.yaml"], *lines, ["plan", "tidy_wines"], sites=(tidy_tables,)
    )
    assert code == 0
    for right, (code, _, errors) in zip([*names, "tidy_wine"], misspelt, strict=True):
        assert code == 2
        assert f"did you mean {right.strip(',')!r}?" in errors
    ((code, _, errors),) = commands(["validate", "right.yaml"])
    assert code == 2
    for name in names:
        assert f"{name.strip(',')!r}" in errors


def test_the_json_schema_holds_its_names(tidy_tables: Path, headrace: Headrace):
    judge = jsonschema.Draft202012Validator(read(headrace("schema", sites=(tidy_tables,))))
    assert list(judge.iter_errors(yaml12.load(READY))) == []
    assert list(judge.iter_errors(yaml12.load(USED))) == []
    for right, wrong in (
        ("uses: class_counts", "uses: class_count"), ("column: cultivar}", "columns: cultivar}"),
        ("alcohol: signed_log", "alcohol: singed_log"), ("{signed_log: 2}", "{signedlog: 2}"),
        ("model: softmax_ridge", "model: softmax_rige"), ("loss: smooth_cross", "loss: smoth_cross"),
        ("sureness]", "surenes]"),
    ):  # fmt: skip
        assert READY.replace(right, wrong) != READY
        assert list(judge.iter_errors(yaml12.load(READY.replace(right, wrong)))), wrong
    assert list(judge.iter_errors(yaml12.load(USED.replace("epochs", "epoch"))))
    without = jsonschema.Draft202012Validator(read(headrace("schema")))
    assert list(without.iter_errors(yaml12.load(READY)))


def test_its_pipeline_is_a_step_and_becomes_python(tidy_tables: Path, commands: Commands, tmp_path: Path):
    work = tmp_path / "work"
    (work / "mine.yaml").write_text(USED)
    planned, written, of_python = commands(
        ["plan", "mine.yaml"], ["graph", "tidy_wine", "--format", "python"],
        ["graph", "mine.yaml", "--format", "python"], sites=(tidy_tables,),
    )  # fmt: skip
    assert planned[0] == 0, planned
    assert "wine.export" in planned[1] and "again" in planned[1]
    (work / "written.py").write_text(written[1])
    (work / "mine.py").write_text(of_python[1])
    back, own = commands(
        ["graph", "written.py:tidy_wine", "--format", "yaml"], ["validate", "mine.py:mine"],
        sites=(tidy_tables,),
    )  # fmt: skip
    assert back[0] == 0, back
    as_values = READY.replace("${params.epochs}", "8").replace("${params.seed}", "1")
    assert yaml12.load(back[1])["steps"] == yaml12.load(as_values)["steps"]
    assert own[0] == 0, own


PARTS = """
import json, sys
from pathlib import Path
from headrace.pipelines.binding import bind
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.step_parts import parts_of
from headrace.pipelines.store import Store
steps, store = bind(load_pipeline("tidy_wine")).steps, Store(Path("store"))
told = ("counts", "transform", "train", "evaluate")
print(json.dumps({name: parts_of(steps[name], {}, store).to_json() for name in told}))
"""


def test_its_code_and_its_version_decide_what_runs_again(tidy_tables: Path, python: Headrace, tmp_path: Path):
    project, site = tmp_path / "project", tmp_path / "site-packages"
    shutil.copytree(PACKAGE, project)
    shutil.copytree(tidy_tables, site)

    def parts() -> dict[str, Any]:
        found: dict[str, Any] = read(python("-c", PARTS, sites=(site,)))
        return found

    def edited(*edits: tuple[str, str, str]) -> list[str]:
        texts = {file: (site / "tidy_tables" / file).read_text() for file, _, _ in edits}
        for file, old, new in edits:
            assert old in texts[file]
            (site / "tidy_tables" / file).write_text(texts[file].replace(old, new))
        found = changed(parts())
        for file, text in texts.items():
            (site / "tidy_tables" / file).write_text(text)
        return found

    def changed(after: dict[str, Any]) -> list[str]:
        return [name for name in first if first[name] != after[name]]

    first = parts()
    assert first["counts"]["libraries"]["tidy_tables"] == "1.2"
    assert first["train"]["parameters"]["model"]["name"] == "tidy_tables.networks:softmax_ridge"
    a_loss = ("losses.py", "label_smoothing=0.1", "label_smoothing=0.2")
    assert edited(("counting.py", "-one[1]", "one[1]"), a_loss) == ["counts", "train"]
    a_remark = ("networks.py", '"""A model', '"""One model')
    assert edited(("scaling.py", "log1p(", "log1p(2 * "), a_remark) == ["transform"]
    assert edited(("networks.py", "(penalty)", "(2 * penalty)")) == ["train"]

    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text.replace('version = "1.2"', 'version = "1.3"'))
    shutil.rmtree(site / "tidy_tables-1.2.dist-info")
    install(project, site)
    after = parts()
    assert changed(after) == ["counts", "transform", "train"]
    assert after["counts"]["libraries"]["tidy_tables"] == "1.3"


CARRIED = """
from headrace.pipelines.binding import bind
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.runners.packages.user_code import user_wheel
print(*user_wheel(bind(load_pipeline("tidy_wine"))).files, sep="\\n")
"""


def test_workers_elsewhere_get_its_code(tidy_tables: Path, python: Headrace):
    done = python("-c", CARRIED, sites=(tidy_tables,))
    assert done.returncode == 0, done.stderr
    carried = {name.rpartition("/tidy_tables/")[2] for name in done.stdout.split() if "/tidy_tables/" in name}
    assert carried == {"__init__.py", "counting.py", "losses.py", "networks.py", "scaling.py"}


CACHED = """
import sys
from headrace.pipelines.cli import cli
heavy = ("tensorflow", "keras", "apache_beam", "numpy", "pyarrow")
try:
    cli.main(sys.argv[1:])
finally:
    print("heavy:", [name for name in heavy if name in sys.modules])
"""
SERVED = """
import json, sys
import tensorflow as tf
try:
    import tidy_tables
except ImportError:
    pass
else:
    raise AssertionError("the package is here")
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
inputs = served.structured_input_signature[1]
values = {name: tf.zeros([2], spec.dtype) for name, spec in inputs.items() if spec.dtype != tf.string}
answers = served(**values)
print(json.dumps({name: list(value.shape) for name, value in answers.items()}))
"""


@pytest.mark.slow
def test_its_pipeline_runs_and_its_export_needs_nothing_of_it(
    tidy_tables: Path, headrace: Headrace, python: Headrace
):
    done = headrace("run", "tidy_wine", "--store", "s", sites=(tidy_tables,))
    assert done.returncode == 0, done.stderr
    assert "7 ran" in done.stdout
    again = python("-c", CACHED, "run", "tidy_wine", "--store", "s", sites=(tidy_tables,))
    assert "7 cached" in again.stdout
    assert again.stdout.splitlines()[-1] == "heavy: []", "nothing of it is imported that is heavy, either"
    export = headrace("artifacts", "path", "export", "--store", "s")
    assert export.returncode == 0, export.stderr
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    served = subprocess.run(
        [sys.executable, "-c", SERVED, f"{export.stdout.strip()}/1"],
        capture_output=True, text=True, env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert served.returncode == 0, served.stderr
    assert json.loads(served.stdout)


@pytest.mark.slow
def test_a_transform_of_two_minds_is_refused_by_the_parity_gate(
    tidy_tables: Path, headrace: Headrace, tmp_path: Path
):
    site = tmp_path / "site-packages"
    shutil.copytree(tidy_tables, site)
    scaling = site / "tidy_tables" / "scaling.py"
    last = "        return xp.where(far"
    other = "        size = size if hasattr(column, 'flags') else size * 1.01\n"
    assert last in scaling.read_text()
    scaling.write_text(scaling.read_text().replace(last, other + last))
    done = headrace("run", "tidy_wine", "--store", "s", sites=(site,))
    assert done.returncode == 1
    assert "export" in done.stderr and "alcohol in row" in done.stderr
