"""A lock as etcd has it, seen and written by etcdctl: what an operator, or a person with a shell, would do."""

import json
from typing import Any

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import Etcdctl, KeyValue
from tests.support.sidecars import LOCK


class StoredLock:
    """The queue and the spec key of one lock under `root`."""

    def __init__(self, etcdctl: Etcdctl, root: str, lock: str = LOCK) -> None:
        self.ctl = etcdctl
        self.keys = Keys(LockName.parse(lock, "default"), root)

    def entries(self) -> list[KeyValue]:
        """The keys of the queue, first come first."""
        return self.ctl.prefix(self.keys.queue)

    def identities(self) -> list[str]:
        """Who stands in the queue, first come first; of foreign records their text."""
        return [_identity(entry.value) for entry in self.entries()]

    def records(self) -> list[dict[str, Any]]:
        """The records in the queue, first come first; all of them ours."""
        return [json.loads(entry.value) for entry in self.entries()]

    def entry_of(self, identity: str) -> KeyValue:
        """The key of the candidate with this identity. Raises StopIteration when there is none."""
        return next(entry for entry in self.entries() if _identity(entry.value) == identity)

    def end_lease(self, identity: str) -> None:
        """Revoke the lease of a candidate that renews it no more, as etcd does when its time is over."""
        self.ctl.revoke(self.entry_of(identity).lease)

    def declare(self, **spec: object) -> None:
        """Write the spec key, as the operator does."""
        self.write_spec(json.dumps(spec))

    def write_spec(self, value: str) -> None:
        """Write anything at all to the spec key."""
        self.ctl.put(self.keys.spec, value)

    def stranger(self, value: str, ttl: int = 600) -> int:
        """Queue up a candidate that is not ours; returns its lease."""
        lease = self.ctl.grant(ttl)
        self.ctl.put(self.keys.entry(lease), value, lease=lease)
        return lease


def _identity(value: str) -> str:
    try:
        return str(json.loads(value)["identity"])
    except (ValueError, TypeError, KeyError):
        return value


def stored_lock(ctl: Etcdctl, root: str, namespace: str, name: str) -> StoredLock:
    """The lock `name` of this namespace."""
    return StoredLock(ctl, root, f"{namespace}/{name}")
