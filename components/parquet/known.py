"""What is known of Parquet files that were read before: the parts of their blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ...pipelines.artifact import Artifact
from ..ingestion.known_files import KnownFiles, KnownUnit, known_parts, known_rejects
from .work import Unit

if TYPE_CHECKING:
    from ..ingestion.publishing import Read
    from .ingest import File


class KnownParquet(msgspec.Struct, frozen=True):
    """A file that was read: the types with which its parts were written, and what its blocks gave."""

    types: dict[str, str]
    blocks: list[KnownUnit]


def known_blocks(
    known: KnownFiles[KnownParquet], units: Sequence[Unit], types: Mapping[str, str]
) -> dict[int, tuple[str, KnownUnit]]:
    """File and results of the blocks of known files whose types are the table's, by number.

    The order of the columns is the first file's, so that the same types in another order are other parts. A
    file that was written to since its footer was read may have other blocks than it is known for.
    """
    numbers: dict[str, list[int]] = {}
    for unit in units:
        numbers.setdefault(unit.path, []).extend(block.number for block in unit.blocks)
    found: dict[int, tuple[str, KnownUnit]] = {}
    for path, value in known.values.items():
        own = numbers.get(path, [])
        if list(value.types.items()) == list(types.items()) and len(value.blocks) == len(own):
            found.update((number, (path, block)) for number, block in zip(own, value.blocks, strict=True))
    return found


def known_values(
    artifact: Artifact, files: Sequence[File], reads: Sequence[Read], types: Mapping[str, str]
) -> dict[str, KnownParquet]:
    """What is to be known of each file of an artifact that is finished."""
    digests = {entry.path: entry.sha256 for entry in artifact.files}
    blocks: dict[str, list[KnownUnit]] = {file.path: [] for file in files}
    for read in reads:
        parts = known_parts(read.parts, digests)
        value = KnownUnit(read.rows_in, known_rejects(read.rejects), read.outside, parts)
        blocks[read.unit.file.path].append(value)
    return {path: KnownParquet(dict(types), own) for path, own in blocks.items()}
