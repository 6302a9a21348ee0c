"""What the commands share: options, the store, names of runs and artifacts, output as JSON."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InvalidRequestError

if TYPE_CHECKING:
    from ..bound import BoundPipeline
    from ..planning import Selection
    from ..store import Store

F = TypeVar("F", bound=Callable[..., Any])

store_option = click.option(
    "--store", "uri", default="", metavar="URI", help="Where artifacts and runs live."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PIPELINE_OPTIONS = (
    click.argument("target", metavar="PIPELINE"),
    click.option("--param", "params", multiple=True, metavar="K=V", help="Give a parameter of the pipeline."),
    click.option("--set", "sets", multiple=True, metavar="STEP.ARG=V", help="Give an argument of a step."),
)
_SELECTION_OPTIONS = (
    click.option("--from", "start", default="", metavar="STEP", help="Run this step and all that need it."),
    click.option("--to", "end", default="", metavar="STEP", help="Run this step and all that it needs."),
    click.option("--only", default="", metavar="STEP", help="Run this step alone."),
    click.option("--force", multiple=True, metavar="STEP", help="Run this step even if it is cached."),
    click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Read N rows only."),
)


def pipeline_options(function: F) -> F:
    """PIPELINE, --param and --set."""
    return _applied(function, _PIPELINE_OPTIONS)


def selection_options(function: F) -> F:
    """--from, --to, --only, --force and --sample."""
    return _applied(function, _SELECTION_OPTIONS)


def _applied(function: F, decorators: Sequence[Callable[[Any], Any]]) -> F:
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """`K=V` options by key.

    Raises:
        InvalidRequestError: there is no `=`, or a key is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidRequestError(f"{option} {text!r} has to be of the form NAME=VALUE", argument=option)
        if key in found:
            raise InvalidRequestError(f"{option} gives {key} twice", argument=option)
        found[key] = value
    return found


def load(
    target: str, params: Sequence[str] = (), sets: Sequence[str] = (), sample: int | None = None
) -> BoundPipeline:
    """The pipeline that was asked for, checked.

    Raises:
        InvalidRequestError: it can't be found or read, or doesn't fit together.
    """
    from ..binding import bind
    from ..resolve import load_pipeline
    from ..values import command_text

    bound = bind(
        load_pipeline(target),
        {key: command_text(value) for key, value in pairs("--param", params).items()},
        {key: command_text(value) for key, value in pairs("--set", sets).items()},
        target,
    )
    if sample is None:
        return bound
    from ..planning import with_sample

    return with_sample(bound, sample)


def selection(start: str, end: str, only: str, force: Sequence[str]) -> Selection:
    """The selection that the options make.

    Raises:
        InvalidRequestError: `--only` together with `--from` or `--to`.
    """
    from ..planning import Selection

    if only and (start or end):
        raise InvalidRequestError("--only can't be given together with --from or --to", argument="--only")
    return Selection(start, end, only, frozenset(force))


def store_to_write(uri: str) -> Store:
    """The store that was asked for, made if it isn't there."""
    from ..stores import open_store

    return _closed_later(open_store(uri))


def store_to_read(uri: str) -> Store:
    """The store that was asked for.

    Raises:
        InvalidRequestError: there is none.
    """
    from ..stores import find_store, store_name

    store = find_store(uri)
    if store is None:
        raise InvalidRequestError(
            f"there is no store at {store_name(uri)}",
            argument="--store",
            remedy="run a pipeline first, or name the store by --store or HEADRACE_STORE",
        )
    return _closed_later(store)


def _closed_later(store: Store) -> Store:
    """The store, whose index is closed when the command ends."""
    click.get_current_context().call_on_close(store.index.close)
    return store


@contextlib.contextmanager
def store_to_plan(uri: str) -> Iterator[Store]:
    """The store that was asked for, or, where there is none yet, an empty one that is thrown away."""
    from ..stores import find_store

    found = find_store(uri)
    if found is not None:
        yield _closed_later(found)
        return
    import tempfile

    from ..store import Store

    with tempfile.TemporaryDirectory(prefix="headrace-") as temporary:
        store = Store(Path(temporary))
        try:
            yield store
        finally:
            store.index.close()


def echo_json(value: Any) -> None:
    """Prints JSON values."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def table(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Columns, aligned to the left; the last one isn't padded."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    )


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `0.4 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(started: float) -> str:
    """A time in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started))


def brief(value: Any, most: int = 76) -> str:
    """A value on one line, cut if it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
