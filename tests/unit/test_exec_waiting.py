"""What a waiting `leasehold exec` reads from the queue, and what it reads and writes of the last run."""

from __future__ import annotations

import asyncio

from leasehold.candidate.run_log import LastRun, RunLogError
from leasehold.election import events as ev
from leasehold.exec.queue_check import Ahead, namesakes, who_is_ahead
from leasehold.exec.run_once import RunOnce
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

HEADER = ev.ResponseHeader(1, 1, 1, 1)


def queue(*identities: str, capacity: int = 1) -> ev.QueueRead:
    """A queue of candidates with these identities, at the keys k0, k1, …"""
    entries = [
        Entry(f"k{at}", at + 1, at + 1, at + 1, Record(name, incarnation=str(at))) for at, name in enumerate(identities)
    ]
    return ev.QueueRead(0, HEADER, tuple(entries), ev.Declared(Spec(capacity=capacity)))


def test_holders_are_named() -> None:
    assert who_is_ahead(queue("a", "b", "c"), "k2", "") == Ahead(("a",), behind_parent=False)
    assert who_is_ahead(queue("a", "b", "c", capacity=2), "k2", "k1") == Ahead(("a", "b"), behind_parent=True)


def test_room_beside_the_holders() -> None:
    """A lock of capacity 2 can be held by an exec and by one that its command starts."""
    assert who_is_ahead(queue("a", "b", capacity=2), "k1", "k0") is None
    assert who_is_ahead(queue("a"), "k0", "") is None
    assert who_is_ahead(queue("a"), "gone", "k0") is None


def test_parents_key_of_another_time() -> None:
    """A variable that outlived its exec, as in a job of `at`, stands for nobody in the queue."""
    assert who_is_ahead(queue("a", "b"), "k1", "k9") == Ahead(("a",), behind_parent=False)


def test_namesakes_are_counted() -> None:
    assert namesakes(queue("a", "b", "a"), "k2") == 1
    assert namesakes(queue("a", "b"), "k1") == 0
    assert namesakes(queue("a"), "gone") == 0


class Log:
    """A record of the last run that fails as often as it is told to."""

    def __init__(self, last: LastRun | None = None, failures: int = 0) -> None:
        self.last = last
        self.failures = failures
        self.written: list[tuple[LastRun, str, int, int]] = []

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise RunLogError("it is away")

    async def last_run(self, timeout: float) -> LastRun | None:
        self._fail()
        return self.last

    async def record(self, run: LastRun, key: str, token: int, period: int, timeout: float) -> bool:
        self._fail()
        self.written.append((run, key, token, period))
        return True


def test_each_term_reads_again() -> None:
    """A run may have been recorded while this process did not hold."""

    async def scenario() -> None:
        changed = asyncio.Event()
        log = Log()
        once = RunOnce(log, 60, 1.0, changed.set)
        assert not once.is_known(1)
        await changed.wait()
        assert once.is_known(1)
        assert once.last is None
        log.last = LastRun("other", "2026-01-01T00:00:00Z")
        changed.clear()
        assert not once.is_known(2)
        await changed.wait()
        assert once.is_known(2)
        assert once.last == log.last

    asyncio.run(scenario())


def test_record_is_tried_again() -> None:
    async def scenario() -> None:
        log = Log(failures=1)
        await RunOnce(log, 60, 1.0, lambda: None).record("me", "k0", 7)
        ((run, *rest),) = log.written
        assert (run.identity, rest) == ("me", ["k0", 7, 60])

    asyncio.run(scenario())


def test_any_value_is_a_run() -> None:
    """That the key is there is what counts."""
    run = LastRun("a", "2026-01-01T00:00:00Z")
    assert LastRun.decode(run.encode()) == run
    for value in (b"", b"[]", b"\xff", b'{"identity": 5}'):
        assert LastRun.decode(value).ended == "unknown"
