"""Datasets that are downloaded and prepared by TFDS itself: the one module that imports it."""

from __future__ import annotations

import inspect
import os
import socket
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ...pipelines.context import Context
from ...pipelines.errors import InvalidRequestError, StepError
from ...pipelines.import_path import load_function
from ...pipelines.runners.beam import runner_and_options
from .naming import INFO, default_data_dir, parse_name

_LOOK_SECONDS = 1.0
_CONNECT_SECONDS = 5.0
_MOST_HOSTS = 3
_OFFLINE = (
    "look at the connection; or prepare the set where there is one, and give its folder with `path`, or that"
    " of all sets with `data_dir`"
)


@dataclass(frozen=True)
class Recipe:
    """What to prepare, and where; the arguments of `tfds_examples`."""

    name: str | None
    builder: str | None
    builder_args: Mapping[str, Any]
    data_dir: str | None
    manual_dir: str | None


def prepare(ctx: Context, recipe: Recipe) -> Path:
    """Makes the builder and lets it prepare its set, unless it is there already.

    Returns:
        The folder of the prepared set.

    Raises:
        InvalidRequestError: there is no such set, config or version, or the class is no builder.
        StepError: TFDS can't download or prepare it.
    """
    builder = _own_builder(ctx, recipe) if recipe.builder else _registered(recipe)
    folder = Path(str(builder.data_dir))
    if (folder / INFO).is_file():
        ctx.say(f"{builder.info.full_name} is read as it was prepared in {folder}")
    else:
        ctx.say(f"{builder.info.full_name}: TFDS prepares it in {folder.parent}")
        downloads = Path(str(builder.data_dir_root)) / "downloads"
        _check_connection(builder, downloads)
        with _told(ctx, folder, downloads), _explained(builder):
            builder.download_and_prepare(
                download_dir=downloads, download_config=_config(ctx, recipe), file_format="tfrecord"
            )
    return folder


def _config(ctx: Context, recipe: Recipe) -> Any:
    """How TFDS downloads and prepares: nothing from its bucket, Beam by this run's runner."""
    import tensorflow_datasets as tfds

    settings = ctx.open_runner()
    if settings.name == "portable":
        # Beam's client takes its time to answer a question, of one minute, for that of the whole job.
        settings = replace(settings, flags=(*settings.flags, f"--job_server_timeout={7 * 86_400}"))
    runner, options = runner_and_options(settings)
    return tfds.download.DownloadConfig(
        try_download_gcs=False, manual_dir=recipe.manual_dir, beam_runner=runner, beam_options=options
    )


def _registered(recipe: Recipe) -> Any:
    """The builder of a set that TFDS knows by name."""
    import tensorflow_datasets as tfds

    assert recipe.name is not None
    wanted = parse_name(recipe.name)
    public = [tfds.core.visibility.DatasetType.TFDS_PUBLIC]  # the others are looked up on the network
    with tfds.core.visibility.set_availables_tmp(public):
        names = tfds.list_builders(with_community_datasets=False)
        if wanted.name not in names:
            raise InvalidRequestError(
                f"TFDS has no dataset {wanted.name!r}", argument="name", given=wanted.name,
                available=tuple(names), remedy="a builder class of your own is given with `builder`",
            )  # fmt: skip
        cls = tfds.builder_cls(wanted.name)
    arguments: dict[str, Any] = {"config": wanted.config or None, "version": wanted.version or None}
    return _made(cls, arguments, recipe.data_dir or str(default_data_dir()), "name")


def _own_builder(ctx: Context, recipe: Recipe) -> Any:
    """The builder of a user's class."""
    import tensorflow_datasets as tfds
    from etils import epath

    assert recipe.builder is not None
    # A file is imported afresh each time, and TFDS registers a name once.
    with tfds.core.registered.skip_registration():
        found: Any = load_function(recipe.builder)
    cls: Any = found if inspect.isclass(found) else None
    if cls is None or not issubclass(cls, tfds.core.DatasetBuilder):
        raise InvalidRequestError(
            f"{recipe.builder!r} is no builder class of TFDS", argument="builder",
            remedy="derive it from tfds.core.GeneratorBasedBuilder",
        )  # fmt: skip
    # TFDS looks for what lies beside a class (checksums.tsv, README.md) by its module's package, which a file
    # that is loaded by its path doesn't have, and which isn't found where a namespace package is editable.
    file = epath.Path(inspect.getfile(cls))
    cls.code_path = file
    if recipe.builder.rpartition(":")[0].endswith(".py"):
        # Beam's processes couldn't import what was loaded from a file.
        from apache_beam.internal.cloudpickle import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[cls.__module__])
    if cls.name.startswith("headrace_user_"):  # a class `Builder`, whose module says what the set is called
        cls.name = file.stem.removesuffix("_dataset_builder")
    if cls.__dict__.get("pkg_dir_path") is None:
        cls.pkg_dir_path = file.parent
    return _made(cls, recipe.builder_args, recipe.data_dir or str(ctx.scratch("tfds")), "builder")


