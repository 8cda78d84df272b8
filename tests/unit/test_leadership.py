"""What a snapshot means at an instant, and which changes follow from two of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from leasehold.candidate.leadership import Change, ChangeFeed, LeadershipStatus, changes, iso
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from tests.support.snapshots import HOLDING, LOCK, WAITING


def test_a_holder_before_its_deadline_leads() -> None:
    standing = LeadershipStatus.at(HOLDING, 100.0)
    assert standing.fields(1_000_000_000.0) == {
        "lock": "prod/billing",
        "identity": "billing-0",
        "leading": True,
        "token": 17,
        "key": "/queue/1f",
        "validForSeconds": 10.0,
        "leader": "billing-0",
        "since": "2001-09-09T01:46:30Z",
        "position": 0,
        **dict.fromkeys(("reason", "reasonCode", "reasonSince", "reasonUntil")),
    }


def test_at_the_deadline_it_does_not_lead() -> None:
    """It shows no token either."""
    fields = LeadershipStatus.at(HOLDING, 110.0).fields(0.0)
    assert (fields["leading"], fields["token"], fields["validForSeconds"], fields["since"]) == (False, None, 0.0, None)


def test_a_follower_does_not_name_itself() -> None:
    """Clients of the old leader-elector compare the leader's name with their own."""
    assert LeadershipStatus.at(HOLDING, 110.0).leader is None
    assert LeadershipStatus.at(replace(HOLDING, state=State.YIELDING), 100.0).leader is None
    assert LeadershipStatus.at(WAITING, 100.0).leader == "billing-1"


def test_a_waiters_token_and_key_are_not_shown() -> None:
    standing = LeadershipStatus.at(WAITING, 100.0)
    assert (standing.token, standing.key) == (None, None)


def test_the_time_left_is_rounded_down() -> None:
    assert LeadershipStatus.at(HOLDING, 109.9999).fields(0.0)["validForSeconds"] == 0.0
    assert LeadershipStatus.at(HOLDING, 109.9985).fields(0.0)["validForSeconds"] == 0.001


def test_instants_are_utc() -> None:
    assert iso(0.4) == "1970-01-01T00:00:00Z"


def snapshots() -> st.SearchStrategy[Snapshot]:
    return st.builds(
        Snapshot,
        lock=st.just(LOCK),
        identity=st.just("billing-0"),
        state=st.sampled_from(State),
        token=st.none() | st.integers(1, 3),
        deadline=st.none() | st.integers(0, 10).map(float),
        leader=st.none() | st.sampled_from(["billing-0", "billing-1"]),
    )


@given(st.lists(snapshots(), max_size=12))
def test_changes_alternate_and_carry_one_to_the_present(seen: list[Snapshot]) -> None:
    """Whoever follows the changes alone knows at each moment whether this sidecar leads, and who else does."""
    standings = [LeadershipStatus.at(s, 5.0) for s in [replace(HOLDING, state=State.IDLE, leader=None), *seen]]
    leading, leader = False, None
    for before, after in pairwise(standings):
        for change in changes(before, after):
            if change in (Change.GAINED, Change.LOST):
                assert leading is (change is Change.LOST)
                leading = change is Change.GAINED
            else:
                assert (change is Change.VACANCY) is (after.leader is None)
                leader = after.leader
        assert (leading, leader) == (after.leading, after.leader)


def test_another_token_is_another_term() -> None:
    first, second = LeadershipStatus.at(HOLDING, 100.0), LeadershipStatus.at(replace(HOLDING, token=21), 100.0)
    assert changes(first, second) == [Change.LOST, Change.GAINED]


class Told:
    """A board on a clock that the test sets, and what its feed told."""

    def __init__(self, first: Snapshot, do: Callable[[Callable[[], None]], None] = lambda it: it()) -> None:
        self.now = 100.0
        self.board = Publisher(first, lambda: self.now)
        self.heard: list[tuple[Change, int | None]] = []
        self.any = asyncio.Event()
        self.feed = ChangeFeed(self.board, self.tell, do)

    def tell(self, change: Change, before: LeadershipStatus, after: LeadershipStatus) -> None:
        self.heard.append((change, after.token if after.leading else before.token))
        self.any.set()


async def test_the_feed_begins_with_what_already_holds() -> None:
    told = Told(HOLDING)
    told.feed.start()
    told.feed.stop()
    assert told.heard == [(Change.GAINED, 17), (Change.LEADER, 17)]


async def test_a_keep_alive_is_no_work_for_the_feed() -> None:
    """It moves the deadline alone, every few seconds for weeks."""
    done: list[Callable[[], None]] = []
    told = Told(HOLDING, done.append)
    told.feed.start()
    told.board.publish(replace(HOLDING, deadline=115.0))
    told.now = 116.0
    told.board.publish(replace(HOLDING, deadline=115.0, position=1))
    told.feed.stop()
    assert len(done) == 2, "what held at the start, and that the deadline has passed"


async def test_the_feed_reports_a_passed_deadline() -> None:
    """No newer snapshot is needed for it."""
    told = Told(replace(HOLDING, deadline=100.02))
    told.feed.start()
    told.any.clear()
    told.heard.clear()
    told.now = 100.02
    async with asyncio.timeout(600):
        await told.any.wait()
    told.feed.stop()
    assert told.heard == [(Change.LOST, 17), (Change.VACANCY, 17)]


async def test_a_renewed_deadline_is_no_change() -> None:
    told = Told(HOLDING)
    told.feed.start()
    told.heard.clear()
    told.board.publish(replace(HOLDING, deadline=115.0))
    told.feed.stop()
    assert told.heard == []


async def test_a_stopped_feed_is_silent() -> None:
    told = Told(WAITING)
    told.feed.start()
    told.feed.stop()
    told.heard.clear()
    told.board.publish(HOLDING)
    assert told.heard == []


async def test_a_postponed_feed_keeps_the_order() -> None:
    """A feed that is drained later, even in another thread, reports the same changes.

    The journal's feed is one: its lines may be written along with a warning of any thread.
    """
    waiting: list[Callable[[], None]] = []
    told = Told(WAITING, waiting.append)
    told.feed.start()
    told.board.publish(HOLDING)
    told.now = 100.5
    told.board.publish(replace(WAITING, leader="other"))
    told.feed.stop()
    told.now = 200.0
    assert told.heard == []
    thread = threading.Thread(target=lambda: [do() for do in waiting])
    thread.start()
    thread.join()
    in_order = [Change.LEADER, Change.GAINED, Change.LEADER, Change.LOST, Change.LEADER]
    assert [change for change, _ in told.heard] == in_order
