"""When a wait is over."""

from collections.abc import Iterator

import pytest

from leasehold.kubectl import change
from leasehold.kubectl.errors import ClusterError, NotThereError, OutdatedError, UnreachableError
from leasehold.kubectl.lock import LockView
from leasehold.kubectl.waiting import Clock, Waiting, free, given_up, goal, held, held_by
from leasehold.lock.names import LockName
from tests.unit.kubectl.locks import A, B, view

LOCK = LockName("prod", "db")
Step = LockView | ClusterError | None


def test_what_is_waited_for() -> None:
    assert held(view(A))
    assert not held(view())
    assert free(view())
    assert not free(view(A))
    assert held_by("b")(view(A, B))
    assert not goal("holder=c")(view(A, B))
    assert goal("free") is free
    assert goal("held") is held


def test_an_unknown_or_outdated_status_meets_nothing() -> None:
    """A condition that is unknown, or a status of an older spec, ends no wait."""
    for seen in (view(A, held="Unknown"), view(held="Unknown"), view(observed=0), view(A, observed=0), LockView({})):
        assert not any(met(seen) for met in (held, free, held_by("a")))


def test_given_up() -> None:
    meant = change.target(view(A), 0)
    assert given_up(meant)(view(B))
    assert given_up(meant)(view())
    assert not given_up(meant)(view(A, B))
    assert not given_up(meant)(view(B, observed=0))


class Scripted:
    """What reads and watches find, in turn; the clock is a number that sleeping and each watch move on."""

    def __init__(self, reads: list[Step], watches: list[list[Step]]) -> None:
        self.reads = reads
        self.watches = watches
        self.now = 0.0
        self.slept: list[float] = []

    def find(self, lock: LockName) -> tuple[LockView | None, str]:
        found = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
        if isinstance(found, ClusterError):
            raise found
        return found, "7"

    def watch(self, lock: LockName, version: str, seconds: float) -> Iterator[LockView | None]:
        for step in self.watches.pop(0) if self.watches else []:
            self.now += 1
            if isinstance(step, ClusterError):
                raise step
            yield step

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def wait(cluster: Scripted, timeout: float = 30) -> bool:
    return Waiting(cluster, LOCK, held, timeout, clock=Clock(lambda: cluster.now, cluster.sleep)).run()


def test_it_looks_first() -> None:
    assert wait(Scripted([view(A)], []), timeout=0)
    assert not wait(Scripted([view()], [[view(A)]]), timeout=0)


def test_it_watches() -> None:
    cluster = Scripted([view()], [[view(), view(A)]])
    assert wait(cluster)
    assert cluster.slept == []


def test_it_looks_anew_after_a_watch_that_ended() -> None:
    lost: list[list[Step]] = [[UnreachableError("lost")], [OutdatedError("old")], [], [view(A)]]
    assert wait(Scripted([view()], lost))


def test_a_server_that_ends_every_watch_is_not_hammered() -> None:
    """The pauses grow to seconds."""
    cluster = Scripted([view()], [])
    assert not wait(cluster, timeout=60)
    assert len(cluster.slept) < 25


def test_an_outage_is_tolerated_after_an_answer() -> None:
    """A wait fails if the API server has not answered before the outage."""
    assert wait(Scripted([view(), UnreachableError("away"), view(A)], []))
    with pytest.raises(UnreachableError):
        wait(Scripted([UnreachableError("away")], []))


@pytest.mark.parametrize(("reads", "watches"), [([None], []), ([view()], [[None]]), ([view(), None], [])])
def test_no_lock_no_wait(reads: list[Step], watches: list[list[Step]]) -> None:
    with pytest.raises(NotThereError):
        wait(Scripted(reads, watches))
