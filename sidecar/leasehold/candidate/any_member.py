"""A question that any of etcd's members may answer."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from leasehold.etcd.errors import EtcdError

T = TypeVar("T")


class QueueUnreadable(Exception):
    """etcd could not be asked; the message is one sentence."""


async def ask_any(members: int, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask once for each member: after a failure, the client uses the next one. Raises QueueUnreadable by the last."""
    for _ in range(members - 1):
        with contextlib.suppress(EtcdError, QueueUnreadable):
            return await ask()
    try:
        return await ask()
    except EtcdError as error:
        raise QueueUnreadable(str(error)) from error
