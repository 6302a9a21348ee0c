"""`image_examples`: a folder as people, cameras and attackers leave it."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headrace.components.image_examples import image_examples
from headrace.pipelines.errors import DataError

from .digit_files import rejects_of, rows_of, write
from .picture_files import chunk, exif, picture, png16, save

ALL = {"splits": {"all": 1}}


@pytest.fixture
def folder(tmp_path):
    """Good and bad files, with what becomes of each: `(folder, sizes by name, reasons by name)`."""
    root = tmp_path / "hostile"
    photo = picture(40, 60, "RGB")
    jpeg = save(photo, "JPEG")
    good = {
        "cat/plain.jpg": jpeg,
        "cat/with space.jpg": save(picture(40, 60, seed=1), "JPEG"),
        "cat/naïve 猫 😀.png": save(picture(41, 60, seed=2), "PNG"),
        "cat/new\nline.png": save(picture(42, 60, seed=3), "PNG"),
        "cat/UPPER.JPG": save(picture(43, 60, seed=4), "JPEG"),
        "cat/-rf *.png": save(picture(44, 60, seed=5), "PNG"),
        "dog/cmyk.jpg": save(photo.convert("CMYK"), "JPEG"),
        "dog/sixteen.png": png16(np.arange(50 * 60, dtype=np.uint16).reshape(50, 60, 1) * 20),
        "dog/turned.jpg": save(photo, "JPEG", exif=exif(6)),
        "dog/moving.gif": save(
            picture(30, 20), "GIF", save_all=True, append_images=[picture(30, 20, seed=9)], duration=50
        ),
        "dog/photo.webp": save(photo, "WEBP"),
        "dog/scan.tiff": save(photo, "TIFF"),
        "dog/paint.bmp": save(photo, "BMP"),
        "dog/palette.png": save(picture(30, 30, "P"), "PNG"),
        "dog/alpha.png": save(picture(30, 31, "RGBA"), "PNG"),
    }
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bad = {
        "bad/text.jpg": b"This is no image.\n",
        "bad/page.jpg": b"<!DOCTYPE html><html>not found</html>",
        "bad/cut.jpg": jpeg[: len(jpeg) // 2],
        "bad/empty.png": b"",
        "bad/zeros.png": bytes(1000),
        "bad/huge.png": huge + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""),
        "bad/a jpeg.png": jpeg,
        "bad/phone.heic": b"\0\0\0\x18ftypheic" + bytes(100),
    }
    for name, content in {**good, **bad}.items():
        write(root / name, content)
    (root / "bad" / "out.jpg").symlink_to(write(tmp_path / "elsewhere.jpg", jpeg))
    os.mkfifo(root / "bad" / "pipe.jpg")
    write(root / ".hidden" / "x.jpg", jpeg)
    write(root / "cat" / "Thumbs.db", b"\xd0\xcf")
    sizes = {
        "cat/plain.jpg": (40, 60), "cat/with space.jpg": (40, 60), "cat/naïve 猫 😀.png": (41, 60),
        "cat/new\nline.png": (42, 60), "cat/UPPER.JPG": (43, 60), "cat/-rf *.png": (44, 60),
        "dog/cmyk.jpg": (40, 60), "dog/sixteen.png": (50, 60), "dog/turned.jpg": (60, 40),
        "dog/moving.gif": (30, 20), "dog/photo.webp": (40, 60), "dog/scan.tiff": (40, 60),
        "dog/paint.bmp": (40, 60), "dog/palette.png": (30, 30), "dog/alpha.png": (30, 31),
    }  # fmt: skip
    reasons = {
        "bad/text.jpg": "it is text, not an image that can be read",
        "bad/page.jpg": "it is an HTML page, not an image that can be read",
        "bad/cut.jpg": "cut off",
        "bad/empty.png": "the file is empty",
        "bad/zeros.png": "nothing but zeros",
        "bad/huge.png": "60000x60000 pixels are more than",
        "bad/a jpeg.png": "its name says PNG, but it is JPEG",
        "bad/phone.heic": "HEIC",
        "bad/out.jpg": "is a link that leads out of the folder",
        "bad/pipe.jpg": "is no plain file",
    }
    return root, sizes, reasons


def test_the_right_images_and_the_right_reasons(ctx, folder):
    root, sizes, reasons = folder
    made = image_examples.function(ctx, path=str(root), max_rejects=10, **ALL)
    rows = {row["path"]: row for row in rows_of(made)}
    assert {name: (row["height"], row["width"]) for name, row in rows.items()} == sizes
    for name, row in rows.items():
        with Image.open(io.BytesIO(row["image"])) as image:
            assert (image.height, image.width) == (row["height"], row["width"])
            assert image.format in ("JPEG", "PNG") and image.mode in ("L", "LA", "P", "RGB", "RGBA"), name
    assert rows["cat/plain.jpg"]["image"] == (root / "cat" / "plain.jpg").read_bytes()
    assert {row["label"] for row in rows.values()} == {"cat", "dog"}
    rejects = {reject["file"]: reject["reason"] for reject in rejects_of(made)}
    assert rejects.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in rejects[name], name
    assert made.properties["rejects"] == 10


def test_all_frames(new_ctx, folder):
    root, sizes, _ = folder
    made = image_examples.function(new_ctx(), path=str(root / "dog"), labels=[], frames="all", **ALL)
    paths = [row["path"] for row in rows_of(made)]
    assert len(paths) == 1 + sum(name.startswith("dog/") for name in sizes)
    assert [path for path in paths if "moving" in path] == ["moving.gif#0", "moving.gif#1"]
    # Frames of one file look alike, so that they are in one split, whichever it is.
    for seed in range(6):
        split = image_examples.function(
            new_ctx(), path=str(root / "dog"), labels=[], frames="all", splits={"a": 1, "b": 1}, seed=seed
        )
        (named,) = [n for n in ("a", "b") if any("moving" in row["path"] for row in rows_of(split, n))]
        assert sum("moving" in row["path"] for row in rows_of(split, named)) == 2


def test_without_leave_the_error_lists_them(ctx, folder):
    root, _, reasons = folder
    with pytest.raises(DataError) as error:
        image_examples.function(ctx, path=str(root))
    text = str(error.value)
    assert "10 images can't be used, and none may be" in text
    assert "max_rejects: 10 puts them into rejects.jsonl" in text
    for name in reasons:
        assert name in text
    assert not any(path.suffix == ".parquet" for path in (ctx.staging / "outputs").rglob("*"))


def test_names_that_are_no_unicode(ctx, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    write(Path(os.fsdecode(folder + b"/one\xff.png")), save(picture(), "PNG"))
    write(Path(os.fsdecode(folder + b"/bad\xfe.png")), b"no image")
    made = image_examples.function(ctx, path=str(tmp_path), max_rejects=1, **ALL)
    assert [(row["path"], row["label"]) for row in rows_of(made)] == [(r"caf\xe9/one\xff.png", r"caf\xe9")]
    assert [reject["file"] for reject in rejects_of(made)] == [r"caf\xe9/bad\xfe.png"]


def test_a_socket_among_the_images(ctx, tmp_path, monkeypatch):
    write(tmp_path / "cat" / "1.png", save(picture(), "PNG"))
    monkeypatch.chdir(tmp_path / "cat")  # an address has to be short
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("2.png")
        made = image_examples.function(ctx, path=str(tmp_path), max_rejects=1, **ALL)
    assert [reject["reason"] for reject in rejects_of(made)] == ["is no plain file"]


def test_bounds_on_files(new_ctx, tmp_path):
    write(tmp_path / "cat" / "1.png", save(picture(10, 10), "PNG"))
    write(tmp_path / "cat" / "2.png", save(picture(90, 90), "PNG"))
    for bound, reason in (
        ({"max_pixels": 1000}, "90x90 pixels are more than the 1,000"),
        ({"max_bytes": 2000}, "bytes are more than the 2,000"),
    ):
        made = image_examples.function(new_ctx(), path=str(tmp_path), max_rejects=1, **bound, **ALL)
        assert [row["path"] for row in rows_of(made)] == ["cat/1.png"]
        assert reason in rejects_of(made)[0]["reason"]
