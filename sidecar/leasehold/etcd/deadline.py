"""When the time for a call to etcd is up, and waiting for its answer until then."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

R = TypeVar("R")

_CONNECTING: Final = 0.75
"""The share of a call's time that connecting and waiting for a login may take. A call that is then sent with no time
left would time out for nothing, and take a good connection with it.
"""


class Deadline:
    """When an operation's time is up, on the event loop's clock; `timeout` in seconds, from now on."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        now = asyncio.get_running_loop().time()
        self.at = now + timeout
        self.for_connecting = now + timeout * _CONNECTING

    def left_for_connecting(self) -> float:
        """Seconds left for all that comes before the call itself, negative once they are over."""
        return self.for_connecting - asyncio.get_running_loop().time()


class NoAnswer(Exception):
    """The time is over."""


async def answered(answer: asyncio.Future[R], deadline: Deadline) -> R:
    """The result of this future. Raises what it has, or at the deadline NoAnswer, which it then has, too.

    Not asyncio.timeout: it discards an answer that came in the turn of the loop in which the time ran out, as both do
    after a pause of this process. Not asyncio.wait: it costs one more turn, a part of what an idle candidate costs.
    """
    timer = asyncio.get_running_loop().call_at(deadline.at, _give_up, answer)
    try:
        return await answer
    finally:
        timer.cancel()


def _give_up(answer: asyncio.Future[R]) -> None:
    if not answer.done():
        answer.set_exception(NoAnswer())
        answer.exception()  # its caller may be gone
