"""JPEG and PNG by their structure: what is refused, and why."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from headrace.components.images.jpeg import read_jpeg
from headrace.components.images.png import read_png
from headrace.components.images.unusable import UnusableImageError

from .picture_files import chunk, damaged, drawn, picture, png, save

MOST = 1_000_000
JPEG = save(picture(), "JPEG")
PROGRESSIVE = save(picture(), "JPEG", progressive=True)


def jpeg_reason(data: bytes) -> str:
    with pytest.raises(UnusableImageError) as found:
        read_jpeg(data, MOST)
    return found.value.reason


def png_reason(data: bytes) -> str:
    with pytest.raises(UnusableImageError) as found:
        read_png(data, MOST)
    return found.value.reason


def changed(data: bytes, mark: bytes, offset: int, to: bytes) -> bytes:
    at = data.index(mark) + offset
    return data[:at] + to + data[at + len(to) :]


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        (0xC3, "a lossless JPEG"),
        (0xC5, "a hierarchical JPEG"),
        (0xC9, "an arithmetic-coded JPEG"),
        (0xCB, "a lossless arithmetic-coded JPEG"),
        (0xF7, "a JPEG-LS image"),
    ],
)
def test_kinds_of_jpeg_that_nothing_here_decodes(marker, told):
    assert jpeg_reason(changed(JPEG, b"\xff\xc0", 1, bytes([marker]))).startswith(f"it is {told}")


@pytest.mark.parametrize(
    ("offset", "to", "told"),
    [
        (4, b"\x0c", "12 bits a channel"),
        (5, b"\0\0", "its size is given as 36x0"),
        (9, b"\x02", "a wrong length"),
        (11, b"\x33", "units that are too large"),
        (11, b"\x51", "makes no sense"),
        (11, b"\x02", "makes no sense"),
        (12, b"\x07", "a quantization table is missing"),
        (13, b"\x01", "makes no sense"),
    ],
)
def test_frames_that_make_no_sense(offset, to, told):
    assert told in jpeg_reason(changed(JPEG, b"\xff\xc0", offset, to))


@pytest.mark.parametrize(
    ("offset", "to", "told"),
    [
        (4, b"\x05", "a wrong length"),
        (5, b"\x09", "components that the frame doesn't have"),
        (6, b"\x33", "a Huffman table is missing"),
    ],
)
def test_scans_that_make_no_sense(offset, to, told):
    assert told in jpeg_reason(changed(JPEG, b"\xff\xda", offset, to))


def test_progressive_scans():
    scan = PROGRESSIVE.index(b"\xff\xda")
    length = int.from_bytes(PROGRESSIVE[scan + 2 : scan + 4], "big")
    assert "parameters" in jpeg_reason(changed(PROGRESSIVE, b"\xff\xda", length, b"\x05"))
    # Without its first scan the colours are missing.
    behind = PROGRESSIVE.index(b"\xff\xc4", scan)
    assert "cut off" in jpeg_reason(PROGRESSIVE[:scan] + PROGRESSIVE[behind:])
    again = PROGRESSIVE[scan:behind]
    assert "more than 200 scans" in jpeg_reason(PROGRESSIVE[:scan] + again * 201 + PROGRESSIVE[behind:])


def test_marks_within_the_coded_data():
    inside = JPEG.index(b"\xff\xda") + 40
    for mark, told in ((b"\xff\xd3", "mark 0xd3"), (b"\xff\xd8", "mark 0xd8"), (b"\xff\x05", "mark 0x05")):
        assert told in jpeg_reason(JPEG[:inside] + mark + b"\0\4\0\0" + JPEG[inside:])
    restarts = save(picture(), "JPEG", restart_marker_blocks=1)
    read_jpeg(restarts, MOST)
    assert "out of order" in jpeg_reason(restarts.replace(b"\xff\xd1", b"\xff\xd4", 1))
    read_jpeg(JPEG[:-2] + b"\xff\xff\xff\xd9", MOST)  # fill bytes are nothing
    tables = JPEG.index(b"\xff\xdb")
    read_jpeg(JPEG[:tables] + bytes(3) + JPEG[tables:], MOST)  # nor are zeros
    assert "no segment begins" in jpeg_reason(JPEG[:tables] + b"ab" + JPEG[tables:])
    assert "cut off within its header" in jpeg_reason(JPEG[:tables] + bytes(99))


def test_tables_may_be_left_out_altogether():
    """As single pictures of a Motion JPEG do."""
    plain = JPEG
    while (at := plain.find(b"\xff\xc4")) > 0:
        plain = plain[:at] + plain[at + 2 + int.from_bytes(plain[at + 2 : at + 4], "big") :]
    assert read_jpeg(plain, MOST).height == 24
    assert "a Huffman table is missing" in jpeg_reason(
        JPEG[: JPEG.index(b"\xff\xc4")] + JPEG[JPEG.rindex(b"\xff\xc4") :]
    )


def test_chunks_that_make_no_sense():
    good = png(2, 2, 8, 0, b"\0\1\2\0\3\4")
    read_png(good, MOST)
    assert "checksum" in png_reason(good[:-20] + b"x" + good[-19:])
    assert "in one place" in png_reason(
        good[:-12] + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", b"") + good[-12:]
    )
    assert "two chunks IHDR" in png_reason(good[:33] + good[8:])
    assert "that nothing can read" in png_reason(good[:33] + chunk(b"ABCD", b"") + good[33:])
    assert "Apple's variant" in png_reason(good[:8] + chunk(b"CgBI", bytes(4)) + good[8:])
    assert "holds no picture" in png_reason(good[:33] + chunk(b"IEND", b""))
    assert "doesn't begin with its header" in png_reason(good[:8] + good[33:])
    assert "cut off" in png_reason(good[:-12])
    assert "cut off" in png_reason(good[:33] + struct.pack(">I", 1 << 30) + good[37:])
    assert "palette" in png_reason(png(2, 2, 8, 3, b"\0\1\2\0\3\4"))
    assert "a filter that there isn't" in png_reason(png(2, 2, 8, 0, b"\0\1\2\7\3\4"))
    assert "cut off" in png_reason(png(2, 2, 8, 0, b"\0\1\2\0"))
    for header in ((0, 2, 8, 0), (2, 2, 3, 0), (2, 2, 4, 2), (2, 2, 8, 5), (2_000_000, 1, 8, 0)):
        assert png_reason(png(*header, b"\0\1\2\0\3\4")).startswith("the PNG is damaged: its")


def test_chunks_with_sums_around_damage():
    stream = bytearray(zlib.compress(b"\0" + bytes(64)))
    stream[-1] ^= 1
    head = png(64, 1, 8, 0, b"")[:33]
    data = head + chunk(b"IDAT", bytes(stream)) + chunk(b"IEND", b"")
    assert "decompressed" in png_reason(data)


def test_damaged_files_are_read_or_refused_and_nothing_else():
    rng = random.Random(1)
    refused = 0
    for _ in range(600):
        data = damaged(drawn(rng), rng)
        try:
            (read_jpeg if data[:1] == b"\xff" else read_png)(data, MOST)
        except UnusableImageError as error:
            assert error.reason
            refused += 1
    assert 300 < refused < 600


def test_files_of_very_many_pieces():
    assert "more than 10,000 segments" in jpeg_reason(JPEG[:2] + b"\xff\xfe\0\2" * 20_000 + JPEG[2:])
    good = png(2, 2, 8, 0, b"\0\1\2\0\3\4")
    assert "very many chunks" in png_reason(good[:33] + chunk(b"tEXt", b"") * 20_000 + good[33:])
