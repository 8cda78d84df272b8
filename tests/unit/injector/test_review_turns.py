"""Whose review is next, and how much is parsed before the loop turns again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from leasehold.injector.review_turns import AT_ONCE, TURN_BYTES, ReviewTurns
from tests.support.jumping_loop import JumpingLoop, run_jumping
from tests.support.loop_turns import turns

LARGE = 256 * 1024


class Reviews:
    """Reviews that note, when they are granted, their name and the loop's turn, and stay until they are let go."""

    def __init__(self) -> None:
        self.turns = ReviewTurns()
        self.granted: list[str] = []
        self.in_turn: list[int] = []
        self.may_end = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = 0
        self._count()

    def _count(self) -> None:
        self._turn += 1
        asyncio.get_running_loop().call_soon(self._count)

    def send(self, name: str, length: int) -> asyncio.Task[None]:
        self._tasks.append(asyncio.create_task(self._review(name, length)))
        return self._tasks[-1]

    async def _review(self, name: str, length: int) -> None:
        async with self.turns.turn(length):
            self.granted.append(name)
            self.in_turn.append(self._turn)
            await self.may_end.wait()


def with_reviews(test: Callable[[Reviews], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await test(Reviews())

    run_jumping(main())


def test_one_large_review_in_a_turn_of_the_loop() -> None:
    async def test(reviews: Reviews) -> None:
        for number in range(10):
            reviews.send(str(number), LARGE)
        await turns()
        assert len(set(reviews.in_turn)) == len(reviews.in_turn) == 10

    with_reviews(test)


def test_many_small_ones_in_a_turn() -> None:
    async def test(reviews: Reviews) -> None:
        for number in range(AT_ONCE):
            reviews.send(str(number), TURN_BYTES // AT_ONCE)
        await turns()
        assert len(reviews.in_turn) == AT_ONCE
        assert len(set(reviews.in_turn)) == 1

    with_reviews(test)


def test_a_small_one_goes_before_all_large_ones_that_wait() -> None:
    async def test(reviews: Reviews) -> None:
        for number in range(200):
            reviews.send(f"large {number}", LARGE)
        await turns(3)
        before = len(reviews.granted)
        reviews.send("small", 8192)
        await turns(3)
        assert reviews.granted.index("small") <= before + 2

    with_reviews(test)


def test_a_large_one_is_passed_only_by_what_comes_soon_after_it() -> None:
    async def test(reviews: Reviews) -> None:
        for number in range(AT_ONCE):
            reviews.send(f"first {number}", 1)
        await turns()
        reviews.send("large", 16 * LARGE)
        await turns(2)
        jump(0.5)
        reviews.send("soon after", 1)
        await turns(2)
        jump(1.0)
        reviews.send("much later", 1)
        await turns()
        reviews.may_end.set()
        await turns()
        assert reviews.granted[AT_ONCE:] == ["soon after", "large", "much later"]

    with_reviews(test)


def jump(seconds: float) -> None:
    """The loop jumps by itself only when nothing else is to be done, and here its turns are counted."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.jump(seconds)


def test_only_so_many_are_under_way() -> None:
    async def test(reviews: Reviews) -> None:
        for number in range(AT_ONCE + 1):
            reviews.send(str(number), 1)
        await turns()
        assert len(reviews.granted) == AT_ONCE
        reviews.may_end.set()
        await turns()
        assert len(reviews.granted) == AT_ONCE + 1

    with_reviews(test)


def test_whoever_gives_up_takes_nobodys_place() -> None:
    """While it waits, in the turn in which it is granted, and afterwards."""

    async def test(reviews: Reviews) -> None:
        for waited in range(8):
            tasks = [reviews.send(str(number), 1) for number in range(AT_ONCE + 5)]
            await turns(waited)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        reviews.granted.clear()
        for number in range(AT_ONCE):
            reviews.send(str(number), 1)
        await turns()
        assert len(reviews.granted) == AT_ONCE

    with_reviews(test)
