"""The error by which the readers of image files say that a file can't be used."""

from __future__ import annotations


class UnusableImageError(Exception):
    """A file can't be used; `reason` says why and `remedy` what may be done, sentences without full stop."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
