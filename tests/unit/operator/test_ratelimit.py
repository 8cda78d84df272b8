"""The rate limit: bursts, spacing and returned tokens."""

import asyncio

import pytest

from leasehold.operator.reconcile.ratelimit import RateLimiter


def test_a_burst_passes_then_calls_are_spaced() -> None:
    now = 100.0
    limiter = RateLimiter(rate=2, burst=3, clock=lambda: now)
    assert [limiter.reserve() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    limiter.give_back()
    assert limiter.reserve() == 1.0
    now = 200.0
    assert [limiter.reserve() for _ in range(4)] == [0, 0, 0, 0.5], "unused tokens are kept, at most one burst"


async def test_a_cancelled_caller_returns_its_token() -> None:
    limiter = RateLimiter(rate=0.001, burst=1, clock=lambda: 0.0)
    await limiter.acquire()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.reserve() == pytest.approx(1000)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_limit_of_nothing_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate limit"):
        RateLimiter(rate, burst, clock=lambda: 0.0)
