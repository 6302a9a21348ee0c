"""All the images that there are to read, as tables: whatever the layout, a row an image.

A folder is a manifest that nobody had to write: both become blocks of rows with the same columns.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError
from ..ingestion.kinds import ELEMENTS
from ..ingestion.rejects import Reject
from ..ingestion.split_options import SplitOptions
from ..ingestion.values import Bad, Values, read_values
from .labelling import by_split_folder, label, order_of_splits
from .names import one_line
from .options import Given, ImageOptions
from .walking import Found, Walked, walk

FILE, TEXT, LINE = "\0file", "\0text", "\0line"
"""Columns beside those of the examples: where the file lies (bytes), or an address, or the image itself as
text; and the line of the manifest, 0 where there is none."""
_BLOCK = 1 << 14


@dataclass(frozen=True)
class Block:
    """Some images, in their order.

    Attributes:
        rows: `FILE`, `TEXT`, `LINE`, `path`, and the columns that are carried along.
        sizes: bytes of each, or a guess, int64 [rows].
        manifest: the file that tells of them, or "".
        split: theirs, where files are given by split.
    """

    rows: pa.Table
    sizes: npt.NDArray[np.int64]
    manifest: str
    split: str


@dataclass
class Source:
    """What there is to read.

    Attributes:
        columns: the types of the columns that are carried along, labels first.
        labels: those that are labels.
        rule: how rows come into splits.
        totals: the rows of each split that is given, "" where none is.
        blocks: gives them all; may be called once.
        rejects: what can't be read; complete once the blocks have been gone through.
        times: how texts of timestamps were written.
    """

    columns: dict[str, str]
    labels: tuple[str, ...]
    rule: SplitOptions
    totals: Mapping[str, int]
    blocks: Callable[[], Iterator[Block]]
    rejects: list[Reject]
    times: Mapping[str, str] = field(default_factory=dict)


def folder_source(ctx: Context, given: Given, options: ImageOptions) -> Source:
    """The images in folders.

    Raises:
        DataError: there is no image, or nothing tells its class.
        InvalidRequestError: a path isn't there.
    """
    if problems := options.folder_problems():
        raise InvalidRequestError(problems)
    walked = walk(given.paths, options.allow_outside, given.passed)
    _tell(ctx, walked)
    images, rejects, rule = walked.images, list(walked.refused), options.split
    if options.split_folders:
        images, more = by_split_folder(images)
        rejects += more
        rule = replace(rule, files=order_of_splits([image.split for image in images]))
    if not images:
        raise _nothing(given, walked, rejects)
    found = label(images, options)
    if found.say:
        ctx.say(found.say)
    rejects += found.rejects
    columns, bad = typed_columns(
        {name: pa.array(v, pa.string()) for name, v in found.columns.items()}, options
    )
    keep = np.ones(len(found.images), bool)
    for name, values in bad:
        for row in np.flatnonzero(values.mask & keep).tolist():
            image = found.images[row]
            what = f"column {name!r}: {found.columns[name][row]!r} {values.what}"
            rejects.append(Reject(image.file, 0, what, "rename it, or mend `types`", "", image.name))
        keep &= ~values.mask
    kinds = {name: options.kind_told(name) for name in columns}
    chosen = np.flatnonzero(keep)
    totals = Counter(found.images[row].split for row in chosen.tolist())

    def blocks() -> Iterator[Block]:
        for split in dict.fromkeys(found.images[row].split for row in chosen.tolist()):
            own = np.array([row for row in chosen.tolist() if found.images[row].split == split])
            for begin in range(0, len(own), _BLOCK):
                yield _block(found.images, columns, own[begin : begin + _BLOCK], split)

    _warn_of_one_class(ctx, columns, kinds)
    return Source(kinds, tuple(columns), rule, totals, blocks, rejects)


def _block(images: Sequence[Found], columns: Mapping[str, pa.Array], chosen: Any, split: str) -> Block:
    own = [images[row] for row in chosen.tolist()]
    rows = {
        FILE: pa.array([os.fsencode(image.file) for image in own], pa.binary()),
        TEXT: pa.nulls(len(own), pa.string()),
        LINE: pa.array(np.zeros(len(own), np.int64)),
        "path": pa.array([image.name for image in own], pa.string()),
        **{name: values.take(pa.array(chosen)) for name, values in columns.items()},
    }
    return Block(pa.table(rows), np.array([image.size for image in own], np.int64), "", split)


def typed_columns(
    columns: Mapping[str, pa.Array], options: ImageOptions
) -> tuple[dict[str, pa.Array], list[tuple[str, Bad]]]:
    """Texts as values of the types that are stated, cut at separators; and those that don't fit."""
    made: dict[str, pa.Array] = {}
    bad: list[tuple[str, Bad]] = []
    for name, column in columns.items():
        stated = (options.types or {}).get(name, "strings" if name in options.separators else "string")
        values = typed(column, stated, options.separators.get(name, ""))
        made[name] = values.array
        bad += [(name, each) for each in values.bad]
    return made, bad


def typed(texts: pa.Array, stated: str, separator: str) -> Values:
    """Texts as values of a type; lists are cut at the separator, or hold one value without one."""
    if stated.partition(":")[0] in ELEMENTS:
        return read_values(separated(texts, separator), stated)
    return read_values(texts, stated)


def separated(texts: pa.Array, separator: str) -> pa.Array:
    """Lists of texts without spaces around them, null where there is no text."""
    cut = pc.split_pattern(texts, separator or "\0")
    elements = pc.utf8_trim_whitespace(cut.flatten())
    return pa.ListArray.from_arrays(_offsets(cut), elements, mask=pc.is_null(texts))


def _offsets(lists: pa.ListArray) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _nothing(given: Given, walked: Walked, rejects: Sequence[Reject]) -> DataError:
    if rejects:
        return rejects[0].error()
    place = given.paths[0][0]
    others = ", ".join(f"{count} {end}" for end, count in walked.others.most_common(5))
    found = f"; there are other files ({others}), such as {one_line(walked.example)}" if others else ""
    return DataError(
        f"there is no image below this folder{found}",
        file=place,
        remedy="give the manifest itself as path"
        if _may_hold_a_manifest(walked)
        else "JPEG, PNG, GIF, BMP, TIFF and WebP are read",
    )


def _may_hold_a_manifest(walked: Walked) -> bool:
    return any(end in walked.others for end in (".csv", ".json", ".jsonl", ".tsv"))


def _tell(ctx: Context, walked: Walked) -> None:
    """Says what was passed over."""
    if walked.others:
        ends = ", ".join(f"{count} {end}" for end, count in walked.others.most_common(5))
        total = sum(walked.others.values())
        files = "1 file is no image and was" if total == 1 else f"{total} files are no images and were"
        hint = "; a manifest has to be the path itself" if _may_hold_a_manifest(walked) else ""
        ctx.warn(f"{files} left out ({ends}), such as {one_line(walked.example)}{hint}")
    if walked.empty:
        shown = ", ".join(map(one_line, walked.empty[:5]))
        count = len(walked.empty)
        ctx.warn(f"{'1 folder holds' if count == 1 else f'{count} folders hold'} no image: {shown}")


def _warn_of_one_class(ctx: Context, columns: Mapping[str, pa.Array], kinds: Mapping[str, str]) -> None:
    for name, values in columns.items():
        if kinds[name] == "string" and len(values) > 1 and pc.count_distinct(values).as_py() == 1:
            ctx.warn(f"all images have the same {name}: {one_line(str(values[0].as_py()))}")
