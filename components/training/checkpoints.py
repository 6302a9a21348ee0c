"""Checkpoints: what a killed training needs to go on exactly."""

from __future__ import annotations


class Checkpoints:
    """Keeps checkpoints of a training in a folder."""

    def kept(self) -> str:
        """Which checkpoint is kept and how to use it, as half a sentence; empty if there is none."""
        return ""
