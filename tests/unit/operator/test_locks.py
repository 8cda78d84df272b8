"""The cache of Locks: the newest version counts, and a Lock is gone only if that is proven."""

from typing import Any

import pytest

from leasehold.lock.names import LockName
from leasehold.operator.watch.api_restore import ApiServerRestored
from leasehold.operator.watch.locks import Locks

DB, WEB = LockName("prod", "db"), LockName("prod", "web")


def body(version: int, name: str = "db", uid: str = "u-1", **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "prod", "name": name, "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata, "spec": {}, "status": status}


def test_the_newest_version_counts() -> None:
    """A watch that is behind must not undo what the answer to our own write has shown."""
    locks = Locks()
    assert locks.seen(body(5)) == DB
    assert locks.seen(body(7, holderCount=1)) == DB
    assert locks.seen(body(6)) is None
    assert locks.seen(body(7)) is None
    lock = locks.get(DB)
    assert lock is not None
    assert lock.status == {"holderCount": 1}


def test_a_deletion_proves_one_uid_gone() -> None:
    """It proves nothing about other resources of the name."""
    locks = Locks()
    locks.seen(body(5))
    assert not locks.is_gone(DB, "u-1")
    assert locks.seen(body(6), deleted=True) == DB
    assert locks.get(DB) is None
    assert locks.is_gone(DB, "u-1")
    assert not locks.is_gone(DB, "u-2")
    assert not locks.is_gone(WEB, "u-1")


def test_an_old_deletion_keeps_the_successor() -> None:
    locks = Locks()
    locks.seen(body(5, uid="u-1"))
    locks.seen(body(8, uid="u-2"))
    locks.seen(body(7, uid="u-1"), deleted=True)
    assert locks.get(DB) is not None
    assert not locks.is_gone(DB, "u-1")


def test_what_a_full_list_lacks_is_gone() -> None:
    """Be it because the watch missed a deletion, or because a spec key has lost its resource."""
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


def test_an_unchanged_list_changes_nothing() -> None:
    """Unchanged bodies are not parsed: of ten thousand that is nearly all."""
    locks = Locks()
    locks.seen(body(5))
    locks.seen(body(6, "web", "u-2"))
    web = locks.get(WEB)
    assert locks.take_list([body(7), body(6, "web", "u-2")], locks.snapshot(), {DB: "u-1", WEB: "u-2"}) == {DB}
    assert locks.get(WEB) is web
    assert not locks.is_gone(WEB, "u-2")


def test_a_list_keeps_newer_resources() -> None:
    """A resource that was seen after the list was requested may be missing in it."""
    locks = Locks()
    before = locks.snapshot()
    locks.seen(body(9))
    assert locks.take_list([], before, {}) == set()
    assert locks.get(DB) is not None


def test_an_older_version_in_a_list_is_a_restored_api_server() -> None:
    """It was requested after the newer one was seen, and lists are never behind."""
    locks = Locks()
    locks.seen(body(1_000))
    with pytest.raises(ApiServerRestored, match=r"resourceVersion 1000 back to 999; starting again"):
        locks.take_list([body(999)], locks.snapshot(), {})


def test_a_deleted_lock_in_a_list_is_a_restored_api_server() -> None:
    """No UID is used twice."""
    locks = Locks()
    locks.seen(body(6), deleted=True)
    with pytest.raises(ApiServerRestored, match="the Lock prod/db is back, which was deleted; starting again"):
        locks.take_list([body(2_000)], locks.snapshot(), {})


def test_a_list_may_be_older_than_what_came_since() -> None:
    locks = Locks()
    locks.seen(body(5))
    before = locks.snapshot()
    locks.seen(body(7))
    assert locks.take_list([body(6)], before, {}) == set()


def test_a_list_revives_no_deleted_lock() -> None:
    """A resource may be deleted while the list is read."""
    locks = Locks()
    locks.seen(body(5))
    before = locks.snapshot()
    locks.seen(body(6), deleted=True)
    locks.take_list([body(5)], before, {})
    assert locks.get(DB) is None
    assert locks.seen(body(9, uid="u-2")) == DB


def test_a_late_answer_revives_no_deleted_lock() -> None:
    """The answer to the removal of the last finalizer may arrive after the deletion."""
    locks = Locks()
    locks.seen(body(5))
    locks.seen(body(6), deleted=True)
    locks.forget(DB)
    assert locks.seen(body(6)) is None
    assert locks.get(DB) is None


def test_an_ignored_lock_is_never_returned() -> None:
    locks = Locks(ignored=DB)
    assert locks.seen(body(5)) is None
    assert locks.take_list([body(5)], locks.snapshot(), {}) == set()
    assert locks.names() == ()


def test_a_body_without_a_uid_is_refused() -> None:
    """It changes nothing."""
    locks = Locks()
    with pytest.raises((KeyError, ValueError)):
        locks.seen({"metadata": {"name": "db"}})
    assert len(locks) == 0
