"""Datasets that are downloaded and prepared by TFDS itself: the one module that imports it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...pipelines.beam import runner_and_options
from ...pipelines.context import Context
from ...pipelines.errors import InvalidRequestError, StepError
from ...pipelines.import_path import load_function
from .naming import default_data_dir, parse_name


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
    if not builder.is_prepared():
        ctx.say(f"{builder.info.full_name}: TFDS prepares it in {folder.parent}")
        with _told(ctx), _explained(builder):
            builder.download_and_prepare(
                download_dir=str(ctx.scratch("downloads")) if not _keeps(recipe) else None,
                download_config=_config(ctx, recipe), file_format="tfrecord",
            )  # fmt: skip
    return folder


def _keeps(recipe: Recipe) -> bool:
    """Whether what is prepared outlives the step."""
    return recipe.data_dir is not None or recipe.builder is None


def _config(ctx: Context, recipe: Recipe) -> Any:
    """How TFDS downloads and prepares: nothing from its bucket, Beam by this run's runner."""
    import tensorflow_datasets as tfds

    runner, options = runner_and_options(ctx.runner)
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
                f"TFDS has no dataset {wanted.name!r}", argument="name", given=wanted.name, available=tuple(names),
                remedy="a builder class of your own is given with `builder`",
            )  # fmt: skip
        cls = tfds.builder_cls(wanted.name)
    arguments: dict[str, Any] = {"config": wanted.config or None, "version": wanted.version or None}
    return _made(cls, arguments, recipe.data_dir or str(default_data_dir()), "name")


def _own_builder(ctx: Context, recipe: Recipe) -> Any:
    """The builder of a user's class."""
    import tensorflow_datasets as tfds

    assert recipe.builder is not None
    cls: Any = load_function(recipe.builder)
    if not (inspect.isclass(cls) and issubclass(cls, tfds.core.DatasetBuilder)):
        raise InvalidRequestError(
            f"{recipe.builder!r} is no builder class of TFDS", argument="builder",
            remedy="derive it from tfds.core.GeneratorBasedBuilder",
        )  # fmt: skip
    if cls.__dict__.get("pkg_dir_path") is None:
        # TFDS looks for the notes beside a class (README.md, CITATIONS.bib) by its module's package, and a
        # file that is loaded by its path has none.
        from etils import epath

        cls.pkg_dir_path = epath.Path(inspect.getfile(cls)).parent
    return _made(cls, recipe.builder_args, recipe.data_dir or str(ctx.scratch("tfds")), "builder")


def _made(cls: Any, arguments: Mapping[str, Any], data_dir: str, argument: str) -> Any:
    """The builder object; TFDS tells an unknown config or version by a ValueError or an AssertionError."""
    given = {key: value for key, value in arguments.items() if value is not None}
    configs = tuple(cls.builder_configs)
    if given.get("config") and isinstance(given["config"], str) and given["config"] not in configs:
        raise InvalidRequestError(
            f"{cls.name!r} has no config {given['config']!r}", argument=argument, given=given["config"], available=configs
        )
    try:
        return cls(data_dir=data_dir, **given)
    except (ValueError, AssertionError, TypeError) as error:
        raise InvalidRequestError(
            f"{cls.name!r} can't be made as asked for: {error}", argument=argument,
            remedy="look at its config and version" if argument == "name" else "look at builder_args",
        ) from error  # fmt: skip


@contextmanager
def _explained(builder: Any) -> Iterator[None]:
    """Says of TFDS's own errors what to do; an error of a builder's code comes through as it is."""
    import tensorflow_datasets as tfds

    try:
        yield
    except (tfds.download.DownloadError, OSError) as error:
        name = builder.info.full_name
        if isinstance(error, tfds.download.DownloadError) or type(error).__module__.startswith(("requests", "urllib3")):
            raise StepError(
                f"{name} can't be downloaded: {error}",
                remedy="look at the connection; or prepare the set where there is one, and give its folder with `path`",
            ) from error
        raise
    except AssertionError as error:
        if "anual" not in str(error):
            raise
        asked = builder.MANUAL_DOWNLOAD_INSTRUCTIONS or ""
        raise StepError(
            f"{builder.info.full_name} is made of files that its publisher wants everyone to fetch: {error}",
            remedy=f"fetch them, and give their folder with manual_dir. {asked.strip()}".strip(),
        ) from error


@contextmanager
def _told(ctx: Context) -> Iterator[None]:
    """Tells `ctx` what TFDS's progress bars show."""
    yield
