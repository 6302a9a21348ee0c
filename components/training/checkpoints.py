"""Checkpoints: what a killed training needs to go on exactly."""

from __future__ import annotations


class Checkpoints:
    """Keeps checkpoints of a training in a folder."""
