"""Files cut into units of work at true row ends: one file at a time here, in Beam in `ingest`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...pipelines.errors import DataError
from .boundaries import BlockScan, Folded, block_ranges, fold_blocks, last_opening, row_ends, scan_block
from .prepare import TableFile
from .reading import Unit
from .sources import Dialect


@dataclass(frozen=True)
class Block:
    """A block of a file, cut anywhere."""

    file: TableFile
    offset: int
    size: int

    def content(self) -> tuple[bytes, int, int]:
        """The bytes, and the bytes before and after, -1 where there is none that counts."""
        with Path(self.file.path).open("rb") as stream:
            first = self.offset == self.file.start
            stream.seek(self.offset if first else self.offset - 1)
            before = -1 if first else stream.read(1)[0]
            content = stream.read(self.size)
            following = stream.read(1)
        return content, before, following[0] if following else -1

    def scan(self, dialect: Dialect) -> BlockScan:
        """Where rows may end in it."""
        content, before, after = self.content()
        return scan_block(content, self.offset, dialect.delimiter_byte, dialect.quote_byte, before, after)


def blocks_of(file: TableFile, block_bytes: int) -> list[Block]:
    """The blocks of a file, from its first row on."""
    return [Block(file, offset, size) for offset, size in block_ranges(file.start, file.size, block_bytes)]


def cut_file(file: TableFile, dialect: Dialect, block_bytes: int) -> list[Unit]:
    """The units of a file, cut at true row ends, read from its beginning to its end.

    Raises:
        DataError: a quote is never closed.
    """
    blocks = blocks_of(file, block_bytes)
    folded = fold_file(file, blocks, [block.scan(dialect) for block in blocks], dialect)
    return [
        Unit(number, file, cut.start, cut.end, cut.line, cut.plain) for number, cut in enumerate(folded.cuts)
    ]


def fold_file(
    file: TableFile, blocks: Sequence[Block], scans: Sequence[BlockScan], dialect: Dialect
) -> Folded:
    """The scans of a file's blocks put together; raises DataError where a quote is never closed."""
    folded = fold_blocks(scans, file.line)
    if folded.open_quote:
        raise _open_quote(file, blocks, folded, scans, dialect)
    return folded


def offset_of_row(blocks: Sequence[Block], folded: Folded, rows: int, dialect: Dialect) -> int:
    """The offset behind the first `rows` rows, or behind everything."""
    for block, state, held in zip(blocks, folded.states, folded.rows, strict=True):
        if held >= rows > 0:
            content, before, after = block.content()
            ends = row_ends(content, dialect.delimiter_byte, dialect.quote_byte, state, before, after)
            return block.offset + int(ends[rows - 1]) + 1
        rows -= held
    return blocks[-1].offset + blocks[-1].size if rows > 0 and blocks else 0


def _open_quote(
    file: TableFile, blocks: Sequence[Block], folded: Folded, scans: Sequence[BlockScan], dialect: Dialect
) -> DataError:
    line = file.line + sum(scan.lines for scan in scans)
    for block, state, scan in reversed(list(zip(blocks, folded.states, scans, strict=True))):
        content, before, _ = block.content()
        line -= scan.lines
        place = last_opening(content, dialect.delimiter_byte, dialect.quote_byte, state, before)
        if place >= 0:
            line += content[:place].count(b"\n")
            break
    return DataError(
        "a quote is opened here and never closed",
        file=file.name,
        line=line,
        remedy="close it, or an earlier one (they pair up from the top), or say quote: '' if there are none",
    )
