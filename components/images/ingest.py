"""The ingestion of images: list, cut, read, publish. Runs in the driver."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...pipelines.artifact import Examples
from ...pipelines.context import Context
from ...pipelines.errors import DataError, InvalidRequestError, Problem
from ..data_plane.few_units import run_few
from ..ingestion.column_options import ColumnOptions
from ..ingestion.publishing import Read, is_exact, publish
from ..ingestion.rejects import Reject, from_json
from ..ingestion.writing import Placing
from .admit import Limits
from .duplicates import Account, report
from .listing import Source, folder_source
from .manifest_files import is_csv
from .manifests import plan
from .options import Given, ImageOptions
from .remote import RemoteOptions
from .units import ImageFile, Unit, cut
from .work import KEY, ReadImages, Task

_LISTED = 20
"""Rejects that an error lists."""
_FEW = 64
"""Units that are read though it is known that there will be an error."""


@dataclass(frozen=True)
class Place:
    """Which piece this is, and where its images were told of."""

    number: int
    file: ImageFile


@dataclass
class ImageRead(Read):
    """The results of a piece, and where it told of its images for the report on duplicates."""

    account: str


@dataclass(frozen=True)
class Reading:
    """What is asked of single images.

    Attributes:
        limits: bounds on a file.
        frames: which of an animation's are taken.
        remote: how images come from the network.
    """

    limits: Limits
    frames: Literal["first", "all"]
    remote: RemoteOptions


def ingest(ctx: Context, given: Given, options: ImageOptions, reading: Reading) -> Examples:
    """Does what `image_examples` says.

    Args:
        ctx: the step's context.
        given: folders of images, or manifests.
        options: what is asked for.
        reading: what is asked of single images.

    Raises:
        DataError: images can't be used, beyond what is tolerated, or nothing is left.
        InvalidRequestError: an option doesn't fit what is there.
    """
    source = source_of(ctx, given, options)
    _check_columns(source, options)
    units = cut(
        source, ctx.scratch("units"), given.paths[0][0], options.sample, options.max_rejects + _LISTED
    )
    if not units or len(units) > _FEW or len(source.rejects) > options.max_rejects + _LISTED:
        # Where there is little to read, it is read all the same, so that the error tells everything at once.
        _refuse(source.rejects, len(source.rejects), options.max_rejects)
    if not units and source.rejects:
        raise _none_usable(source.rejects[0], len(source.rejects))
    if not units:
        raise DataError("there is no image", file=given.paths[0][0], remedy="add some")
    placing = Placing(
        source.rule, is_exact(source.rule, sum(unit.images for unit in units)), str(ctx.scratch("parts")), KEY
    )
    task = Task(
        source.columns, source.labels, options.image_as, tuple(options.shape or ()), reading.limits,
        reading.frames, reading.remote, placing, options.max_rejects + _LISTED + 1,
    )  # fmt: skip
    reads = _read(ctx, units, task, source.rejects, options.max_rejects)
    types = {"image": "image", **source.columns, "path": "string", "height": "int", "width": "int"}
    more = {"times": dict(source.times)} if source.times else {}
    accounts = [Account(read.account, read.spill) for read in reads]
    return publish(
        ctx, reads, placing, types, more, None,
        lambda folder: report(ctx, accounts, source.rule.names, folder),
    )  # fmt: skip


def source_of(ctx: Context, given: Given, options: ImageOptions) -> Source:
    """What there is to read, whatever the layout."""
    if not given.manifests:
        return folder_source(ctx, given, options)
    made = plan(ctx, given, options)
    kinds = {is_csv(path.name) for path, _ in made.files}
    if len(kinds) > 1:
        raise InvalidRequestError(
            "some manifests are CSV and some JSON", argument="path",
            available=tuple(str(path) for path, _ in made.files), remedy="give them to two steps",
        )  # fmt: skip
    if kinds.pop():
        from .csv_manifest import csv_source

        return csv_source(ctx, made)
    from .json_manifest import json_source

    return json_source(ctx, made)


def _check_columns(source: Source, options: ImageOptions) -> None:
    """Raises InvalidRequestError where splits are made by a column that isn't there, or can't be."""
    types = {**source.columns, "path": "string", "height": "int", "width": "int"}
    problems = source.rule.column_problems(tuple(types))
    if not problems:
        found = ColumnOptions(source.rule).split_problem(types)
        problems = [found] if found else []
    if problems:
        raise InvalidRequestError(problems)


def _read(
    ctx: Context, units: Sequence[Unit], task: Task, rejects: Sequence[Reject], max_rejects: int
) -> list[ImageRead]:
    """The results of all pieces, in order; what was rejected before belongs to the first."""
    reads: list[ImageRead] = []
    listed, count = list(rejects), len(rejects)
    for unit, told in _pieces(units, run_few(ctx, "images", units, ReadImages(task))):
        own = from_json(told.pop("rejects"))
        rejected = told.pop("rejected")
        count += rejected
        listed += own if len(listed) <= max_rejects + _LISTED else []
        reads.append(ImageRead(Place(len(reads), unit.file), rejects=own, **told))
    _refuse(listed, count, max_rejects)
    reads[0] = replace(
        reads[0], rows_in=reads[0].rows_in + len(rejects), rejects=[*rejects, *reads[0].rejects]
    )
    if all(read.rows_in == len(read.rejects) for read in reads):
        raise _none_usable(listed[0], count)
    return reads


def _none_usable(first: Reject, count: int) -> DataError:
    what = "the only image can't be used" if count == 1 else f"none of {count} images can be used; the first"
    return DataError(f"{what}: {first.reason}", file=first.file, line=first.line, remedy=first.remedy)


def _pieces(units: Sequence[Unit], payloads: Iterator[bytes]) -> Iterator[tuple[Unit, dict[str, Any]]]:
    for unit, payload in zip(units, payloads, strict=True):
        for told in json.loads(payload):
            yield unit, told


def _refuse(rejects: Sequence[Reject], count: int, max_rejects: int) -> None:
    """Raises DataError, which lists the first ones, where more were rejected than is tolerated."""
    if count <= max_rejects:
        return
    shown = rejects[:_LISTED]
    more = f", the first {len(shown)} of which follow" if count > len(shown) else ""
    allowed = f"more than max_rejects: {max_rejects} allows" if max_rejects else "and none may be"
    images = "1 image" if count == 1 else f"{count} images"
    head = Problem(
        f"{images} can't be used, {allowed}{more}",
        remedy=f"mend them, or max_rejects: {count} puts them into rejects.jsonl",
    )
    raise DataError([head, *(Problem(r.reason, file=r.file, line=r.line, remedy=r.remedy) for r in shown)])
