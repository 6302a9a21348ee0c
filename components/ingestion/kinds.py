"""Which of our types an Arrow type becomes, and what to say of those that become none."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as at

from ...pipelines.errors import Problem

LISTS = {"int": "ints", "float": "floats", "string": "strings", "null": "floats"}
ELEMENTS = {"ints": "int", "floats": "float", "strings": "string"}
ARROW = {
    "int": pa.int64(),
    "float": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "ints": pa.list_(pa.int64()),
    "floats": pa.list_(pa.float64()),
    "strings": pa.list_(pa.string()),
    "image": pa.binary(),
}
"""The types at rest."""


def kind_of(kind: pa.DataType) -> str:
    """Our type; "null" for Arrow's type of columns without any value, "" where there is none."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind_of(kind.storage_type)
    if at.is_dictionary(kind):
        return kind_of(kind.value_type)
    if is_list(kind):
        return LISTS.get(kind_of(kind.value_type), "")
    found = (
        ("null", at.is_null(kind)),
        ("bool", at.is_boolean(kind)),
        ("int", at.is_integer(kind)),
        ("float", at.is_floating(kind) or at.is_decimal(kind)),
        ("string", is_text(kind)),
        ("timestamp", at.is_timestamp(kind) or at.is_date(kind)),
    )
    return next((name for name, fits in found if fits), "")


def is_list(kind: pa.DataType) -> bool:
    """Whether a value of the type is any number of values."""
    views = at.is_list_view(kind) or at.is_large_list_view(kind)
    return bool(at.is_list(kind) or at.is_large_list(kind) or at.is_fixed_size_list(kind) or views)


def can_be_images(kind: pa.DataType) -> bool:
    """Whether values of the type may be image files: bytes, or structs with bytes, as Hugging Face writes."""
    if at.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and can_be_images(kind.field("bytes").type)
    return bool(at.is_binary(kind) or at.is_large_binary(kind) or at.is_binary_view(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether the type may hold text: strings, and bytes, which are looked at."""
    strings = at.is_string(kind) or at.is_large_string(kind) or at.is_string_view(kind)
    binary = at.is_binary(kind) or at.is_large_binary(kind) or at.is_binary_view(kind)
    return bool(strings or binary or at.is_fixed_size_binary(kind))


def unsupported(name: str, kind: pa.DataType, file: str) -> Problem:
    """What to say of a column whose type is none of ours."""
    if at.is_struct(kind) and can_be_images(kind):
        remedy = f"types: {{{name}: image}} reads its bytes as images"
    elif at.is_struct(kind):
        fields = ", ".join(f"{name}.{field.name}" for field in kind)
        remedy = f"write its fields as columns of their own ({fields})"
    elif at.is_map(kind):
        remedy = "write its keys as columns, or its keys and values as two lists"
    elif is_list(kind):
        remedy = "write a list of strings or numbers, one level deep"
    elif at.is_time(kind) or at.is_duration(kind):
        remedy = "write it as a whole number of seconds"
    else:
        remedy = "write it as text or numbers"
    return Problem(
        f"column {name!r} has the type {kind}, which can't be read",
        argument="columns",
        file=file,
        remedy=f"{remedy}, or leave it out with `columns`",
    )
