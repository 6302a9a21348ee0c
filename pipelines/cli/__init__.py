"""The command line: `headrace COMMAND`. A command's module is imported when the command is used."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from ..errors import HeadraceError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run", "Run a pipeline; what is in the store already is not computed again."),
    "resume": ("run", "Go on with a run that failed, was interrupted or was killed."),
    "step": ("step", "Run one component by itself, with artifacts of the store and values."),
    "tune": ("tune", "Search for the best values of parameters."),
    "plan": ("pipeline_commands", "Say for each step whether it would run, and why."),
    "explain": ("explain", "Say why a step ran or was cached, or what would become of it."),
    "validate": ("pipeline_commands", "Check a pipeline without running anything."),
    "graph": ("pipeline_commands", "Draw a pipeline, or write it as YAML or Python."),
    "runs": ("runs", "List, show and compare runs."),
    "artifacts": ("artifacts", "List and show artifacts."),
    "lineage": ("artifacts", "Show what an artifact was made from, and what was made of it."),
    "gc": ("artifacts", "Remove old runs and the artifacts that only they refer to."),
    "predict": ("predict", "Apply an exported model to a file."),
    "runners": ("runners", "List the Beam runners, what they need and have; fetch job servers."),
    "components": ("catalog", "List the components, or describe one."),
    "schema": ("schema", "Infer, compare, convert and check schemas; the JSON Schema of documents."),
}
"""The module of each command, whose function has the command's name, and its one line of help."""


class LazyGroup(click.Group):
    """Finds commands in `COMMANDS` and turns headrace's errors into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which they are useful."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".{COMMANDS[cmd_name][0]}", __name__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Runs the command line and exits: 0 fine, 1 failed, 2 an invalid request, 130 interrupted."""
        kwargs["standalone_mode"] = False
        sys.exit(_exit_code(lambda: super(LazyGroup, self).main(*args, **kwargs)))


def _exit_code(call: Any) -> int:
    try:
        code = call()
        sys.stdout.flush()
    except HeadraceError as error:
        click.echo(f"error: {error}", err=True)
        for note in getattr(error, "__notes__", []):
            click.echo(note, err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headrace", message="headrace %(version)s")
def cli() -> None:
    """Declarative data-and-training pipelines: declared, cached, explained.

    PIPELINE is a YAML file, module:function, file.py:function, or the name of a ready pipeline.
    The store is --store, or HEADRACE_STORE, or .headrace in the current folder.
    """


def main() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    cli.main()
    raise AssertionError("unreachable")


def _interrupt(number: int, frame: Any) -> NoReturn:
    """Makes SIGTERM end a run in the same orderly way as Ctrl-C."""
    raise KeyboardInterrupt
