"""The component `import_schema`: a schema from a file, TFDV's `schema.pbtxt` or a `schema.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pipelines.artifact import Schema
from ..pipelines.component import Checked, FilePath, Known, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError


@component
def import_schema(ctx: Context, *, path: FilePath) -> Schema:
    """Reads a schema that a person or TFDV wrote, and takes it as it stands.

    The artifact holds it as `schema.yaml` and as `schema.pbtxt`. What a `schema.pbtxt` says beyond a
    Schema is warned of, and kept in the latter; fields that tensorflow-metadata doesn't know are lost.

    Args:
        path: protobuf's text format of `tensorflow.metadata.v0.Schema` if it ends with `.pbtxt`, else YAML.

    Raises:
        InvalidRequestError: it can't be read as a schema; with lines.
    """
    from .validation.schema_files import load_schema, write_schema_files

    loaded = load_schema(path)
    for warning in loaded.warnings:
        ctx.warn(f"{Path(path).name}: {warning}")
    draft = ctx.output(Schema)
    write_schema_files(draft.path, loaded.schema, loaded.message)
    domains = sum(feature.values is not None for feature in loaded.schema)
    return draft.finish(summary={"features": len(loaded.schema.features), "domains": domains})


@import_schema.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    """A YAML file reads. (Reading pbtxt takes protobuf, which nothing imports before a run.)"""
    path = arguments.get("path")
    if not isinstance(path, str) or path.endswith(".pbtxt"):
        return [], {"output": Known()}
    from .validation.schema_files import load_schema

    try:
        schema = load_schema(path).schema
    except HeadraceError as error:
        return list(error.problems), {"output": Known()}
    facts = {"types": {feature.name: feature.type for feature in schema}}
    return [], {"output": Known(schema.names, None, facts)}
