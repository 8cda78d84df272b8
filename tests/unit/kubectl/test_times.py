"""Durations and ages as kubectl has them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.kubectl.times import age, parse_duration, since


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("1.5h", 5400), ("500ms", 0.5), ("0", 0), ("7", 7), ("-1s", -1), ("2h3m4s", 7384)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "3x", "1 m", "1m-3s", "--1s", "1.5", "٣s", "9999999h", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a number with its unit|at most a year"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-3600, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (8 * 3600 + 300, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (9 * 86400 + 3600, "9d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
        (float("nan"), "<invalid>"),
    ],
)
def test_ages(seconds: float, told: str) -> None:
    assert age(seconds) == told


def test_instants() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert since("2026-01-02T03:03:05Z", now) == "60s"
    assert since("2026-01-02T03:03:05.123456Z", now) == "59s"
    assert since("2026-01-02T03:03:05", now) == "60s"
    assert since("", now) == since("soon", now) == "<unknown>"


@given(st.text(max_size=30), st.integers(0, 10**11))
def test_whatever_is_read_nothing_breaks(text: str, seconds: int) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert since(text, now)
    try:
        read = parse_duration(text)
    except ValueError:
        return
    assert abs(read) <= timedelta(days=366).total_seconds()
    assert age(seconds)
