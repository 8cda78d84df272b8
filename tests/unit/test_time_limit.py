"""A time limit that a busy loop does not use up."""

import asyncio
import socket
import time

import pytest

from leasehold.base.time_limit import STEPS, time_limit
from tests.support.jumping_loop import run_jumping


async def answered_through(turns: int) -> bytes:
    """What the other end of a connection answered, handed on through so many turns of the loop."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        waiting = asyncio.ensure_future(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        theirs.send(b"answer")
        time.sleep(0.1)  # noqa: ASYNC251  # the loop is busy
        answer = await waiting
        for _ in range(turns):
            await asyncio.sleep(0)
            time.sleep(0.06)  # noqa: ASYNC251  # and busy again, for longer than the limit each time
        return answer


async def test_what_has_arrived_counts_however_long_the_loop_was_busy() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await answered_through(turns=10)
    async with time_limit(0.05):
        assert await answered_through(turns=10) == b"answer"


def test_an_idle_loop_keeps_the_limit() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with time_limit(2.0):
                await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_jumping(main()) == pytest.approx(2.0)


async def test_a_block_without_an_end_is_ended_though_every_turn_is_long() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        async with time_limit(0.02):
            while True:
                turns += 1
                time.sleep(0.002)  # noqa: ASYNC251  # longer than a step
                await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await work()
    assert STEPS <= turns <= 3 * STEPS


async def test_an_outer_cancellation_is_not_a_timeout() -> None:
    async def main() -> None:
        async with time_limit(600.0):
            await asyncio.sleep(3600)

    task = asyncio.create_task(main())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
