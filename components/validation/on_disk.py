"""Schemas and CSV files on disk, for the command line: nothing is kept but what is asked for."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...pipelines.artifact import Examples
from ...pipelines.context import Context, RunnerSettings
from ...schemas.schema import Schema
from ...schemas.schema_file import write_schema
from .schema_files import load_schema


@contextmanager
def _contexts() -> Iterator[Any]:
    """Gives a maker of contexts whose files go when the block ends."""
    logging.disable(logging.WARNING)  # Beam, when imported, warns of cloud clients that nobody asked for
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:

        def make(name: str) -> Context:
            (Path(folder) / name).mkdir()
            return Context(name, Path(folder) / name, RunnerSettings())

        try:
            yield make
        finally:
            logging.disable(logging.NOTSET)


def _ingest(ctx: Context, files: Sequence[str], types: Mapping[str, str]) -> Examples:
    from ..csv_examples import csv_examples

    made: Examples = csv_examples.function(ctx, list(files), splits={"all": 1.0}, types=dict(types) or None)
    return made


def infer_file(files: Sequence[str], max_categories: int, ranges: bool) -> Schema:
    """The schema that CSV files suggest.

    Raises:
        HeadraceError: they can't be read.
    """
    from ...schemas.inference import infer
    from ..compute_statistics import examples_statistics

    with _contexts() as make:
        examples = _ingest(make("examples"), files, {})
        found = examples_statistics(make("statistics"), examples)
        return infer(found["all"], max_categories, ranges)


def check_file(schema_file: str, files: Sequence[str], environment: str | None) -> list[dict[str, Any]]:
    """The anomalies of CSV files under a schema, as in `anomalies.json`.

    Raises:
        InvalidRequestError: the schema can't be read, or knows no such environment.
        DataError: the files can't be read.
    """
    from ..import_schema import import_schema
    from ..validate_examples import validate_examples

    expected = load_schema(schema_file, "SCHEMA").schema
    with _contexts() as make:
        artifact = import_schema.function(make("schema"), path=schema_file)
        examples = _ingest(make("examples"), files, _readable(expected, files))
        ctx = make("validate")
        ctx.listener = lambda event: None  # what it warns of is what this gives
        found = validate_examples.function(ctx, examples, artifact, environment=environment)
        told: list[dict[str, Any]] = json.loads(found.file("anomalies.json").read_text("utf-8"))
        return told


def _readable(expected: Schema, files: Sequence[str]) -> dict[str, str]:
    """Columns that are read as text because the schema says so; the others show their own types."""
    from ..csv.sources import read_head, resolve

    first, *_ = resolve(list(files))
    names = read_head(first, "utf-8", None, '"').names
    return {f.name: "string" for f in expected if f.type == "string" and f.name in names}


def schema_text(schema: Schema, name: str = "", message: Any = None) -> str:
    """A schema as the text that belongs to a file's name: pbtxt, or else YAML."""
    if not name.endswith(".pbtxt"):
        return write_schema(schema)
    from ...schemas.schema_pbtxt import write_pbtxt

    return write_pbtxt(schema, message)


def converted(file: str, output: str = "") -> tuple[str, tuple[str, ...]]:
    """A schema file as the other kind, or the kind that `output` has, and what was warned of."""
    loaded = load_schema(file, "FILE")
    name = output or ("schema.yaml" if file.endswith(".pbtxt") else "schema.pbtxt")
    return schema_text(loaded.schema, name, loaded.message), loaded.warnings


def schema_json(schema: Schema) -> dict[str, Any]:
    """A schema as JSON values, without what is left at its default."""
    from ...schemas.yaml12 import load

    told: dict[str, Any] = load(write_schema(schema))
    return told


def schema_diff(before: str, after: str) -> list[dict[str, Any]]:
    """How two schema files differ, a sentence a change.

    Raises:
        InvalidRequestError: one can't be read.
    """
    old, new = load_schema(before, "BEFORE").schema, load_schema(after, "AFTER").schema
    told = []
    for name in dict.fromkeys([*old.names, *new.names]):
        if name not in new:
            told.append({"feature": name, "field": "", "what": f"- {name}"})
        elif name not in old:
            told.append({"feature": name, "field": "", "what": f"+ {name} ({new[name].type})"})
        else:
            told += _changes(name, asdict(old[name]), asdict(new[name]))
    for field in ("default_environments",):
        told += _changes("", {field: getattr(old, field)}, {field: getattr(new, field)})
    shared = ({d.name: d.values for d in one.domains} for one in (old, new))
    told += _changes("", *({"domains": one} for one in shared))
    return told


def _changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    told = []
    for field, before in old.items():
        after = new[field]
        if before == after:
            continue
        what = f"{_short(before)} → {_short(after)}"
        if field == "values" and before is not None and after is not None:
            gone = [f"-{value!r}" for value in before if value not in after]
            come = [f"+{value!r}" for value in after if value not in before]
            what = " ".join([*gone, *come][:20]) or "in another order"
        place = f"{name}.{field}" if name else field
        change = {"feature": name, "field": field, "before": before, "after": after}
        told.append({**change, "what": f"~ {place}: {what}"})
    return told


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 100 else f"{text[:97]}…"
