"""The event loop's turns and its clock, for tests that are about the order of things, not about how long they take."""

import asyncio


async def turns(count: int = 50) -> None:
    """Let the loop turn so often: unlike a time, that is as many steps on a busy machine as on an idle one."""
    for _ in range(count):
        await asyncio.sleep(0)


def let_pass(seconds: float) -> None:
    """Have so much time pass at once, by the clock of the running loop: no pause of this process can come before it."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]  # a clock that jumps is the point
