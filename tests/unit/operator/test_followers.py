"""Which locks a pod concerns: those in whose queue it stands just now."""

from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.operator.watch.pod_index import Followers

DB, WEB = LockName("prod", "db"), LockName("prod", "web")


def entry(pod_uid: str, token: int = 1) -> Entry:
    return Entry(f"/k/{token}", token, token, token, Record("one", pod_uid=pod_uid))


def test_a_pod_concerns_every_lock_in_whose_queue_it_stands() -> None:
    followers = Followers()
    followers.follow(DB, [entry("a"), entry("b", 2), entry("", 3)])
    followers.follow(WEB, [entry("b")])
    assert followers.locks_of(["a"]) == {DB}
    assert followers.locks_of(["b"]) == {DB, WEB}
    assert followers.locks_of(["c", ""]) == set()


def test_a_pod_that_left_the_queue_concerns_it_no_more() -> None:
    followers = Followers()
    followers.follow(DB, [entry("a"), entry("a", 2)])
    followers.follow(DB, [entry("a", 2)])
    assert followers.locks_of(["a"]) == {DB}
    followers.follow(DB, [])
    followers.follow(WEB, [])
    assert followers.locks_of(["a"]) == set()
