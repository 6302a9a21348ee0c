"""Which files are meant, how they are written, and what their header says. The standard library only.

The static check reads headers through this module before anything runs, so it has to stay light.
"""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from ...pipelines.errors import DataError, InvalidRequestError, Problem

GZIP = b"\x1f\x8b"
BOM = codecs.BOM_UTF8
_HEADER_BYTES = 1 << 20
_MOST_HEADER_BYTES = 64 << 20
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89PNG": "an image",
}
_UTF8 = {"utf-8", "utf-8-sig", "ascii"}
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Dialect:
    """How the cells of a CSV file are written.

    Attributes:
        delimiter: between cells; one ASCII character.
        quote: around cells that hold delimiters, quotes (doubled) or newlines; "" for none.
        missing: texts, quoted or not, that stand for a missing value.
    """

    delimiter: str = ","
    quote: str = '"'
    missing: tuple[str, ...] = ("",)

    @property
    def delimiter_byte(self) -> int:
        """The delimiter as a byte."""
        return ord(self.delimiter)

    @property
    def quote_byte(self) -> int:
        """The quote as a byte, or -1."""
        return ord(self.quote) if self.quote else -1


def resolve(path: str | Sequence[str]) -> list[Path]:
    """The files that a path, a glob or a list of them stands for: sorted within a glob, each once.

    Raises:
        InvalidRequestError: nothing is there, or a folder is.
    """
    found: list[Path] = []
    for given in [path] if isinstance(path, str) else path:
        if Path(given).is_dir():
            raise InvalidRequestError(
                "this is a folder, and csv_examples reads files",
                file=given,
                remedy=f"write {given.rstrip('/')}/*.csv",
            )
        if Path(given).exists():
            found.append(Path(given))
            continue
        if not glob.has_magic(given):
            raise InvalidRequestError(
                "there is no such file",
                file=given,
                given=Path(given).name,
                available=_neighbours(Path(given)),
            )
        matches = [Path(name) for name in sorted(glob.glob(given, recursive=True))]  # noqa: PTH207 - `**` and absolute
        matches = [match for match in matches if match.is_file()]
        if not matches:
            raise InvalidRequestError("no file matches this pattern", file=given)
        found.extend(matches)
    if not found:
        raise InvalidRequestError("the list of files is empty", argument="path")
    return list(dict.fromkeys(found))


def _neighbours(path: Path) -> tuple[str, ...]:
    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError:
        return ()
    return tuple(names[:200])


def open_plain(path: Path, shown: str = "") -> IO[bytes]:
    """Opens a file for reading bytes, through gzip if its first bytes say so; messages call it `shown`.

    Raises:
        DataError: the file can't be opened, is empty, or is another format.
    """
    try:
        with path.open("rb") as stream:
            magic = stream.read(8)
    except OSError as error:
        raise DataError(
            f"the file can't be read: {error.strerror or error}", file=shown or str(path)
        ) from error
    if not magic:
        raise DataError(
            "the file is empty",
            file=shown or str(path),
            remedy="write a header and rows, or leave the file out",
        )
    for start, what in _FOREIGN.items():
        if magic.startswith(start):
            raise DataError(
                f"this is {what}, not CSV",
                file=shown or str(path),
                remedy="unpack or convert it; gzip is read as it is",
            )
    if magic.startswith(GZIP):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def is_gzip(path: Path) -> bool:
    """Whether the file begins as gzip does."""
    with path.open("rb") as stream:
        return stream.read(2) == GZIP


def gzip_error(path: Path, error: Exception) -> DataError:
    """What to say of a gzip file that can't be unpacked."""
    what = "is cut short" if isinstance(error, EOFError) else f"is damaged ({error})"
    return DataError(
        f"the gzip file {what}", file=str(path), remedy="copy or download it again; `gzip -t` checks it"
    )


def canonical_encoding(name: str) -> str:
    """Python's name of an encoding; "utf-8" where the bytes are UTF-8 as they are.

    Raises:
        InvalidRequestError: there is no such text encoding.
    """
    common = (
        "utf-8",
        "utf-16",
        "latin-1",
        "cp1252",
        "cp1251",
        "iso8859-15",
        "shift_jis",
        "gbk",
        "big5",
        "euc_kr",
    )
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise InvalidRequestError(
            f"there is no text encoding {name!r}", argument="encoding", given=name, available=common
        )
    return "utf-8" if found.name in _UTF8 else found.name


@dataclass(frozen=True)
class Head:
    """The first row of a file.

    Attributes:
        names: its cells.
        delimiter: what it was cut with.
        text: all of it with its line end, and with blank lines before it; no byte order mark.
        bom: whether the file begins with UTF-8's byte order mark.
    """

    names: tuple[str, ...]
    delimiter: str
    text: str
    bom: bool


