"""The distribution: what is listed, what a wheel holds, what an import costs, what the docs mention."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("components", "pipelines", "schemas")


def on_disk() -> set[str]:
    """Every folder of the three packages that holds modules or YAML, by import name."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                found.add("headrace." + ".".join(path.parent.relative_to(ROOT).parts))
    return found


def test_every_package_is_listed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(settings["tool"]["setuptools"]["packages"]) == on_disk()


IMPORT_ALL = """
import importlib, json, pkgutil, sys
names = []
for top in ("headrace.schemas", "headrace.pipelines", "headrace.components"):
    package = importlib.import_module(top)
    assert package.__file__.startswith(sys.argv[1]), package.__file__
    names += [top, *(m.name for m in pkgutil.walk_packages(package.__path__, top + "."))]
for name in names:
    importlib.import_module(name)
print(json.dumps(names))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The files of a wheel that was built from a clean copy, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    clean = folder / "clean"
    clean.mkdir()
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", str(ROOT / name), str(clean / name)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(clean)]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("headrace-*.whl")
    target = [*pip, "install", "--no-deps", "--target", str(folder / "site"), str(built)]
    subprocess.run(target, check=True, capture_output=True)
    return folder / "site"


def test_the_wheel_holds_every_module_and_all_can_be_imported(wheel, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(wheel), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(wheel)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    modules = {
        "headrace." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert set(json.loads(done.stdout.splitlines()[-1])) == modules
    yaml = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.yaml")}
    assert {path.relative_to(wheel / "headrace") for path in (wheel / "headrace").rglob("*.yaml")} == yaml
    assert not (wheel / "components").exists()
    assert not (wheel / "headrace" / "__init__.py").exists()


HEAVY = ("tensorflow", "keras", "apache_beam", "numpy", "pyarrow", "google.protobuf", "pydantic", "rich")


@pytest.mark.parametrize("name", ["headrace.pipelines", "headrace.components", "headrace.pipelines.cli"])
def test_a_bare_import_is_light(name):
    code = (
        f"import sys, json, {name} as m\n"
        "[getattr(m, n) for n in getattr(m, 'COMPONENTS', getattr(m, '__all__', []))]\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(json.loads(done.stdout))


def light_modules() -> list[str]:
    return sorted(
        "headrace." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("schemas", "pipelines")
        for path in (ROOT / package).rglob("*.py")
    )


@pytest.mark.parametrize("name", light_modules())
def test_examples_in_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_the_readme_mentions_every_command_component_and_export():
    readme = (ROOT / "README.md").read_text()
    from headrace.components import COMPONENTS
    from headrace.components import __all__ as exported
    from headrace.pipelines.cli import COMMANDS

    missing = [f"`{name}`" for name in {*COMPONENTS, *exported} if f"`{name}`" not in readme]
    missing += [f"headrace {name}" for name in COMMANDS if f"headrace {name}" not in readme]
    assert missing == []
