"""headrace beside packages that it doesn't know, in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "outside_package"
MAIN = "import sys; sys.argv[0] = 'headrace'; from headrace.pipelines.cli import main; sys.exit(main())"
_MANY = """
import json, sys
from click.testing import CliRunner
from headrace.pipelines.cli import cli
done = [CliRunner().invoke(cli, args) for args in json.loads(sys.argv[1])]
json.dump([[one.exit_code, one.stdout, one.stderr] for one in done], sys.stdout)
"""
Headrace = Callable[..., subprocess.CompletedProcess[str]]
Commands = Callable[..., list[tuple[int, str, str]]]


def install(project: Path, site: Path) -> Path:
    """Builds a package from a copy of its folder and installs it into a folder, without its dependencies."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    pip += ["--no-deps", "--no-build-isolation", "--upgrade", "--target", str(site), str(project)]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="session")
def tidy_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on whose path `tests/outside_package` is installed."""
    folder = tmp_path_factory.mktemp("tidy_tables")
    shutil.copytree(PACKAGE, folder / "project", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    return install(folder / "project", folder / "site-packages")


@pytest.fixture
def claim(tmp_path: Path) -> Callable[..., Path]:
    """Makes an installed package of a module and entry points, `{"models.name": path}`; gives its folder."""

    def make(package: str, points: dict[str, str], module: str = "", version: str = "1") -> Path:
        site = tmp_path / package / "site-packages"
        about = site / f"{package}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = [f"[headrace.{key.partition('.')[0]}]\n{key.partition('.')[2]} = {path}\n"
                 for key, path in points.items()]  # fmt: skip
        (about / "entry_points.txt").write_text("\n".join(lines))
        (site / f"{package.replace('-', '_')}.py").write_text(module)
        return site

    return make


@pytest.fixture
def python(tmp_path: Path) -> Headrace:
    """Runs Python in a process and a folder of its own, with folders of packages on its path."""
    (tmp_path / "work").mkdir()

    def call(*args: str, sites: tuple[Path, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
        places = [*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {key: value for key, value in os.environ.items() if key != "HEADRACE_STORE"}
        environment |= {"PYTHONPATH": os.pathsep.join(places), "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= {"COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1", **more}
        folder = tmp_path / "work"
        return subprocess.run(
            [sys.executable, *args], capture_output=True, text=True, cwd=folder, env=environment
        )

    return call


@pytest.fixture
def headrace(python: Headrace) -> Headrace:
    """Runs a command line in a process of its own."""
    return lambda *args, **more: python("-c", MAIN, *args, **more)


@pytest.fixture
def commands(python: Headrace) -> Commands:
    """Runs several command lines in one process; gives the exit code and both outputs of each."""

    def call(*lines: list[str], sites: tuple[Path, ...] = ()) -> list[tuple[int, str, str]]:
        done = python("-c", _MANY, json.dumps(lines), sites=sites)
        assert done.returncode == 0, done.stderr
        return [tuple(one) for one in json.loads(done.stdout)]

    return call
