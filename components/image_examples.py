"""`image_examples`: images in folders, or that a manifest names, with labels, in splits, as Parquet parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from ..pipelines.artifact import MANIFEST, Examples, Files
from ..pipelines.component import Checked, Known, Marker, NamedFile, SplitSource, component
from ..pipelines.context import Context
from ..pipelines.errors import HeadraceError, InvalidRequestError
from .images.options import Given, ImageAs, ImageOptions, given
from .images.remote_settings import NAMES, remote_problems, settled
from .images.remote_settings import Value as RemoteValue
from .images.split_folders import with_splits_told
from .ingestion.split_options import DEFAULT_SPLITS, Rest, SplitOptions, SplitRule

if TYPE_CHECKING:
    from .images.remote import RemoteOptions

__all__ = ["image_examples"]

Remote = Annotated[dict[str, RemoteValue], Meta(extra_json_schema={"propertyNames": {"enum": list(NAMES)}})]
CacheFolder = Annotated[str, Marker("file"), Marker("operational")]
"""A folder of copies, relative to the pipeline's file; what is in it decides nothing."""


@component
def image_examples(
    ctx: Context,
    path: SplitSource,
    *,
    splits: dict[str, SplitRule] = DEFAULT_SPLITS,
    split_by: str | None = None,
    split_by_time: str | None = None,
    split_by_value: str | None = None,
    stratify: str | None = None,
    rest: Rest = "refuse",
    seed: int = 0,
    split_folders: bool | Literal["auto"] = False,
    labels: str | list[str] = "label",
    join: str | None = None,
    label_pattern: str | None = None,
    separators: dict[str, str] | None = None,
    image: str | None = None,
    image_as: ImageAs = "path",
    shape: list[int] | None = None,
    columns: list[str] | None = None,
    types: dict[str, str] | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    frames: Literal["first", "all"] = "first",
    max_pixels: Annotated[int, Meta(ge=1)] = 100_000_000,
    max_bytes: Annotated[int, Meta(ge=1, le=1 << 30)] = 256 << 20,
    verify: Literal["structure", "decode"] = "structure",
    allow_outside: bool = False,
    remote: Remote | None = None,
    remote_cache: CacheFolder | None = None,
    remote_parallel: Annotated[int, Marker("operational"), Meta(ge=1, le=64)] = 8,
    max_rejects: Annotated[int, Meta(ge=0)] = 0,
    sample: Annotated[int, Meta(ge=1)] | None = None,
) -> Examples:
    """Reads images with their labels, placed in splits.

    JPEG, PNG, BMP, GIF, TIFF and WebP are read. An upright JPEG, gray or in colour, and a PNG of 8 bits a
    channel are kept byte for byte; all else becomes an upright PNG of 8 bits. In a folder a file is an image
    by the ending of its name, or without one by its first bytes; hidden files, `Thumbs.db` and the like are
    passed over, other files are left out with a warning, and images of formats that can't be read (HEIC,
    camera raw, …) are rejects. The order is that of the names, whatever the file system's.

    Args:
        path: a folder, or image files, globs, a list of these; or manifests (`.csv`, `.tsv`, `.json` with one
            array of objects, `.jsonl`; gzip too), a row an image; or an artifact of type Files; or such paths
            by split, `{train: photos/train, test: photos/test}`, and then `splits` is left out.
        splits: the splits and their shares; only the ratio counts. An image's split is decided by a hash of
            its bytes, so equal images share a split.
        split_by: a column whose value decides instead, so that no group is in two splits.
        split_by_time, split_by_value, stratify, rest: as in `csv_examples`: exact shares of sorted time, or
            ranges of it; listed values of a column; exact shares of each class (`stratify: label`); what to
            do with images in no split.
        seed: another seed gives another placement.
        split_folders: the uppermost folders are the splits (`photos/train/cat/…`); `val` is validation. With
            `auto` they are if all of them are called as splits are; what else says how to split is for other
            folders then.
        labels: in folders, the column of labels, which holds the name of the uppermost folder (`cat/…`); or a
            column for each level (`[animal, breed]` of `cat/siamese/…`); or `[]` for images without labels.
            In a manifest, the columns that are labels, for the report on duplicates.
        join: puts all levels of folders into the one column, with this between them: `cat/siamese`.
        label_pattern: a regular expression that is searched for in the path, `(?P<label>[a-z]+)_[0-9]+`; each
            named group is a column. An image that it doesn't match is a reject.
        separators: columns that hold several values, and what stands between these: `{tags: "|"}`.
        image: the manifest's column of images, or a path made of several: `train/{id}.jpg`, or the columns of
            which each is a pixel: `pixel*`. Without it a column called `image`, `path`, `file`, `filename`,
            `url` or alike.
        image_as: what it holds: paths relative to the manifest, absolute ones, and http(s) addresses;
            `base64` of encoded files; or `pixels`, numbers from 0 to 255, rows from the top (a list, or in a
            cell with spaces or commas between).
        shape: of `pixels`: [height, width], or [height, width, channels].
        columns: the manifest's columns that are carried along; all if not given.
        types: columns whose type is stated: int, float, bool, string, timestamp as in `csv_examples`, or
            strings, ints, floats for several values. Others are inferred over all rows; labels of folders are
            strings.
        delimiter: of a CSV manifest; a comma, or a tab in `.tsv`, if not given.
        encoding: of a manifest.
        frames: of a GIF, animation or TIFF the first frame, or all, each a row called `name#0`, `name#1`, ….
        max_pixels: of an image, looked at before it is decoded.
        max_bytes: of an image's file.
        verify: `structure` looks at a file's segments and checksums; `decode` decodes every file too.
        allow_outside: whether a manifest's paths and a folder's links may lead out of their folder.
        remote: how images are fetched from the network: schemes, allow_private, connect_timeout,
            read_timeout, total_timeout, max_bytes, retries, backoff, redirects; times are in seconds.
        remote_cache: a folder that fetched images are kept in, by address, so that none is fetched again when
            a run is resumed or the step runs once more.
        remote_parallel: requests at a time, of each worker.
        max_rejects: how many images that can't be used to put into `rejects.jsonl` before it is an error that
            lists them.
        sample: read only so many images, at equal distances over all; of each split, if files are given so.

    Returns:
        Examples: Parquet parts of at most some 16 MB of images, with the columns image (JPEG or PNG bytes),
        the labels and what else a manifest has, path (as the user knows it), height and width in pixels.
        Equal images are told in `duplicates.jsonl` and counted in the property `duplicates`.

    Raises:
        DataError: images can't be used, or nothing tells their class; names each file and the reason.
        InvalidRequestError: an argument doesn't fit.
    """
    files = tuple(path) if isinstance(path, Mapping) else None
    rule = SplitOptions(splits, split_by, split_by_time, split_by_value, stratify, rest, seed, files)
    options = ImageOptions(
        rule, split_folders, labels, join, label_pattern, separators or {}, image, image_as, shape, columns,
        types, delimiter, encoding, allow_outside, max_rejects, sample,
    )  # fmt: skip
    options = with_splits_told(options, str(path.path) if isinstance(path, Files) else path)
    problems = [*options.problems(), *remote_problems(remote or {})]
    if problems:
        raise InvalidRequestError(problems)
    from .images.admit import Limits
    from .images.ingest import Reading, ingest

    reading = Reading(
        Limits(max_pixels, max_bytes, check=verify),
        frames,
        _remote(remote or {}, remote_cache, remote_parallel),
    )
    named = _inside(path, options) if isinstance(path, Files) else given(path)
    return ingest(ctx, named, options, reading)


