"""A model function of one's own: what it is called with, read from its source without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ...pipelines.errors import Problem
from ...pipelines.import_path import plain_definition, split_path

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


def call_problem(path: str, model_args: Iterable[str]) -> Problem | None:
    """Why a model function can't be called as train calls it, as far as its source says.

    Nothing is said of what isn't a plain function of its file: imported names, classes, decorated functions.

    Args:
        path: an import path in which `find_problem` finds nothing wrong.
        model_args: the names of further keyword arguments.
    """
    found = plain_definition(path)
    if found is None or not isinstance(found[0], ast.FunctionDef):
        return None
    return _signature_problem(split_path(path)[1], found[0], tuple(model_args), str(found[1]))


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
