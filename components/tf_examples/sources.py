"""Which TFRecord files are meant, and how they are packed. The standard library only."""

from __future__ import annotations

from pathlib import Path

from ...pipelines.errors import DataError
from ..ingestion.files import Folder

_FOREIGN = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
}
_GZIP = b"\x1f\x8b"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_HEADER = 12
_REFLECTED, _WORD = 0x82F63B78, 0xFFFFFFFF
_OTHERS = "for other formats there are csv_examples and parquet_examples"
FOLDER = Folder("TFRecord", lambda file: "tfrec" in file.name.lower(), "their names hold `tfrecord`")
"""TFX writes `data_tfrecord-00000-of-00001.gz`, TFDS `name-train.tfrecord-00000-of-00001`."""


def is_packed(path: Path) -> bool:
    """Whether the file is gzip or zlib, told by its first bytes.

    Raises:
        DataError: the file can't be opened, or is another format.
    """
    try:
        with path.open("rb") as stream:
            first = stream.read(_HEADER)
    except OSError as error:
        raise DataError(f"the file can't be read: {error.strerror or error}", file=str(path)) from error
    # First whether it is plain: the length of a record may look like the beginning of anything.
    if not first or _is_header(first):
        return False
    if first.startswith((_GZIP, *_ZLIB)):
        return True
    for start, what in _FOREIGN.items():
        if first.startswith(start):
            raise DataError(
                f"this is {what}, not TFRecords", file=str(path),
                remedy="unpack or convert it; gzip is read as it is",
            )  # fmt: skip
    if len(first) < _HEADER:
        raise DataError(
            f"this is no TFRecord file: it has {len(first)} bytes, and a record's length takes {_HEADER}",
            file=str(path), remedy="copy, download or write it again",
        )  # fmt: skip
    raise DataError(
        "this is no TFRecord file: the checksum of the first record's length is wrong",
        file=str(path),
        remedy=f"{_OTHERS}; if it should be TFRecords, copy, download or write it again",
    )


def _is_header(head: bytes) -> bool:
    """Whether 12 bytes are a length and its masked CRC32C."""
    crc = _WORD
    for byte in head[:8]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_REFLECTED if crc & 1 else 0)
    crc ^= _WORD
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & _WORD
    return len(head) == _HEADER and masked == int.from_bytes(head[8:], "little")
