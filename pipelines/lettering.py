"""Words in a picture: whatever script a name is in, as far as this machine has a font for it.

A name is cut into runs, each in the first font that has its characters. What no font has is written as
`U+4E2D`, which at least tells two names apart. Pillow brings one small font of its own, so there always is
one; which fonts there are beside it depends on the machine, and so pictures with words are no part of an
artifact's digest.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import ImageFont

REGULAR = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial.ttf",
)  # fmt: skip
BOLD = (
    "DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "LiberationSans-Bold.ttf", "segoeuib.ttf", "Arial Bold.ttf",
)  # fmt: skip
WIDE = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "SourceHanSans-Regular.ttc", "PingFang.ttc",
    "Hiragino Sans GB.ttc", "msyh.ttc", "malgun.ttf", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf", "unifont.ttf",
)  # fmt: skip
"""Fonts of scripts that those above don't have, looked for where a name needs one."""
ABSENT = "\U0010fffd"
"""A character that no font has, to see what a font draws for those."""
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Lettering:
    """Text of one size and weight.

    Attributes:
        size: in pixels.
        bold: whether it is bold, where the machine has a bold font.
    """

    size: int
    bold: bool = False

    @property
    def height(self) -> int:
        """Of a line, in pixels."""
        return round(self.size * 1.35)

    def width(self, text: str) -> int:
        """Of a text on one line, in pixels."""
        return int(sum(font.getlength(run) for font, run in self._runs(text)) + 0.5)

    def draw(self, on: Any, place: tuple[int, int], text: str, color: Color) -> None:
        """Writes a text on one line.

        Args:
            on: a `PIL.ImageDraw.ImageDraw`.
            place: left and upper edge of the line, in pixels.
            text: what to write.
            color: of the letters.
        """
        left, top = float(place[0]), place[1] + round(self.size * 1.05)
        for font, run in self._runs(text):
            on.text((round(left), top), run, font=font, fill=color, anchor="ls")
            left += font.getlength(run)

    def fit(self, text: str, width: int) -> str:
        """The text if it is no wider than that, else its beginning and end around an ellipsis.

        The end of a name often is what tells it from the next, and so it is kept too.
        """
        text = visible(text)
        if self.width(text) <= width:
            return text
        least, most = 0, min(len(text), 400)
        while least < most:  # the most characters that fit
            some = (least + most + 1) // 2
            least, most = (some, most) if self.width(_cut(text, some)) <= width else (least, some - 1)
        return _cut(text, least)

    def wrap(self, text: str, width: int, lines: int) -> list[str]:
        """The text on so many lines at most, broken at spaces where there are some; the last one is cut."""
        words, found = visible(text).split(" "), [""]
        while words:
            longer = f"{found[-1]} {words[0]}".strip()
            if self.width(longer) <= width or not found[-1]:
                found[-1] = longer
            elif len(found) < lines:
                found.append(words[0])
            else:
                found[-1] = " ".join([found[-1], *words])
                break
            words.pop(0)
        return [self.fit(line, width) for line in found]

    def _runs(self, text: str) -> list[tuple[Any, str]]:
        """Font and text of each run that one font can write."""
        runs: list[tuple[Any, str]] = []
        for letter in text:
            font, drawn = _font_of(letter, self.size, self.bold)
            if runs and (unicodedata.combining(letter) or runs[-1][0] is font):
                runs[-1] = (runs[-1][0], runs[-1][1] + drawn)
            else:
                runs.append((font, drawn))
        return runs


def visible(text: str) -> str:
    """The text with what can't be seen, such as a newline in a file's name, written as in Python."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def _cut(text: str, length: int) -> str:
    end = length // 3
    return text[: length - end] + "…" + text[len(text) - end :]


@lru_cache(4096)
def _font_of(letter: str, size: int, bold: bool) -> tuple[Any, str]:
    """A font that has the letter, and what to write with it."""
    own = _fonts(BOLD if bold else REGULAR, size)[:1]
    for font in (*own, _default(size)):
        if _has(font, letter):
            return font, letter
    for font in (*_fonts(REGULAR, size), *_fonts(WIDE, size)):
        if _has(font, letter):
            return font, letter
    plain = "".join(c for c in unicodedata.normalize("NFKD", letter) if c.isascii())
    return (own or [_default(size)])[0], plain or f"U+{ord(letter):04X}"


@lru_cache
def _fonts(names: tuple[str, ...], size: int) -> list[Any]:
    """Those that the machine has."""
    found = []
    for name in names:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return found


@lru_cache
def _default(size: int) -> Any:
    return ImageFont.load_default(size)


def _has(font: Any, letter: str) -> bool:
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(ABSENT))
