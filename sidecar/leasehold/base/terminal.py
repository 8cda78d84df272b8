"""Text for a terminal: nothing in it can move the cursor, and tables line up."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def printable(text: str) -> str:
    """The text with a replacement character for everything invisible, and for what changes the writing direction."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def one_line(text: str) -> str:
    """The same, on one line: each run of white space becomes a single space."""
    return printable(" ".join(text.split()))


def aligned(rows: Sequence[Row], *, gap: int, indent: str = "") -> str:
    """Rows of as many cells each, as lines of columns that are `gap` spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ((" " * gap).join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "".join(f"{indent}{line}\n" for line in lines)
