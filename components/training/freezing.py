"""Which layers of a network learn."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import keras

from ...pipelines.errors import InvalidRequestError
from .stages import Stage


def leaves(network: keras.Model, before: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """The layers of a network and of the networks in it, from the input on, with their paths.

    `learner/conv1` is the layer `conv1` of the model `learner` in the network.
    """
    for layer in network.layers:
        path = f"{before}{layer.name}"
        if isinstance(layer, keras.Model):
            yield from leaves(layer, f"{path}/")
        else:
            yield path, layer


class Freezer:
    """Freezes layers of a network. What its model function froze stays frozen.

    A frozen layer's weights stay as they are, and those of batch normalization are used as in inference: by
    its moving averages, which stay as they are too.

    Args:
        network: any network of layers.
    """

    def __init__(self, network: keras.Model) -> None:
        every = list(leaves(network))
        self._all = [(path, layer) for path, layer in every if layer.weights]
        self._free = {path for path, layer in self._all if layer.trainable_weights}

    def freeze(self, stage: Stage, number: int) -> None:
        """Freezes what a stage says, and nothing else; the network has to be compiled then.

        Args:
            stage: which layers.
            number: of the stage, from 1, for errors.

        Raises:
            InvalidRequestError: a pattern fits no layer, or nothing is left to learn.
        """
        frozen = self._named(stage, number)
        if self._free <= frozen:
            raise InvalidRequestError(
                f"stage {number} freezes every layer, so that nothing can learn",
                argument="stages",
                available=tuple(path for path, _ in self._all),
                remedy="leave the last layers out, as freeze: learner does",
            )
        for path, layer in self._all:
            layer.trainable = path in self._free and path not in frozen

    def thaw(self) -> None:
        """Undoes what was frozen, so that the network is saved as its model function made it."""
        for path, layer in self._all:
            layer.trainable = path in self._free

    def _named(self, stage: Stage, number: int) -> set[str]:
        paths = [path for path, _ in self._all]
        found = set(paths[: stage.freeze_first])
        for pattern in stage.freeze:
            fitting = {path for path in paths if _fits(path, pattern)}
            self._require(fitting, pattern, number)
            found |= fitting
        if stage.freeze_before:
            places = [place for place, path in enumerate(paths) if _fits(path, stage.freeze_before)]
            self._require(places, stage.freeze_before, number)
            found |= set(paths[: places[0]])
        return found

    def _require(self, fitting: object, pattern: str, number: int) -> None:
        if fitting:
            return
        paths = [path for path, _ in self._all]
        parts = dict.fromkeys(part for path in paths for part in path.split("/"))
        raise InvalidRequestError(
            f"stage {number}: no layer with weights has a name like {pattern!r}",
            argument="stages",
            given=pattern,
            available=tuple(parts),
            remedy="a pattern is for a layer's name or that of the part that it is in; * stands for any text",
        )


def _fits(path: str, pattern: str) -> bool:
    """Whether a pattern is for a path, or for a layer or part in it."""
    return fnmatchcase(path, pattern) or any(fnmatchcase(part, pattern) for part in path.split("/"))
