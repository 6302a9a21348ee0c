"""A user's function by its import path: found on disk without importing it, and loaded.

The path is `module:name`, or `/folder/file.py:name`; the folder of a file joins `sys.path`, so that it
finds the helpers beside it, as a script would.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ...pipelines.errors import InvalidRequestError, Problem

CALLED_WITH = ("outputs", "task")
"""The keywords of every call of a model function; one of `FED_BY` and `model_args` come on top."""
FED_BY = ("inputs", "features", "packed")
"""How a model function gets to know its features, and its network the rows; by the first that it names."""


def fed_by(accepted: Iterable[str]) -> str:
    """Which keyword of `FED_BY` a function is called with that accepts these; "inputs" if it names none."""
    named = set(accepted)
    return next((keyword for keyword in FED_BY if keyword in named), "inputs")


_HINTS = {
    "inputs": "inputs: int",
    "features": "features: tuple[FeatureInput, ...]",
    "packed": "packed: Packed",
}


def split_path(path: str) -> tuple[str, str]:
    """`("module or file", "name")` of an import path; the name is empty where there is none."""
    place, colon, name = path.rpartition(":")
    return (place, name) if colon else (path, "")


def find_problem(path: str) -> Problem | None:
    """What is wrong with an import path, as far as it can be seen without importing anything."""
    place, name = split_path(path)
    if not name or not place:
        return Problem(
            f"{path!r} is no import path of a function", remedy="write module:function or file.py:function"
        )
    file = Path(place) if place.endswith(".py") else _module_file(place)
    if file is None:
        return Problem(
            f"there is no module {place!r}",
            remedy="install it, run from the folder that holds it, or name its file: folder/file.py:function",
        )
    if not file.is_file():
        return Problem(f"there is no file {place}", remedy="the path is relative to the pipeline's file")
    return _definition_problem(file, name)


def call_problem(path: str, model_args: Iterable[str]) -> Problem | None:
    """Why a model function can't be called as train calls it, as far as its source says.

    Nothing is said of what isn't a plain function of its file: imported names, classes, decorated functions.

    Args:
        path: an import path in which `find_problem` finds nothing wrong.
        model_args: the names of further keyword arguments.
    """
    place, name = split_path(path)
    file = Path(place) if place.endswith(".py") else _module_file(place)
    if file is None or file.suffix != ".py":
        return None
    tree = ast.parse(file.read_bytes(), str(file))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    others = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    bound_again = name in _defined_names(ast.Module(others, []))
    if len(functions) != 1 or functions[0].decorator_list or bound_again:
        return None
    return _signature_problem(name, functions[0], tuple(model_args), str(file))


def _signature_problem(
    name: str, function: ast.FunctionDef, model_args: tuple[str, ...], file: str
) -> Problem | None:
    told = function.args
    positional = [*told.posonlyargs, *told.args]
    needed = [one.arg for one in positional[: len(positional) - len(told.defaults)]]
    needed += [one.arg for one, value in zip(told.kwonlyargs, told.kw_defaults, strict=True) if value is None]
    accepted = [one.arg for one in (*told.args, *told.kwonlyargs)]
    keyword = fed_by(accepted)
    given = (keyword, *CALLED_WITH, *model_args)
    refused = [] if told.kwarg else [key for key in given if key not in accepted]
    for_nothing = [key for key in needed if key not in given or key not in accepted]
    if refused:
        also = " (nor 'features')" if refused[0] == "inputs" else ""
        what, first = f"the model function {name} takes no keyword {refused[0]!r}{also}", refused[0]
    elif for_nothing:
        what, first = f"the model function {name} needs {for_nothing[0]!r}, which nothing gives", ""
    else:
        return None
    return Problem(
        what,
        argument="model_args" if first in model_args else "model",
        file=file,
        line=function.lineno,
        given=first if first in model_args else "",
        available=tuple(accepted),
        remedy=f"write def {name}({_HINTS[keyword]}, outputs, task, **model_args)",
    )


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
        module = _import_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise InvalidRequestError(
            f"importing {place} failed: {type(error).__name__}: {error}",
            remedy="the traceback above this message shows the line",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidRequestError(f"{name!r} in {place} is not a function", file=place)
    found: Callable[..., Any] = function
    return found


def _module_file(name: str) -> Path | None:
    """The source file of a module, found without importing its parent packages as `find_spec` would."""
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
            return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _definition_problem(file: Path, name: str) -> Problem | None:
    if file.suffix != ".py":
        return None  # an extension module: only an import can tell
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        return Problem(
            f"the file is not valid Python: {getattr(error, 'msg', error)}", file=str(file), line=line
        )
    names = _defined_names(tree)
    if name in names or "*" in names:
        return None
    functions = tuple(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
    return Problem(f"there is no function {name!r} in {file}", given=name, available=functions)


def _defined_names(tree: ast.Module) -> set[str]:
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


def _import_file(file: Path) -> Any:
    file = file.resolve()
    name = f"headrace_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
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
