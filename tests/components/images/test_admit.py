"""What becomes of a file, compared with what Pillow makes of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps, ImageSequence

from headrace.components.images.admit import Admitted, Limits, Refused, admit

from .picture_files import chunk, exif, interlaced_png, picture, pixels, png, png16, save

LIMITS = Limits()


def one(data: bytes, name: str = "") -> Admitted:
    found = admit(data, name, LIMITS)
    assert isinstance(found, list), found
    (only,) = found
    return only


def array(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def reason(data: bytes, name: str = "", limits: Limits = LIMITS, frames: str = "first") -> str:
    found = admit(data, name, limits, frames)  # type: ignore[arg-type]
    assert isinstance(found, Refused), found
    return found.reason


@pytest.mark.parametrize(
    ("data", "channels"),
    [
        (save(picture(), "JPEG"), 3),
        (save(picture(), "JPEG", progressive=True, subsampling=0), 3),
        (save(picture(mode="L"), "JPEG", restart_marker_blocks=2), 1),
        (save(picture(), "JPEG", exif=exif(1), comment="of a wall"), 3),
        (save(picture(), "JPEG", exif=exif(77)), 3),
        (save(picture(), "JPEG") + b"a camera's own notes \xff\xd8", 3),
        (save(picture(), "PNG"), 3),
        (save(picture(mode="RGBA"), "PNG"), 4),
        (save(picture(mode="LA"), "PNG"), 2),
        (save(picture(mode="L"), "PNG"), 1),
        (save(picture(mode="1"), "PNG"), 1),
        (save(picture(mode="P"), "PNG", bits=4), 3),
        (save(picture(mode="P"), "PNG", transparency=0), 4),
        (interlaced_png(pixels(19, 13)), 3),
        (interlaced_png(pixels(1, 2)), 3),
    ],
)
def test_what_tensorflow_reads_is_kept_byte_for_byte(data, channels):
    found = one(data)
    assert found.data == data
    assert found.channels == channels
    with Image.open(io.BytesIO(data)) as image:
        assert (found.width, found.height) == image.size


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize(
    ("kind", "form"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tiff")]
)
def test_rotated_photos_become_upright_pngs(orientation, kind, form):
    told = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif(orientation)}
    data = save(picture(), kind, **told)
    found = one(data)
    assert found.data.startswith(b"\x89PNG")
    assert found.source_format == form
    assert (found.height, found.width) == ((36, 24) if orientation > 4 else (24, 36))
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(array(found.data), np.asarray(ImageOps.exif_transpose(image)))
    assert one(found.data).data == found.data


@pytest.mark.parametrize(("order", "kind"), [("<", 3), (">", 3), (">", 4)])
def test_orientation_in_either_byte_order(order, kind):
    data = save(picture(), "JPEG", exif=exif(6, order, kind))
    assert (one(data).height, one(data).width) == (36, 24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_orientation_by_xmp(kind):
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    if kind == "JPEG":
        data = save(picture(), kind, xmp=packet)
    else:
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
        data = save(picture(), kind)
        data = data[:33] + text + data[33:]
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(array(one(data).data), np.asarray(ImageOps.exif_transpose(image)))
    assert one(data).height == 36


def test_cmyk_with_and_without_adobes_inversion():
    image = picture(mode="CMYK")
    data = save(image, "JPEG", quality=100)
    assert b"Adobe" in data
    right = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(array(one(data).data), right)
    # Without the segment the numbers are ink, so that the same file shows its negative.
    at = data.index(b"\xff\xee")
    plain = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    ink = 255 - np.asarray(Image.open(io.BytesIO(data)), dtype=int)
    expected = 255 - np.minimum(255, ink[..., :3] + ink[..., 3:])
    found = array(one(plain).data).astype(int)
    expected = np.asarray(Image.fromarray(ink.astype(np.uint8), "CMYK").convert("RGB")).astype(int)
    assert np.array_equal(found, expected)
    assert not np.array_equal(found, right)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_become_eight_by_rounding(channels):
    values = np.random.default_rng(0).integers(0, 65536, (9, 7, channels)).astype(np.uint16)
    values[0, 0] = 65535
    found = one(png16(values))
    assert found.channels == channels
    expected = np.round(values.astype(float) * 255 / 65535)
    assert np.array_equal(array(found.data).reshape(9, 7, channels), expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_sixteen_bit_gray_tiff(compression):
    image = picture(mode="I;16")
    found = one(save(image, "TIFF", compression=compression))
    assert found.channels == 1
    assert np.array_equal(array(found.data), np.round(np.asarray(image).astype(float) * 255 / 65535))


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiffs_in_colour_and_with_white_as_zero(order):
    values = np.random.default_rng(0).integers(0, 65536, (5, 4, 3)).astype(np.uint16)
    found = one(tiff(values, order, photometric=2))
    assert np.array_equal(array(found.data), np.round(values.astype(float) * 255 / 65535))
    with_alpha = np.random.default_rng(1).integers(0, 65536, (130, 4, 4)).astype(np.uint16)
    found = one(tiff(with_alpha, order, photometric=2))
    assert np.array_equal(array(found.data), np.round(with_alpha.astype(float) * 255 / 65535))
    ink = np.round(with_alpha.astype(float) * 255 / 65535).astype(np.uint8)
    found = one(tiff(with_alpha, order, photometric=5))
    assert np.array_equal(array(found.data), np.asarray(Image.fromarray(ink, "CMYK").convert("RGB")))
    if order == "<":
        found = one(tiff(values[..., :1], order, photometric=0))
        expected = np.round((65535 - values[..., 0].astype(float)) * 255 / 65535)
        assert np.array_equal(array(found.data), expected)


def tiff(values: np.ndarray, order: str, photometric: int) -> bytes:
    """An uncompressed TIFF of 16 bits."""
    from struct import pack

    height, width, channels = values.shape
    data = values.astype(order + "u2").tobytes()
    tags = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (277, 3, channels), (278, 4, height), (279, 4, len(data))]
    bits = 8 + len(data)
    start = bits + 8
    tags += [(338, 3, 2)] if photometric == 2 and channels == 4 else []
    out = (b"II*\0" if order == "<" else b"MM\0*") + pack(order + "I", start) + data
    out += pack(order + "HHHH", 16, 16, 16, 16) + pack(order + "H", len(tags))
    for tag, kind, value in tags:
        if tag == 258 and channels > 1:
            out += pack(order + "HHII", tag, 3, channels, bits)
        elif kind == 3:
            out += pack(order + "HHIHH", tag, 3, 1, value, 0)
        else:
            out += pack(order + "HHII", tag, 4, 1, value)
    return out + bytes(4)


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "BMP", {}),
        ("P", "BMP", {}),
        ("L", "BMP", {}),
        ("1", "BMP", {}),
        ("RGBA", "BMP", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("RGBA", "TIFF", {}),
        ("LA", "TIFF", {}),
        ("P", "TIFF", {}),
        ("1", "TIFF", {"compression": "group4"}),
        ("CMYK", "TIFF", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGBA", "WEBP", {"lossless": True, "exact": True}),
        ("RGB", "WEBP", {"quality": 60}),
        ("P", "GIF", {}),
        ("L", "GIF", {}),
        ("P", "GIF", {"transparency": 0}),
    ],
)
def test_other_formats_become_what_pillow_shows(mode, kind, options):
    data = save(picture(mode=mode), kind, **options)
    found = one(data)
    with Image.open(io.BytesIO(data)) as image:
        shown = image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[found.channels])
        assert np.array_equal(array(found.data), np.asarray(shown))
        clear = "A" in image.mode or "transparency" in image.info
    assert clear == (found.channels in (2, 4))
    assert found.source_format == kind.lower()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_or_all(kind):
    frames = [picture(seed=n) for n in range(4)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = save(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    first = admit(data, f"a.{kind}", LIMITS)
    found = admit(data, f"a.{kind}", LIMITS, "all")
    assert isinstance(first, list)
    assert isinstance(found, list)
    assert len(first) == 1
    assert len(found) == 4
    with Image.open(io.BytesIO(data)) as image:
        for own, frame in zip(found, ImageSequence.Iterator(image), strict=True):
            assert np.array_equal(array(own.data)[..., :3], np.asarray(frame.convert("RGB")))
    assert (first[0].data == data) == (kind == "PNG")


def test_frames_are_bounded_in_number_and_in_pixels():
    many = save(picture(), "GIF", save_all=True, append_images=[picture(seed=n) for n in range(30)])
    assert reason(many, limits=Limits(max_frames=10), frames="all") == "it has more than 10 frames"
    few = Limits(max_pixels=24 * 36 * 4)
    assert reason(many, limits=few, frames="all").startswith("its first 5 frames have more than the 3,456")
    assert isinstance(admit(many, "", few), list)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the file is empty"),
        (b"not an image, but a note\n", "it is text, not"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "it is an HTML page"),
        (b'<?xml version="1.0"?><Error/>', "it is an XML document"),
        (b'<?xml version="1.0"?><svg/>', "it is an SVG drawing"),
        (b"<!-- a --> <!-- b -->\n<svg>", "it is an SVG drawing"),
        (b"<!---->" * 140 + b"x", "it is text"),  # looked at once, and not in every way to cut the comments
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "it is a pointer of Git LFS"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it is a HEIC image"),
        (bytes(5000), "it is nothing but zeros"),
        (b"\x00\x01\x02\x03" * 50, "it is of no known format"),
        (b"BM, said the sheep, and went away", "it is text"),
    ],
)
def test_files_that_are_no_images(data, told):
    assert reason(data, "photo.jpg").startswith(told)


def test_a_name_that_lies():
    data = save(picture(), "PNG")
    assert reason(data, "a/photo.JPG") == "its name says JPEG, but it is PNG"
    assert reason(data, "photo.heic") == "its name says HEIC, but it is PNG"
    for name in ("", "photo", "photo.png", "photo.PNG", "scan.0001", ".png", "photo.jpg.bak"):
        assert one(data, name)
    for name in ("a.jpg", "a.jpeg", "a.JPE", "a.jfif"):
        assert one(save(picture(), "JPEG"), name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_files_that_are_cut_off(kind):
    # Noise, so that no part can be left out; TIFF has its directory at the end.
    data = save(Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)), kind)
    for share in (0.2, 0.5, 0.9, 0.98):
        found = admit(data[: int(len(data) * share)], f"a.{kind}", LIMITS)
        assert isinstance(found, Refused), share
        assert kind in found.reason


def test_sizes_are_bounded_before_decoding():
    assert reason(png(60_000, 60_000, 8, 2, b"")).startswith(
        "60000x60000 pixels are more than the 100,000,000"
    )
    jpeg = save(picture(), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    assert reason(jpeg[:at] + b"\xfd\xe8\xfd\xe8" + jpeg[at + 4 :]).startswith("65000x65000 pixels")
    assert "can't hold 8192x8192" in reason(jpeg[:at] + b"\x20\0\x20\0" + jpeg[at + 4 :])
    assert "can't hold its pixels" in reason(png(9000, 9000, 8, 2, b"\0"))
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2
    assert reason(webp).startswith("16777216x16777216 pixels")
    gif = b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;"
    assert reason(gif).startswith("65535x65535 pixels")
    bmp = save(picture(), "BMP")
    assert "pixels are more" in reason(bmp[:18] + b"\x00\x00\x01\x00" * 2 + bmp[26:])
    small = Limits(max_bytes=100)
    assert reason(jpeg, limits=small).startswith(f"{len(jpeg)} bytes are more than the 100")


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (Image.fromarray(np.zeros((3, 3), np.float32)), "floating-point values"),
        (Image.fromarray(np.zeros((3, 3), np.int32)), "32-bit or signed values"),
        (Image.new("LAB", (3, 3)), "CIELAB colours"),
    ],
)
def test_values_without_a_stated_white_are_refused(image, told):
    assert told in reason(save(image, "TIFF"))


def test_what_only_decoding_shows():
    """Right sums around pixels that can't be decompressed, too many for the quick look to try."""
    rng = np.random.default_rng(0)
    rows = b"".join(b"\0" + rng.bytes(900) for _ in range(300))
    broken = png(300, 300, 8, 2, rows).replace(b"\x78\x9c", b"\x78\x9d", 1)
    at = broken.index(b"IDAT")
    length = int.from_bytes(broken[at - 4 : at], "big")
    broken = broken[: at - 4] + chunk(b"IDAT", broken[at + 4 : at + 4 + length]) + chunk(b"IEND", b"")
    assert one(broken)
    assert "can't be decoded" in reason(broken, limits=Limits(check="decode"))
    assert isinstance(admit(save(picture(), "JPEG"), "", Limits(check="decode")), list)


def test_notes_and_profiles_are_not_kept():
    data = save(picture(), "TIFF", icc_profile=b"profile", description="of a wall", dpi=(300, 300))
    made = one(data).data
    kinds = {made[at - 4 : at] for at in range(4, len(made)) if made[at - 4 : at].isalpha()}
    assert not kinds & {b"iCCP", b"tEXt", b"eXIf", b"pHYs", b"gAMA"}


def test_what_pillow_warns_of_is_no_reason():
    """Warnings are errors here, and need not be elsewhere."""
    data = save(picture(), "TIFF", tiffinfo={274: 3})
    entry = data.index(b"\x12\x01\x03\0\1\0\0\0")  # an orientation too many
    data = data[: entry + 4] + b"\2" + data[entry + 5 :]
    found = one(data)
    with pytest.warns(UserWarning, match="too many entries"), Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(array(found.data), np.asarray(image))
