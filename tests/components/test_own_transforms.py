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

from headrace.components.export import export
from headrace.components.preprocessing.casting import serving_batch
from headrace.components.preprocessing.features_checks import check_specs
from headrace.components.preprocessing.features_grammar import LabelSpec, parse_features, parse_labels
from headrace.components.preprocessing.fitted_file import load_fitted, save_fitted
from headrace.components.preprocessing.fitted_tf import require_graph
from headrace.components.train import train
from headrace.components.transform import transform
from headrace.pipelines.binding import bind
from headrace.pipelines.document import parse_pipeline
from headrace.pipelines.errors import GateError, StepError, StoreError
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
    code.write_text("raise SystemExit('this must not run')\ndef clamp(xp, column): return column\n")
    with pytest.raises(StoreError, match=r"the code of mine.py:clamp is not what the transform was fitted"):
        load_fitted(saved)
    code.write_text("clam = 3\n")
    with pytest.raises(
        StoreError, match=r"(?s)uses mine.py:clamp, which can't be imported: there is no funct"
    ):
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
    "Hidden": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from headrace.components.transforms import Transform\n"
        "@dataclass(frozen=True)\nclass Hidden(Transform):\n    unit: Unit = 1\n"
        "    def apply(self, xp, column, constants): return column\n",
        "the types of mine.py:Hidden's arguments can't be read: name 'Unit' is not defined",
    ),
    "Refuses": (
        "from dataclasses import dataclass\nfrom headrace.components.transforms import Transform\n"
        "@dataclass(frozen=True)\nclass Refuses(Transform):\n"
        "    def __post_init__(self): raise ValueError('no unit')\n"
        "    def apply(self, xp, column, constants): return column\n",
        "Refuses refuses its arguments: no unit",
    ),
    "hint": (
        "import math\ndef hint(xp, column, low: 'math.nothing' = 1): return column\n",
        "the signature of mine.py:hint can't be read",
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


CONTRACT = """
from dataclasses import dataclass
import numpy as np
from headrace.components.transforms import TargetMean, Transform

@dataclass(frozen=True)
class Told(Transform):
    {0}
    def apply(self, xp, column, constants):
        {1}
        return column
"""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("def gives(self, kind): return 'number'", "Told: gives 'number', which is no kind: kinds are float"),
        ("def analyzers(self, kind): return ('mean',)", "Told: analyzers gives ('mean',), and has to give a"),
        ("def analyzers(self, kind): return 'moments'", "Told: analyzers gives 'moments', and has to give a"),
        (
            "def analyzers(self, kind): return ('label_means',)",
            "for target_mean and classes below TargetMean",
        ),
    ],
)
def test_what_a_class_says_of_itself_is_checked_before_anything_runs(
    tmp_path: Path, told: str, said: str
) -> None:
    (tmp_path / "mine.py").write_text(CONTRACT.format(told, "pass"))
    specs, problems = parse_features({"f": f"{tmp_path}/mine.py:Told"})
    assert not problems
    (problem,) = check_specs(specs, (), {"f": "float"}, ["f"])
    assert said in str(problem) and problem.argument == "features.f"


@pytest.mark.parametrize(
    ("fitted", "applied", "said"),
    [
        ("return results.mean", "pass", r"fit of the transform mine.py:Told gave float"),
        ("return {'least': {1}}", "pass", r"fit of the transform mine.py:Told gave a set as 'least'"),
        ("return {}", "return column[:1]", r"the transform mine.py:Told gave 1 rows of 2"),
        ("return {}", "column += 1", r"mine.py:11: the transform mine.py:Told failed: ValueError.*read-only"),
        ("return {'least': np.float32(2), 'n': np.int64(3)}", "return column[0]", r"in 0 dimensions"),
    ],
)
def test_what_a_class_gives_is_checked(tmp_path: Path, fitted: str, applied: str, said: str) -> None:
    told = f"def fit(self, results, kind): {fitted}\n    def analyzers(self, kind): return ('moments',)"
    (tmp_path / "mine.py").write_text(CONTRACT.format(told, applied))
    data: dict[str, Any] = {"c": ("float", [1.0, 2.0])}
    with pytest.raises(StepError, match=said):
        fit({"c": f"{tmp_path}/mine.py:Told"}, data).apply_numpy(batch(data))


