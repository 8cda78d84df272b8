"""The work queue: who works on a key, when a key returns, and how long a failing one waits."""

import asyncio
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.operator.reconcile.workqueue import DelayingQueue, WorkQueue


def test_a_key_waits_once() -> None:
    """However often it is added."""
    queue: DelayingQueue[str] = DelayingQueue()
    for key in "abaab":
        queue.add(key)
    assert [queue.take(0), queue.take(0), queue.take(0)] == ["a", "b", None]


def test_a_key_added_during_work_returns() -> None:
    """It waits until the worker is done, then queues behind the others."""
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert queue.take(0) == "b"
    assert queue.take(0) is None, "one worker at a time for each key"
    queue.done("a")
    assert [queue.take(0), queue.take(0)] == ["a", None]
    queue.done("a")
    assert queue.take(0) is None, "several adds are one more turn"


def test_the_earliest_delay_counts() -> None:
    """Taking the key drops the others."""
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add_at("a", 5)
    queue.add_at("a", 3)
    queue.add_at("a", 9)
    assert queue.next_due() == 3
    assert queue.take(2.9) is None
    assert queue.take(3) == "a"
    queue.done("a")
    assert queue.next_due() is None
    assert queue.take(100) is None


def test_taking_a_key_drops_its_delay() -> None:
    """A delay that is requested while a worker has the key stays."""
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add_at("a", 5)
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add_at("a", 7)
    queue.done("a")
    assert queue.next_due() == 7
    assert queue.take(7) == "a"


def test_a_due_key_waits_for_its_worker() -> None:
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add("a")
    assert queue.take(0) == "a"
    queue.add_at("a", 1)
    assert queue.take(2) is None
    queue.done("a")
    assert queue.take(2) == "a"


def test_due_keys_queue_in_order() -> None:
    """They come in the order of their times, behind those that were already waiting."""
    queue: DelayingQueue[str] = DelayingQueue()
    queue.add_at("late", 2)
    queue.add_at("soon", 1)
    queue.add("now")
    assert [queue.take(3), queue.take(3), queue.take(3)] == ["now", "soon", "late"]


@given(st.lists(st.tuples(st.sampled_from(["add", "delay", "take", "done"]), st.integers(0, 3), st.integers(0, 4))))
def test_every_added_key_is_taken_later(
    steps: list[tuple[str, int, int]],
) -> None:
    """Whatever the order of calls. No key has two workers."""
    queue: DelayingQueue[int] = DelayingQueue()
    working: set[int] = set()
    wished: set[int] = set()
    for now, (step, key, delay) in enumerate(steps):
        if step == "add":
            queue.add(key)
            wished.add(key)
        elif step == "delay":
            queue.add_at(key, now + delay)
            wished.add(key)
        elif step == "take" and (taken := queue.take(now)) is not None:
            assert taken not in working
            working.add(taken)
            wished.discard(taken)
        elif step == "done" and key in working:
            working.discard(key)
            queue.done(key)
    for key in working:
        queue.done(key)
    left = set(itertools.takewhile(lambda key: key is not None, (queue.take(10**6) for _ in range(10))))
    assert wished <= left


class FixedRandom(random.Random):
    """Draws one end of each range: `share` 1.0 the upper one, 0.0 the lower one."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def uniform(self, a: float, b: float) -> float:
        return a + self.share * (b - a)


def test_back_off_doubles_to_a_minute() -> None:
    """Each key has its own back-off, which starts over after a success."""
    queue: WorkQueue[str] = WorkQueue(lambda: 0.0, FixedRandom(1.0))
    assert [queue.failed("a") for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert queue.failed("b") == 0.5
    queue.succeeded("a")
    assert queue.failed("a") == 0.5


def test_jitter_takes_off_at_most_a_quarter() -> None:
    queue: WorkQueue[str] = WorkQueue(lambda: 0.0, FixedRandom(0.0))
    assert [queue.failed("a") for _ in range(2)] == [0.375, 0.75]


async def test_waiting_workers_get_one_key_each() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in "abc":
        queue.add(key)
    async with asyncio.timeout(600):
        assert sorted(await asyncio.gather(*workers)) == ["a", "b", "c"]


async def test_delayed_keys_are_not_early() -> None:
    loop = asyncio.get_running_loop()
    queue: WorkQueue[str] = WorkQueue(loop.time)
    start = loop.time()
    queue.add_after("b", 0.06)
    queue.add_after("a", 0.03)
    workers = [asyncio.create_task(queue.get()) for _ in range(2)]
    async with asyncio.timeout(600):
        assert [await workers[0], await workers[1]] == ["a", "b"]
    assert loop.time() - start >= 0.06


async def test_a_cancelled_worker_wakes_the_next() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first, which is cancelled before it runs
    first.cancel()
    async with asyncio.timeout(600):
        assert await second == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_servers_retry_after_is_obeyed() -> None:
    now = 0.0
    queue: WorkQueue[str] = WorkQueue(lambda: now, FixedRandom(1.0))
    queue.add("a")
    assert await queue.get() == "a"
    assert queue.failed("a", at_least=7) == 7
    queue.done("a")
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    now = 7.0
    queue.add("b")  # any wake-up lets the queue look at the clock
    async with asyncio.timeout(600):
        assert {await waiting, await queue.get()} == {"a", "b"}
    queue.succeeded("a")
    assert queue.failed("a") == 0.5
