"""The same for many, several at a time: etcd and the API server write to disk for all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

AT_ONCE: Final = 8


async def in_parallel(each: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """Do the work for each. The first exception ends it all, and is raised."""
    waiting = iter(each)

    async def take() -> None:
        for one in waiting:
            await work(one)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(take())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
