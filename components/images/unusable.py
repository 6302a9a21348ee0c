"""The error by which the readers of image files say that a file can't be used."""

from __future__ import annotations


class UnusableImageError(Exception):
    """A file can't be used; `reason` says why and `remedy` what may be done, sentences without full stop."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuses a picture by its size in pixels.

    Raises:
        UnusableImageError: it has more than `most`.
    """
    if width * height > most:
        raise UnusableImageError(
            f"{width}x{height} pixels are more than the {most:,} that one file may have", TOO_LARGE
        )


TOO_LARGE = "make it smaller, or raise max_pixels"
"""The remedy."""
