"""The walk over code: what it reaches, what it leaves out."""

from __future__ import annotations

import ast
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.pipelines import import_path
from headrace.pipelines.code_digest import code_digest
from headrace.pipelines.code_files import project_of
from headrace.pipelines.code_syntax import encode

from .code_changes import CHANGES

PROJECT = {
    "main.py": """
import os
import numpy as np
import shapes
from helpers import area as size, unused
from pack.inner import deep
from pack import other
import pack.third as third

LIMIT = 3

def entry(x):
    return size(x) + LIMIT + deep() + other.used() + third.f() + shapes.side()

def aside():
    return unused()
""",
    "helpers.py": (
        "def area(x):\n    return _inner(x)\n\n"
        "def _inner(x):\n    return x * x\n\n"
        "def unused():\n    return 0\n"
    ),
    "shapes.py": "def side():\n    return 1\n\ndef not_used():\n    return 2\n",
    "pack/__init__.py": "VERSION = 1\n",
    "pack/inner.py": "from .level import base\n\ndef deep():\n    return base\n",
    "pack/level.py": "base = 5\nspare = 6\n",
    "pack/other.py": "def used():\n    return 1\n\ndef idle():\n    return 2\n",
    "pack/third.py": "import scipy\n\ndef f():\n    return 1\n",
}


@pytest.fixture
def project(tmp_path: Path):
    def write(changes: dict[str, str] | None = None):
        for name, text in {**PROJECT, **(changes or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return code_digest("main", tmp_path / "main.py", "entry")

    return write


def test_the_walk_reaches_what_is_used_and_nothing_else(project):
    digest = project()
    assert set(digest.symbols) == {
        "main:entry", "main:LIMIT", "helpers:area", "helpers:_inner", "pack.inner:deep", "pack.level:base",
        "pack.other:used", "pack.third:f", "shapes:side",
    }  # fmt: skip
    assert {Path(name).name for name in digest.files} == {
        "main.py", "helpers.py", "shapes.py", "__init__.py", "inner.py", "level.py", "other.py", "third.py",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("helpers.py", "x * x", "x * x * x", True),
        ("helpers.py", "return 0", "return 9", False),
        ("main.py", "LIMIT = 3", "LIMIT = 4", True),
        ("main.py", "LIMIT = 3", "LIMIT = 3  # three", False),
        ("main.py", "return unused()", "return 1", False),
        ("main.py", "    return size", "    'a docstring'\n    return size", False),
        ("main.py", "+ LIMIT", "- LIMIT", True),
        ("pack/level.py", "base = 5", "base = 6", True),
        ("pack/level.py", "spare = 6", "spare = 7", False),
        ("pack/other.py", "return 2", "return 3", False),
        ("shapes.py", "return 1", "return 11", True),
    ],
)
def test_what_counts(project, file, old, new, counts):
    before = project().symbols
    assert old in PROJECT[file]
    assert (project({file: PROJECT[file].replace(old, new)}).symbols != before) is counts


def test_libraries_are_those_that_are_reached(project):
    assert project().libraries == ()
    used = PROJECT["main.py"].replace("return size(x)", "return np.sum(size(x))")
    assert project({"main.py": used}).libraries == ("numpy",)


def test_what_cannot_be_followed_by_name_counts_as_a_whole(project):
    dynamic = (
        "from importlib import import_module\n\n"
        "def deep():\n    return import_module('.level', __package__)\n"
    )
    digest = project({"pack/inner.py": dynamic})
    assert {"pack.level:*", "pack.other:*", "pack.third:*"} <= set(digest.symbols)
    star = "from .level import *\n\ndef deep():\n    return base\n"
    assert project({"pack/inner.py": PROJECT["pack/inner.py"].replace("import base", "import *")}).symbols
    before = project({"pack/inner.py": star}).symbols
    as_value = PROJECT["main.py"].replace("shapes.side()", "len(vars(shapes))")
    digest = project({"main.py": as_value})
    assert "shapes:*" in digest.symbols
    assert before != digest.symbols


def test_statements_that_run_at_import_count(project):
    digest = project({"helpers.py": PROJECT["helpers.py"] + "\nprint('hello')\n"})
    assert "helpers:(import)" in digest.symbols


def test_type_checking_blocks_do_not_count(project):
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from helpers import unused\n"
        + PROJECT["main.py"]
    )
    assert "helpers:unused" not in project({"main.py": text}).symbols


def test_cycles_end(project):
    digest = project({"pack/level.py": "from .inner import deep\n\nbase = [deep]\n"})
    assert "pack.level:base" in digest.symbols


