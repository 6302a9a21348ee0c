"""What a file is by its first bytes, and what its name claims that it is.

A name's ending is a claim only if it is one of the known ones: `scan.0001` and `photo` claim nothing.
"""

from __future__ import annotations

import re

FORMATS = ("jpeg", "png", "gif", "bmp", "tiff", "webp")
"""The formats that images are read from."""

ENDINGS = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif", "pjpeg", "mpo"), "jpeg"),
    **dict.fromkeys(("png", "apng"), "png"),
    **dict.fromkeys(("bmp", "dib"), "bmp"),
    **dict.fromkeys(("tif", "tiff"), "tiff"),
    "gif": "gif",
    "webp": "webp",
}
"""Ending in small letters → the format that it stands for."""

OTHER_ENDINGS = {
    **dict.fromkeys(("heic", "heif"), "HEIC"),
    **dict.fromkeys(("jp2", "j2k", "jpx"), "JPEG 2000"),
    **dict.fromkeys(("ppm", "pgm", "pbm", "pnm"), "Netpbm"),
    "avif": "AVIF",
    "ico": "an icon",
    "jxl": "JPEG XL",
    "pdf": "PDF",
    "psd": "Photoshop",
    "svg": "SVG",
    "tga": "Targa",
}
"""Endings of images that can't be read here."""

# Atomic: many comments could else be cut in as many ways as there are sets of them, and all would be tried.
_MARKUP = re.compile(
    rb"\s*+(?:(?><!--.*?-->)\s*+)*+<(!doctype html|html|head|body|\?xml|svg|error)", re.I | re.S
)
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
    b"avif": "AVIF",
    b"avis": "AVIF",
}
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "an icon"),
    (b"PK\3\4", "a zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"version https://git-lfs", "a pointer of Git LFS: the image itself wasn't fetched (`git lfs pull`)"),
)


def sniff(data: bytes) -> str:
    """The format by the first bytes, one of `FORMATS`, or an empty string."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"BM") and len(data) > 17 and data[14:18] in _BMP_HEADERS:
        return "bmp"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return ""


_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124))


def describe(data: bytes) -> str:
    """What a file is that is none of `FORMATS`, as far as its beginning tells, with its article."""
    for start, what in _OTHERS:
        if data.startswith(start):
            return what
    if data[4:8] == b"ftyp":
        brand = _BRANDS.get(data[8:12])
        return f"{'an' if brand == 'AVIF' else 'a'} {brand} image" if brand else "a video"
    head = data[:1024]
    if found := _MARKUP.match(head):
        tag = found[1].lower()
        if tag == b"svg" or b"<svg" in head:
            return "an SVG drawing"
        return "an XML document" if tag in (b"?xml", b"error") else "an HTML page"
    if not head.strip(b"\0"):
        return "nothing but zeros"
    if not _BINARY.search(head):
        return "text"
    return "of no known format"


_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def claimed(name: str) -> str:
    """What the ending of a name claims: one of `FORMATS`, another format by its name, or nothing."""
    end = ending(name)
    return ENDINGS.get(end) or OTHER_ENDINGS.get(end, "")


def ending(name: str) -> str:
    """What stands behind the last dot of a file's name, in small letters; "" where nothing is before it."""
    stem, _, end = name.rpartition("/")[2].rpartition(".")  # a path object takes ten times as long
    return end.lower() if stem else ""
