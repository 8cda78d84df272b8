"""Thousands of Locks, made and read as fast as the API server can, and holders for some of them."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.tls import TLSFiles
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.cluster import ControlPlane, Object
from tests.cluster.line import Line
from tests.cluster.rest import path_of
from tests.operator.lock_objects import is_held, is_ready, lock
from tests.servers import PATIENCE

NAMESPACES = 20
"""Namespaces that a crowd is spread over."""
_LINES = 4
_PAGE = 1000
_AT_ONCE = 50
_LEASE = 3600
"""Seconds that a holder's key outlives whoever made it: no run takes as long."""


def names(first: int, end: int, namespaces: int = NAMESPACES) -> list[LockName]:
    """The locks from the number `first` to before `end`, spread over so many namespaces."""
    return [LockName(f"crowd-{number % namespaces}", f"lock-{number:05}") for number in range(first, end)]


def make_locks(api: ControlPlane, wanted: Sequence[LockName]) -> None:
    """Create these Locks, and their namespaces where they are missing."""
    for namespace in sorted({name.namespace for name in wanted}):
        if api.get("namespaces", namespace) is None:
            api.create("namespaces", {"metadata": {"name": namespace}})
    with ThreadPoolExecutor(_LINES) as pool:
        list(pool.map(lambda n: _make(api, wanted[n::_LINES]), range(_LINES)))


def _make(api: ControlPlane, wanted: Sequence[LockName]) -> None:
    with Line(api) as line:
        for name in wanted:
            line.call("POST", path_of("locks", None, name.namespace), lock(name.name))


def all_locks(api: ControlPlane) -> Iterator[tuple[LockName, Object]]:
    """Every Lock of a crowd as the API server has it, page by page."""
    following = ""
    with Line(api) as line:
        while True:
            more = {"continue": following} if following else {}
            page = line.call("GET", path_of("locks", limit=str(_PAGE), **more))
            for one in page["items"]:
                if one["metadata"]["namespace"].startswith("crowd-"):
                    yield LockName(one["metadata"]["namespace"], one["metadata"]["name"]), one
            following = page["metadata"].get("continue", "")
            if not following:
                return


def hold(server: str, root: str, wanted: Sequence[LockName]) -> dict[LockName, int]:
    """Put a holder's key into the queue of each of these locks, as a sidecar would; their fencing tokens."""
    return asyncio.run(_hold(server, root, wanted))


async def _hold(server: str, root: str, wanted: Sequence[LockName]) -> dict[LockName, int]:
    slots = asyncio.Semaphore(_AT_ONCE)
    async with EtcdClient([server], clock=clock.now, timeout=PATIENCE) as client:
        tokens = await asyncio.gather(*(_enter(client, slots, root, name) for name in wanted))
    return dict(zip(wanted, tokens, strict=True))


async def _enter(client: EtcdClient, slots: asyncio.Semaphore, root: str, name: LockName) -> int:
    async with slots:
        lease = (await client.grant(_LEASE)).lease
        record = Record(holder_of(name), pod_namespace=name.namespace, incarnation="1")
        return (await client.put(Keys(name, root).entry(lease), record.encode(), lease=lease)).origin.revision


def holder_of(name: LockName) -> str:
    """The identity of the holder that `hold` makes."""
    return f"{name.name}-0"


def count_wrong(api: ControlPlane, wanted: Sequence[LockName], tokens: dict[LockName, int]) -> int:
    """How many of these Locks have no status, or one that says anything but what is so."""
    seen = dict(all_locks(api))
    return sum(name not in seen or not _is_right(name, seen[name], tokens.get(name)) for name in wanted)


def _is_right(name: LockName, one: Object, token: int | None) -> bool:
    if not is_ready(one) or is_held(one) != (token is not None):
        return False
    if token is None:
        return one["status"]["holderCount"] == 0 and "holderIdentity" not in one["status"]
    return (one["status"]["fencingToken"], one["status"]["holderIdentity"]) == (token, holder_of(name))


def declared_count(server: str, root: str, tls: TLSFiles | None = None) -> int:
    """How many locks under `root` have a spec key in etcd."""
    return asyncio.run(_declared_count(server, root, tls))


async def _declared_count(server: str, root: str, tls: TLSFiles | None) -> int:
    prefix, found, start = f"{root}/locks/", 0, f"{root}/locks/".encode()
    async with EtcdClient([server], clock=clock.now, tls=tls, timeout=PATIENCE) as client:
        while True:
            page = await client.range(start, end=prefix + "\x7f", limit=_PAGE, keys_only=True)
            found += sum(kv.key.endswith(b"/spec") for kv in page.kvs)
            if not page.more:
                return found
            start = page.kvs[-1].key + b"\0"
