"""The arguments of one link of a list: of a transform in a chain, or of an augmentation."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, cast

import msgspec

from ...pipelines.errors import Problem
from ..transforms.base import argument_name

Link = Any
"""A frozen dataclass with the class attributes `name`, and `first`: the argument that `{name: value}` sets,
or those that `{name: [value, value]}` sets."""


def link_arguments(cls: Link, given: Any, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The arguments by their fields, converted, or what is wrong with them.

    Args:
        cls: a frozen dataclass whose fields are the arguments, but for those with the metadata `fitted`.
        given: what stands behind its name: nothing, arguments by name, or the value of the `first` ones.
        where: the argument of the step that problems name.
    """
    by_name = {argument_name(field): field for field in fields(cls) if not field.metadata.get("fitted")}
    accepted = tuple(by_name)
    named, problem = _named(cls, given, accepted)
    if problem:
        return {}, [problem.at(argument=where)]
    hints = _hints(cls)
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
            hint = hints[field]
            choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
            text = f"{cls.name}.{key} is {value!r}" + ("" if choices else f": {error}")
            problems.append(Problem(text, argument=where, given=str(value), available=choices))
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


def _named(cls: Link, given: Any, accepted: tuple[str, ...]) -> tuple[dict[str, Any], Problem | None]:
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


def _usage(cls: Link) -> str:
    if not cls.first:
        return ""
    values = cls.first[0] if len(cls.first) == 1 else f"[{', '.join(cls.first)}]"
    return f"write {{{cls.name}: {values}}}"
