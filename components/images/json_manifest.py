"""Manifests in JSON: one array of objects, or one object a line.

They are read twice: for the types over all rows, and for the rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..ingestion.column_options import ColumnOptions
from ..ingestion.kinds import ARROW, ELEMENTS, LISTS
from ..ingestion.rejects import Reject
from ..ingestion.time_patterns import stated_patterns
from ..ingestion.values import Bad, read_values
from .json_rows import Row, read_objects
from .listing import Block, Source, typed
from .manifests import Blocks, Plan

_BLOCK_ROWS = 4096
_BLOCK_TEXT = 16 << 20
_INT64 = 1 << 63
_MORE = 1000


@dataclass(frozen=True)
class Kind:
    """What the values of a column are.

    Attributes:
        element: int, float, string or bool; "null" where there is none, "mixed" where they don't agree.
        several: whether there are lists; a single value beside them is a list of one.
        line: the first line that tells it.
    """

    element: str = "null"
    several: bool = False
    line: int = 0

    def __or__(self, other: Kind) -> Kind:
        """The kind that holds the values of both."""
        one, two = self.element, other.element
        if two in ("null", one):
            element = one
        elif one == "null":
            element = two
        else:
            element = "float" if {one, two} == {"int", "float"} else "mixed"
        several = self.several or other.several
        changed = (element, several) != (self.element, self.several)
        return Kind(element, several, other.line if changed else self.line)

    @property
    def name(self) -> str:
        """Our type: a column without any value is float, lists of mixed values are strings."""
        element = {"null": "float", "mixed": "string"}.get(self.element, self.element)
        return LISTS[{"bool": "int"}.get(element, element)] if self.several else element


def kind_of(value: object) -> Kind:
    """The kind of a JSON value.

    Raises:
        TypeError: it is an object, or a list of lists.
    """
    if isinstance(value, list):
        element = reduce(Kind.__or__, map(kind_of, value), Kind())
        if element.several:
            raise TypeError("a list of lists")
        return replace(element, several=True)
    if isinstance(value, dict):
        raise TypeError("an object")
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 < value < _INT64:
        return Kind("float")
    return Kind({bool: "bool", int: "int", float: "float", str: "string"}.get(type(value), "null"))


def json_source(ctx: Context, plan: Plan) -> Source:
    """The images that JSON files tell of.

    Raises:
        DataError: a manifest is no JSON of rows, or the values of a column don't agree.
        InvalidRequestError: `types` asks for what the values can't become.
    """
    options = plan.options
    kinds = dict.fromkeys(plan.carried, Kind())
    totals: Counter[str] = Counter()
    rejects: list[Reject] = []
    for path, split in plan.files:
        for row in read_objects(path, options.encoding):
            if row.value is not None:
                totals[split] += 1
                _look(kinds, row.value, row.line, path, options.types or {})
            elif len(rejects) < options.max_rejects + _MORE:
                rejects.append(Reject(str(path), row.line, row.problem, "write one object a line", row.text))
    types = {name: options.kind_told(name, kind.name) for name, kind in kinds.items()}
    _check_types(kinds, plan)
    return Source(
        types, plan.labels, options.split, totals, lambda: _blocks(plan, kinds, rejects), rejects,
        stated_patterns(options.types),
    )  # fmt: skip


def _look(
    kinds: dict[str, Kind], row: Mapping[str, object], line: int, path: Path, types: Mapping[str, str]
) -> None:
    """Adds what a row tells of the columns' kinds."""
    for name, seen in kinds.items():
        try:
            kind = replace(kind_of(row.get(name)), line=line)
        except TypeError as error:
            raise DataError(
                f"column {name!r} holds {error}", file=str(path), line=line,
                remedy="write its fields as columns of their own, or name the others with `columns`",
            ) from error  # fmt: skip
        both = seen | kind
        if both.element == "mixed" and name not in types:
            if seen.element == "null" or kind.element == "mixed":
                what = f"column {name!r} holds a list of values of different types"
            else:
                what = f"column {name!r} is {kind.element} here, and {seen.element} on line {seen.line}"
            remedy = f"write them alike, or types: {{{name}: {'strings' if both.several else 'string'}}}"
            raise DataError(what, file=str(path), line=line, remedy=remedy)
        kinds[name] = both


def _check_types(kinds: Mapping[str, Kind], plan: Plan) -> None:
    """Raises InvalidRequestError where a stated type can't be made of what the columns hold."""
    stated = plan.options.types or {}
    own = {
        name: "null" if kind.element == "null" else kind.name
        for name, kind in kinds.items()
        if name not in plan.options.separators and kind.element != "mixed"
    }
    for name, kind in own.items():
        if stated.get(name) in ELEMENTS and kind in LISTS:
            own[name] = LISTS[{"bool": "int"}.get(kind, kind)] if kind != "null" else kind
    problems = ColumnOptions(plan.options.split, types=stated).type_problems(own)
    if problems:
        raise InvalidRequestError(problems)


def _blocks(plan: Plan, kinds: Mapping[str, Kind], rejects: list[Reject]) -> Iterator[Block]:
    for path, split in plan.files:
        maker = Blocks(path, split, plan, rejects)
        held: list[Row] = []
        told: list[str | None] = []
        size = 0
        for row in read_objects(path, plan.options.encoding):
            if row.value is None:
                continue
            text = plan.options.filled({name: as_text(row.value.get(name)) for name in plan.images})
            held.append(row)
            told.append(text)
            size += len(text or "")
            if len(held) >= _BLOCK_ROWS or size >= _BLOCK_TEXT:
                yield _block(maker, held, told, kinds)
                held, told, size = [], [], 0
        if held:
            yield _block(maker, held, told, kinds)


def _block(
    maker: Blocks, rows: Sequence[Row], texts: Sequence[str | None], kinds: Mapping[str, Kind]
) -> Block:
    options = maker.plan.options
    columns: dict[str, pa.Array] = {}
    bad: list[tuple[str, Bad]] = []
    for name in maker.plan.carried:
        found = [row.value.get(name) if row.value else None for row in rows]
        stated = (options.types or {}).get(name) or options.kind_told(name, kinds[name].name)
        if name in options.separators and not kinds[name].several:
            values = typed(pa.array(map(as_text, found), pa.string()), stated, options.separators[name])
        else:
            values = read_values(_array(found, kinds[name], stated), stated)
        columns[name] = values.array
        bad += [(name, each) for each in values.bad]
    return maker.block(texts, columns, bad, np.array([row.line for row in rows], np.int64))


def _array(values: Sequence[Any], kind: Kind, stated: str) -> pa.Array:
    """A column's JSON values as they are, in the narrowest of our types that holds them all."""
    several = kind.several or stated in ELEMENTS
    element = replace(kind, several=False).name
    if kind.element == "bool" and several:
        element = "int"
    change: Any = {"string": as_text, "int": int, "float": float, "bool": bool}[element]
    if not several:
        return pa.array([None if value is None else change(value) for value in values], ARROW[element])
    lists = [
        None if value is None else [
            None if one is None else change(one) for one in (value if isinstance(value, list) else [value])
        ]
        for value in values
    ]  # fmt: skip
    return pa.array(lists, pa.list_(ARROW[element]))


def as_text(value: object) -> str | None:
    """A value as text: a text as it is, what is none as JSON writes it."""
    return value if isinstance(value, str) or value is None else json.dumps(value)
