"""What a test waits for while a runner runs without an etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from leasehold.candidate.metrics import Observer
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import State

PATIENCE = 600.0
"""Seconds that a busy machine may take for what takes none."""


class Counter(Observer):
    """What was counted."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, kind: str) -> None:
        self.errors.append(kind)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is a plain value
            await asyncio.sleep(0.01)


async def heard(happened: asyncio.Event) -> None:
    await asyncio.wait_for(happened.wait(), PATIENCE)


def when(board: Publisher, state: State) -> asyncio.Event:
    """Set when this state is published."""
    happened = asyncio.Event()
    board.listen(lambda before, after: happened.set() if after.state is state else None)
    return happened


async def finished(running: asyncio.Task[None]) -> None:
    await asyncio.wait_for(running, PATIENCE)
