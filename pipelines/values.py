"""Parameter values: converted to their annotations, explained where they don't fit, paths made absolute."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import msgspec

from ..schemas import yaml12
from .errors import PipelineError, Problem
from .pipeline import map_values


class Text(str):
    """A string that knows the folder it is relative to, should it turn out to be a path.

    Attributes:
        folder: the folder.
        command: whether it was typed on a command line, where `5` may be a number or a text.
    """

    __slots__ = ("command", "folder")
    folder: str
    command: bool

    def __new__(cls, text: str, folder: str, command: bool = False) -> Text:  # noqa: D102
        made = super().__new__(cls, text)
        made.folder, made.command = folder, command
        return made

    def __add__(self, other: str) -> Text:
        """A path that begins with a given folder stays relative to where that was given."""
        return Text(super().__add__(other), self.folder)


def command_text(text: str) -> Text:
    """A value as it was typed on the command line: YAML, unless the annotation wants the text itself."""
    return Text(text, str(Path.cwd()), command=True)


def located(value: Any, folder: str) -> Any:
    """`value` with its strings relative to `folder`, but for those that know their folder already."""
    return map_values(
        value, lambda v: Text(v, folder) if isinstance(v, str) and not isinstance(v, Text) else v
    )


def plain(value: Any) -> Any:
    """`value` with ordinary strings."""
    return map_values(value, lambda v: str(v) if isinstance(v, Text) else v)


def parsed(value: Any) -> Any:
    """A text from the command line read as YAML, anything else as it is; strings keep their folder."""
    if not (isinstance(value, Text) and value.command):
        return value
    try:
        return located(yaml12.load(str(value), "command line"), value.folder)
    except yaml12.YamlError:
        return Text(value, value.folder)


def convert_given(value: Any, annotation: Any) -> tuple[Any, Problem | None]:
    """`value` converted to `annotation`, or the problem with it.

    A text from the command line is taken as YAML, and as it stands if that doesn't suit.
    """
    if isinstance(value, Text) and value.command:
        bare = Text(value, value.folder)
        for attempt in (bare, parsed(value)) if annotation is str else (parsed(value), bare):
            try:
                return _convert(attempt, annotation), None
            except ValueError:
                continue
        value = parsed(value)
    try:
        return _convert(value, annotation), None
    except ValueError:
        return None, explain(value, annotation)


def convert(value: Any, annotation: Any) -> Any:
    """`value` converted to `annotation`.

    Raises:
        PipelineError: it doesn't fit.
    """
    converted, problem = convert_given(value, annotation)
    if problem:
        raise PipelineError(problem)
    return converted


def _convert(value: Any, annotation: Any) -> Any:
    """Raises ValueError where the value doesn't fit."""
    try:
        return msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except TypeError:
        # msgspec refuses some unions outright, and types that it doesn't know.
        members = _members(annotation)
        if len(members) == 1:
            return _convert_unknown(value, annotation)
    for member in members:
        try:
            return _convert(value, member)
        except ValueError:
            continue
    raise ValueError("no member of the union fits")


def _convert_unknown(value: Any, annotation: Any) -> Any:
    bare = _bare(annotation)
    if isinstance(bare, type) and not isinstance(value, bare):
        raise ValueError(f"not of type {bare.__name__}")
    return value


def explain(value: Any, annotation: Any) -> Problem:
    """Says why `value` doesn't fit `annotation`, at the innermost place that doesn't."""
    path, inner, wanted = _innermost("", value, annotation)
    found = shown(inner)
    place = f"{path}: " if path else ""
    choices = _choices(wanted)
    if choices:
        given = inner if isinstance(inner, str) else ""
        return Problem(f"{place}{found} is not a choice", given=str(given), available=choices)
    return Problem(f"{place}has to be {describe(wanted)}, not {found}".lstrip())


