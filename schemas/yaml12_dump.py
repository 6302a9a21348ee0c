"""Writing YAML that people read, and that readers of YAML 1.1 and 1.2 take alike.

Block style, with flow style for small lists and mappings of scalars and lists. A string that either
version would take for something else (`no`, `12:30`, `1e-3`, `007`, `2024-01-01`) is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST_SIMPLE_KEY = 500
"""Parsers give up on a key without `?` after 1,024 characters."""

_LONGEST_PLAIN = 10_000
# Begins with a letter, `_`, `$` or `/`; no ": ", no "#", no quote, nothing that ends with a space or colon.
_PLAIN = re.compile(r"[^\W\d$/][\w ./+%()<>=*@^~;$-]*|[$/][\w./+%()$-]*")
_PLAIN_IN_BLOCK = re.compile(r"([^\W\d]|[$/])([\w ./+%()<>=*@^~;${}\[\],-]|:(?=[^\s:]))*")
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_RAW = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")


def dump(value: Any, *, width: int = 110, comments: Mapping[tuple[str | int, ...], str] | None = None) -> str:
    """YAML text of a value; `load` gives the value back (tuples as lists).

    Args:
        value: Mapping (string keys), list, tuple, str, int, float, bool or None.
        width: flow style is used for small collections whose line is not longer.
        comments: remarks by the path of a mapping's entry, put at the end of its line.

    Raises:
        TypeError: something else is in it, or a key is not a string.
        ValueError: a string holds half a surrogate pair.
    """
    writer = _Writer(width, comments or {})
    if _is_block(value):
        return "\n".join(writer.block(value, 0, ())) + "\n"
    return (
        writer.scalar(value) + "\n"
        if not _is_collection(value)
        else ("{}\n" if isinstance(value, Mapping) else "[]\n")
    )


def _is_collection(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _is_block(value: Any) -> bool:
    return _is_collection(value) and len(value) > 0


def _is_leaf(value: Any) -> bool:
    """Whether it may stand inside flow style: a scalar, something empty, or a list of those."""
    return not _is_block(value) or (not isinstance(value, Mapping) and not any(map(_is_block, value)))


class _Writer:
    def __init__(self, width: int, comments: Mapping[tuple[str | int, ...], str]) -> None:
        self.width = width
        self.comments = comments

    def block(self, value: Any, indent: int, path: tuple[str | int, ...]) -> Iterator[str]:
        """The lines of a collection that isn't empty, each behind `indent` spaces."""
        space = " " * indent
        if isinstance(value, Mapping):
            for key, child in value.items():
                yield from self.entry(self.key(key), child, indent, (*path, key))
            return
        for position, item in enumerate(value):
            flow = self.inline(item, indent + 2)
            if flow is not None:
                yield f"{space}- {flow}"
                continue
            first, *rest = self.block(item, indent + 2, (*path, position))
            yield f"{space}- {first[indent + 2 :]}"
            yield from rest

    def entry(self, key: str, child: Any, indent: int, path: tuple[str | int, ...]) -> Iterator[str]:
        space = " " * indent
        remark = "  # " + " ".join(self.comments[path].split()) if path in self.comments else ""
        if len(key) > _LONGEST_SIMPLE_KEY:
            yield f"{space}? {key}"
            key = ""
        flow = self.inline(child, indent + len(key) + 2)
        if flow is not None:
            yield f"{space}{key}: {flow}{remark}"
            return
        yield f"{space}{key}:{remark}"
        yield from self.block(child, indent + 2, path)

    def inline(self, value: Any, column: int) -> str | None:
        """The value on one line, or None if it needs a block."""
        if not _is_collection(value):
            return self.scalar(value)
        if not value:
            return "{}" if isinstance(value, Mapping) else "[]"
        children = value.values() if isinstance(value, Mapping) else value
        if len(value) > self.width or not all(map(_is_leaf, children)):
            return None
        flow = self.flow(value)
        return flow if column + len(flow) <= self.width else None

    def flow(self, value: Any) -> str:
        """A collection of leaves in flow style."""
        if isinstance(value, Mapping):
            keys = [self.key(k, in_flow=True) for k in value]
            if max(map(len, keys), default=0) > _LONGEST_SIMPLE_KEY:
                keys = [f"? {key} " for key in keys]
            items = (f"{k}: {self.flow_item(v)}" for k, v in zip(keys, value.values(), strict=True))
            return "{" + ", ".join(items) + "}"
        return "[" + ", ".join(self.flow_item(v) for v in value) + "]"

    def flow_item(self, value: Any) -> str:
        return self.flow(value) if _is_collection(value) else self.scalar(value, in_flow=True)

    def key(self, key: Any, in_flow: bool = False) -> str:
        if not isinstance(key, str):
            raise TypeError(f"a key has to be a string, not {key!r}")
        return self.scalar(key, in_flow)

    def scalar(self, value: Any, in_flow: bool = False) -> str:
        if isinstance(value, str):
            return _string(value, in_flow)
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, int):
            return str(int(value))
        if isinstance(value, float):
            return _float(float(value))
        raise TypeError(f"YAML can't hold {type(value).__name__}: {value!r}")


def _float(value: float) -> str:
    if value != value:
        return ".nan"
    if value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 takes a number for text if it has an exponent and no point.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _string(text: str, in_flow: bool) -> str:
    pattern = _PLAIN if in_flow else _PLAIN_IN_BLOCK
    # The expressions take 200 bytes of memory a character, which a text of megabytes would be too much for.
    plain = len(text) <= _LONGEST_PLAIN and pattern.fullmatch(text) and text[-1] != " "
    if plain and text.lower() not in _WORDS and not _RAW.search(text):
        return text
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"half a surrogate pair can't be written: {text!r}")
    return _RAW.sub(_escape, json.dumps(text, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"
