"""Text of the page: everything that comes from data goes through `safe`."""

from __future__ import annotations

import html
import unicodedata
from datetime import UTC, datetime, timedelta

LONGEST = 60
NONE = "\u2013"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def safe(value: object, most: int = LONGEST) -> str:
    """A value as HTML text that can't be markup, act on its surroundings or grow without bound.

    Args:
        value: anything; its text is taken.
        most: characters that are shown, behind which there is an ellipsis.
    """
    text = str(value)
    cut = text[:most] + ("…" if len(text) > most else "")
    # Control and format characters could turn the direction of what follows.
    shown = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in cut)
    return html.escape(shown, quote=True)


def number(value: float | None) -> str:
    """A number with thin spaces between thousands, five significant digits, or a dash for none."""
    if value is None:
        return NONE
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.5g}"


def share(part: float, whole: float) -> str:
    """A share in per cent; `<0.1%` and `>99.9%` are neither none nor all."""
    if not whole:
        return NONE
    found = part / whole
    if 0 < found < 0.001:
        return "&lt;0.1%"
    if 0.999 < found < 1:
        return "&gt;99.9%"
    return f"{found:.1%}".replace(".0%", "%")


def moment(microseconds: float | None) -> str:
    """Microseconds since 1970-01-01 UTC as a date, with the time where it isn't midnight."""
    if microseconds is None:
        return NONE
    try:
        when = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return number(microseconds)
    text = when.strftime("%Y-%m-%d %H:%M:%S")
    return text.removesuffix(" 00:00:00")
