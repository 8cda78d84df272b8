"""Who has most of the keys, so that whoever finds the database full knows where to look."""

from __future__ import annotations

from collections import Counter
from typing import Final

from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import locks_prefix, prefix_end

_PAGE_KEYS: Final = 50
"""etcd reads the values, too, of which each may have one and a half megabytes."""
_MAX_PAGES: Final = 1000


async def most_keys(client: EtcdClient, root: str) -> str:
    """The namespace with the most keys among the first fifty thousand, in words; "" if there is none.

    Raises EtcdError. How large the values are, etcd tells nobody without sending them.
    """
    prefix = locks_prefix(root)
    key, end = prefix.encode(), prefix_end(prefix)
    found: Counter[str] = Counter()
    for _ in range(_MAX_PAGES):
        page = await client.range(key, end=end, limit=_PAGE_KEYS, keys_only=True)
        found.update(kv.key.decode(errors="replace").removeprefix(prefix).partition("/")[0] for kv in page.kvs)
        if not page.more:
            break
        key = page.kvs[-1].key + b"\0"
    if not found:
        return ""
    ((namespace, count),) = found.most_common(1)
    return f"; of {found.total()} keys, {count} are the namespace {namespace}'s"
