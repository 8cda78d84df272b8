"""The publisher: newest snapshot, and listeners that cannot harm the election."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.names import LockName

IDLE = Snapshot(LockName("prod", "billing"), "billing-0", State.IDLE)
WAITING = replace(IDLE, state=State.WAITING, position=1)


def board() -> Publisher:
    return Publisher(IDLE, lambda: 0.0)


def test_a_listener_hears_each_change_once() -> None:
    heard: list[tuple[Snapshot, Snapshot]] = []
    b = board()
    b.listen(lambda before, after: heard.append((before, after)))
    b.publish(WAITING)
    b.publish(replace(WAITING))
    assert heard == [(IDLE, WAITING)]
    assert b.snapshot is not IDLE


def test_whoever_is_waited_for_hears_first() -> None:
    heard: list[str] = []
    b = board()
    b.listen(lambda before, after: heard.append("metrics"))
    b.listen(lambda before, after: heard.append("stream"), first=True)
    b.publish(WAITING)
    assert heard == ["stream", "metrics"]


def test_what_was_put_is_told_later_in_order() -> None:
    """The snapshot counts from when it was put; listeners hear each change once, also of two in a row."""
    heard: list[tuple[Snapshot, Snapshot]] = []
    b = board()
    b.listen(lambda before, after: heard.append((before, after)))
    b.put(WAITING)
    assert (b.snapshot, heard) == (WAITING, [])
    b.publish(IDLE)
    assert heard == [(IDLE, WAITING), (WAITING, IDLE)]
    b.notify()
    assert len(heard) == 2


def test_a_stopped_listener_hears_nothing() -> None:
    """A listener may stop twice."""
    heard: list[Snapshot] = []
    b = board()
    stop = b.listen(lambda before, after: heard.append(after))
    stop()
    stop()
    b.publish(WAITING)
    assert heard == []


def test_a_listener_may_stop_another_while_it_is_told() -> None:
    heard: list[str] = []
    b = board()
    b.listen(lambda before, after: stop())
    stop = b.listen(lambda before, after: heard.append("second"))
    b.publish(WAITING)
    b.publish(IDLE)
    assert heard == ["second"]


def test_a_listener_that_fails_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Snapshot] = []
    b = board()
    b.listen(lambda before, after: 1 // 0)  # type: ignore[arg-type]  # fails before it returns
    b.listen(lambda before, after: heard.append(after))
    with caplog.at_level(logging.ERROR):
        b.publish(WAITING)
    assert heard == [WAITING]
    assert "a listener of the election's snapshots failed" in caplog.text
