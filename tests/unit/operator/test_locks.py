"""The Lock resources as last seen: the newest counts, and only proof makes one gone."""

from typing import Any

import pytest

from leasehold.lock.names import LockName
from leasehold.operator.watch.locks import Locks

DB, WEB = LockName("prod", "db"), LockName("prod", "web")


def body(version: int, name: str = "db", uid: str = "u-1", **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "prod", "name": name, "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {}, "status": status}


def test_the_newest_counts_in_whatever_order_they_come() -> None:
    """A watch that lags behind must not undo what the answer to our own write has told."""
    locks = Locks()
    assert locks.seen(body(5)) == DB
    assert locks.seen(body(7, holderCount=1)) == DB
    assert locks.seen(body(6)) is None
    assert locks.seen(body(7)) is None
    lock = locks.get(DB)
    assert lock is not None
    assert lock.status == {"holderCount": 1}


def test_a_deletion_is_proof_for_what_the_deleted_one_declared_and_for_no_other() -> None:
    locks = Locks()
    locks.seen(body(5))
    assert not locks.is_gone(DB, "u-1")
    assert locks.seen(body(6), deleted=True) == DB
    assert locks.get(DB) is None
    assert locks.is_gone(DB, "u-1")
    assert not locks.is_gone(DB, "u-2")
    assert not locks.is_gone(WEB, "u-1")


def test_the_deletion_of_a_former_resource_leaves_its_successor() -> None:
    locks = Locks()
    locks.seen(body(5, uid="u-1"))
    locks.seen(body(8, uid="u-2"))
    locks.seen(body(7, uid="u-1"), deleted=True)
    assert locks.get(DB) is not None
    assert not locks.is_gone(DB, "u-1")


def test_what_a_whole_list_lacks_is_gone() -> None:
    """A deletion that the watch missed, and a spec key that has lost its resource."""
    locks = Locks()
    locks.seen(body(5))
    before = locks.snapshot()
    assert not Locks().complete
    assert locks.take_list([], before, {DB: "u-1", WEB: "u-3"}) == {DB, WEB}
    assert locks.complete
    assert locks.get(DB) is None
    assert locks.is_gone(WEB, "u-3")
    assert not locks.is_gone(WEB, "u-4")
    assert not locks.is_gone(WEB, "")


def test_a_list_that_tells_nothing_new_is_no_news() -> None:
    """Of ten thousand it is nearly all, so it is not even read; what has changed is, and what is there stays."""
    locks = Locks()
    locks.seen(body(5))
    locks.seen(body(6, "web", "u-2"))
    web = locks.get(WEB)
    assert locks.take_list([body(7), body(6, "web", "u-2")], locks.snapshot(), {DB: "u-1", WEB: "u-2"}) == {DB}
    assert locks.get(WEB) is web
    assert not locks.is_gone(WEB, "u-2")


def test_a_list_never_takes_away_what_came_after_it_was_asked_for() -> None:
    locks = Locks()
    before = locks.snapshot()
    locks.seen(body(9))
    assert locks.take_list([], before, {}) == set()
    assert locks.get(DB) is not None


def test_a_list_never_brings_back_what_was_deleted_while_it_was_read() -> None:
    locks = Locks()
    locks.seen(body(5))
    before = locks.snapshot()
    locks.seen(body(6), deleted=True)
    locks.take_list([body(5)], before, {})
    assert locks.get(DB) is None
    assert locks.seen(body(9, uid="u-2")) == DB


def test_a_late_answer_never_brings_back_what_was_deleted() -> None:
    """The answer to the removal of the last finalizer shows the resource as it was, and may come after its deletion."""
    locks = Locks()
    locks.seen(body(5))
    locks.seen(body(6), deleted=True)
    locks.forget(DB)
    assert locks.seen(body(6)) is None
    assert locks.get(DB) is None


def test_what_is_to_be_ignored_is_never_shown() -> None:
    locks = Locks(ignored=DB)
    assert locks.seen(body(5)) is None
    assert locks.take_list([body(5)], {}, {}) == set()
    assert locks.names() == ()


def test_what_is_no_resource_is_refused_and_changes_nothing() -> None:
    locks = Locks()
    with pytest.raises((KeyError, ValueError)):
        locks.seen({"metadata": {"name": "db"}})
    assert len(locks) == 0
