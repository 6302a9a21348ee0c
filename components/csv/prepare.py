"""From a file as it was given to plain UTF-8 bytes that can be cut anywhere.

Gzip and encodings other than UTF-8 can only be read from their beginning, so such a file is written out
once, in pieces, to the step's scratch folder. Bytes that aren't text in the stated encoding stay visible as
invalid UTF-8, so that the row that holds them is found later like any other bad row.
"""

from __future__ import annotations

import codecs
import gzip
import io
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pipelines.errors import DataError, InvalidRequestError, Problem
from .options import Options
from .sources import (
    Dialect,
    canonical_encoding,
    choose_delimiter,
    encoding_error,
    gzip_error,
    is_gzip,
    open_plain,
    read_head,
)

_PIECE = 4 << 20


@dataclass(frozen=True)
class TableFile:
    """A file whose rows can be read by offset.

    Attributes:
        name: the file as the user knows it.
        path: where the plain bytes are.
        start: the offset of the first row, behind byte order mark and header.
        line: the line number of that row.
        size: bytes in all.
        split: the split that the file is in, where files are told apart so.
    """

    name: str
    path: str
    start: int
    line: int
    size: int
    split: str = ""


def needs_copy(path: Path, encoding: str) -> bool:
    """Whether the file can't be read by offset as it is; raises DataError where it can't be read at all."""
    open_plain(path).close()
    return is_gzip(path) or canonical_encoding(encoding) != "utf-8"


def write_plain(path: Path, encoding: str, folder: Path) -> Path:
    """Writes the file's text as UTF-8 into `folder`, in pieces, under a name of its own.

    Raises:
        DataError: gzip is damaged or cut short, or a multi-byte encoding can't be followed.
    """
    canonical = canonical_encoding(encoding)
    target = folder / f"{uuid.uuid4().hex}.csv"
    lines = 1
    try:
        decoder = codecs.getincrementaldecoder(canonical)("surrogateescape")
        with open_plain(path) as source, target.open("wb") as sink:
            while piece := source.read(_PIECE):
                if canonical != "utf-8":
                    piece = decoder.decode(piece).encode("utf-8", "surrogatepass")
                lines += piece.count(b"\n")
                sink.write(piece)
            if canonical != "utf-8":
                sink.write(decoder.decode(b"", final=True).encode("utf-8", "surrogatepass"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise gzip_error(path, error) from error
    except UnicodeError as error:
        told = encoding_error(str(path), 0, encoding)
        raise told.at(line=lines) from error
    return target


def table_file(
    name: str, plain: Path, encoding: str, dialect: Dialect, header: bool
) -> tuple[TableFile, tuple[str, ...]]:
    """Finds where the rows begin, and reads the cells of the first row.

    Args:
        name: the file as the user knows it.
        plain: UTF-8 bytes.
        encoding: as the user gave it, for messages.
        dialect: how cells are written.
        header: whether the first row is a header.
    """
    head = read_head(plain, "utf-8", dialect.delimiter, dialect.quote, name, encoding)
    start = 3 if head.bom else 0
    line = 1
    if header:
        start += len(head.text.encode())
        line += len(io.StringIO(head.text, newline="").readlines())
    return TableFile(name, str(plain), start, line, plain.stat().st_size), head.names


def delimiter_of(path: Path, options: Options) -> str:
    """The delimiter of all files, by the first one if it is to be chosen."""
    if options.delimiter != "auto":
        return choose_delimiter(options.delimiter, "")
    return read_head(path, options.encoding, "auto", options.quote).delimiter


def open_files(
    paths: Sequence[Path],
    plain: Sequence[Path],
    options: Options,
    known: Mapping[Path, tuple[TableFile, tuple[str, ...]]] | None = None,
) -> tuple[list[TableFile], list[tuple[str, ...]], tuple[str, ...], Dialect]:
    """The files with their rows found, the columns that they share, and how cells are written.

    Args:
        paths: the files as the user knows them.
        plain: the same as plain UTF-8.
        options: what is asked for.
        known: files that needn't be looked at, with the cells of their first rows.

    Returns:
        The files, the cells of each first row, the columns, and how cells are written.

    Raises:
        DataError: empty or duplicate names, headers that differ, or a count that doesn't fit.
        InvalidRequestError: an option names a column that isn't there.
    """
    dialect = Dialect(delimiter_of(paths[0], options), options.quote, tuple(options.missing_values))
    known = known or {}
    pairs = [
        known.get(path) or table_file(str(path), place, options.encoding, dialect, options.has_header)
        for path, place in zip(paths, plain, strict=True)
    ]
    files, heads = [file for file, _ in pairs], [head for _, head in pairs]
    columns = common_columns(files, heads, options)
    problems = options.column_problems(columns)
    if problems:
        raise InvalidRequestError(problems)
    return files, heads, columns, dialect


def common_columns(
    files: Sequence[TableFile], heads: Sequence[tuple[str, ...]], options: Options
) -> tuple[str, ...]:
    """The columns of the table, checked against every file's first row.

    Raises:
        DataError: empty or duplicate names, headers that differ, or a count that doesn't fit.
    """
    names = tuple(options.columns) if options.columns is not None else heads[0]
    problems = options.head_problems(heads[0], files[0].name)
    for file, head in zip(files[1:], heads[1:], strict=True):
        if options.columns is not None:
            problems += options.head_problems(head, file.name)
        elif head != names:
            problems.append(_header_differs(file, head, files[0], names))
    if problems:
        raise DataError(problems)
    return names


def _header_differs(
    file: TableFile, head: tuple[str, ...], first: TableFile, names: tuple[str, ...]
) -> Problem:
    pairs = list(zip(head, names, strict=False))
    place = next((i for i, (own, other) in enumerate(pairs) if own != other), len(pairs))
    own = repr(head[place]) if place < len(head) else "nothing"
    other = repr(names[place]) if place < len(names) else "nothing"
    return Problem(
        f"the header differs from that of {first.name}: column {place + 1} is {own} here and {other} there",
        file=file.name,
        line=1,
        remedy="give all files the same columns in the same order, or give `columns` with header: true",
    )
