"""All locks under one root, read from etcd page by page, as of one revision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leasehold.base.records import dataclass
from leasehold.candidate.listing import Listing
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import WatchLost
from leasehold.lock.keys import locks_prefix, prefix_end
from leasehold.lock.names import LockName

PAGE_KEYS: Final = 500
"""Keys per request of a reading: etcd answers it in milliseconds and serves others in between."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The locks at `revision` of the etcd `cluster`, from `keys` keys, such as belong to no lock among them."""

    listing: Listing
    revision: int
    cluster: int
    keys: int


async def read_locks(
    client: EtcdClient,
    root: str,
    *,
    timeout: float,
    only: LockName | None = None,
    like: Listing | None = None,
    on_page: Callable[[], None] = lambda: None,
) -> Reading:
    """Read all locks as of one revision. `timeout` is a page's, in seconds. Raises EtcdError.

    With `only`, no other lock's keys are read: a user of etcd may have no right to them. With
    `like`, an earlier reading, what is the same is kept once.
    """
    prefix = locks_prefix(root, only)
    listing, end = Listing(root, like), prefix_end(prefix)
    page = await client.range(prefix, end=end, limit=PAGE_KEYS, timeout=timeout)
    origin, keys, connects = page.origin, page.count, client.connects
    while True:
        for kv in page.kvs:
            listing.put(kv)
        on_page()
        if not page.more:
            break
        start = page.kvs[-1].key + b"\0"
        page = await client.range(start, end=end, limit=PAGE_KEYS, revision=origin.revision, timeout=timeout)
    if client.connects != connects:
        raise WatchLost("the connection was lost during the reading")
    listing.complete()
    return Reading(listing, origin.revision, origin.cluster, keys)
