"""Gzip and zlib can be read from the beginning only, so that such a file is written out once."""

from __future__ import annotations

import uuid
import zlib
from pathlib import Path

from ...pipelines.errors import DataError

_PIECE = 1 << 20
_EITHER = 32 + zlib.MAX_WBITS


def unpack(path: Path, folder: Path) -> Path:
    """Writes the file's plain bytes into `folder`, in pieces, under a name of its own.

    Raises:
        DataError: it is damaged or cut short.
    """
    target = folder / f"{uuid.uuid4().hex}.tfrecord"
    unpacker, begun, written = zlib.decompressobj(_EITHER), False, 0
    try:
        with path.open("rb") as source, target.open("wb") as sink:
            while piece := source.read(_PIECE):
                while piece:
                    if unpacker.eof:  # gzip files may follow each other in one
                        if not piece.strip(b"\0"):  # padding, as tape archives leave it
                            break
                        unpacker = zlib.decompressobj(_EITHER)
                    # In pieces too: a megabyte may unpack to a gigabyte.
                    written += sink.write(unpacker.decompress(piece, _PIECE))
                    begun, piece = True, unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        raise _error(path, f"is damaged ({error})", written) from error
    if not begun or not unpacker.eof:
        raise _error(path, "is cut short", written)
    return target


def _error(path: Path, what: str, written: int) -> DataError:
    return DataError(
        f"the compressed file {what}, behind {written} bytes of what it unpacks to",
        file=str(path), remedy="copy or download it again; `gzip -t` checks it",
    )  # fmt: skip
