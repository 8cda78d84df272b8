"""A real `leasehold ui`, and thousands of locks to show on it."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.model import Put
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from tests.servers import PATIENCE, Process, wait_for
from tests.support.sidecars import request

_LEASE_SECONDS = 3600
"""A crowd's candidates outlive every run."""
_KEYS_AT_ONCE = 100
LEASES = 50
"""As many as a page of the list shows; the locks, in the order of their names, have them in turn."""
_UID = "0b9d1ba2-6f4e-4a6c-9c7f-4c8b8b1f2d11"


class UiPage(Process):
    """One `leasehold ui`; `url` ends in a slash."""

    def __init__(
        self, etcd: str, root: str = "/leasehold", *, flags: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        words = [sys.executable, "-m", "leasehold", "ui", "--etcd", etcd, "--root", root, "--log-level", "debug"]
        super().__init__([*words, *(flags or ("--listen", "127.0.0.1:0"))], name="ui", env=env)
        self.url = ""

    def start(self) -> None:
        """Start it and return when it listens."""
        super().start()
        found = re.compile(r"listen=\S+:(\d+)$", re.MULTILINE)
        wait_for(lambda: not self.running or found.search(self.log_since_start), "the page to be served", PATIENCE)
        match = found.search(self.log_since_start)
        assert match, f"it ended: {self.log_tail()}"
        self.url = f"http://127.0.0.1:{match[1]}/"

    def lock(self, name: str) -> dict[str, object]:
        """One lock, as the page's script asks for it."""
        fields = json.loads(request("GET", f"{self.url}lock?name={name}")[1])
        assert isinstance(fields, dict)
        return fields


def crowd(count: int) -> list[LockName]:
    """Names of so many locks, over twenty namespaces."""
    return [LockName(f"team-{number % 20:02}", f"lock-{number:05}") for number in range(count)]


def put_crowd(etcd: str, root: str, names: Sequence[LockName], candidates: int = 2) -> list[int]:
    """Declare these locks, each with so many candidates; returns the leases that their keys are attached to in turn."""
    return asyncio.run(_put_crowd(etcd, root, sorted(names, key=str), candidates))


async def _put_crowd(etcd: str, root: str, names: Sequence[LockName], candidates: int) -> list[int]:
    async with EtcdClient([etcd], clock=clock.now, timeout=PATIENCE) as client:
        leases = [(await client.grant(_LEASE_SECONDS)).lease for _ in range(LEASES)]
        puts = [
            put
            for number, name in enumerate(names)
            for put in _keys(Keys(name, root), leases[number % LEASES], candidates)
        ]
        for start in range(0, len(puts), _KEYS_AT_ONCE):
            await client.txn((), puts[start : start + _KEYS_AT_ONCE])
        return leases


def _keys(keys: Keys, lease: int, candidates: int) -> Iterator[Put]:
    yield Put(keys.spec, Spec(ttl=15, uid=_UID, generation=1).encode())
    for number in range(candidates):
        pod = f"{keys.lock.name}-7d9f8c6b5d-{number:05}"
        record = Record(
            identity=pod,
            pod=pod,
            pod_namespace=keys.lock.namespace,
            pod_uid=_UID,
            node=f"node-{number}",
            group="7d9f8c6b5d",
            incarnation="0123456789abcdef",
        )
        yield Put(f"{keys.queue}{number + 1:x}", record.encode(), lease)
