"""One chain of transforms as it is written: names and arguments become transforms, or problems."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, cast

import msgspec

from ...pipelines.errors import HeadraceError, InvalidRequestError, Problem
from ..transforms import TRANSFORMS, Transform
from ..transforms.own import entry_points, find_own


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
    arguments, problems = _arguments(cls, given, where)
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
        InvalidRequestError: there is none.
    """
    if isinstance(name, str) and name in TRANSFORMS:
        return TRANSFORMS[name]
    if isinstance(name, str) and ":" in name:
        return find_own(name)
    if isinstance(name, str) and name in entry_points():
        return find_own(entry_points()[name])
    raise InvalidRequestError(
        f"there is no transform {name!r}", given=str(name), available=(*TRANSFORMS, *entry_points())
    )


def _arguments(cls: type[Transform], given: Any, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The arguments by their fields, converted, or what is wrong with them.

    An argument has the name of its field, unless that is a method's: then the field's metadata has it.
    """
    by_name = {
        field.metadata.get("argument", field.name): field
        for field in fields(cls)
        if not field.metadata.get("fitted")
    }
    accepted = tuple(by_name)
    named, problem = _named(cls, given, accepted)
    if problem:
        return {}, [problem.at(argument=where)]
    hints = _hints(cast("Any", cls))
    problems: list[Problem] = []
    converted: dict[str, Any] = {}
    for key, value in named.items():
        if key not in by_name:
            text = f"{cls.name} has no argument {key!r}"
            problems.append(Problem(text, argument=where, given=str(key), available=accepted))
            continue
        field = by_name[key].name
        try:
            converted[field] = msgspec.convert(value, hints[field])
        except msgspec.ValidationError as error:
            problems.append(Problem(f"{cls.name}.{key} is {value!r}: {error}", argument=where))
    for key, one in by_name.items():
        optional = one.default is not MISSING or one.default_factory is not MISSING
        if not optional and key not in named:
            text = f"{cls.name} needs the argument {key!r}"
            problems.append(Problem(text, argument=where, available=accepted, remedy=_usage(cls)))
    return converted, problems


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of a transform's arguments; a table of thousands of columns asks for them again and again."""
    return typing.get_type_hints(cls, include_extras=True)


def _named(
    cls: type[Transform], given: Any, accepted: tuple[str, ...]
) -> tuple[dict[str, Any], Problem | None]:
    if given is None:
        return {}, None
    if isinstance(given, Mapping):
        return cast("dict[str, Any]", dict(given)), None
    if not cls.first:
        text = f"{cls.name} takes no argument, and {given!r} was given"
        by_name = f", or {{{cls.name}: {{{accepted[0]}: …}}}}" if accepted else ""
        return {}, Problem(text, remedy=f"write {cls.name} alone{by_name}")
    if len(cls.first) == 1:
        return {cls.first[0]: given}, None
    if isinstance(given, (list, tuple)) and len(given) == len(cls.first):
        return dict(zip(cls.first, given, strict=True)), None
    return {}, Problem(f"{cls.name} takes [{', '.join(cls.first)}], not {given!r}", available=accepted)


def _usage(cls: type[Transform]) -> str:
    if not cls.first:
        return ""
    values = cls.first[0] if len(cls.first) == 1 else f"[{', '.join(cls.first)}]"
    return f"write {{{cls.name}: {values}}}"
