"""The objects of a JSON file, one array or one a line, read piece by piece. Standard library only."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from ...pipelines.errors import DataError
from ..csv.sources import canonical_encoding, encoding_error, gzip_error, open_plain

_PIECE = 1 << 20
_SPACE = " \t\r\n\ufeff"
_ARRAY = "write one array of objects, [{…}, {…}], or one object a line (JSONL)"


class Row(NamedTuple):
    """An object, or what is wrong with the line that should hold one.

    Attributes:
        line: in which it begins, from 1.
        value: the object, or None.
        problem: what is wrong, or "".
        text: the line, if something is wrong with it.
    """

    line: int
    value: dict[str, object] | None
    problem: str = ""
    text: str = ""


def read_objects(path: Path, encoding: str = "utf-8") -> Iterator[Row]:
    """Reads a file's objects, plain or through gzip, with little more than one in memory.

    Args:
        path: one array of objects, or one object a line.
        encoding: of the text.

    Yields:
        Each object, or what is wrong with a line; an array that is wrong somewhere can't be read on.

    Raises:
        DataError: the file can't be read, is no such JSON, or is no text of this encoding.
    """
    try:
        with open_plain(path) as stream:
            text = io.TextIOWrapper(stream, canonical_encoding(encoding), newline="\n")
            start = _first(text)
            if start[-1:] == "[":
                yield from _array(text, start, path)
            elif start[-1:] == "{":
                yield from _lines(text, start, path)
            elif start.strip(_SPACE):
                what = f"a JSON file of rows begins with [ or {{, and this one with {start[-1]!r}"
                raise DataError(what, file=str(path), line=1 + start.count("\n"), remedy=_ARRAY)
    except UnicodeError as error:
        raise encoding_error(str(path), 0, encoding) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise gzip_error(path, error) from error


def _first(text: IO[str]) -> str:
    """The text up to its first letter that is no space, which is the last one."""
    held = ""
    while (letter := text.read(1)) and letter in _SPACE:
        held += letter
    return held + letter


def _lines(text: IO[str], start: str, path: Path) -> Iterator[Row]:
    line = 1 + start.count("\n")
    held = "{"
    while True:
        held += text.readline()
        if not held:
            return
        if held.strip(_SPACE):
            yield _parsed(held, line, path)
        line += 1
        held = ""


def _parsed(text: str, line: int, path: Path) -> Row:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        whole = "; one object over several lines is no JSONL" if text.strip(_SPACE) == "{" else ""
        if whole:
            raise DataError(
                f"the line holds {{ alone{whole}", file=str(path), line=line, remedy=_ARRAY
            ) from error
        return Row(line, None, f"the line is no JSON ({error})", text[:2000].rstrip("\n"))
    return _row(value, line, text)


def _row(value: object, line: int, text: str = "") -> Row:
    if isinstance(value, dict):
        return Row(line, value)
    return Row(line, None, f"this is no object, but {type(value).__name__}", text[:2000].rstrip("\n"))


def _array(text: IO[str], start: str, path: Path) -> Iterator[Row]:
    held = _Held(text, 1 + start.count("\n"))
    first = True
    while (sign := held.next()) != "]":
        if not first and sign == ",":
            held.at += 1
            sign = held.next()
        elif not first and sign:
            raise _broken("an array's objects have a comma between them", path, held.line)
        if sign != "{":
            what = (
                f"the array holds something that is no object ({sign})" if sign else "the array is cut short"
            )
            raise _broken(what, path, held.line)
        line = held.line
        try:
            yield Row(line, held.object())
        except (ValueError, RecursionError) as error:
            raise _broken(f"the array is no JSON, or cut short ({error})", path, line) from error
        first = False
    held.at += 1
    if held.next():
        raise _broken("something stands behind the array", path, held.line)


class _Held:
    """A part of a text that is read as it is needed.

    Attributes:
        at: the place in what is held.
        line: its line in the text.
    """

    def __init__(self, text: IO[str], line: int) -> None:
        self._text = text
        self._held = ""
        self._decoder = json.JSONDecoder()
        self.at = 0
        self.line = line

    def next(self) -> str:
        """Goes to the next letter that is no space, and gives it; "" at the end."""
        while True:
            while self.at < len(self._held) and self._held[self.at] in _SPACE:
                self.line += self._held[self.at] == "\n"
                self.at += 1
            if self.at < len(self._held):
                return self._held[self.at]
            if not self._more(_PIECE):
                return ""

    def object(self) -> dict[str, object]:
        """Reads the object that begins here; raises ValueError where it is none."""
        size = _PIECE
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self.at)
                break
            except ValueError:
                size *= 2  # an object that is longer is looked at from its beginning again
                if not self._more(size):
                    raise
        self.line += self._held.count("\n", self.at, end)
        self.at = end
        found: dict[str, object] = value
        return found

    def _more(self, size: int) -> bool:
        """Reads on, and forgets what is behind; false at the end."""
        more = self._text.read(size)
        self._held, self.at = self._held[self.at :] + more, 0
        return bool(more)


def _broken(what: str, path: Path, line: int) -> DataError:
    return DataError(what, file=str(path), line=line, remedy=_ARRAY)
