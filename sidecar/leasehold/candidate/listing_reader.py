"""The keys of all locks, or of one, read from etcd at one revision."""

from __future__ import annotations

from typing import Final

from leasehold.candidate.listing import Listing
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import locks_prefix, prefix_end
from leasehold.lock.names import LockName

_PAGE_KEYS: Final = 1000


async def read_listing(client: EtcdClient, root: str, lock: LockName | None, timeout: float) -> Listing:
    """What is under `root`, page by page, each within `timeout` seconds. Raises EtcdError.

    With `lock` only its keys are read: a user of etcd may have rights to no others.
    """
    prefix = locks_prefix(root) + (f"{lock.namespace}/{lock.name}/" if lock else "")
    found, start, revision = Listing(root), prefix.encode(), 0
    while True:
        page = await client.range(start, end=prefix_end(prefix), limit=_PAGE_KEYS, revision=revision, timeout=timeout)
        revision = revision or page.origin.revision
        for kv in page.kvs:
            found.put(kv)
        if not page.more or not page.kvs:
            return found
        start = page.kvs[-1].key + b"\0"
