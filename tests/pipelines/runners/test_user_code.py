"""The user's own code on workers that have neither it nor headrace installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from headrace.pipelines.binding import bind
from headrace.pipelines.context import RunnerSettings
from headrace.pipelines.executor import Request, RunResult, run_pipeline
from headrace.pipelines.resolve import load_pipeline
from headrace.pipelines.store import Store

Remote = Callable[..., RunnerSettings]
PROJECT = {
    # A transform in a file, with a helper that lies beside it.
    "clip.py": '''
from limits import HIGH

def clip(xp, column, low=0.0):
    return xp.minimum(column, HIGH) - low
''',
    "limits.py": "HIGH = 2.5\n\ndef times(item):\n    return item * HIGH\n",
    # A transform in a package, and a component whose units of work are objects of its own.
    "mine/__init__.py": "",
    "mine/scaling.py": '''
from dataclasses import dataclass
from headrace.components.transforms.base import Transform

@dataclass(frozen=True)
class Half(Transform):
    """Halves a number."""

    def gives(self, kind):
        return "float"

    def apply(self, xp, column, constants):
        return xp.float32(column) / 2
''',
    "counting.py": '''
import json
from dataclasses import dataclass

from headrace.components.data_plane.result import Result
from headrace.pipelines import Context, Files, component
from limits import HIGH

@dataclass(frozen=True)
class Count:
    factor: float

    def __call__(self, item):
        if item == self.factor:
            raise ValueError(f"{item} is not to be counted")
        return Result(json.dumps(item * HIGH).encode(), 1)

@component
def counted(ctx: Context, factor: float = 0.0) -> Files:
    """Counts.

    Args:
        factor: what fails.
    """
    from headrace.components.data_plane.work import run_units

    draft = ctx.output(Files)
    values = [json.loads(one) for one in run_units(ctx, "count", [1.0, 2.0], Count(factor))]
    (draft.path / "counted.json").write_text(json.dumps(values))
    return draft.finish()
''',
    "own.yaml": '''
pipeline: own
params: {factor: 0.0}
steps:
  examples: {uses: csv_examples, with: {path: table.csv, splits: {train: 8, test: 2}}}
  statistics: {uses: statistics, with: {examples: "${steps.examples}"}}
  schema: {uses: infer_schema, with: {statistics: "${steps.statistics}"}}
  transform:
    uses: transform
    with:
      examples: ${steps.examples}
      schema: ${steps.schema}
      features: {size: {"clip.py:clip": {low: 0.5}}, age: ["mine.scaling:Half", z_score]}
      label: price
  counted: {uses: "counting.py:counted", with: {factor: "${params.factor}"}}
''',
}  # fmt: skip
SCRIPT = '''
import json, sys
from pathlib import Path
from headrace.pipelines import Context, Files, RunnerSettings, component, pipeline
from headrace.pipelines.binding import bind
from headrace.pipelines.executor import Request, run_pipeline
from headrace.pipelines.store import Store
from limits import HIGH, times

class Times:
    def __call__(self, item):
        from headrace.components.data_plane.result import Result
        return Result(str(times(item)).encode(), 1)

@component
def multiplied(ctx: Context) -> Files:
    """Multiplies."""
    from headrace.components.data_plane.work import run_units
    draft = ctx.output(Files)
    counted = [one.decode() for one in run_units(ctx, "count", [1, 2], Times())]
    (draft.path / "a").write_text(" ".join(counted))
    return draft.finish()

@pipeline
def scripted():
    """A pipeline in the script that runs it."""
    return multiplied()

if __name__ == "__main__":
    name, options = json.loads(sys.argv[1])
    request = Request(runner=RunnerSettings(name, options))
    done = run_pipeline(bind(scripted), Store(Path(sys.argv[2])), request)
    assert done.status == "done", str(done.errors)
    print(done.status, done.artifacts["multiplied"]["output"].path.joinpath("a").read_text())
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    for name, text in PROJECT.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.lstrip("\n"))
    draw = np.random.default_rng(1)
    table = pa.table({name: draw.normal(size=300).round(3) for name in ("size", "age", "price")})
    pyarrow.csv.write_csv(table, folder / "table.csv")
    monkeypatch.chdir(folder)
    return folder


def run(project: Path, store: Path, settings: RunnerSettings, factor: float = 0.0) -> RunResult:
    bound = bind(load_pipeline(str(project / "own.yaml")), {"factor": factor})
    return run_pipeline(bound, Store(store), Request(runner=settings), lambda event: None)


def digests(result: RunResult) -> dict[str, str]:
    assert result.status == "done", {name: str(error) for name, error in result.errors.items()}
    return {
        f"{step}.{name}": one.digest
        for step, outputs in result.artifacts.items()
        for name, one in outputs.items()
    }


@pytest.mark.slow
def test_own_transforms_and_components_run_where_they_are_not(
    project: Path, tmp_path: Path, remote: Remote, worker_python: Path
) -> None:
    settings = remote(worker_python)
    far = RunnerSettings("portable", {**settings.options, "job_endpoint": endpoint_of(settings)})
    assert digests(run(project, tmp_path / "far", far)) == digests(
        run(project, tmp_path / "near", RunnerSettings())
    )
    failed = run(project, tmp_path / "far", far, factor=2.0)
    error = failed.errors["counted"]
    assert "ValueError: 2.0 is not to be counted" in str(error)
    # The place is where the user has the file, not where the worker had its copy.
    assert error.problems[0].file == str(project / "counting.py")
    line = (
        PROJECT["counting.py"]
        .lstrip("\n")
        .splitlines()
        .index('            raise ValueError(f"{item} is not to be counted")')
    )
    assert error.problems[0].line == line + 1


@pytest.mark.slow
@pytest.mark.parametrize("script", ["script.py", "-"], ids=["a file", "no file"])
def test_a_component_of_main(
    project: Path, tmp_path: Path, remote: Remote, worker_python: Path, script: str
) -> None:
    (project / "script.py").write_text(SCRIPT)
    settings = remote(worker_python)
    told = json.dumps(["portable", {**settings.options, "job_endpoint": endpoint_of(settings)}])
    command = [sys.executable, script, told, str(tmp_path / "scripted")]
    done = subprocess.run(command, input=SCRIPT, capture_output=True, text=True, cwd=project)
    assert done.stdout.splitlines()[-1:] == ["done 2.5 5.0"], done.stderr


def endpoint_of(settings: RunnerSettings) -> str:
    (flag,) = (flag for flag in settings.flags if flag.startswith("--job_endpoint="))
    return flag.partition("=")[2]