def _made(cls: Any, arguments: Mapping[str, Any], data_dir: str, argument: str) -> Any:
    """The builder object; TFDS tells an unknown config or version by a ValueError or an AssertionError."""
    given = {key: value for key, value in arguments.items() if value is not None}
    configs = tuple(cls.builder_configs)
    if given.get("config") and isinstance(given["config"], str) and given["config"] not in configs:
        raise InvalidRequestError(
            f"{cls.name!r} has no config {given['config']!r}",
            argument=argument,
            given=given["config"],
            available=configs,
        )
    try:
        return cls(data_dir=data_dir, **given)
    except (ValueError, AssertionError, TypeError) as error:
        if not given:  # the builder's own code; where it failed is what its author needs
            raise
        raise InvalidRequestError(
            f"{cls.name!r} can't be made as asked for: {error}", argument=argument,
            remedy="look at its config and version" if argument == "name" else "look at builder_args",
        ) from error  # fmt: skip


def _check_connection(builder: Any, downloads: Path) -> None:
    """Raises StepError where none of the hosts that the set comes from can be reached.

    TFDS tries each file ten times, which takes minutes. Where some of the set's files are there from before,
    or requests go through a proxy, it has to find out itself.
    """
    known = builder.url_infos or {}
    places = sorted({place for url in known if (place := _place(url))})
    proxied = getproxies() and any(not proxy_bypass(host) for host, _ in places)
    if not places or proxied or _fetched([info.checksum for info in known.values()], downloads):
        return
    for place in places[:_MOST_HOSTS]:
        try:
            socket.create_connection(place, timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            failure = error
        else:
            return
    where = ", ".join(host for host, _ in places[:_MOST_HOSTS])
    what = f"{builder.info.full_name} can't be downloaded: {where} can't be reached ({failure})"
    raise StepError(what, remedy=_OFFLINE)


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of an address, or None where it has none."""
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443, "ftp": 21}
    port = parts.port or ports.get(parts.scheme)
    return (parts.hostname, port) if parts.hostname and port else None


def _fetched(checksums: Sequence[str], downloads: Path) -> bool:
    """Whether any of some files is in TFDS's folder of downloads, where their names hold their SHA-256."""
    codes = [urlsafe_b64encode(bytes.fromhex(checksum)).decode().rstrip("=") for checksum in checksums]
    return any(code in path.name for path in downloads.glob("*") for code in codes)


@contextmanager
def _explained(builder: Any) -> Iterator[None]:
    """Says of TFDS's own errors what to do; an error of a builder's code comes through as it is."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    name = builder.info.full_name
    try:
        yield
    except (tfds.download.DownloadError, NonMatchingChecksumError) as error:
        raise StepError(f"{name} can't be downloaded: {error}", remedy=_OFFLINE) from error
    except OSError as error:
        if not type(error).__module__.startswith(("requests", "urllib3")):
            raise
        raise StepError(f"{name} can't be downloaded: {error}", remedy=_OFFLINE) from error
    except AssertionError as error:
        if "manual" not in str(error).lower():
            raise
        raise StepError(
            f"{name} is made of files that its publisher wants everyone to fetch. {error}",
            remedy="fetch them, and give their folder with manual_dir",
        ) from error


@contextmanager
def _told(ctx: Context, folder: Path, downloads: Path) -> Iterator[None]:
    """Tells `ctx` how much is downloaded and written, by looking at the folders, until the block ends.

    TFDS's own bars would fill the run's log, and there is no public way to what they show.
    """
    import tensorflow_datasets as tfds

    stop = threading.Event()
    before = _megabytes(downloads)

    def watch() -> None:
        seconds = _LOOK_SECONDS
        while not stop.wait(seconds):
            begun = time.monotonic()
            written = sum(_megabytes(place) for place in folder.parent.glob("incomplete.*"))
            ctx.progress(
                downloaded_mb=round(_megabytes(downloads) - before, 1), prepared_mb=round(written, 1)
            )
            # A set of a million files takes a while to look through.
            seconds = max(_LOOK_SECONDS, 10 * (time.monotonic() - begun))

    thread = threading.Thread(target=watch, daemon=True)
    tfds.display_progress_bar(False)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        tfds.display_progress_bar(True)


def _megabytes(folder: Path) -> float:
    """The size of all files below a folder that is being written."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total / 1e6
