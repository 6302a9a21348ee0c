"""Which files count as images by their names, and how names are shown. Standard library only."""

from __future__ import annotations

from .sniffing import ENDINGS, OTHER_ENDINGS, ending, sniff

RAW = ("3fr", "arw", "cr2", "cr3", "dng", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "srw", "x3f")
"""Endings of cameras' raw files, which can't be read either: to leave them out without a word loses data."""
_LITTER = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"))


def is_litter(name: str) -> bool:
    """Whether a file or folder is what an operating system leaves behind: hidden, or a cache of previews."""
    return name.startswith(".") or name.lower() in _LITTER


def kind_of_name(name: str) -> str:
    """`image`, `foreign` (an image that can't be read), `bare` (no ending) or `other`."""
    end = ending(name)
    if end in ENDINGS:
        return "image"
    if end in RAW or (end in OTHER_ENDINGS and end != "pdf"):
        return "foreign"
    return "other" if end else "bare"


def foreign_format(name: str) -> str:
    """What the format of such a `foreign` name is called."""
    return OTHER_ENDINGS.get(ending(name), "a camera's raw format")


def begins_as_image(path: str) -> bool:
    """Whether a file's first bytes are those of a format that is read."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - `path` may not be UTF-8
            return bool(sniff(stream.read(32)))
    except OSError:
        return False


def shown(name: str) -> str:
    """A name as a table holds it: bytes that aren't UTF-8 as escapes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name


def one_line(name: str) -> str:
    """A name as a message shows it: without line ends, or what else would run over a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in shown(name)
    )
