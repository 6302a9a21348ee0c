"""`headrace step`: one component by itself, from a shell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidRequestError, Problem
from .common import pairs, store_option, store_to_write
from .naming import artifact_named
from .run import RUNNER, RUNNER_OPTIONS, execute, runner_settings

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..bound import BoundPipeline
    from ..component import Argument
    from ..executor import RunResult
    from ..store import Store

_NONE = ("null", "~", "")
_GLOB = "*?["


@click.command(add_help_option=False)
@click.argument("name", default="", metavar="NAME")
@click.option("--arg", "args", multiple=True, metavar="K=V", help="Give an argument, once or more often.")
@click.option("--force", is_flag=True, help="Run it even if its outputs are in the store.")
@RUNNER
@RUNNER_OPTIONS
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, as `run` does.")
@click.option("-h", "--help", "helps", is_flag=True, help="Show this, and the arguments of NAME.")
def step(
    name: str,
    args: Sequence[str],
    force: bool,
    runner: str,
    runner_options: Sequence[str],
    uri: str,
    as_json: bool,
    helps: bool,
) -> int:
    """Run one component by itself; if its outputs are in the store already, nothing is computed.

    NAME is a component (`headrace components` lists them), module:name or file.py:name. Values are YAML.
    An artifact is named by the beginning of its digest, by its folder, by a step (STEP or STEP.OUTPUT) of the
    newest run that has it, or of a certain one: RUN:STEP.OUTPUT. Paths are relative to the current folder.

    Standard output gets the folder of the artifact, or a line `OUTPUT FOLDER` for each of several.
    """
    if helps:
        click.echo(_help(name))
        return 0
    if not name:
        from ..resolve import components

        raise InvalidRequestError(
            "say which component is to run", available=tuple(components()), remedy="headrace step NAME --help"
        )
    from ..executor import Request
    from ..planning import Selection

    settings = runner_settings(runner, runner_options)
    given = pairs("--arg", args)
    component, uses = _component(name)
    component.bind((), given)  # an argument that doesn't exist is told before a store is made
    store = store_to_write(uri)
    bound = _bound(component, uses, given, store)
    selection = Selection(force=frozenset(bound.steps) if force else frozenset())
    return execute(bound, store, Request(selection, settings), as_json, uri, partial(_outputs, store))


def _component(name: str) -> tuple[Any, str]:
    from ..resolve import absolute_name, find_component

    here = str(Path.cwd())
    return find_component(name, here), absolute_name(name, here)


def _help(name: str) -> str:
    """The command's help, and what the component takes."""
    from .catalog import described

    text = click.get_current_context().get_help()
    return "\n".join([text, "", *described(name, _component(name)[0])]) if name else text


def _bound(component: Any, uses: str, texts: dict[str, str], store: Store) -> BoundPipeline:
    """A pipeline of this step alone.

    Raises:
        PipelineError: arguments are missing or don't fit; all problems are listed.
        InvalidRequestError: there is no such artifact.
    """
    from ..alone import bind_call
    from ..bound import BoundPipeline
    from ..values import command_text

    given: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, text in texts.items():
        argument = component.arguments[key]
        try:
            made = _artifact(argument, text, store)
        except InvalidRequestError as error:
            problems += [problem.at(argument=key) for problem in error.problems]
            continue
        if made is not None:
            given[key] = made
        elif argument.annotation is not None:
            given[key] = command_text(text)
    if problems:
        raise InvalidRequestError(problems)
    bound, inputs = bind_call(component, given)
    step = replace(bound, uses=uses, given=inputs)
    return BoundPipeline(component.name, {}, {step.name: step}, folder=str(Path.cwd()))


def _artifact(argument: Argument, text: str, store: Store) -> Artifact | None:
    """The artifact that a text names; None where it is a value, or nothing is given for an optional input.

    Where an argument takes either, what is there as a file is the file.
    """
    if not argument.artifacts or (text in _NONE and not argument.required):
        return None
    if argument.annotation is not None and _is_path(text):
        return None
    try:
        return _named(store, text)
    except InvalidRequestError:
        if argument.annotation is None:
            raise
        return None


def _is_path(text: str) -> bool:
    """Whether it means files: they are there, or a pattern or a list of them is given."""
    path = Path(text).expanduser()
    if (path / "manifest.json").is_file():
        return False
    return path.exists() or any(sign in text for sign in _GLOB) or text.startswith("{")


def _named(store: Store, text: str) -> Artifact:
    folder = Path(text).expanduser()
    if (folder / "manifest.json").is_file():
        from ..artifact import load_artifact

        return load_artifact(folder.absolute())
    run, colon, name = text.partition(":")
    return artifact_named(store, name, run) if colon else artifact_named(store, text)


def _outputs(store: Store, result: RunResult) -> None:
    """Prints where the outputs lie, on this machine."""
    for made in result.artifacts.values():
        alone = list(made) == ["output"]
        for name, artifact in made.items():
            path = store.fetch(artifact).path
            click.echo(str(path) if alone else f"{name} {path}")
