"""`headrace components`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .common import brief, echo_json, json_option, table

if TYPE_CHECKING:
    from ..component import Argument, Component


@click.command()
@click.argument("name", default="", metavar="[NAME]")
@json_option
def components(name: str, as_json: bool) -> int:
    """List the components, or describe the one called NAME, which may be an import path."""
    if name:
        from ..resolve import find_component

        component = find_component(name)
        if as_json:
            echo_json(component_json(name, component))
        else:
            click.echo("\n".join(described(name, component)))
        return 0
    from ..resolve import components as all_components

    found = all_components()
    if as_json:
        echo_json([component_json(key, component) for key, component in found.items()])
    else:
        click.echo(table([(key, _first_line(component)) for key, component in found.items()]))
    return 0


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
