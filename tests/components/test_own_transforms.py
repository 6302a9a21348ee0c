"""Transforms of one's own: found, checked, fingerprinted, in workers, in artifacts, and in what is served."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.components.preprocessing.features_grammar import check_specs, parse_features, parse_labels
from headrace.components.preprocessing.fitted_file import load_fitted, save_fitted
from headrace.components.transform import transform
from headrace.components.transforms import own
from headrace.pipelines.binding import bind
from headrace.pipelines.document import parse_pipeline
from headrace.pipelines.errors import StepError, StoreError
from headrace.pipelines.fingerprint import differences, fingerprint
from headrace.pipelines.step_parts import parts_of
from headrace.pipelines.store import Store

from .raw_examples import make_raw_examples
from .test_transform_depth import table
from .transform_cases import OWN, batch, fit

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PIPELINE = """
pipeline: own
steps:
  examples: {uses: csv_examples, with: {path: rows.csv, splits: {train: 8, test: 2}, split_by: x}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      label: y
      features:
        x: {scaling.py:clamp: {high: 2}}
        gap: {from: x, apply: [{scaling:Gap: {unit: 12}}, z_score]}
  train:
    uses: train
    with:
      examples: ${steps.transform.examples}
      transform: ${steps.transform.transform}
      model: linear
      epochs: 1
  export: {uses: export, with: {model: "${steps.train}", examples: "${steps.examples}"}}
"""


def example() -> str:
    """The code that the README shows."""
    (code,) = (b for b in re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S) if "class Gap" in b)
    return code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's code and a pipeline beside it, which is not on Python's path."""
    (tmp_path / "scaling.py").write_text(example())
    (tmp_path / "own.yaml").write_text(PIPELINE)
    rows = [f"{i / 10},{i % 7}" for i in range(80)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "scaling", raising=False)
    yield tmp_path
    sys.modules.pop("scaling", None)


def parts(folder: Path) -> Any:
    bound = bind(parse_pipeline(PIPELINE, str(folder / "own.yaml"), str(folder)))
    return parts_of(bound.steps["transform"], {}, Store(folder / "store"))


def test_the_code_is_in_the_fingerprint_and_the_folder_is_not(folder: Path) -> None:
    before = parts(folder)
    assert str(folder) not in json.dumps(before.to_json())
    code = folder / "scaling.py"
    code.write_text(code.read_text().replace("def clamp", "# a comment\ndef clamp"))
    assert fingerprint(parts(folder)) == fingerprint(before)
    code.write_text(code.read_text().replace("column > high, high", "column > high, high + 1"))
    assert differences(before, parts(folder), "transform") == [
        "transform.scaling.py:clamp: code changed: scaling:clamp"
    ]
    code.write_text(code.read_text().replace("results.min", "results.max"))
    assert "transform.scaling:Gap: code changed: scaling:Gap" in differences(
        before, parts(folder), "transform"
    )


def headrace(*arguments: str, cwd: Path, code: int = 0) -> str:
    main = "import sys; sys.path.remove(''); from headrace.pipelines.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, *arguments], cwd=cwd, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_from_yaml_to_answers_without_the_code(folder: Path) -> None:
    headrace("run", "own.yaml", cwd=folder)
    assert "0 of 4 steps would run" in headrace("plan", "own.yaml", cwd=folder)
    (folder / "new.csv").write_text("x\n1.5\n99\n")
    exported = next((folder / ".headrace" / "artifacts" / "ExportedModel").iterdir())
    told = json.loads((exported / "export.json").read_text())
    assert told["parity"]["rows"] > 5
    fitted = next((folder / ".headrace" / "artifacts" / "Transform").iterdir())
    assert str(folder) not in (fitted / "transform.json").read_text("utf-8")
    (folder / "scaling.py").unlink()
    assert len(headrace("predict", str(exported), "new.csv", cwd=folder).splitlines()) >= 3
    said = headrace("plan", "own.yaml", cwd=folder, code=2)
    assert "there is no file" in said and "transform.features.x" in said
    with pytest.raises(StoreError, match=r"uses scaling.py:clamp, which can't be imported: there is no file"):
        load_fitted(fitted)


def test_workers_import_the_code(folder: Path, new_ctx: Any) -> None:
    ctx = new_ctx(direct_num_workers="2", direct_running_mode="multi_processing")
    examples = make_raw_examples(ctx, {"train": table()}, rows_per_part=15)
    features = {"x": [{"scaling:Gap": {"unit": 2}}, {f"{folder}/scaling.py:clamp": None}, "z_score"]}
    made = transform.function(ctx, examples, label="label", features=features)
    values = np.asarray(table()["x"])
    expected = np.clip((values - values.min()) / 2, 0, 1)
    found = load_fitted(made.transform.path).apply_numpy(table().combine_chunks().to_batches()[0])["x"]
    np.testing.assert_allclose(found[:, 0], (expected - expected.mean()) / expected.std(), atol=1e-5)


def test_a_saved_transform_knows_its_code(tmp_path: Path) -> None:
    code, saved = tmp_path / "mine.py", tmp_path / "saved"
    saved.mkdir()
    shutil.copy(OWN, code)
    data: dict[str, Any] = {"c": ("float", [1.0, 5.0, 9.0])}
    fitted = fit({"c": [{f"{code}:clamp": {"high": 7}}, {f"{code}:Gap": 2}]}, data)
    save_fitted(fitted, saved)
    np.testing.assert_array_equal(load_fitted(saved).apply_numpy(batch(data))["c"][:, 0], [0, 2, 3])
    again = pickle.loads(pickle.dumps(fitted.fitted[0].branches[0].stages[0].transform))
    assert again == fitted.fitted[0].branches[0].stages[0].transform and again.high == 7
    plan = json.loads((saved / "transform.json").read_text())
    assert [stage["name"] for stage in plan["features"][0]["branches"][0]["chain"]] == [
        "mine.py:clamp",
        "mine.py:Gap",
    ]
    code.write_text(code.read_text().replace("column > high, high", "column >= high, high"))
    with pytest.raises(StoreError, match=r"the code of mine.py:clamp is not what the transform was fitted"):
        load_fitted(saved)
    code.write_text("clamp = 3\n")
    with pytest.raises(StoreError, match=r"(?s)mine.py:clamp.*'clamp' in .* is not a function.*put the code"):
        load_fitted(saved)


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for name, factor in (("a", 2), ("b", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f.py").write_text(f"def times(xp, column):\n    return column * {factor}.0\n")
    features = {n: {"from": "c", "apply": [f"{tmp_path}/{n}/f.py:times", "z_score"]} for n in "ab"}
    data: dict[str, Any] = {"c": ("float", [1.0, 2.0])}
    fitted = fit(features, data)
    assert [f.branches[0].stages[1].constants["mean"] for f in fitted.fitted] == [3, 4.5]
    save_fitted(fitted, tmp_path)
    plan = json.loads((tmp_path / "transform.json").read_text())
    assert set(plan["code"]) == {"f.py:times", "b/f.py:times"}
    np.testing.assert_array_equal(load_fitted(tmp_path).apply_numpy(batch(data))["b"], [[-1], [1]])


WRONG = {
    "noclass": ("class noclass:\n    pass\n", "is a class and no Transform"),
    "Bare": (
        "from headrace.components.transforms import Transform\nclass Bare(Transform):\n    low: float = 0\n",
        "decorate it with @dataclass(frozen=True)",
    ),
    "Idle": (
        "from dataclasses import dataclass\nfrom headrace.components.transforms import Transform\n"
        "@dataclass(frozen=True)\nclass Idle(Transform):\n    pass\n",
        "has no apply",
    ),
    "Odd": (
        "from dataclasses import dataclass\nfrom headrace.components.transforms import Transform\n"
        "@dataclass(frozen=True)\nclass Odd(Transform):\n    takes = ('number',)\n"
        "    def apply(self, xp, column, constants): return column\n",
        "takes 'number', which is no kind",
    ),
    "short": ("def short(column): return column\n", "can't be called as a transform is, with (column)"),
    "starred": ("def starred(xp, column, *more): return column\n", "can't be called as a transform is"),
    "broken": ("import nothing_of_that_name\ndef broken(xp, column): return column\n", "importing"),
    "missing": ("def missin(xp, column): return column\n", "did you mean 'missin'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_transform_is_said_before_anything_runs(tmp_path: Path, name: str) -> None:
    source, said = WRONG[name]
    (tmp_path / "mine.py").write_text(source)
    _, (problem,) = parse_features({"f": f"{tmp_path}/mine.py:{name}"})
    assert said in str(problem) and problem.argument == "features.f"


def test_arguments_are_checked_like_those_of_built_in_ones() -> None:
    cases: list[tuple[Any, str]] = [
        ({f"{OWN}:clamp": {"hihg": 3}}, "has no argument 'hihg'; did you mean 'high'?"),
        ({f"{OWN}:clamp": {"low": "x"}}, "clamp.low is 'x'"),
        ({f"{OWN}:Initials": None}, "Initials needs the argument 'buckets'"),
        ({"nothing_here:fold": None}, "there is no module 'nothing_here'"),
        ("clampp", "there is no transform 'clampp'"),
    ]
    for told, said in cases:
        _, problems = parse_features({"f": told})
        assert said in "\n".join(map(str, problems))
    specs, _ = parse_features({"f": f"{OWN}:clamp"})
    (problem,) = check_specs(specs, (), {"f": "string"}, ["f"])
    assert "own_transforms.py:clamp takes numbers, but the column is a string" in str(problem)
    labels, problems = parse_labels({"y": f"{OWN}:Gap"})
    assert not labels and "Gap can't make a label" in str(problems[0])


def test_entry_points_have_plain_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site"
    (package / "other-1.dist-info").mkdir(parents=True)
    (package / "other-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: other\nVersion: 1\n"
    )
    (package / "other-1.dist-info" / "entry_points.txt").write_text(
        f"[{own.GROUP}]\nclamped = other_transforms:clamp\n"
    )
    shutil.copy(OWN, package / "other_transforms.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(package)])
    own.entry_points.cache_clear()
    data: dict[str, Any] = {"c": ("float", [0.5, 9.0])}
    try:
        assert fit({"c": "clamped"}, data).apply_numpy(batch(data))["c"].tolist() == [[0.5], [1]]
        _, (problem,) = parse_features({"f": "clampd"})
        assert problem.closest == "clamped" and "clamped" in problem.available
    finally:
        own.entry_points.cache_clear()
        sys.modules.pop("other_transforms", None)


def test_one_that_fails_or_gives_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def fails(xp, column):\n    return column.no_such_thing\n\n"
        "def table(xp, column):\n    return xp.stack([column, column])\n"
    )
    data: dict[str, Any] = {"c": ("float", [1.0, 2.0])}
    with pytest.raises(StepError, match=r"mine.py:2: the transform mine.py:fails failed: AttributeError"):
        fit({"c": [f"{tmp_path}/mine.py:fails", "z_score"]}, data)
    with pytest.raises(StepError, match=r"gave float32 in 2 dimensions, and a column of kind float is"):
        fit({"c": [f"{tmp_path}/mine.py:table", "z_score"]}, data)