def shown(value: Any) -> str:
    """A value as an error shows it, in no more than 80 characters."""
    text = repr(str(value)) if isinstance(value, str) else spelled(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def spelled(value: Any) -> str:
    """A scalar as YAML would have it, a text without quotes."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(plain(value))


def _innermost(path: str, value: Any, annotation: Any) -> tuple[str, Any, Any]:
    for member in _members(annotation):
        for key, item, wanted in _items(value, member):
            if not _fits(item, wanted):
                return _innermost(f"{path}{key}", item, wanted)
    return path, value, annotation


def _fits(value: Any, annotation: Any) -> bool:
    try:
        _convert(value, annotation)
    except ValueError:
        return False
    return True


def _items(value: Any, annotation: Any) -> Iterator[tuple[str, Any, Any]]:
    """The items of a collection with the annotation of each, if the annotation is of that shape."""
    bare = _bare(annotation)
    origin, args = typing.get_origin(bare), typing.get_args(bare)
    if not isinstance(origin, type) or not args:
        return
    if issubclass(origin, Mapping) and isinstance(value, Mapping) and len(args) == 2:
        yield from ((f"[{key}]", item, args[1]) for key, item in value.items())
    elif issubclass(origin, Sequence | AbstractSet) and isinstance(value, list | tuple):
        if issubclass(origin, tuple) and args[-1] is not Ellipsis:
            yield from ((f"[{i}]", v, a) for i, (v, a) in enumerate(zip(value, args, strict=False)))
        else:
            yield from ((f"[{i}]", item, args[0]) for i, item in enumerate(value))


def _choices(annotation: Any) -> tuple[str, ...]:
    members = [_bare(member) for member in _members(annotation)]
    if all(typing.get_origin(member) is Literal or member is type(None) for member in members):
        return tuple(_word(choice) for member in members for choice in typing.get_args(member))
    return ()


def _word(choice: Any) -> str:
    return choice if isinstance(choice, str) else spelled(choice)


_NAMES: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
    bytes: "bytes",
}


def describe(annotation: Any) -> str:
    """An annotation in words: `a whole number, 1 or more`."""
    members = _members(annotation)
    if len(members) > 1:
        # An optional value's null is not what a person wants to be told about.
        shown = [member for member in members if member is not type(None)]
        return " or ".join(dict.fromkeys(describe(member) for member in shown))
    bare, limits = _bare(annotation), _limits(annotation)
    origin, args = typing.get_origin(bare), typing.get_args(bare)
    if bare in _NAMES:
        text = _NAMES[bare]
    elif origin is Literal:
        text = f"one of {', '.join(_word(choice) for choice in args)}"
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        text = "a mapping" if args[1] is Any else f"a mapping, each value {describe(args[1])}"
    elif isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet):
        text = "a list" if args[0] is Any else f"a list, each item {describe(args[0])}"
    elif isinstance(bare, type) and issubclass(bare, Mapping):
        text = "a mapping"
    elif isinstance(bare, type) and issubclass(bare, list | tuple):
        text = "a list"
    else:
        text = getattr(bare, "__name__", str(bare))
    return f"{text}, {limits}" if limits else text


def _limits(annotation: Any) -> str:
    if typing.get_origin(annotation) is not Annotated:
        return ""
    parts: list[str] = []
    for note in typing.get_args(annotation)[1:]:
        if isinstance(note, msgspec.Meta):
            named: tuple[tuple[Any, str], ...] = (
                (note.ge, "{} or more"),
                (note.gt, "more than {}"),
                (note.le, "{} or less"),
                (note.lt, "less than {}"),
                (note.min_length, "at least {} long"),
                (note.max_length, "at most {} long"),
                (note.pattern, "matching {}"),
                (note.multiple_of, "a multiple of {}"),
            )
            parts += [text.format(limit) for limit, text in named if limit is not None]
    return " and ".join(parts)


def _members(annotation: Any) -> tuple[Any, ...]:
    bare = _bare(annotation)
    if typing.get_origin(bare) in (Union, types.UnionType):
        annotation = bare
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def resolve_paths(
    value: Any,
    markers: AbstractSet[str],
    folder: str,
    only_foreign_to: str | None = None,
    words: AbstractSet[str] = frozenset(),
) -> Any:
    """Makes relative paths absolute in an argument that is marked `file`, and `file.py:name` in a `code` one.

    In one that is marked `codes`, keys count too.

    Globs stay globs, and names with a scheme (`gs://…`) stay as they are.

    Args:
        value: the argument.
        markers: the kinds of the argument's markers.
        folder: what a string is relative to that doesn't know its own folder.
        only_foreign_to: leave paths alone that are relative to this folder.
        words: texts that are no paths, see `Marker`.
    """

    def base(text: str) -> str:
        return text.folder if isinstance(text, Text) else folder

    def absolute(text: str) -> str:
        if text in words:
            return str(text)
        if only_foreign_to is not None and base(text) == only_foreign_to:
            return text
        return absolute_path(text, base(text))

    def code(text: str) -> str:
        file, colon, name = text.rpartition(":")
        return f"{absolute(Text(file, base(text)))}:{name}" if colon and file.endswith(".py") else text

    def codes(inner: Any) -> Any:
        if isinstance(inner, Mapping):
            return {code(k) if isinstance(k, str) else k: codes(v) for k, v in inner.items()}
        if isinstance(inner, list | tuple):
            return [codes(item) for item in inner]
        return code(inner) if isinstance(inner, str) else inner

    change: Callable[[str], str]
    if "codes" in markers:
        return codes(value)
    if "file" in markers:
        change = absolute
    elif "code" in markers:
        change = code
    else:
        return value
    return map_values(value, lambda v: change(v) if isinstance(v, str) else v)


def absolute_path(path: str, folder: str) -> str:
    """`path` made absolute against `folder`; a name with a scheme, or an empty one, stays as it is."""
    if not path or "://" in path:
        return str(path)
    return os.path.normpath(Path(folder, Path(path).expanduser()))