def test_constants_may_be_numpy_scalars(tmp_path: Path) -> None:
    told = "def fit(self, results, kind): return {'a': np.float32(2), 'n': np.int64(3)}"
    (tmp_path / "mine.py").write_text(
        CONTRACT.format(told, "return column * constants['a'] * constants['n']")
    )
    data: dict[str, Any] = {"c": ("float", [1.0, 2.0])}
    save_fitted(fit({"c": f"{tmp_path}/mine.py:Told"}, data), tmp_path)
    np.testing.assert_array_equal(load_fitted(tmp_path).apply_numpy(batch(data))["c"], [[6], [12]])


def test_a_class_below_target_mean_does_not_see_its_own_fold(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom headrace.components.transforms import TargetMean\n"
        "@dataclass(frozen=True)\nclass Mine(TargetMean):\n    pass\n"
    )
    rows: dict[str, Any] = {
        "c": ("string", ["a", "b", "a", "c"] * 10),
        "y": ("float", [float(i) for i in range(40)]),
    }
    features = {
        n: {"from": "c", "apply": t} for n, t in (("x", "target_mean"), ("z", f"{tmp_path}/mine.py:Mine"))
    }
    fitted = fit(features, rows, LabelSpec("y"))
    columns, places = serving_batch(batch(rows), fitted.types), [(0, 40)]
    of_train = fitted.numpy_program.run(columns, places)
    np.testing.assert_array_equal(of_train["x"], of_train["z"])
    assert (of_train["z"][0] != fitted.numpy_program.run(columns)["z"][0]).any()


def test_a_class_that_joins_is_named_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CONTRACT.format("joins = True", "return column[0] + column[1].nothing"))
    data: dict[str, Any] = {"a": ("float", [1.0, 2.0]), "b": ("float", [1.0, 3.0])}
    fitted = fit({"f": {"from": ["a", "b"], "apply": f"{tmp_path}/mine.py:Told"}}, data)
    with pytest.raises(StepError, match=r"mine.py:10: the transform mine.py:Told failed: AttributeError"):
        fitted.apply_numpy(batch(data))


def test_what_only_numpy_can_do_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef wave(xp, column): return np.sin(column)\n"
        "def fine(xp, column): return xp.where(column < 0, 0.0, column)\n"
    )
    data: dict[str, Any] = {"c": ("float", [1.0, 2.0]), "t": ("strings", [["a"], ["b", "a"]])}
    require_graph(fit({"c": f"{tmp_path}/mine.py:fine", "t": "multi_hot"}, data))
    with pytest.raises(StepError, match=r"mine.py:2: the transform mine.py:wave failed"):
        require_graph(fit({"c": f"{tmp_path}/mine.py:wave"}, data))


@pytest.mark.parametrize("parent", ["Transform", "ZScore"])
def test_what_makes_a_label_has_its_own_way_back(tmp_path: Path, parent: str) -> None:
    head = "from dataclasses import dataclass\nfrom headrace.components.transforms import Transform, ZScore\n"
    (tmp_path / "mine.py").write_text(
        f"{head}@dataclass(frozen=True)\nclass Told({parent}):\n    label = 'value'\n"
        "    def apply(self, xp, column, constants): return column * 2.0\n"
    )
    _, (problem,) = parse_labels({"y": f"{tmp_path}/mine.py:Told"})
    assert "no inverse of its own" in str(problem) and problem.argument == "label.y"
    assert not parse_features({"f": f"{tmp_path}/mine.py:Told"})[1]
    with (tmp_path / "mine.py").open("a") as code:
        code.write("    def inverse(self, xp, column, constants): return column * 0.5\n")
    assert not parse_labels({"y": f"{tmp_path}/mine.py:Told"})[1]


