"""YAML as people mean it: safe, with the scalars of YAML 1.2's core schema.

PyYAML follows YAML 1.1, where `no` is False, `12:30` is 750, `1e-3` is a string, `010` is 8, and the last
of two equal keys wins silently. Here PyYAML (its C parser where there is one) only gives the events; the
values are composed by this module after <https://yaml.org/spec/1.2.2/#103-core-schema>. Objects are never
constructed, keys are strings, and a bomb of aliases is refused before it expands. `dump` is in `yaml12_dump`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .yaml12_dump import dump

__all__ = ["YamlError", "dump", "load", "load_with_lines"]

MAX_CHARACTERS = 16_000_000
MAX_DEPTH = 100
MAX_ALIASED = 10_000
"""How many nodes all aliases of a document may add to it."""

Path = tuple[str | int, ...]
"""The way to a node: keys of mappings and positions in lists, from the root `()`."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + text: float(sign + "inf") for sign in ("", "+", "-") for text in (".inf", ".Inf", ".INF")},
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class YamlError(ValueError):
    """A text that is not the YAML that this module reads.

    Attributes:
        what: the fact, as a sentence without its full stop.
        line: from 1; 0 if unknown.
        name: the text's name, usually its file.
        remedy: what to do about it; may be empty.
    """

    def __init__(self, what: str, line: int = 0, name: str = "", remedy: str = "") -> None:
        self.what, self.line, self.name, self.remedy = what, line, name, remedy
        place = f"{name}:{line}" if name and line else name or (f"line {line}" if line else "")
        super().__init__(
            ": ".join(p for p in (place, what) if p) + (f"\n    remedy: {remedy}" if remedy else "")
        )


def load(text: str, name: str = "") -> Any:
    """The value of the only document in `text`; None if it is empty.

    Args:
        text: the document.
        name: what errors call it, usually the file.

    Returns:
        dict (with string keys), list, str, int, float, bool or None.

    Raises:
        YamlError: it is not YAML, or not of the kind that the module's text describes.
    """
    return _Builder().build(_compose(text, name), ())


def load_with_lines(text: str, name: str = "") -> tuple[Any, dict[Path, int]]:
    """Like `load`, with the line (from 1) of each path; a mapping's entry is where its key is."""
    builder = _Builder()
    value = builder.build(_compose(text, name), ())
    return value, builder.lines


@dataclass
class _Node:
    """A value before aliases are expanded: `content` is a scalar, a list, or key → (line, node)."""

    line: int
    content: Any
    size: int = 1


@dataclass
class _Builder:
    """Copies nodes into plain values, so that no two places share a list, and notes the lines."""

    lines: dict[Path, int] = field(default_factory=dict)

    def build(self, node: _Node, path: Path) -> Any:
        self.lines.setdefault(path, node.line)
        if isinstance(node.content, list):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.content)]
        if isinstance(node.content, dict):
            built = {}
            for key, (line, child) in node.content.items():
                self.lines[(*path, key)] = line
                built[key] = self.build(child, (*path, key))
            return built
        return node.content


def _compose(text: str, name: str) -> _Node:
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f"the text has {len(text):,} characters, and {MAX_CHARACTERS:,} are allowed", 0, name)
    try:
        return _Composer(text, name).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, name) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"there is a character that YAML does not allow ({error.reason})", 0, name) from None
    except UnicodeEncodeError:
        raise YamlError("there is half a surrogate pair, which is no character", 0, name) from None


def _syntax_error(error: Any, text: str, name: str) -> YamlError:
    """PyYAML's two marks as one sentence."""
    context = error.context or ""
    if context and error.context_mark:
        context += f" (begun in line {error.context_mark.line + 1})"
    what = ": ".join(part for part in (context, error.problem) if part) or "this is not YAML"
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.splitlines()
    tab = 0 < line <= len(lines) and re.match(r" *\t", lines[line - 1])
    remedy = "indent with spaces, not with tabs" if tab else "quote the text if it holds a special character"
    return YamlError(what, line, name, remedy)


