"""Which files count as images by their names, and how names are shown. Standard library only."""

from __future__ import annotations

from pathlib import PurePath

IMAGES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .dib .gif .tif .tiff .webp".split()
)
"""Ends of names of files that are read."""
FOREIGN = {
    **dict.fromkeys((".heic", ".heif", ".avif"), "HEIF"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jxl"), "JPEG 2000 or JPEG XL"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), "a camera's raw format"),
    **dict.fromkeys((".psd", ".svg", ".eps", ".ico", ".tga", ".pcx", ".xcf"), "a format of drawing programs"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".dcm", ".nii"), "a format of its field"),
}
"""Images that can't be read: to leave them out without a word would lose data."""
_LITTER = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"))
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")


def is_litter(name: str) -> bool:
    """Whether a file or folder is what an operating system leaves behind: hidden, or a cache of previews."""
    return name.startswith(".") or name.lower() in _LITTER


def kind_of_name(name: str) -> str:
    """`image`, `foreign` (an image that can't be read), `bare` (no extension) or `other`."""
    end = PurePath(name).suffix.lower()
    if end in IMAGES:
        return "image"
    return "foreign" if end in FOREIGN else "other" if end else "bare"


def begins_as_image(path: str) -> bool:
    """Whether a file's first bytes are those of a format that is read."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - `path` may not be UTF-8
            return stream.read(8).startswith(_MAGIC)
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
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in shown(name))
