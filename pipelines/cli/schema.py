"""`headrace schema`: schemas of tables as files on disk, and the JSON Schema of pipeline documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidRequestError
from .common import echo_json, json_option

output_option = click.option(
    "--output", type=click.Path(path_type=Path), default=None, metavar="FILE", help="Write it here."
)


@click.group(invoke_without_command=True)
@output_option
@click.pass_context
def schema(ctx: click.Context, output: Path | None) -> int:
    """Infer, compare, convert and check schemas of tables; alone, write the JSON Schema of documents.

    A schema is a schema.yaml, or TFDV's schema.pbtxt. An editor uses the JSON Schema for a document that
    begins with `# yaml-language-server: $schema=FILE`.
    """
    if ctx.invoked_subcommand is None:
        from ..json_schema import document_schema

        _write(json.dumps(document_schema(), indent=1, ensure_ascii=False), output)
    return 0


@schema.command()
@click.argument("files", nargs=-1, required=True, metavar="CSV...")
@click.option("--ranges", is_flag=True, help="Give numeric columns the range that they have.")
@click.option("--max-categories", type=click.IntRange(0, 1000), default=100, show_default=True)
@output_option
@json_option
def infer(files: Sequence[str], ranges: bool, max_categories: int, output: Path | None, as_json: bool) -> int:
    """Write a schema that CSV files suggest: YAML, or pbtxt if FILE ends with .pbtxt."""
    found = _disk().infer_file(list(files), max_categories, ranges)
    if as_json:
        echo_json(_disk().schema_json(found))
        return 0
    _write(_disk().schema_text(found, str(output or "")).rstrip("\n"), output)
    return 0


@schema.command()
@click.argument("before")
@click.argument("after")
@json_option
def diff(before: str, after: str, as_json: bool) -> int:
    """Compare two schemas; exits with 1 if they differ."""
    lines = _disk().schema_diff(before, after)
    if as_json:
        echo_json(lines)
    else:
        click.echo("\n".join(line["what"] for line in lines) or "the schemas say the same")
    return 1 if lines else 0


@schema.command()
@click.argument("file")
@output_option
def convert(file: str, output: Path | None) -> int:
    """Write a schema the other way: YAML as pbtxt, pbtxt as YAML (or as FILE ends)."""
    text, warnings = _disk().converted(file, str(output or ""))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    _write(text.rstrip("\n"), output)
    return 0


@schema.command()
@click.argument("schema_file", metavar="SCHEMA")
@click.argument("files", nargs=-1, required=True, metavar="CSV...")
@click.option("--environment", default=None, metavar="NAME", help="Such as SERVING, without the label.")
@json_option
def check(schema_file: str, files: Sequence[str], environment: str | None, as_json: bool) -> int:
    """Hold CSV files against a schema; exits with 1 if they have an anomaly that is an error."""
    anomalies = _disk().check_file(schema_file, list(files), environment)
    if as_json:
        echo_json(anomalies)
    else:
        lines = [f"{one['severity']}: {one['message']}" for one in anomalies]
        click.echo("\n".join(lines) or "no anomalies")
    return 1 if any(one["severity"] == "error" for one in anomalies) else 0


def _disk() -> Any:
    """By string: the engine must not depend on the components."""
    return import_module("headrace.components.validation.on_disk")


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise InvalidRequestError(f"can't be written: {error.strerror}", file=str(output)) from error
