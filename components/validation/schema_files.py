"""Schema files on disk: YAML and pbtxt, read by their name, and written side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...pipelines.errors import InvalidRequestError, Problem
from ...schemas.schema import Schema
from ...schemas.schema_file import read_schema, write_schema
from ...schemas.schema_problem import SchemaError, SchemaProblem

YAML, PBTXT = "schema.yaml", "schema.pbtxt"


@dataclass(frozen=True)
class LoadedSchema:
    """A schema from a file.

    Attributes:
        schema: the schema.
        message: the `schema_pb2.Schema` that it was read from, or None.
        warnings: what of the message isn't in `schema`.
    """

    schema: Schema
    message: Any = None
    warnings: tuple[str, ...] = ()


def load_schema(path: str | Path, argument: str = "path") -> LoadedSchema:
    """Reads a schema: `*.pbtxt` as TFDV writes it, anything else as YAML.

    Raises:
        InvalidRequestError: it can't be read, or is no schema; with lines.
    """
    try:
        text = Path(path).read_text("utf-8")
        if str(path).endswith(".pbtxt"):
            from ...schemas.schema_pbtxt import read_pbtxt

            found = read_pbtxt(text, str(path))
            return LoadedSchema(found.schema, found.message, found.warnings)
        return LoadedSchema(read_schema(text, str(path)))
    except SchemaError as error:
        raise InvalidRequestError(problems_of(error.problems, str(path), argument)) from None
    except UnicodeDecodeError:
        what, remedy = "the schema is not UTF-8", "save it as UTF-8"
    except OSError as error:
        what = f"the schema can't be read ({error.strerror})"
        remedy = "give the path of a schema.yaml or schema.pbtxt"
    raise InvalidRequestError(what, argument=argument, file=str(path), remedy=remedy)


def problems_of(found: Sequence[SchemaProblem], path: str, argument: str) -> list[Problem]:
    """Problems of a schema as those of an argument."""
    return [Problem(argument=argument, file=path, **asdict(problem)) for problem in found]


def write_schema_files(folder: Path, schema: Schema, base: Any = None) -> None:
    """Writes `schema.yaml` and `schema.pbtxt`; `base` is the message that the schema was read from."""
    from ...schemas.schema_pbtxt import write_pbtxt

    (folder / YAML).write_text(write_schema(schema), "utf-8")
    (folder / PBTXT).write_text(write_pbtxt(schema, base), "utf-8")
