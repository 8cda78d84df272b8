"""The log of the election: every change, every problem once, and no flood of either."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from leasehold.candidate.journal import QUIET_SECONDS, Journal
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Cause, Snapshot, State
from leasehold.lock.names import LockName
from leasehold.lock.reason import Code, Reason
from tests.support.http_client import until

IDLE = Snapshot(LockName("prod", "db"), "me", State.IDLE)
HOLDING = replace(IDLE, state=State.HOLDING, token=7, deadline=1e9, leader="me")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def board(clock: Clock, caplog: pytest.LogCaptureFixture) -> Publisher:
    board = Publisher(IDLE, clock)
    caplog.set_level(logging.INFO, logger="leasehold.journal")
    Journal(board).start()
    return board


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged since the last look."""
    messages = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return messages


async def test_a_term_is_told(board: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    board.publish(HOLDING)
    assert vars(caplog.records[-1])["fields"] == {"lock": "prod/db", "token": 7}
    assert said(caplog) == ["gained: this sidecar leads"]
    board.publish(replace(HOLDING, deadline=2e9))
    assert said(caplog) == []
    board.publish(replace(HOLDING, state=State.YIELDING, cause=Cause.REQUEST, leader="other"))
    assert said(caplog) == ["lost leadership: request", "another leads"]


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (replace(HOLDING, state=State.YIELDING, cause=Cause.SHUTDOWN), "shutdown"),
        (replace(IDLE, last_error="our key was deleted."), "our key was deleted"),
        (replace(HOLDING, state=State.UNSURE, last_error="no etcd"), "the lease deadline has passed (no etcd)"),
        (replace(HOLDING, token=8), "a new term has begun"),
    ],
)
async def test_a_loss_names_its_cause(
    board: Publisher, caplog: pytest.LogCaptureFixture, after: Snapshot, why: str
) -> None:
    """On the one line that somebody greps for at night."""
    board.publish(HOLDING)
    board.publish(after)
    assert f"lost leadership: {why}" in said(caplog)


async def test_a_new_reason_is_told(board: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    """Once: not again if only its detail changes."""
    behind = replace(IDLE, state=State.WAITING, reason=Reason(Code.BEHIND, "2 ahead"))
    board.publish(behind)
    board.publish(replace(behind, reason=Reason(Code.BEHIND, "1 ahead")))
    board.publish(replace(behind, reason=Reason(Code.SUSPENDED)))
    assert said(caplog) == [
        "does not lead: others stand ahead in the queue: 2 ahead",
        "does not lead: the lock is suspended",
    ]


async def test_a_problem_is_told_once_and_its_end(board: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(IDLE, last_error="no connection to etcd.")
    board.publish(broken)
    board.publish(replace(broken, state=State.JOINING))
    assert said(caplog) == ["no connection to etcd; trying again"]
    board.publish(IDLE)
    assert said(caplog) == ["recovered"]


async def test_problems_that_take_turns_make_no_flood(
    board: Publisher, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(10):
        board.publish(replace(IDLE, last_error="one"))
        board.publish(replace(IDLE, last_error="other"))
    assert said(caplog) == ["one; trying again", "other; trying again"]
    clock.now += QUIET_SECONDS
    board.publish(replace(IDLE, last_error="one"))
    assert said(caplog) == ["one; trying again"]
    for number in range(1000):
        board.publish(replace(IDLE, last_error=f"number {number}"))
    assert len(said(caplog)) < 40


async def test_a_lapse_by_the_clock_alone_is_told(
    board: Publisher, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """No snapshot says so: the deadline has passed."""
    clock.now = 100.0
    board.publish(replace(HOLDING, deadline=100.05))
    said(caplog)
    clock.now = 101.0
    await until(lambda: bool(caplog.records))
    assert said(caplog)[0] == "lost leadership: the lease deadline has passed"
