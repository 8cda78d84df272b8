"""What comes from elsewhere cannot take a terminal over, and tables line up."""

from hypothesis import given
from hypothesis import strategies as st

from leasehold.base.terminal import aligned, one_line, printable


def test_nothing_moves_the_cursor_or_turns_the_text() -> None:
    assert one_line("a\x1b[2J\nb\u202e") == "a�[2J b�"
    assert one_line("x" * 1000) == "x" * 1000


@given(st.text())
def test_all_text_becomes_printable(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("NAME", "AGE"), ("a", "12d"), ("longer", "")]
    assert aligned(rows, gap=2, indent=" ") == " NAME    AGE\n a       12d\n longer\n"
    assert aligned([], gap=2) == ""
