"""`headrace components`: what there is by plain names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ..entry_points import KINDS, offers
from ..errors import InvalidRequestError
from .common import brief, echo_json, json_option, table

if TYPE_CHECKING:
    from ..component import Argument, Component
    from ..errors import Problem


@click.command()
@click.argument("name", default="", metavar="[NAME]")
@click.option(
    "--kind",
    type=click.Choice(tuple(KINDS)),
    default="components",
    show_default=True,
    help="What to list.",
)
@json_option
def components(name: str, kind: str, as_json: bool) -> int:
    """List the components, or describe the one called NAME, which may be an import path.

    By --kind also the transforms, models, losses, metrics and ready pipelines, those of other packages with
    the package. What is wrong with a package's is told behind the list.
    """
    if name:
        _describe(name, kind, as_json)
        return 0
    rows, problems = _listed(kind)
    if as_json:
        echo_json(rows)
    else:
        columns = (
            ("name", "package", "summary") if any("package" in row for row in rows) else ("name", "summary")
        )
        click.echo(table([tuple(row.get(column, "") for column in columns) for row in rows]))
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    return 0


def _describe(name: str, kind: str, as_json: bool) -> None:
    from ..resolve import find_component

    if kind != "components":
        raise InvalidRequestError("NAME is that of a component", argument="--kind", remedy="leave --kind out")
    component = find_component(name)
    if as_json:
        echo_json({**component_json(name, component), **_package("components", name)})
    else:
        click.echo("\n".join(described(name, component)))


def _listed(kind: str) -> tuple[list[dict[str, Any]], list[Problem]]:
    """What there is of a kind as JSON values, and what is wrong with other packages' offers."""
    from .. import resolve

    if kind == "components":
        found = resolve.components()
        rows = [{**component_json(name, one), **_package(kind, name)} for name, one in found.items()]
        return rows, resolve.offer_problems(kind, resolve.builtin_names())
    if kind == "pipelines":
        texts = {name: str(path) for name, path in resolve.ready_pipelines().items()}
    else:  # by string: the engine must not depend on the components
        texts = dict(import_module("headrace.components.built_in").built_in(kind))
    rows = [{"name": name, "summary": text} for name, text in texts.items()]
    rows += [
        {"name": name, "summary": one.path, **_package(kind, name)}
        for name, one in offers(kind).items()
        if name not in texts
    ]
    return rows, resolve.offer_problems(kind, texts)


def _package(kind: str, name: str) -> dict[str, str]:
    """The package that offers a name; empty for what is built in, and for import paths."""
    from ..resolve import builtin_names

    found = None if kind == "components" and name in builtin_names() else offers(kind).get(name)
    return {} if found is None else {"package": f"{found.package} {found.version}"}


def component_json(name: str, component: Component[..., Any]) -> dict[str, Any]:
    """A component as JSON values."""
    from ..values import describe

    inputs: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for key, argument in component.arguments.items():
        facts: dict[str, Any] = {"required": argument.required}
        if not argument.required:
            facts["default"] = _plain(argument.default)
        if argument.artifacts:
            facts["artifacts"] = [kind.__name__ for kind in argument.artifacts]
        if argument.annotation is not None:
            facts["type"] = describe(argument.annotation)
        (inputs if argument.artifacts else parameters)[key] = facts
    return {
        "name": name,
        "component": _place(component),
        "summary": _first_line(component),
        "inputs": inputs,
        "parameters": parameters,
        "outputs": {key: kind.__name__ for key, kind in component.outputs.items()},
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    import msgspec

    return msgspec.to_builtins(value, str_keys=True)


def _place(component: Component[..., Any]) -> str:
    """Where it is defined: `package.module:name`, or `/folder/file.py:name` for a file."""
    from ..resolve import name_of

    named = name_of(component)
    place = named.rpartition(":")[0]
    return named if place.endswith(".py") else f"{component.module}:{component.name}"


def described(name: str, component: Component[..., Any]) -> Iterator[str]:
    """A component with each of its arguments, as lines."""
    yield f"{name}  ({_place(component)})\n"
    yield inspect.getdoc(component.function) or "It has no description."
    inputs = [_row(argument) for argument in component.arguments.values() if argument.artifacts]
    parameters = [_row(argument) for argument in component.arguments.values() if not argument.artifacts]
    outputs = [(key, kind.__name__) for key, kind in component.outputs.items()]
    for title, rows in (("inputs", inputs), ("parameters", parameters), ("outputs", outputs)):
        if rows:
            yield f"\n{title}\n{table(rows, '  ')}"


def _row(argument: Argument) -> tuple[str, str, str]:
    from ..values import describe

    kinds = [kind.__name__ for kind in argument.artifacts]
    if argument.annotation is not None:
        kinds.append(describe(argument.annotation))
    default = "required" if argument.required else f"default {brief(_plain(argument.default))}"
    return argument.name, " or ".join(kinds), default


def _first_line(component: Component[..., Any]) -> str:
    return (inspect.getdoc(component.function) or "").partition("\n")[0]
