"""A user's function or class by its import path: found on disk without importing it, and loaded.

The path is `module:name`, or `/folder/file.py:name`; the folder of a file joins `sys.path`, so that it
finds the helpers beside it, as a script would. A module that isn't on Python's path is looked for in the
working folder too.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .errors import InvalidRequestError, Problem
from .staged_code import staged_file

_PARSING = threading.RLock()


def split_path(path: str) -> tuple[str, str]:
    """`("module or file", "name")` of an import path; the name is empty where there is none."""
    place, colon, name = path.rpartition(":")
    return (place, name) if colon else (path, "")


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Names that don't depend on where a project lies: a file by its name, with as many folders before it as
    tell it from the others; a module as it is."""
    found: dict[str, str] = {}
    for path in dict.fromkeys(paths):
        place, name = split_path(path)
        parts = Path(place).parts if place.endswith(".py") else (place,)
        names = (f"{'/'.join(parts[-depth:])}:{name}" for depth in range(1, len(parts) + 1))
        found[path] = next((short for short in names if short not in found.values()), path)
    return found


def parse_file(file: Path) -> ast.Module:
    """The syntax tree of a Python file, for one thread at a time.

    Python 3.11 counts the depth of a tree for all threads together: where two make one at once, as Beam's do
    that load the same fitted transform, now and then one dies of "AST constructor recursion depth mismatch".

    Raises:
        SyntaxError, ValueError: the file is no Python.
        OSError: it can't be read.
    """
    with _PARSING:
        return ast.parse(file.read_bytes(), str(file))


def find_problem(path: str) -> Problem | None:
    """What is wrong with an import path, as far as it can be seen without importing anything."""
    place, name = split_path(path)
    if not name or not place:
        return Problem(
            f"{path!r} is no import path of a function", remedy="write module:function or file.py:function"
        )
    file = source_of(place)
    if file is None:
        return Problem(
            f"there is no module {place!r}",
            remedy="install it, run from the folder that holds it, or name its file: folder/file.py:function",
        )
    if not file.is_file():
        return Problem(
            f"there is no file {place}",
            remedy="a path is relative to the pipeline's file, and on the command line to the working folder",
        )
    return _definition_problem(file, name)


def plain_definition(path: str) -> tuple[ast.FunctionDef | ast.ClassDef, Path] | None:
    """The definition behind an import path, and its file, where it stands plainly in the module.

    None of what is imported, decorated, bound twice or in an extension module: its source doesn't say enough.

    Args:
        path: an import path in which `find_problem` finds nothing wrong.
    """
    place, name = split_path(path)
    file = source_of(place)
    if file is None or file.suffix != ".py":
        return None
    tree = parse_file(file)
    defined = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    ]
    others = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    bound_again = name in defined_names(ast.Module(others, []))
    if len(defined) != 1 or defined[0].decorator_list or bound_again:
        return None
    return defined[0], file


def load_function(path: str) -> Callable[..., Any]:
    """Imports the module or file, afresh if it is a file, and gives the function.

    Raises:
        InvalidRequestError: it isn't there, can't be imported, or isn't callable.
    """
    problem = find_problem(path)
    if problem is not None:
        raise InvalidRequestError(problem)
    place, name = split_path(path)
    try:
        module = import_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise InvalidRequestError(
            f"importing {place}{_package_of(place)} failed: {type(error).__name__}: {error}",
            remedy="the traceback above this message shows the line",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidRequestError(f"{name!r} in {place} is not a function", file=place)
    found: Callable[..., Any] = function
    return found


def _package_of(place: str) -> str:
    """Words for the installed package that a module is of; empty if it is of none."""
    from importlib.metadata import packages_distributions

    found = packages_distributions().get(place.partition(".")[0])
    return f", of the package {found[0]}," if found else ""


def module_file(name: str) -> Path | None:
    """The source file of a module, found without importing its parent packages as `find_spec` would."""
    spec = _spec(name)
    return Path(spec.origin) if spec is not None and spec.origin else None


def package_folders(name: str) -> tuple[Path, ...]:
    """The folders of a package, of one without an `__init__.py` too; none if there is no such package."""
    top, *rest = name.split(".")
    spec = _spec(top)
    places = [] if spec is None else [Path(one, *rest) for one in spec.submodule_search_locations or ()]
    return tuple(place for place in places if place.is_dir())


def _spec(name: str) -> Any:
    search: Any = None
    spec = None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        full = ".".join(parts[:depth])
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        found = (find(full, search) for find in finders if find is not None)
        spec = next((one for one in found if one is not None), None)
        search = None if spec is None else spec.submodule_search_locations
        if spec is None or (search is None and depth < len(parts)):
            return _spec(name) if _look_here(parts[0]) else None
    return spec


def source_of(place: str) -> Path | None:
    """The source file of a module, or of what names its file; on a worker that which the run brought."""
    return staged_file(place) if place.endswith(".py") else module_file(place)


def _look_here(top: str) -> bool:
    """Puts the working folder on Python's path if it holds a module of that name and isn't there yet.

    A console script, unlike `python -m`, doesn't have it there.
    """
    here = Path.cwd()
    if str(here) in sys.path or not ((here / f"{top}.py").is_file() or (here / top).is_dir()):
        return False
    sys.path.append(str(here))
    importlib.invalidate_caches()
    return True


def _definition_problem(file: Path, name: str) -> Problem | None:
    if file.suffix != ".py":
        return None  # an extension module: only an import can tell
    try:
        tree = parse_file(file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        return Problem(
            f"the file is not valid Python: {getattr(error, 'msg', error)}", file=str(file), line=line
        )
    names = defined_names(tree)
    if name in names or "*" in names:
        return None
    defined = tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return Problem(f"there is no function {name!r} in {file}", given=name, available=defined)


def defined_names(tree: ast.Module) -> set[str]:
    """The names that a module binds anywhere at its top level, also within `if` and `try`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def user_module(file: Path) -> str:
    """The name that the module in a file goes by; two files of one name are two modules."""
    return f"headrace_user_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"


def import_file(file: Path) -> Any:
    """Imports the module in a file, afresh."""
    file = file.resolve()
    name = user_module(file)
    file = staged_file(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and keras' registration look their module up
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # stays, for what a function imports when it is called
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
