"""The arguments of one link of a list: of a transform in a chain, or of an augmentation."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, cast

import msgspec

from ...pipelines.errors import Problem

Link = Any
"""A frozen dataclass with the class attributes `name`, and `first`: the argument that `{name: value}` sets,
or those that `{name: [value, value]}` sets."""


def link_arguments(cls: Link, given: Any, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The arguments by name, converted, or what is wrong with them.

    Args:
        cls: a frozen dataclass whose fields are the arguments, but for those with the metadata `fitted`.
        given: what stands behind its name: nothing, arguments by name, or the value of the `first` ones.
        where: the argument of the step that problems name.
    """
    accepted = tuple(field.name for field in fields(cls) if not field.metadata.get("fitted"))
    named, problem = _named(cls, given, accepted)
    if problem:
        return {}, [problem.at(argument=where)]
    hints = _hints(cls)
    problems: list[Problem] = []
    converted: dict[str, Any] = {}
    for key, value in named.items():
        if key not in accepted:
            text = f"{cls.name} has no argument {key!r}"
            problems.append(Problem(text, argument=where, given=str(key), available=accepted))
            continue
        try:
            converted[key] = msgspec.convert(value, hints[key])
        except msgspec.ValidationError as error:
            choices = typing.get_args(hints[key]) if typing.get_origin(hints[key]) is typing.Literal else ()
            text = f"{cls.name}.{key} is {value!r}" + ("" if choices else f": {error}")
            problems.append(Problem(text, argument=where, given=str(value), available=choices))
    for field in fields(cls):
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if not optional and field.name not in named:
            text = f"{cls.name} needs the argument {field.name!r}"
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
