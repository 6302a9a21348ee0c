"""What is done with a unit of images: read, admit, place in splits, write. Runs on Beam's workers."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from farmhash import fingerprint128

from ..data_plane.result import Result
from ..ingestion.placing import NOWHERE
from ..ingestion.rejects import Reject, to_json
from ..ingestion.writing import Placing, place_rows
from .addresses import in_message, without_secrets
from .admit import Admitted, Limits, Refused, admit, too_many_bytes
from .embedded import from_base64, from_pixels
from .listing import FILE, LINE, TEXT
from .names import one_line
from .options import ImageAs
from .units import Unit

if TYPE_CHECKING:
    from .remote import RemoteOptions

KEY = "\0key"
"""The column of hashes that place images in splits, and isn't written: that of an image's own bytes, and for
the frames of one file that of the first, since they look alike."""
PIECE_BYTES = 16 << 20
"""Of images in a part."""


@dataclass(frozen=True)
class Task:
    """How all units are read.

    Attributes:
        columns: the types of the columns that are carried along.
        labels: those that are labels.
        image_as: what a manifest's cells hold.
        shape: that of pixels in cells.
        limits: bounds on one file.
        frames: which of an animation's.
        remote: how images come from the network.
        placing: how rows are placed, and where they are written.
        most: how many rejects of a unit there is use in telling.
    """

    columns: Mapping[str, str]
    labels: tuple[str, ...]
    image_as: ImageAs
    shape: tuple[int, ...]
    limits: Limits
    frames: Literal["first", "all"]
    remote: RemoteOptions
    placing: Placing
    most: int


@dataclass
class _Piece:
    """Images that are held until they are enough for a part."""

    rows: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    images: list[Admitted] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rejected: int = 0
    bytes: int = 0

    def add(self, row: int, images: Sequence[Admitted]) -> None:
        """Adds the images of one file."""
        key = 0
        for frame, image in enumerate(images):
            low, high = fingerprint128(image.data)
            key = low if frame == 0 else key
            self.rows.append(row)
            self.frames.append(frame if len(images) > 1 else -1)
            self.images.append(image)
            self.keys.append(key)
            self.digests += (low, high)
            self.bytes += len(image.data)


@dataclass(frozen=True)
class ReadImages:
    """Work on a unit: reads its images, and writes them in parts, or spills them if classes are counted."""

    task: Task

    def __call__(self, unit: Unit) -> Result:
        """Gives JSON: a list of pieces, each with rows in, rejects, the files written, and the account."""
        with pa.OSFile(unit.table) as source:
            rows = pa.ipc.open_file(source).read_all().combine_chunks()
        told = []
        piece = _Piece()
        for row, images in self._images(rows):
            if isinstance(images, Refused):
                piece.rejected += 1
                if len(piece.rejects) < self.task.most:
                    piece.rejects.append(_reject(rows, row, unit, images))
                continue
            piece.add(row, images)
            if piece.bytes >= PIECE_BYTES:
                told.append(self._write(rows, piece, unit))
                piece = _Piece()
        if piece.rows or piece.rejected or not told:
            told.append(self._write(rows, piece, unit))
        return Result(json.dumps(told).encode(), sum(each["rows_in"] for each in told))

    def _images(self, rows: pa.Table) -> Iterator[tuple[int, list[Admitted] | Refused]]:
        """What has become of each row's image, in their order."""
        for row, (content, name) in enumerate(self._contents(rows)):
            if isinstance(content, Refused):
                yield row, content
            else:
                yield row, admit(content, name, self.task.limits, self.task.frames)

    def _contents(self, rows: pa.Table) -> Iterator[tuple[bytes | Refused, str]]:
        """The bytes of each row's file, and what its name claims by its ending."""
        files, texts = rows.column(FILE).to_pylist(), rows.column(TEXT).to_pylist()
        if self.task.image_as == "path":
            fetched = self._fetched([text for text in texts if text is not None])
            for file in files:
                if file:
                    yield read_file(file, self.task.limits), os.fsdecode(file.rpartition(b"/")[2])
                else:
                    yield next(fetched), ""  # an address claims nothing by its ending
            return
        for text in texts:
            yield (
                (from_base64(text) if self.task.image_as == "base64" else from_pixels(text, self.task.shape)),
                "",
            )

    def _fetched(self, addresses: Sequence[str]) -> Iterator[bytes | Refused]:
        if not addresses:
            return iter(())
        from .remote import fetch_all

        return fetch_all(addresses, self.task.remote)

    def _write(self, rows: pa.Table, piece: _Piece, unit: Unit) -> dict[str, Any]:
        table = self._table(rows, piece)
        lines = rows.column(LINE).to_numpy()[piece.rows]
        told, assigned = place_rows(table, lines, self.task.placing, unit.number, unit.file)
        for part in told["parts"].values():
            # The driver would do so one after the other.
            part |= {"sha256": _digest(part["path"]), "lines": ""}
        if told["outside"] and assigned is not None:
            first = table.column("path")[int(np.argmax(assigned == NOWHERE))].as_py()
            told["outside"]["reason"] = f"{in_message(first)}: {told['outside']['reason']}"
        account = self._account(table, piece, assigned)
        return told | {
            "rows_in": len(piece.rows) + piece.rejected,
            "rejected": piece.rejected,
            "rejects": to_json(piece.rejects),
            "account": account,
        }

    def _table(self, rows: pa.Table, piece: _Piece) -> pa.Table:
        """The rows of a piece as they are written, with their keys."""
        chosen = pa.array(piece.rows, pa.int64())
        names = rows.column("path").take(chosen).to_pylist()
        paths = [
            f"{name}#{frame}" if frame >= 0 else name for name, frame in zip(names, piece.frames, strict=True)
        ]
        table = images_table(rows, piece.rows, piece.images, list(self.task.columns))
        table = table.set_column(table.column_names.index("path"), "path", pa.array(paths, pa.string()))
        return table.append_column(KEY, pa.array(np.array(piece.keys, np.uint64).view(np.int64)))

    def _account(self, table: pa.Table, piece: _Piece, assigned: Any) -> str:
        """Writes what finds duplicates: digest, split, path and labels of each image."""
        digests = np.array(piece.digests, np.uint64).reshape(-1, 2)
        split = np.full(len(digests), NOWHERE, np.uint8) if assigned is None else assigned
        account = pa.table(
            {
                "low": digests[:, 0], "high": digests[:, 1], "split": split, "path": table.column("path"),
                **{f"label:{name}": table.column(name) for name in self.task.labels},
            }
        )  # fmt: skip
        path = Path(self.task.placing.folder) / f"{uuid.uuid4().hex}.account"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, account.schema) as writer:
            writer.write_table(account)
        return str(path)


