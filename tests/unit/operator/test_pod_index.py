"""Which locks a pod concerns: those whose queues name it now."""

from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.operator.watch.pod_index import PodIndex

DB, WEB = LockName("prod", "db"), LockName("prod", "web")


def entry(pod_uid: str, token: int = 1) -> Entry:
    return Entry(f"/k/{token}", token, token, token, Record("one", pod_uid=pod_uid))


def test_a_pod_concerns_all_its_locks() -> None:
    """Every lock whose queue names the pod is found."""
    index = PodIndex()
    index.update(DB, [entry("a"), entry("b", 2), entry("", 3)])
    index.update(WEB, [entry("b")])
    assert index.locks_of(["a"]) == {DB}
    assert index.locks_of(["b"]) == {DB, WEB}
    assert index.locks_of(["c", ""]) == set()


def test_a_pod_leaves_with_its_last_entry() -> None:
    """A lock is no longer found once its queue does not name the pod any more."""
    index = PodIndex()
    index.update(DB, [entry("a"), entry("a", 2)])
    index.update(DB, [entry("a", 2)])
    assert index.locks_of(["a"]) == {DB}
    index.update(DB, [])
    index.update(WEB, [])
    assert index.locks_of(["a"]) == set()
