"""A type checker reports wrong wiring in a `@pipeline` function."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WIRED = """\
from typing import NamedTuple

from headrace.pipelines import Context, Examples, Model, Schema, component, pipeline


class Split(NamedTuple):
    examples: Examples
    schema: Schema


@component
def read(ctx: Context, path: str, *, rows: int = 10) -> Examples:
    raise NotImplementedError


@component
def split(ctx: Context, examples: Examples) -> Split:
    raise NotImplementedError


@component(process="tensorflow")
def fit(ctx: Context, examples: Examples, *, epochs: int = 1) -> Model:
    raise NotImplementedError


@pipeline
def right(path: str, epochs: int = 2) -> Model:
    examples, schema = split.named("parts")(read(path, rows=3))
    return fit(examples, epochs=epochs)


@pipeline(name="wrong-one")
def wrong(path: str) -> Schema:
    rows = read(path)
    fit(split(rows).schema)  # arg-type
    fit(rows, epoch=3)  # call-arg
    read()  # call-arg
    split(rows).exmples  # attr-defined
    read.named("x")(path, rows="three")  # arg-type
    right(epochs=3)  # call-arg
    right.trace("x", epochs="many")  # arg-type
    return right("x")  # return-value
"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """What mypy --strict says of the file: lines and codes."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("typing")
    (folder / "wired.py").write_text(WIRED)
    # mypy doesn't see through an editable install, so the packages are linked under their import names.
    shim = folder / "shim" / "headrace"
    shim.mkdir(parents=True)
    for package in ("components", "pipelines", "schemas"):
        (shim / package).symlink_to(ROOT / package)
    options = ["--strict", "--namespace-packages", "--explicit-package-bases", "--config-file", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", str(folder / "cache"), "wired.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(shim.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^wired\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return [(int(line), code) for line, code in found]


def test_wrong_wiring_is_reported_and_right_wiring_is_not(reported: list[tuple[int, str]]):
    expected = [
        (number, line.partition("  # ")[2])
        for number, line in enumerate(WIRED.splitlines(), 1)
        if "  # " in line
    ]
    assert reported == expected
