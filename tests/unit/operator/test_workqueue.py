import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.workqueue import Backoff, QueueClosed, Turns, WorkQueue


def test_a_key_waits_once_however_often_it_is_added() -> None:
    turns: Turns[str] = Turns()
    for key in "abaab":
        turns.add(key)
    assert [turns.take(0), turns.take(0), turns.take(0)] == ["a", "b", None]


def test_a_key_added_while_worked_on_comes_again_after_the_others() -> None:
    turns: Turns[str] = Turns()
    turns.add("a")
    assert turns.take(0) == "a"
    turns.add("a")
    turns.add("a")
    turns.add("b")
    assert turns.take(0) == "b"
    assert turns.take(0) is None, "one worker at a time for each key"
    turns.done("a")
    assert [turns.take(0), turns.take(0)] == ["a", None]
    turns.done("a")
    assert turns.take(0) is None, "several adds are one more look"


def test_of_several_delays_the_earliest_counts_and_a_look_drops_the_rest() -> None:
    turns: Turns[str] = Turns()
    turns.add_at("a", 5)
    turns.add_at("a", 3)
    turns.add_at("a", 9)
    assert turns.next_due() == 3
    assert turns.take(2.9) is None
    assert turns.take(3) == "a"
    turns.done("a")
    assert turns.next_due() is None
    assert turns.take(100) is None


def test_a_look_before_its_time_drops_the_delay_but_one_asked_for_during_the_look_stays() -> None:
    turns: Turns[str] = Turns()
    turns.add_at("a", 5)
    turns.add("a")
    assert turns.take(0) == "a"
    turns.add_at("a", 7)
    turns.done("a")
    assert turns.next_due() == 7
    assert turns.take(7) == "a"


def test_a_delay_that_ends_while_the_key_is_worked_on_waits_for_the_worker() -> None:
    turns: Turns[str] = Turns()
    turns.add("a")
    assert turns.take(0) == "a"
    turns.add_at("a", 1)
    assert turns.take(2) is None
    turns.done("a")
    assert turns.take(2) == "a"


def test_delayed_keys_come_in_the_order_of_their_times_behind_those_that_waited() -> None:
    turns: Turns[str] = Turns()
    turns.add_at("late", 2)
    turns.add_at("soon", 1)
    turns.add("now")
    assert [turns.take(3), turns.take(3), turns.take(3)] == ["now", "soon", "late"]


@given(st.lists(st.tuples(st.sampled_from(["add", "delay", "take", "done"]), st.integers(0, 3), st.integers(0, 4))))
def test_every_wish_for_a_look_is_followed_by_one_and_no_key_is_worked_on_twice_at_once(
    steps: list[tuple[str, int, int]],
) -> None:
    """Whatever the order of calls, a look that begins after a wish comes in the end."""
    turns: Turns[int] = Turns()
    working: set[int] = set()
    wished: set[int] = set()
    for now, (step, key, delay) in enumerate(steps):
        if step == "add":
            turns.add(key)
            wished.add(key)
        elif step == "delay":
            turns.add_at(key, now + delay)
            wished.add(key)
        elif step == "take" and (taken := turns.take(now)) is not None:
            assert taken not in working
            working.add(taken)
            wished.discard(taken)
        elif step == "done" and key in working:
            working.discard(key)
            turns.done(key)
    for key in working:
        turns.done(key)
    left = set(itertools.takewhile(lambda key: key is not None, (turns.take(10**6) for _ in range(10))))
    assert wished <= left


def test_back_off_doubles_to_a_minute_and_starts_again_after_a_success() -> None:
    backoff: Backoff[str] = Backoff(chance=lambda: 0.0)
    assert [backoff.failed("a") for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.failed("b") == 0.5
    backoff.ok("a")
    assert backoff.failed("a") == 0.5


def test_back_off_is_shortened_by_chance_by_no_more_than_a_quarter() -> None:
    backoff: Backoff[str] = Backoff(chance=lambda: 1.0)
    assert [backoff.failed("a") for _ in range(2)] == [0.375, 0.75]


async def test_waiting_workers_get_one_key_each() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in "abc":
        queue.add(key)
    async with asyncio.timeout(600):
        assert sorted(await asyncio.gather(*workers)) == ["a", "b", "c"]


async def test_delayed_keys_come_by_themselves_and_no_earlier() -> None:
    loop = asyncio.get_running_loop()
    queue: WorkQueue[str] = WorkQueue(loop.time)
    start = loop.time()
    queue.add_at("b", 0.06)
    queue.add_at("a", 0.03)
    workers = [asyncio.create_task(queue.get()) for _ in range(2)]
    async with asyncio.timeout(600):
        assert [await workers[0], await workers[1]] == ["a", "b"]
    assert loop.time() - start >= 0.06


async def test_a_worker_that_is_cancelled_hands_its_turn_to_the_next() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first, which is cancelled before it runs
    first.cancel()
    async with asyncio.timeout(600):
        assert await second == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failed_key_comes_again_no_earlier_than_the_server_asked() -> None:
    now = 0.0
    queue: WorkQueue[str] = WorkQueue(lambda: now, chance=lambda: 0.0)
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
    queue.ok("a")
    assert queue.failed("a") == 0.5


async def test_closing_ends_every_worker_and_takes_nothing_more() -> None:
    queue: WorkQueue[str] = WorkQueue(asyncio.get_running_loop().time)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    queue.add("a")
    queue.add_at("a", 0)
    with pytest.raises(QueueClosed):
        await waiting
    with pytest.raises(QueueClosed):
        await queue.get()
    assert len(queue) == 0


def test_a_rate_limit_lets_a_burst_pass_and_then_spaces_out() -> None:
    now = 100.0
    limiter = RateLimiter(rate=2, burst=3, clock=lambda: now)
    assert [limiter.reserve() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    limiter.give_back()
    assert limiter.reserve() == 1.0
    now = 200.0
    assert [limiter.reserve() for _ in range(4)] == [0, 0, 0, 0.5], "rest is saved up, but only as much as the burst"


async def test_a_caller_that_stops_waiting_leaves_its_token_to_the_others() -> None:
    limiter = RateLimiter(rate=0.001, burst=1, clock=lambda: 0.0)
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.reserve() == pytest.approx(1000)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_limit_that_would_never_let_anything_pass_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        RateLimiter(rate, burst, clock=lambda: 0.0)
