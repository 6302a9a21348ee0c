"""A contact sheet: many small pictures in rows with captions, as one PNG file.

    Digits                                   Two blocks side by side where the rows are short,
    0 · train   ▢ ▢ ▢ ▢    0 · test  ▢ ▢     so that a sheet of a hundred classes is no ribbon.
    1 · train   ▢ ▢ ▢ ▢    1 · test  ▢ ▢

Small images are enlarged by a whole factor without smoothing, so that each pixel can be seen; large ones are
reduced. Which fonts there are depends on the machine, so declare the file `volatile` in an artifact.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ...pipelines.lettering import Lettering

Pixels = npt.NDArray[np.uint8]

PAPER, INK, SOFT, LINE = (255, 255, 255), (28, 36, 48), (102, 112, 127), (227, 231, 236)
CHECKS = ((255, 255, 255), (216, 220, 226))
"""What lies under transparent pixels."""
TITLE, NAME, SMALL = Lettering(21, bold=True), Lettering(14, bold=True), Lettering(12)
MARGIN, GAP, ROW_GAP, BLOCK_GAP = 26, 6, 12, 32
WIDTH = 1900
"""Pixels that a sheet is wide at most, but for rows of one image in very large cells."""
ROWS, IMAGES = 60, 24
"""What is shown at most: rows, and images of a row; the sheet says how many more there are."""
CAPTION = 190
"""Pixels that the captions of rows have at most."""
TALL = 1.3
"""Times its width that a sheet may be high before another block is begun beside the first."""
SMALLEST = 40
"""Pixels that a cell is not reduced below."""


@dataclass(frozen=True)
class Row:
    """Images with a caption.

    Attributes:
        caption: in any script; long ones are cut in the middle.
        images: uint8 `[h, w]` or `[h, w, c]` of any size, c being 1 (gray), 2 (gray, alpha), 3 or 4 (alpha).
        captions: a text under each image, of two lines at most; empty for none.
        note: smaller, under the caption, as `1,203 images`.
    """

    caption: str
    images: Sequence[Pixels]
    captions: Sequence[str] = ()
    note: str = ""


def contact_sheet(title: str, rows: Sequence[Row], cell: int = 96, note: str = "") -> bytes:
    """Draws the sheet.

    Args:
        title: the heading.
        rows: from top to bottom; `ROWS` of them at most are drawn, and `IMAGES` of each.
        cell: pixels of the square that an image is fitted into; down to half as many where the sheet would
            be a ribbon, unless images have captions.
        note: smaller, under the heading; broken over lines where it is long.

    Returns:
        A PNG file.

    Raises:
        ValueError: an image is not uint8, or has another shape than those that `Row` tells.
    """
    cells = [cell] if any(row.captions for row in rows) else _cells(cell)
    for size in cells:
        drawn = [_DrawnRow(row, size) for row in rows[:ROWS]]
        plan = _Plan.of(drawn, size)
        if plan.height <= TALL * plan.width:
            break
    heading = TITLE.fit(title, plan.width - 2 * MARGIN)
    told = SMALL.wrap(note, plan.width - 2 * MARGIN, 3) if note else []
    top = MARGIN + TITLE.height + len(told) * SMALL.height + 14
    left_out = len(rows) - len(drawn)
    foot = f"… and {left_out:,} more rows" if left_out else ("" if rows else "nothing to show")
    height = top + plan.height + (SMALL.height + 8 if foot else 0) + MARGIN
    sheet = Image.new("RGB", (plan.width, height), PAPER)
    on = ImageDraw.Draw(sheet)
    TITLE.draw(on, (MARGIN, MARGIN - 4), heading, INK)
    for i, line in enumerate(told):
        SMALL.draw(on, (MARGIN, MARGIN + TITLE.height + i * SMALL.height), line, SOFT)
    for i, block in enumerate(plan.blocks):
        left, y = MARGIN + i * (plan.block_width + BLOCK_GAP), top
        for row in block:
            row.draw(sheet, on, left, y, plan)
            y += row.height(plan.per_line) + ROW_GAP
    if foot:
        SMALL.draw(on, (MARGIN, top + plan.height + 8), foot, SOFT)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _cells(cell: int) -> list[int]:
    """The sizes of cells that are tried."""
    return [cell, *(size for size in (3 * cell // 4, 2 * cell // 3, cell // 2) if size >= SMALLEST)]


class _DrawnRow:
    """A row with its images fitted into cells."""

    def __init__(self, row: Row, cell: int) -> None:
        self.row = row
        self.cell = cell
        self.images = [_fitted(image, cell) for image in row.images[:IMAGES]]
        self.captions = [SMALL.wrap(text, cell, 2) for text in row.captions[: len(self.images)]]
        # Wide images would leave as much paper above and below them as they are high.
        self.tall = max((image.height for image in self.images), default=cell // 2)
        more = len(row.images) - len(self.images)
        self.notes = [text for text in (row.note, f"… {more:,} more" if more else "") if text]

    @property
    def caption_width(self) -> int:
        words = [NAME.width(NAME.fit(self.row.caption, CAPTION))]
        return max([*words, *(SMALL.width(SMALL.fit(text, CAPTION)) for text in self.notes)])

    @property
    def line_height(self) -> int:
        return self.tall + (SMALL.height * max(map(len, self.captions)) + 4 if self.captions else 0)

    def height(self, per_line: int) -> int:
        lines = max(-(-len(self.images) // per_line), 1)
        return max(lines * (self.line_height + GAP) - GAP, self._words_height())

    def draw(self, sheet: Any, on: Any, left: int, top: int, plan: _Plan) -> None:
        y = top + max((self.tall - self._words_height()) // 2, 0)
        for line in NAME.wrap(self.row.caption, plan.caption, 2):
            NAME.draw(on, (left, y), line, INK)
            y += NAME.height
        for text in self.notes:
            SMALL.draw(on, (left, y), SMALL.fit(text, plan.caption), SOFT)
            y += SMALL.height
        first = left + plan.caption + (14 if plan.caption else 0)
        if not self.images:
            SMALL.draw(on, (first, top + (self.tall - SMALL.height) // 2), "no images", SOFT)
        for i, image in enumerate(self.images):
            x = first + i % plan.per_line * (self.cell + GAP)
            y = top + i // plan.per_line * (self.line_height + GAP)
            at = x + (self.cell - image.width) // 2, y + (self.tall - image.height) // 2
            sheet.paste(image, at)
            # A hair line, since a white image on white paper has no edge.
            on.rectangle((at[0] - 1, at[1] - 1, at[0] + image.width, at[1] + image.height), outline=LINE)
            for j, text in enumerate(self.captions[i] if i < len(self.captions) else ()):
                under = y + self.tall + 3 + j * SMALL.height
                SMALL.draw(on, (x + (self.cell - SMALL.width(text)) // 2, under), text, SOFT)

    def _words_height(self) -> int:
        lines = len(NAME.wrap(self.row.caption, CAPTION, 2))
        return lines * NAME.height + len(self.notes) * SMALL.height


@dataclass(frozen=True)
class _Plan:
    """Where everything goes: rows in blocks side by side, each a column of captions and one of images."""

    blocks: Sequence[Sequence[_DrawnRow]]
    caption: int
    per_line: int
    block_width: int
    width: int
    height: int

    @classmethod
    def of(cls, rows: Sequence[_DrawnRow], cell: int) -> _Plan:
        caption = max((row.caption_width for row in rows), default=0)
        beside = caption + (14 if caption else 0)
        most = max((len(row.images) for row in rows), default=1)
        per_line = max(min(most, (WIDTH - 2 * MARGIN - beside + GAP) // (cell + GAP)), 1)
        block_width = beside + per_line * (cell + GAP) - GAP
        fit = max((WIDTH - 2 * MARGIN + BLOCK_GAP) // (block_width + BLOCK_GAP), 1)
        heights = [row.height(per_line) + ROW_GAP for row in rows]
        for count in range(1, fit + 1):
            blocks = _dealt(rows, heights, count)
            width = 2 * MARGIN + len(blocks) * (block_width + BLOCK_GAP) - BLOCK_GAP
            height = max((sum(row.height(per_line) + ROW_GAP for row in b) for b in blocks), default=0)
            if height <= TALL * width:
                break
        return cls(blocks, caption, per_line, block_width, max(width, 420), max(height - ROW_GAP, 0))


def _dealt(rows: Sequence[_DrawnRow], heights: Sequence[int], count: int) -> list[list[_DrawnRow]]:
    """The rows in so many blocks of about the same height, in their order; one block at the least."""
    share = sum(heights) / count
    blocks: list[list[_DrawnRow]] = [[]]
    filled = 0.0
    for row, height in zip(rows, heights, strict=True):
        if blocks[-1] and filled + height / 2 > share * len(blocks):
            blocks.append([])
        blocks[-1].append(row)
        filled += height
    return blocks


def _fitted(image: Pixels, cell: int) -> Any:
    """As a PIL image that is no wider and no higher than the cell, and as large as its shape allows."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
        raise ValueError(f"an image is uint8 [h, w, c], and here is {image.dtype} {list(image.shape)}")
    if image.ndim == 2:
        image = image[:, :, None]
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    if image.shape[2] not in modes:
        raise ValueError(f"an image has 1 to 4 channels, and here are {image.shape[2]}")
    made = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image))
    if image.shape[2] in (2, 4):
        made = _on_checks(made.convert("RGBA"))
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= cell:
        factor = cell // longer
        return made.resize((width * factor, height * factor), Image.Resampling.NEAREST).convert("RGB")
    size = max(round(width * cell / longer), 1), max(round(height * cell / longer), 1)
    return made.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).convert("RGB")


def _on_checks(image: Any) -> Any:
    """An image with alpha on the squares that stand for "nothing here"."""
    side = max(max(image.size) // 8, 1)
    y, x = np.indices((image.height, image.width)) // side
    paper = np.array(CHECKS, np.uint8)[(y + x) % 2]
    return Image.alpha_composite(Image.fromarray(paper).convert("RGBA"), image)
