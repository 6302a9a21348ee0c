from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headrace.components.report.contact_sheet import IMAGES, ROWS, WIDTH, Row, contact_sheet
from headrace.pipelines.lettering import Lettering

TEXT = Lettering(14)


def read(png: bytes) -> Any:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def holds(sheet: Any, color: tuple[int, int, int]) -> int:
    """How many pixels have a color."""
    return int((sheet == np.array(color, np.uint8)).all(axis=2).sum())


def plain(color: tuple[int, ...], height: int = 8, width: int = 8) -> Any:
    return np.full((height, width, len(color)), color, np.uint8)


def test_small_images_are_enlarged_by_a_whole_factor_and_large_ones_reduced() -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2
    small = np.where(checks[..., None], np.uint8([250, 10, 20]), np.uint8([10, 250, 20]))
    sheet = read(contact_sheet("t", [Row("small", [small])], cell=100))
    assert holds(sheet, (250, 10, 20)) == holds(sheet, (10, 250, 20)) == 32 * 12 * 12
    large = read(contact_sheet("t", [Row("large", [plain((9, 200, 9), 300, 600)])], cell=100))
    assert holds(large, (9, 200, 9)) == 100 * 50


def test_gray_and_transparent_images() -> None:
    kinds = [np.full((8, 8), 77, np.uint8), plain((78,)), plain((79, 255)), plain((200, 3, 3, 255))]
    sheet = read(contact_sheet("t", [Row("kinds", kinds)], cell=64))
    for gray in (77, 78, 79):
        assert holds(sheet, (gray, gray, gray)) >= 64 * 64
    assert holds(sheet, (200, 3, 3)) == 64 * 64
    clear = read(contact_sheet("t", [Row("clear", [plain((200, 3, 3, 0))])], cell=64))
    assert holds(clear, (200, 3, 3)) == 0
    assert holds(clear, (216, 220, 226)) == 64 * 64 // 2


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 5), np.uint8), np.zeros((0, 8, 3), np.uint8)]
)
def test_what_is_no_image_is_refused(image: Any) -> None:
    with pytest.raises(ValueError, match="an image "):
        contact_sheet("t", [Row("wrong", [image])])


def test_many_rows_and_images_are_bounded_and_stand_in_several_blocks() -> None:
    red = plain((255, 0, 0), 1, 1)
    sheet = read(contact_sheet("t", [Row(f"class {i}", [red, red]) for i in range(1000)], cell=16))
    assert holds(sheet, (255, 0, 0)) == ROWS * 2 * 16 * 16
    assert sheet.shape[1] <= WIDTH
    assert sheet.shape[0] < 1.5 * sheet.shape[1]
    many = read(contact_sheet("t", [Row("one", [red] * 500)], cell=96))
    assert holds(many, (255, 0, 0)) == IMAGES * 96 * 96
    assert many.shape[1] <= WIDTH


def test_cells_shrink_before_a_sheet_becomes_a_ribbon_unless_captions_need_them() -> None:
    red = plain((255, 0, 0), 1, 1)
    few, many = ([Row("name", [red] * 10) for _ in range(count)] for count in (5, 30))
    assert holds(read(contact_sheet("t", few)), (255, 0, 0)) == 50 * 96 * 96
    sheet = read(contact_sheet("t", many))
    assert 300 * 48 * 48 <= holds(sheet, (255, 0, 0)) < 300 * 96 * 96
    assert sheet.shape[0] < 1.3 * sheet.shape[1]
    told = [Row("name", [red] * 10, ["a"]) for _ in range(30)]
    assert holds(read(contact_sheet("t", told)), (255, 0, 0)) == 300 * 96 * 96


def test_nothing_to_show_is_a_sheet_too() -> None:
    assert read(contact_sheet("t", [])).shape[2] == 3
    assert read(contact_sheet("t", [Row("empty", [])])).shape[0] > read(contact_sheet("t", [])).shape[0] - 40


def test_captions_are_drawn_and_equal_sheets_are_equal_bytes() -> None:
    image = plain((0, 0, 255))
    rows = [Row("Größe", [image, image], ["a", "b"], note="2 images")]
    bare = [Row("Größe", [image, image])]
    assert contact_sheet("t", rows, note="note") == contact_sheet("t", rows, note="note")
    assert contact_sheet("t", rows) != contact_sheet("t", bare)
    assert read(contact_sheet("t", rows)).shape[0] > read(contact_sheet("t", bare)).shape[0]


@pytest.mark.parametrize(
    "name", ["short", "x" * 4000, "Ελληνικά и русский", "日本語の名前", "línea\nnueva\x00", "e\u0301te\u0301"]
)
def test_names_in_any_script_fit(name: str) -> None:
    image = plain((0, 0, 255))
    read(contact_sheet(name, [Row(name, [image], [name], note=name)], note=name))
    assert TEXT.width(TEXT.fit(name, 120)) <= 120


def test_long_names_keep_both_ends_and_what_cannot_be_seen_is_written_out() -> None:
    cut = TEXT.fit("photos/holiday/2021/IMG_2034.jpg", 120)
    assert cut.startswith("photos") and cut.endswith("jpg") and "…" in cut
    assert TEXT.fit("a\nb", 100) == "a\\nb"
    assert TEXT.wrap("one two three four", TEXT.width("one two three"), 2) == ["one two three", "four"]
    lines = TEXT.wrap("one two three four five six", TEXT.width("one two"), 2)
    assert len(lines) == 2 and lines[1].endswith("ix")