def read_head(
    path: Path, encoding: str, delimiter: str | None, quote: str, shown: str = "", stated: str = ""
) -> Head:
    """Reads the first row of a file that isn't blank.

    Args:
        path: the file, gzip or not.
        encoding: of its text.
        delimiter: None for a comma, "auto" to choose one by the row.
        quote: "" for none.
        shown, stated: file and encoding as the user gave them, for messages, where `path` is a copy.

    Raises:
        DataError: the file is empty, can't be unpacked or decoded, or its first row is broken.
    """
    name = shown or str(path)
    size = _HEADER_BYTES
    while True:
        raw = _beginning(path, size, name)
        text = _decoded(raw, canonical_encoding(encoding), name)
        sign = choose_delimiter(delimiter, text.lstrip("\r\n").partition("\n")[0])
        names, start, broken = _first_row(text, sign, quote)
        if len(start) < len(text) or len(raw) < size or size >= _MOST_HEADER_BYTES:
            break
        size *= 8  # the row takes in all that was read, so it may go on behind it
    if broken:
        raise DataError(
            f"the first row can't be read ({broken})",
            file=name,
            line=1,
            remedy="close its quotes, or say quote: '' if the file knows no quoting",
        )
    if any("\ud800" <= letter <= "\udfff" for letter in start):
        raise encoding_error(name, 1, stated or encoding)
    return Head(tuple(names), sign, start, raw.startswith(BOM))


def _decoded(raw: bytes, encoding: str, name: str) -> str:
    if encoding == "utf-8" and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("the file is UTF-16", file=name, line=1, remedy="encoding: utf-16")
    try:
        text = codecs.getincrementaldecoder(encoding)("surrogateescape").decode(raw)
    except UnicodeError as error:
        raise encoding_error(name, 1, encoding) from error
    if not text.strip("\ufeff\r\n"):
        raise DataError(
            "the file holds no rows", file=name, remedy="write a header and rows, or leave the file out"
        )
    return text.removeprefix("\ufeff")


def _beginning(path: Path, size: int, name: str) -> bytes:
    try:
        with open_plain(path, name) as stream:
            return stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise gzip_error(Path(name), error) from error


def _first_row(text: str, delimiter: str, quote: str) -> tuple[list[str], str, str]:
    """The cells of the first row that isn't blank, the text up to its end, and why it can't be read."""
    csv.field_size_limit(_MOST_HEADER_BYTES)
    stream = io.StringIO(text, newline="")
    if quote:
        reader = csv.reader(stream, delimiter=delimiter, quotechar=quote, strict=True)
    else:
        reader = csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    try:
        names = next(row for row in reader if row)
    except csv.Error as error:
        return [], text, str(error)
    return names, "".join(islice(io.StringIO(text, newline=""), reader.line_num)), ""


def encoding_error(name: str, line: int, encoding: str) -> DataError:
    """What to say of bytes that aren't text in the stated encoding."""
    return DataError(f"the bytes are not {encoding}", file=name, line=line, remedy=encoding_remedy(encoding))


def encoding_remedy(encoding: str) -> str:
    """Which encodings to try instead."""
    others = [name for name in ("utf-8", "cp1252", "latin-1", "utf-16") if name != encoding]
    return f"say which encoding it is, for example `encoding: {others[0]}`, {', '.join(others[1:])}"


def choose_delimiter(given: str | None, header: str) -> str:
    """The delimiter: `given`, or a comma, or for "auto" the most frequent candidate in the header."""
    if given == "auto":
        counts = {candidate: header.count(candidate) for candidate in DELIMITERS}
        best = max(counts, key=lambda candidate: counts[candidate])
        return best if counts[best] else ","
    return given if given is not None else ","


def name_problems(names: Sequence[str], file: str) -> list[Problem]:
    """What is wrong with column names: empty or duplicate ones, or bytes that no name has."""
    if any("\0" in name for name in names):
        what = "the first row holds a NUL byte"
        remedy = "if every second byte is NUL the file is UTF-16: encoding: utf-16-le"
        return [Problem(what, file=file, line=1, remedy=remedy)]
    if names and re.fullmatch(r"sep=.?", names[0]) and not any(names[1:]):
        what = "the first line is a spreadsheet's note on the delimiter, not a header"
        sign = names[0][4:]
        remedy = "delete it" + (f', and say delimiter: "{sign}"' if sign else "")
        return [Problem(what, file=file, line=1, remedy=remedy)]
    ends = bool(names) and not names[-1].strip()
    hint = "; if every row ends with a delimiter, name that column `unused`" if ends else ""
    problems = [
        Problem(
            f"column {place} has no name",
            file=file,
            line=1,
            remedy=f"name it, or give `columns` with header: true{hint}",
        )
        for place, name in enumerate(names, 1)
        if not name.strip()
    ]
    twice = sorted(name for name, count in Counter(names).items() if count > 1 and name.strip())
    for name in twice:
        places = ", ".join(str(place) for place, other in enumerate(names, 1) if other == name)
        problems.append(
            Problem(
                f"the column name {name!r} occurs more than once (columns {places})",
                file=file,
                line=1,
                remedy="rename one, or give `columns`",
            )
        )
    return problems


def other_delimiter(names: Sequence[str]) -> str:
    """The delimiter that a header with a single column seems to have been written with, or ""."""
    if len(names) != 1:
        return ""
    return next((candidate for candidate in DELIMITERS[1:] if candidate in names[0]), "")
