"""The election's alarm: on time by its own clock, quiet before, though the loop's clock may have stood still."""

from __future__ import annotations

import asyncio
import math
import sys

import pytest

from leasehold.base import clock as boot_clock
from leasehold.candidate import alarm as module
from leasehold.candidate.alarm import Alarm

needs_kernel = pytest.mark.skipif(sys.version_info < (3, 13), reason="Python has timers of the kernel since 3.13")


class Clock:
    """A clock that stands still unless it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_SLEEP_SECONDS", 0.001)


async def looks(alarm: Alarm, clock: Clock, times: int = 3) -> None:
    """Wait until the alarm has looked at the clock so many times."""
    for _ in range(times):
        alarm.looked_at = -1.0
        while alarm.looked_at != clock.now:  # noqa: ASYNC110  # there is nothing to be told by
            await asyncio.sleep(0.001)


async def test_it_rings_once_the_time_has_come() -> None:
    clock, rung = Clock(), asyncio.Event()
    alarm = Alarm(clock, rung.set)
    alarm.set(160.0)
    await looks(alarm, clock)
    assert not rung.is_set()
    clock.now = 160.0
    await rung.wait()


async def test_it_looks_though_nothing_is_due() -> None:
    """`/livez` asks for that."""
    clock, rung = Clock(), asyncio.Event()
    alarm = Alarm(clock, rung.set)
    alarm.set(None)
    await looks(alarm, clock)
    alarm.cancel()
    assert not rung.is_set()


async def test_the_last_instant_that_was_set_counts() -> None:
    clock, rung = Clock(), asyncio.Event()
    alarm = Alarm(clock, rung.set)
    alarm.set(101.0)
    alarm.set(200.0)
    clock.now = 150.0
    await looks(alarm, clock)
    assert not rung.is_set()
    alarm.set(120.0)
    await rung.wait()


@needs_kernel
@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.02])
async def test_it_rings_though_the_loops_clock_stands_still(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """As it does while the machine sleeps: a timer of the kernel goes on."""
    loop, rung = asyncio.get_running_loop(), asyncio.Event()
    frozen = loop.time()
    monkeypatch.setattr(loop, "time", lambda: frozen)
    alarm = Alarm(boot_clock.now, rung.set)
    due = boot_clock.now() + seconds
    alarm.set(due)
    await rung.wait()
    assert boot_clock.now() >= due
    alarm.cancel()


@needs_kernel
async def test_a_timer_of_the_kernel_looks_though_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_TIMER_SECONDS", 0.001)
    rung = asyncio.Event()
    alarm = Alarm(boot_clock.now, rung.set)
    alarm.set(None)
    for _ in range(3):
        alarm.looked_at = -math.inf
        while alarm.looked_at == -math.inf:  # noqa: ASYNC110  # there is nothing to be told by
            await asyncio.sleep(0.001)
    assert not rung.is_set()
    alarm.cancel()
    alarm.cancel()


@needs_kernel
async def test_what_a_timer_of_the_kernel_was_to_ring_for_is_void_once_it_is_set_anew() -> None:
    rung: list[float] = []
    alarm = Alarm(boot_clock.now, lambda: rung.append(boot_clock.now()))
    alarm.set(boot_clock.now())
    due = boot_clock.now() + 0.02
    alarm.set(due)
    while not rung:  # noqa: ASYNC110  # there is nothing to be told by
        await asyncio.sleep(0.001)
    alarm.cancel()
    assert rung[0] >= due
