"""`headrace artifacts`, `headrace lineage` and `headrace gc`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from .common import brief, counted, echo_json, json_option, store_option, store_to_read, table
from .naming import artifact_named, outputs_of
from .views import VIEWED, view

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..store import Store

_name = click.argument("name", metavar="ARTIFACT")
_run = click.option("--run", "run", default="", metavar="RUN", help="The run whose step ARTIFACT names.")
_TEXTS: Mapping[str, str] = {"Statistics": "statistics.txt", "Schema": "schema.yaml"}
"""The file of an artifact that a person wants to read, by type."""


@click.group()
def artifacts() -> None:
    """List and show artifacts.

    ARTIFACT is the beginning of a digest, or a step or step.output of the newest run that has it.
    """


@artifacts.command("list")
@click.option("--type", "kind", default="", metavar="TYPE", help="Only artifacts of this type.")
@store_option
@json_option
def list_artifacts(kind: str, uri: str, as_json: bool) -> int:
    """List the artifacts of the store, with the step that gave them last."""
    store = store_to_read(uri)
    rows = [_listed(store, key, name) for key, name in _named(store).items() if kind in ("", key[0])]
    if as_json:
        echo_json(rows)
    elif rows:
        lines = [(r["type"], r["digest"][:12], size_text(r["bytes"]), r["run"], r["name"]) for r in rows]
        click.echo(table([("TYPE", "DIGEST", "SIZE", "RUN", "STEP"), *lines]))
    else:
        click.echo("there are no artifacts")
    return 0


def _named(store: Store) -> dict[tuple[str, str], tuple[str, str]]:
    """(run, name) of every artifact by (type, digest): the newest run that refers to it."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    there = set(store.artifact_keys())
    for run in store.runs():
        for name, key in outputs_of(store.run_record(run)).items():
            if key in there:
                found.setdefault(key, (run, name))
    return found | {key: ("", "") for key in sorted(there) if key not in found}


def _listed(store: Store, key: tuple[str, str], name: tuple[str, str]) -> dict[str, Any]:
    size = sum(entry.size for entry in store.artifact(*key).files)
    return {"type": key[0], "digest": key[1], "bytes": size, "run": name[0], "name": name[1]}


@artifacts.command()
@_name
@_run
@store_option
@json_option
def show(name: str, run: str, uri: str, as_json: bool) -> int:
    """Show an artifact: its type, properties, summary and files.

    Statistics and evaluations are shown as tables, models in short, and a schema as YAML that can be edited
    and given as schema_file. --json prints the manifest.
    """
    store = store_to_read(uri)
    artifact = artifact_named(store, name, run)
    if as_json:
        echo_json({**artifact.manifest(), "path": str(artifact.path)})
    else:
        click.echo(
            "\n".join(_shown(store.fetch(artifact) if artifact.type in (*VIEWED, *_TEXTS) else artifact))
        )
    return 0


def _shown(artifact: Artifact) -> Iterator[str]:
    head = "# " if artifact.type == "Schema" else ""  # so that what is shown can be used as a schema file
    yield f"{head}{artifact.type} {artifact.digest}"
    yield f"{head}{artifact.path}"
    if lines := view(artifact):
        yield ""
        yield from lines
        for path in artifact.pictures:
            yield f"\nlook at {path}"
        return
    text = artifact.path / _TEXTS.get(artifact.type, "")
    if text.is_file():
        yield f"\n{text.read_text('utf-8').rstrip()}"
        return
    for title, values in (("properties", artifact.properties), ("summary", artifact.summary)):
        if values:
            yield title
            yield table([(key, brief(value, 100)) for key, value in values.items()], "  ")
    if artifact.files:
        yield "files"
        yield table([(entry.path, size_text(entry.size)) for entry in artifact.files[:40]], "  ")
    if len(artifact.files) > 40:
        yield f"  and {len(artifact.files) - 40} more"


@artifacts.command()
@_name
@_run
@store_option
@json_option
def path(name: str, run: str, uri: str, as_json: bool) -> int:
    """Print the folder of an artifact."""
    store = store_to_read(uri)
    artifact = store.fetch(artifact_named(store, name, run))
    if as_json:
        echo_json({"type": artifact.type, "digest": artifact.digest, "path": str(artifact.path)})
    else:
        click.echo(artifact.path)
    return 0


@click.command()
@_name
@_run
@store_option
@json_option
def lineage(name: str, run: str, uri: str, as_json: bool) -> int:
    """Show what ARTIFACT was made from, by which runs, and what was made of it."""
    from ..lineage import Lineage

    store = store_to_read(uri)
    artifact = artifact_named(store, name, run)
    known = Lineage.of(store.run_record(run) for run in store.runs())
    if as_json:
        echo_json({**known.to_json(artifact.digest), "type": artifact.type})
        return 0
    click.echo(known.ancestry(artifact.digest))
    if offspring := known.offspring(artifact.digest):
        click.echo(f"\nmade of it\n{offspring}")
    return 0


@click.command()
@click.option(
    "--keep", type=click.IntRange(min=1), default=10, show_default=True, help="Runs of each pipeline."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@store_option
@json_option
def gc(keep: int, dry_run: bool, uri: str, as_json: bool) -> int:
    """Remove all but the newest runs of each pipeline, and the artifacts that no kept run refers to."""
    from ..collect import collect

    garbage = collect(store_to_read(uri), keep, dry_run)
    if as_json:
        echo_json({**garbage.to_json(), "dry_run": dry_run})
        return 0
    if dry_run:
        rows = [("run", run) for run in garbage.runs] + [(kind, d[:12]) for kind, d in garbage.artifacts]
        click.echo(table(rows), nl=bool(rows))
    told = f"{counted(len(garbage.runs), 'run')} and {counted(len(garbage.artifacts), 'artifact')}"
    told += f", {size_text(garbage.size)}"
    click.echo(f"would remove {told}" if dry_run else f"removed {told}")
    return 0


def size_text(size: int) -> str:
    """Bytes as a person reads them."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
