"""One chain of transforms as it is written: names and arguments become transforms, or problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...pipelines import entry_points
from ...pipelines.errors import HeadraceError, InvalidRequestError, Problem
from ..transforms import TRANSFORMS, Transform
from ..transforms.own import find_own
from .link_arguments import link_arguments


def parse_chain(applied: Any, where: str) -> tuple[tuple[Transform, ...], list[Problem]]:
    """The transforms of a chain, and what is wrong with those that are left out.

    Args:
        applied: a transform's name, `{name: arguments}`, or a list of these.
        where: the argument that problems name, as `features.size`.
    """
    links = applied if isinstance(applied, (list, tuple)) else [applied]
    if not links:
        return (), [
            Problem("the chain is empty", argument=where, remedy="write identity to leave it as it is")
        ]
    chain: list[Transform] = []
    problems: list[Problem] = []
    for link in links:
        transform, wrong = _transform(link, where)
        problems += wrong
        if transform is not None:
            chain.append(transform)
    return tuple(chain), problems


def _transform(link: Any, where: str) -> tuple[Transform | None, list[Problem]]:
    if isinstance(link, Mapping) and len(link) == 1:
        name, given = next(iter(link.items()))
    elif isinstance(link, Mapping):
        listed = ", ".join(map(str, link))
        text = f"a transform is one name with its arguments, and here are {len(link)}: {listed}"
        remedy = "for a chain write a list: [{impute: median}, z_score]"
        return None, [Problem(text, argument=where, remedy=remedy)]
    else:
        name, given = link, None
    try:
        cls = transform_class(name)
    except HeadraceError as error:
        return None, [problem.at(argument=where) for problem in error.problems]
    arguments, problems = link_arguments(cls, given, where)
    if problems:
        return None, problems
    try:
        transform = cls(**arguments)
    except (ValueError, TypeError) as error:  # by a `__post_init__` of one's own
        return None, [Problem(f"{cls.name} refuses its arguments: {error}", argument=where)]
    wrong = transform.problem(None)
    return transform, [Problem(f"{name}: {wrong}", argument=where)] if wrong else []


def transform_class(name: Any) -> type[Transform]:
    """The transform of that name: built in, by import path, or by entry point.

    Raises:
        InvalidRequestError: there is none, several packages offer it, or what it leads to is no transform.
    """
    if isinstance(name, str) and name in TRANSFORMS:
        return TRANSFORMS[name]
    if isinstance(name, str) and ":" in name:
        return find_own(name)
    offered = entry_points.offer("transforms", name) if entry_points.is_plain(name) else None
    if offered is None:
        available = (*TRANSFORMS, *entry_points.offers("transforms"))
        raise InvalidRequestError(f"there is no transform {name!r}", given=str(name), available=available)
    try:
        return find_own(offered.path)
    except HeadraceError as error:
        raise InvalidRequestError(offered.broken(error.problems[0].what)) from error
