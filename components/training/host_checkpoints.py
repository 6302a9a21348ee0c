"""Checkpoints of a training on several hosts: each writes its own, all at the same steps.

A step of several hosts is one step, so that all of them go on from the same one: the last of which every host
has a checkpoint that it can read. When it is time for a checkpoint by the clock, the first host's counts.
"""

from __future__ import annotations

import numpy as np
from jax.experimental import multihost_utils

from .checkpoints import UNREADABLE, Checkpoint, Checkpoints, read_arrays

ASKED_EVERY = 64
"""Steps after which the hosts agree on whether it is time: each time costs a message to and fro."""
MOST = 64
"""Checkpoints of a host that the others are told of."""


class HostCheckpoints(Checkpoints):
    """As `Checkpoints`, agreed upon by all hosts, each of which has to ask for the same at the same step."""

    _asked = 0

    def latest(self) -> Checkpoint | None:
        """The last checkpoint that every host can read; others are removed."""
        self._remove_halves()
        here = self._readable()
        told = np.full((MOST, 2), -1, np.int64)
        for row, (_, stage, step) in zip(told, (name.split("-") for name in here[-MOST:]), strict=False):
            row[:] = int(stage), int(step)
        everywhere = np.asarray(multihost_utils.process_allgather(told.astype(np.int32)))
        sets = [{(stage, step) for stage, step in host.reshape(-1, 2).tolist()} for host in everywhere]
        common = [
            f"checkpoint-{stage:03d}-{step:010d}" for stage, step in set.intersection(*sets) if step >= 0
        ]
        if here and not common:
            self.warn("the hosts have no checkpoint of the same step, and begin anew")
        for name in set(here) - set(common):
            (self._folder / f"{name}.npz").unlink(missing_ok=True)
        return self._read(self._folder / f"{max(common)}.npz") if common else None

    def are_due(self, stage: int, step: int) -> bool:
        """Whether it is time for a checkpoint; see `Checkpoints`."""
        due = super().are_due(stage, step)
        if self._rule.every_steps:
            return due
        if step // ASKED_EVERY == self._asked:
            return False
        self._asked = step // ASKED_EVERY
        return bool(multihost_utils.broadcast_one_to_all(np.bool_(due)))

    def _readable(self) -> list[str]:
        """The names of the checkpoints that can be read, the oldest first."""
        found = []
        for path in sorted(self._folder.glob("checkpoint-*.npz")):
            try:
                read_arrays(path)
                found.append(path.stem)
            except UNREADABLE as error:
                self.warn(f"the checkpoint {path.name} is damaged and left out: {error}")
                path.unlink(missing_ok=True)
        return found
