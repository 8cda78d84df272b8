"""Waiting until something changes of one lock, or of all: for commands that show a state again whenever it differs."""

from __future__ import annotations

import asyncio

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.lock.keys import locks_prefix, prefix_end
from leasehold.lock.names import LockName

_CONNECT_TIMEOUT_SECONDS = 2.0
_PAUSE_SECONDS = 1.0
"""After a failure: whoever reads again next says what is wrong."""


async def wait_for_change(client: EtcdClient, root: str, lock: LockName | None, revision: int, seconds: float) -> None:
    """Return at the first change after that revision, or after so many seconds. Raises no EtcdError.

    What counts is a change of the lock, or of any under `root` if `lock` is None.

    It may return without a change: the caller reads again, and from that reading's revision on nothing is missed.
    """
    prefix = locks_prefix(root, lock)
    try:
        async with asyncio.timeout(seconds), client.watch(timeout=_CONNECT_TIMEOUT_SECONDS) as watcher:
            await watcher.add(prefix, end=prefix_end(prefix), start_revision=revision + 1)
            await anext(watcher)
    except TimeoutError:
        pass
    except EtcdError:
        await asyncio.sleep(min(seconds, _PAUSE_SECONDS))