def test_a_way_back_that_only_numpy_can_go_is_found_before_training(tmp_path: Path) -> None:
    told = "label = 'value'\n    def inverse(self, xp, column, constants): return np.sinh(column)"
    (tmp_path / "mine.py").write_text(CONTRACT.format(told, "pass"))
    (spec,), problems = parse_labels({"y": f"{tmp_path}/mine.py:Told"})
    assert not problems
    data: dict[str, Any] = {"c": ("float", [1.0, 2.0]), "y": ("float", [1.0, 3.0])}
    with pytest.raises(StepError, match=r"mine.py:9: the transform mine.py:Told failed"):
        require_graph(fit({"c": "identity"}, data, spec))


def test_one_that_looks_at_the_rows_beside_is_not_exported(tmp_path: Path, new_ctx: Any) -> None:
    (tmp_path / "mine.py").write_text("def back(xp, column):\n    return column[::-1]\n")
    examples = make_raw_examples(new_ctx(), {"train": table(), "test": table()})
    features = {"x": [f"{tmp_path}/mine.py:back", "z_score"]}
    made = transform.function(new_ctx(), examples, label="label", features=features)
    model = train.function(new_ctx(), made.examples, made.transform, model="linear", epochs=1)
    with pytest.raises(GateError, match=r"(?s)x in row \d+ is .*let transforms of your own look at each row"):
        export.function(new_ctx(), model, examples)


def test_entry_points_have_plain_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site"
    (package / "other-1.dist-info").mkdir(parents=True)
    (package / "other-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: other\nVersion: 1\n"
    )
    (package / "other-1.dist-info" / "entry_points.txt").write_text(
        "[headrace.transforms]\nclamped = other_transforms:clamp\n"
    )
    shutil.copy(OWN, package / "other_transforms.py")
    monkeypatch.setattr(sys, "path", [*sys.path, str(package)])
    data: dict[str, Any] = {"c": ("float", [0.5, 9.0])}
    try:
        assert fit({"c": "clamped"}, data).apply_numpy(batch(data))["c"].tolist() == [[0.5], [1]]
        _, (problem,) = parse_features({"f": "clampd"})
        assert problem.closest == "clamped" and "clamped" in problem.available
    finally:
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


def test_parameters_may_be_called_like_methods_and_fields_say_how(tmp_path: Path) -> None:
    path = tmp_path / "named.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from headrace.components.transforms import Transform\n"
        "def grow(xp, column, size=2.0, shape=1.0):\n"
        "    return column * size + shape\n"
        "@dataclass(frozen=True)\n"
        "class Hiding(Transform):\n"
        "    size: int = 1\n"
        "    def apply(self, xp, column, constants):\n"
        "        return column\n"
    )
    data = {"x": ("float", [1.0, 2.0, 3.0])}
    fitted = fit({"x": {f"{path}:grow": {"size": 3, "shape": 0.5}}}, data)
    save_fitted(fitted, tmp_path)
    (chain,) = [
        f["branches"][0]["chain"] for f in json.loads((tmp_path / "transform.json").read_text())["features"]
    ]
    assert chain[0]["arguments"] == {"size": 3, "shape": 0.5}
    again = load_fitted(tmp_path)
    np.testing.assert_array_equal(again.apply_numpy(batch(data))["x"][:, 0], [3.5, 6.5, 9.5])
    assert pickle.loads(pickle.dumps(again)).fitted == again.fitted
    (problem,) = parse_features({"x": f"{path}:Hiding"})[1]
    assert "has a field 'size', which hides the method of that name" in problem.what
    assert 'size_ = field(metadata={"argument": "size"})' in problem.remedy
