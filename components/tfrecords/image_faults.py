"""Images that can't be learned from: those that are missing, and those that TensorFlow can't decode."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..preprocessing.fitted_features import Branch
from ..transforms.images import Pixels, leading_steps
from ..transforms.namespace import NumpyNamespace
from .encoding import Fault

NO_IMAGE = "has no image"
NO_PICTURE = "holds what TensorFlow can't decode as a JPEG or PNG file"
_REMEDY = "leave these rows out, or give them a picture that stands for a missing one"


def image_faults(name: str, branch: Branch, raw: Any, made: Pixels, first_row: int = 0) -> list[Fault]:
    """What is wrong with some rows of an image.

    Args:
        name: the feature.
        branch: its chain.
        raw: the cast column that went in, encoded images [n] without nulls.
        made: what came out.
        first_row: of these rows in their batch.
    """
    bad = ~np.asarray(made.valid)
    if not bad.any():
        return []
    missing = np.asarray(NumpyNamespace().is_empty(raw))
    found = []
    for what, rows, remedy in ((NO_IMAGE, missing, _REMEDY), (NO_PICTURE, bad & ~missing, "")):
        if not rows.any():
            continue
        first = int(np.flatnonzero(rows)[0])
        remedy = remedy or f"have image_examples reject or rewrite such files ({_why(branch, raw, first)})"
        text = f"the column {branch.column!r} {what}"
        found.append(Fault(f"features.{name}", text, int(rows.sum()), first_row + first, "", remedy))
    return found


def _why(branch: Branch, raw: Any, row: int) -> str:
    """TensorFlow's words for an image."""
    from ..transforms.images_tf import decode_problem

    return decode_problem(raw[row].as_py(), leading_steps([stage.transform for stage in branch.stages]))