def images_table(
    rows: pa.Table, chosen: Sequence[int], images: Sequence[Admitted], columns: Sequence[str]
) -> pa.Table:
    """Images with what is told of them.

    Args:
        rows: what is told, see `listing.Block`.
        chosen: the row of each image.
        images: these.
        columns: of the rows, those that are carried along.
    """
    taken = pa.array(chosen, pa.int64())
    return pa.table(
        {
            "image": _together([image.data for image in images]),
            **{name: rows.column(name).take(taken) for name in columns},
            "path": rows.column("path").take(taken),
            "height": pa.array([image.height for image in images], pa.int64()),
            "width": pa.array([image.width for image in images], pa.int64()),
        }
    )


def _together(images: Sequence[bytes]) -> pa.Array:
    """Images as a column; Arrow's own way takes twice as long, as its memory grows while it copies."""
    offsets = np.zeros(len(images) + 1, np.int32)
    np.cumsum([len(image) for image in images], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(images))]
    return pa.Array.from_buffers(pa.binary(), len(images), buffers)


def read_file(file: bytes, limits: Limits) -> bytes | Refused:
    """A file's bytes, if it is a plain one and not too large."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return Refused("there is no such file", "mend the path, or copy the file there")
    except OSError as error:
        return Refused(f"the file can't be read: {error.strerror}", "mind its permissions")
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Refused("is no plain file", "mend the path")
        size = status.st_size
        if refused := too_many_bytes(size, limits):
            return refused
        content = os.read(descriptor, size + 1)
        while len(content) < size and (more := os.read(descriptor, size + 1 - len(content))):
            content += more
        return content
    except OSError as error:
        return Refused(f"the file can't be read: {error.strerror}", "copy it again")
    finally:
        os.close(descriptor)


def _reject(rows: pa.Table, row: int, unit: Unit, refused: Refused) -> Reject:
    line, name = rows.column(LINE)[row].as_py(), rows.column("path")[row].as_py()
    if line:
        told = f"{in_message(name)}: {refused.reason}"
        return Reject(unit.file.name, line, told, refused.remedy, without_secrets(name))
    file = one_line(os.fsdecode(rows.column(FILE)[row].as_py()))
    return Reject(file, 0, refused.reason, refused.remedy, "", name)


def _digest(path: str) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
