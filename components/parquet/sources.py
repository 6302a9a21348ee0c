"""Which Parquet files are meant. The standard library only, since the static check comes through here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...pipelines.errors import DataError
from ..ingestion.files import Folder

SUFFIXES = (".parquet", ".parq", ".pq")
_MAGIC = b"PAR1"
_FOREIGN = {
    b"PARE": "an encrypted Parquet file",
    b"\x1f\x8b": "gzip-compressed",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"ARROW1": "an Arrow file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
}
_SMALLEST = 12
FOLDER = Folder("Parquet", lambda file: file.suffix.lower() in SUFFIXES, f"they end in {', '.join(SUFFIXES)}")


def partition_columns(paths: Sequence[Path]) -> list[str]:
    """The columns that folders called `name=value` stand for, which aren't in the files."""
    return sorted({part.partition("=")[0] for path in paths for part in path.parts[:-1] if "=" in part[1:]})


def check_magic(path: Path) -> None:
    """Looks at the first and the last bytes of a file.

    Raises:
        DataError: the file can't be opened, is empty, cut short, or is another format.
    """
    try:
        with path.open("rb") as stream:
            first = stream.read(_SMALLEST)
            stream.seek(max(stream.seek(0, 2) - 4, 0))
            last = stream.read(4)
    except OSError as error:
        raise DataError(f"the file can't be read: {error.strerror or error}", file=str(path)) from error
    if not first:
        raise DataError(
            "the file is empty", file=str(path), remedy="write it again, or leave the file out of `path`"
        )
    for start, what in _FOREIGN.items():
        if first.startswith(start):
            raise DataError(f"this is {what}, not plain Parquet", file=str(path), remedy="convert it")
    if not first.startswith(_MAGIC):
        raise DataError(
            "this is no Parquet file", file=str(path), remedy="for CSV there is the component csv_examples"
        )
    if last != _MAGIC or len(first) < _SMALLEST:
        raise damaged(path, "its end is missing")


def damaged(path: str | Path, why: object) -> DataError:
    """What to say of a file that can't be read."""
    told = " ".join(str(why).split())
    return DataError(
        f"the Parquet file is damaged ({told})", file=str(path), remedy="copy, download or write it again"
    )