def _remote(remote: Mapping[str, Any], cache: str | None, parallel: int) -> RemoteOptions:
    from .images.remote import RemoteOptions

    return RemoteOptions(**settled(remote), parallel=parallel, cache=Path(cache) if cache else None)


def _inside(files: Files, options: ImageOptions) -> Given:
    """What an artifact of files holds: the manifests at its top, if it has no image or cells hold them."""
    from .images.names import kind_of_name
    from .images.options import is_manifest

    names = [entry.path for entry in files.files]
    manifests = [name for name in names if "/" not in name and is_manifest(name)]
    told = options.image is not None or options.image_as != "path"
    if manifests and (told or not any(kind_of_name(name) == "image" for name in names)):
        return given([str(files.file(name)) for name in manifests])
    return replace(given(str(files.path)), passed=(str(files.path / MANIFEST),))


@image_examples.sources_of
def _sources(arguments: Mapping[str, Any]) -> list[NamedFile]:
    """The images that manifests name: other images under the same names are other data. And images whose
    names tell labels, where the names in one folder that is given aren't all: other names are other data."""
    try:
        named = given(arguments["path"]) if "path" in arguments else None
        if named is None:
            return []
        if named.manifests:
            from .images.manifest_files import manifests_of, named_files

            return [*named_files([str(path) for path, _ in manifests_of(named)], ImageOptions.of(arguments))]
        outside = arguments["allow_outside"]
        if len(named.paths) == 1 and Path(named.paths[0][0]).is_dir() and not outside:
            return []
        from .images.walking import walk

        return [(image.file, image.name) for image in walk(named.paths, outside).images]
    except HeadraceError:  # the check tells
        return []


@image_examples.check
def _check(arguments: Mapping[str, Any], known: Mapping[str, Known]) -> Checked:
    options = with_splits_told(ImageOptions.of(arguments), arguments.get("path"))
    problems = [*options.problems(), *remote_problems(arguments["remote"] or {})]
    columns: dict[str, str] = {}
    whole = False
    splits: tuple[str, ...] | None = options.split.names
    if "path" in arguments and not problems:
        from .images.looking import look

        try:
            seen = look(arguments["path"], options)
            columns, splits, whole = seen.columns, seen.splits, seen.whole
            problems += seen.problems
        except HeadraceError as error:
            problems += [problem.at(argument="path") for problem in error.problems]
    types = {name: kind for name, kind in columns.items() if kind}
    facts = {"types": types} if types else {}
    return problems, {"output": Known(tuple(columns) if whole else None, splits, facts)}