class _Composer:
    """Makes nodes of PyYAML's events."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.events: Iterator[Any] = iter(yaml.parse(text.removeprefix("\ufeff"), Loader=_LOADER))
        self.anchors: dict[str, _Node | None] = {}
        self.aliased = 0

    def fail(self, what: str, line: int, remedy: str = "") -> YamlError:
        return YamlError(what, line, self.name, remedy)

    def document(self) -> _Node:
        """The only document, or an empty node."""
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return _Node(1, None)
        root = self.node(next(self.events), 0)
        next(self.events)  # the document's end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.fail("a second document begins here", _line(event), "keep one document in a file")
        return root

    def node(self, event: Any, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if depth > MAX_DEPTH:
            raise self.fail(f"this is nested deeper than {MAX_DEPTH} levels", _line(event))
        if event.anchor:
            self.anchors[event.anchor] = None  # begun: an alias inside would hold itself
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(_line(event), self.scalar(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(event, depth)
        else:
            node = self.mapping(event, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any) -> _Node:
        if event.anchor not in self.anchors:
            raise self.fail(f"there is no anchor &{event.anchor} above this alias", _line(event))
        node = self.anchors[event.anchor]
        if node is None:
            raise self.fail(f"the alias *{event.anchor} stands inside its own anchor", _line(event))
        self.aliased += node.size
        if self.aliased > MAX_ALIASED:
            what = f"the aliases up to here stand for more than {MAX_ALIASED:,} values"
            raise self.fail(what, _line(event), "write the values out, or use fewer aliases")
        return node

    def sequence(self, event: Any, depth: int) -> _Node:
        self.check_tag(event, "seq")
        items = []
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(item, depth + 1))
        return _Node(_line(event), items, 1 + sum(i.size for i in items))

    def mapping(self, event: Any, depth: int) -> _Node:
        self.check_tag(event, "map")
        entries: dict[str, tuple[int, _Node]] = {}
        while not isinstance(key_event := next(self.events), yaml.MappingEndEvent):
            key, line = self.key(key_event, depth), _line(key_event)
            if key in entries:
                what = f"the key {key!r} is here for the second time; the first is in line {entries[key][0]}"
                raise self.fail(what, line, "remove or rename one of the two")
            entries[key] = (line, self.node(next(self.events), depth + 1))
        return _Node(_line(event), entries, 1 + sum(1 + n.size for _, n in entries.values()))

    def key(self, event: Any, depth: int) -> str:
        line = _line(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise self.fail("a list or a mapping can't be a key", line, "use text as the key")
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            raise self.fail("merge keys (<<) are not part of YAML 1.2", line, "write the entries out")
        key = self.node(event, depth + 1).content
        if not isinstance(key, str):
            shown = event.value if isinstance(event, yaml.ScalarEvent) else f"*{event.anchor}"
            raise self.fail(
                f"the key {shown or 'null'} is not text but {type(key).__name__}",
                line,
                f'quote it: "{shown}"',
            )
        return key

    def check_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            tag = _short(event.tag)
            raise self.fail(f"the tag {tag} is unknown or does not fit here", _line(event), "remove the tag")

    def scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        if tag in (None, "!"):
            return self.plain(text, _line(event)) if event.implicit[0] and tag is None else text
        if tag == _TAG + "str":
            return text
        if tag == _TAG + "float" and _INT.fullmatch(text):
            return float(self.plain(text, _line(event)))
        expected = {"null": type(None), "bool": bool, "int": int, "float": float}.get(tag.removeprefix(_TAG))
        value = self.plain(text, _line(event))
        if expected is None or type(value) is not expected:
            raise self.fail(
                f"the tag {_short(tag)} is unknown or does not fit {text!r}", _line(event), "remove the tag"
            )
        return value

    def plain(self, text: str, line: int) -> Any:
        """The value of an unquoted scalar in the core schema."""
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INT.fullmatch(text):
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            try:
                return int(text, base)
            except ValueError:  # Python's limit on digits, a guard against quadratic time
                raise self.fail("the number has too many digits", line, "quote it if it is text") from None
        return float(text) if _FLOAT.fullmatch(text) else text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
