"""`headrace predict`: an exported model applied to the rows of a file, or to images."""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click

from ..errors import InvalidRequestError
from .common import counted, store_option
from .naming import artifact_named, outputs_of


@click.command()
@click.argument("export")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--output", default=None, metavar="FILE", help="Write *.csv, *.parquet or *.jsonl; else it is printed."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines, not CSV.")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Tell the N likeliest classes, not the probability of each.",
)
@click.option("--delimiter", default=None, metavar="C", help="What separates cells; as in the examples.")
@click.option("--quote", default=None, metavar="C", help="What quotes cells; as in the examples.")
@click.option("--encoding", default=None, help="The encoding of FILE; as in the examples.")
@click.option(
    "--missing",
    multiple=True,
    metavar="TEXT",
    help="What stands for a missing value, once or more often; as in the examples if not given.",
)
@click.option(
    "--columns",
    default=None,
    metavar="A,B,…",
    help="The columns of a file without a header; as in the examples.",
)
@click.option(
    "--time",
    "times",
    multiple=True,
    metavar="COLUMN=PATTERN",
    help="How times are written: %d/%m/%Y, s, ms or us, nothing for ISO 8601; as in the examples.",
)
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=None, help="Of an image; as in the examples."
)
@click.option(
    "--allow-outside",
    is_flag=True,
    help="Paths in a table, and links in a folder, may lead out of their folder.",
)
@click.option(
    "--max-rejects",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="End with 0 though up to N images can't be used; each has its reason in the output all the same.",
)
@click.option("--run", "run", default="", metavar="RUN", help="The run whose step EXPORT names.")
@store_option
def predict(
    export: str,
    files: tuple[str, ...],
    output: str | None,
    as_json: bool,
    top: int,
    delimiter: str | None,
    quote: str | None,
    encoding: str | None,
    missing: tuple[str, ...],
    columns: str | None,
    times: tuple[str, ...],
    max_pixels: int | None,
    allow_outside: bool,
    max_rejects: int,
    run: str,
    uri: str,
) -> int:
    """Give a prediction for each row of FILE: CSV, Parquet (*.parquet) or JSON Lines (*.jsonl).

    For a model of images FILE is an image or a folder of them, once or more often, or such a table with a
    column of their paths. An image that can't be used is told in its row, and the command ends with 1.

    EXPORT is the folder of an exported model or of its SavedModel, the beginning of its digest, or a step
    that exported one (`export`).
    """
    for file in map(Path, files):
        if not file.exists() and not _is_glob(file.name):
            beside = tuple(sorted(p.name for p in file.absolute().parent.glob(f"*{file.suffix or '.csv'}")))
            raise InvalidRequestError(f"there is no file {file}", given=file.name, available=beside)
    folder = export_folder(export, run, uri)
    if sys.stderr.isatty():
        click.echo("loading the model …", err=True)
    _import_tensorflow()
    # By string: the engine must not depend on the components.
    predictions = import_module("headrace.components.predict")
    options = predictions.CsvOptions(
        delimiter, quote, encoding, missing or None, names=_names(columns), times=_by_column(times)
    )
    limits = import_module("headrace.components.images.admit").Limits()
    limits = replace(limits, max_pixels=max_pixels) if max_pixels else limits
    unusable = _Unusable()
    rows = predictions.predict(
        folder,
        files,
        output,
        options=options,
        top=top,
        json=as_json,
        limits=limits,
        allow_outside=allow_outside,
        unusable=unusable,
        progress=_progress if sys.stderr.isatty() and (output or not sys.stdout.isatty()) else None,
    )
    _say(counted(rows - unusable.count, "prediction") + (f" in {output}" if output else ""))
    return unusable.exit_code(max_rejects)


def _progress(rows: int) -> None:
    click.echo(f"\r{rows} rows … ", err=True, nl=False)


def _say(text: str) -> None:
    """A line on standard error, in place of the progress if there is any."""
    click.echo(("\r\x1b[K" if sys.stderr.isatty() else "") + text, err=True)


class _Unusable:
    """Says which images can't be used, the first of them by name."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: str, reason: str) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)
            _say(f"{shown}: {reason}" if shown else reason)

    def exit_code(self, max_rejects: int) -> int:
        """1 where there are more than are allowed for."""
        if self.count > _SHOWN:
            click.echo(f"… and {self.count - _SHOWN} more", err=True)
        if self.count:
            click.echo(f"{counted(self.count, 'image')} can't be used", err=True)
        return int(self.count > max_rejects)


_SHOWN = 20
"""Images that can't be used and are named on the terminal; the output has them all."""


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _names(columns: str | None) -> tuple[str, ...] | None:
    return None if columns is None else tuple(next(csv.reader([columns])))


def _by_column(times: tuple[str, ...]) -> dict[str, str]:
    told = [one.partition("=") for one in times]
    wrong = [one for one in times if "=" not in one]
    if wrong:
        remedy = "for example --time when=%d/%m/%Y"
        raise InvalidRequestError(f"{wrong[0]!r} is not COLUMN=PATTERN", argument="--time", remedy=remedy)
    return {column: pattern for column, _, pattern in told}


def _import_tensorflow() -> None:
    """Imports TensorFlow without the lines that it writes before its log level counts.

    They come from C++, so that standard error itself is turned away; if the import fails, they are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as told:
        os.dup2(told.fileno(), 2)
        try:
            import_module("tensorflow")
        except BaseException:
            told.seek(0)
            os.write(kept, told.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def export_folder(name: str, run: str = "", uri: str = "") -> Path:
    """The folder of the ExportedModel that a name means.

    Raises:
        InvalidRequestError: there is none.
    """
    given = Path(name).expanduser()
    for folder in (given, given.parent):  # a SavedModel lies in a version folder of the artifact
        if (folder / "export.json").is_file():
            return folder.absolute()
    remedy = "name the folder of an exported model, or the step that made it"
    if given.is_dir():
        raise InvalidRequestError("this folder is not an exported model", file=str(given), remedy=remedy)
    from ..stores import find_store, store_name

    store = find_store(uri)
    if store is None:
        raise InvalidRequestError(
            f"there is no folder {name!r}, and no store at {store_name(uri)} to look in", remedy=remedy
        )
    artifact = artifact_named(store, name, run)
    if artifact.type != "ExportedModel":
        made = {
            step: None
            for record in map(store.run_record, store.runs())
            for step, (kind, _) in outputs_of(record).items()
            if kind == "ExportedModel"
        }
        raise InvalidRequestError(
            f"{name} is of type {artifact.type}, not an ExportedModel", available=tuple(made), remedy=remedy
        )
    return store.fetch(artifact).path
