"""Turns of the event loop, for tests that want what was begun to have got as far as it can without the network."""

import asyncio


async def turns(count: int = 50) -> None:
    """Let the loop turn so often: unlike a time, that is as many steps on a busy machine as on an idle one."""
    for _ in range(count):
        await asyncio.sleep(0)
