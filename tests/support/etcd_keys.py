"""Calls through the client under test: a key deleted, as production code never does alone; and a call repeated."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import Delete, DeleteAnswer, Key
from tests.servers import PATIENCE

T = TypeVar("T")


async def delete(client: EtcdClient, key: Key, *, end: Key | None = None, timeout: float | None = None) -> DeleteAnswer:
    """Delete a key, or the keys from it up to `end`, in one transaction. Raises EtcdError."""
    (answer,) = (await client.txn([], [Delete(key, end)], timeout=timeout)).answers
    assert isinstance(answer, DeleteAnswer)
    return answer


async def until_good(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call, as a caller without any pause of its own would, until it succeeds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await call()
            except EtcdError:
                continue
