"""Weights in files of Keras: its own published ones, `.weights.h5`, and the older `.h5`."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from ...pipelines.errors import DataError
from ..models.keras_application import headless

Arrays = tuple[npt.NDArray[Any], ...]
SECONDS = 10.0
"""How long the network may be silent before it is taken for unreachable."""
MOST_BYTES = 4 << 30
"""Of one layer's weights; a file that says more is not one of weights."""


def imagenet_weights(name: str, shape: Sequence[int], file: Path | None) -> keras.Model:
    """A network of `keras.applications` without its head, with the weights that Keras publishes.

    Args:
        name: its name there.
        shape: height, width and channels of the image.
        file: one that Keras publishes for it; None to take it from Keras' cache, or to fetch it.

    Raises:
        DataError: there is no network, or the file is not one for this architecture.
    """
    try:
        with _patience():
            return headless(name, shape, "imagenet" if file is None else str(file))
    except Exception as error:
        if file is not None:
            raise DataError(
                f"the file doesn't fit {name}: {_first_line(error)}",
                file=str(file),
                argument="weights",
                remedy="take the file without the head (no_top, notop) that Keras publishes for it",
            ) from error
        # Keras raises a bare Exception, "URL fetch failure on ADDRESS: CODE -- WHY".
        address = next((word for word in str(error).split() if word.startswith("http")), "").rstrip(":")
        why = str(error).rpartition(" -- ")[2] if address else _first_line(error)
        raise DataError(
            f"the weights of {name} can't be fetched: {why}",
            argument="weights",
            remedy=f"fetch {address or 'the file'} where there is a network, and say weights: path/to/file",
        ) from error


@contextmanager
def _patience() -> Iterator[None]:
    """Gives up on a network that doesn't answer, which Keras itself waits for minutes for."""
    before, spoken = socket.getdefaulttimeout(), keras.utils.is_interactive_logging_enabled()
    socket.setdefaulttimeout(SECONDS)
    keras.utils.disable_interactive_logging()
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
        if spoken:
            keras.utils.enable_interactive_logging()


def of_weights_file(path: Path) -> dict[str, Arrays]:
    """The weights in a `.weights.h5` by the paths of their layers, `learner/conv1_conv`.

    Raises:
        DataError: it is no such file, or one of a Keras that didn't write the names of layers.
    """
    found: dict[str, Arrays] = {}

    def look(group: Any, names: tuple[str, ...]) -> None:
        own = group.get("vars")
        name = "" if own is None else str(own.attrs.get("name", ""))
        here = (*names, name) if name else names
        values = [] if own is None else [own[key] for key in sorted(own, key=int)]
        if values:
            if not name:
                raise _unreadable(
                    path, "it doesn't name its layers", "save it with a current Keras, or as .keras"
                )
            # The first name is that of the whole network.
            found["/".join(here[1:]) or name] = tuple(_read(path, value) for value in values)
        for key in group:
            if key != "vars" and isinstance(group.get(key, getlink=True), h5py.HardLink):
                look(group[key], here)

    with _opened(path) as file:
        look(file, ())
    if not found:
        raise _unreadable(path, "it holds no weights", "write it with network.save_weights('x.weights.h5')")
    return found


def of_legacy_file(path: Path) -> dict[str, Arrays]:
    """The weights in an `.h5` of Keras 2 by the names of their layers.

    Raises:
        DataError: it is no such file.
    """
    with _opened(path) as file:
        top = file.get("model_weights", file)
        if "layer_names" not in top.attrs:
            raise _unreadable(
                path, "it has no layer_names", "take a file that Keras 2 saved, or a .weights.h5"
            )
        found = {}
        for name in map(_text, top.attrs["layer_names"]):
            values = [top[name][_text(key)] for key in top[name].attrs["weight_names"]]
            if values:
                found[name] = tuple(_read(path, value) for value in values)
        return found


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            "the file isn't there" if not path.exists() else f"it is no HDF5 file: {_first_line(error)}",
            file=str(path),
            argument="weights",
            remedy="check the path; it is relative to the pipeline's file",
        ) from error
    with file:
        try:
            yield file
        except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            what = f"it isn't laid out as Keras does it ({_first_line(error)})"
            raise _unreadable(path, what, "take a file that Keras wrote") from error


def _read(path: Path, value: Any) -> npt.NDArray[Any]:
    """An array; one that lies in another file, or says it is huge, is refused before it is read."""
    if not isinstance(value, h5py.Dataset) or value.external or value.is_virtual:
        raise _unreadable(path, "its weights lie in other files", "take a file that holds its weights itself")
    if value.size * value.dtype.itemsize > MOST_BYTES:
        raise _unreadable(path, f"a layer of it has {value.size:,} weights", "take another file")
    return np.asarray(value)


def _unreadable(path: Path, what: str, remedy: str) -> DataError:
    return DataError(
        f"the file's weights can't be read: {what}", file=str(path), argument="weights", remedy=remedy
    )


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