def test_the_encoding_ignores_layout():
    one = ast.parse("def f(a, b=1):\n    '''doc'''\n    return a+b  # sum\n")
    two = ast.parse("def f(\n    a,\n    b = 1,\n):\n    return (a +\n        b)\n")
    assert encode(one) == encode(two)
    assert encode(one) != encode(ast.parse("def f(a, b=True):\n    return a+b\n"))


def test_built_in_components_follow_components_and_schemas_and_not_the_engine():
    import headrace.components.data_plane.work as work

    digest = code_digest("headrace.components.data_plane.work", Path(work.__file__), "run_units")
    assert "headrace.components.data_plane.work:MapUnits" in digest.symbols
    assert not [name for name in digest.symbols if name.startswith("headrace.pipelines")]


def test_an_installed_package_is_its_own_project(tmp_path):
    site = tmp_path / "site-packages"
    (site / "one").mkdir(parents=True)
    (site / "one" / "__init__.py").write_text("")
    (site / "one" / "m.py").write_text("import two\n\ndef f():\n    return two.g()\n")
    (site / "two.py").write_text("def g():\n    return 1\n")
    assert project_of("one.m", site / "one" / "m.py").find("two") is None
    assert code_digest("one.m", site / "one" / "m.py", "f").libraries == ("one", "two")


@pytest.mark.parametrize(
    ("module", "files", "file", "old", "new"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_a_change_in_anything_that_decides_is_seen(tmp_path, module, files, file, old, new):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    entry = tmp_path / (module.replace(".", "/") + ".py")
    entry = entry if entry.exists() else tmp_path / module / "__init__.py"
    before = code_digest(module, entry, "f")
    assert old in files[file]
    (tmp_path / file).write_text(files[file].replace(old, new))
    assert code_digest(module, entry, "f").symbols != before.symbols


def test_the_digest_does_not_depend_on_where_the_project_lies(tmp_path):
    made = []
    for place in ("here", "else where"):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "m.py").write_text("import h\n\ndef f():\n    return h.g()\n")
        (folder / "h.py").write_text("def g():\n    return 1\n")
        made.append(code_digest("m", folder / "m.py", "f").symbols)
    assert made[0] == made[1]


def test_a_script_part_and_unrelated_registrations_do_not_count(tmp_path):
    text = "def f():\n    return 1\n\nif __name__ == '__main__':\n    print(f(), 1)\n"
    (tmp_path / "m.py").write_text(text)
    assert set(code_digest("m", tmp_path / "m.py", "f").symbols) == {"m:f"}


def test_a_checkout_on_pythons_path_counts_by_its_text(tmp_path, monkeypatch):
    (tmp_path / "lib" / "headracetestlib").mkdir(parents=True)
    (tmp_path / "lib" / "headracetestlib" / "__init__.py").write_text("def g():\n    return 1\n")
    (tmp_path / "m.py").write_text("from headracetestlib import g\n\ndef f():\n    return g()\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    assert "headracetestlib:g" in code_digest("m", tmp_path / "m.py", "f").symbols


def test_files_that_are_no_python_beside_a_dynamic_import_do_not_matter(tmp_path):
    (tmp_path / "m.py").write_text(
        "from importlib import import_module\n\ndef f(n):\n    return import_module(n)\n"
    )
    (tmp_path / "template.py").write_text("def {{ name }}():")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x.py").write_text("")
    names = set(code_digest("m", tmp_path / "m.py", "f").symbols)
    assert "template:*" in names
    assert not [name for name in names if "venv" in name]


def test_a_users_component_that_uses_built_in_code_counts_it(tmp_path):
    (tmp_path / "m.py").write_text(
        "def f():\n    from headrace.schemas.yaml12 import load\n    return load('1')\n"
    )
    assert "headrace.schemas.yaml12:load" in code_digest("m", tmp_path / "m.py", "f").symbols


def test_threads_parse_at_once() -> None:
    # Python 3.11 raises SystemError where another thread takes over while a tree is being made. That happens
    # when the garbage collector runs Python code, so it is made to do so often here.
    files = sorted((Path(import_path.__file__).parent).glob("*.py"))[:8]
    before, interval, idle = gc.get_threshold(), sys.getswitchinterval(), lambda *_: None
    gc.callbacks.append(idle)
    gc.set_threshold(100)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            trees = list(pool.map(import_path.parse_file, files))
    finally:
        gc.callbacks.remove(idle)
        gc.set_threshold(*before)
        sys.setswitchinterval(interval)
    assert all(tree.body for tree in trees)
