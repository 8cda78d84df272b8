"""Where a lock's keys are in etcd. The sidecar and the operator build every key here and nowhere else.

    {root}/locks/{namespace}/{name}/queue/{lease id in hex}   one candidate each: a `Record`, attached to its lease
    {root}/locks/{namespace}/{name}/spec                      the declared lock: a `Spec`, written by the operator alone
    {root}/locks/{namespace}/{name}/ran                       the last run of `leasehold exec --once-per`, on a lease

The queue is laid out as etcd's own `concurrency.Election` does it (prefix, `/`, lease id in lower-case hex; order is
the create revision), so that `etcdctl elect` and Go programs can stand in the same queue.
"""

from __future__ import annotations

from typing import Final

from leasehold.base.records import dataclass
from leasehold.lock.names import LockName

DEFAULT_ROOT: Final = "/leasehold"


@dataclass(frozen=True, slots=True)
class Keys:
    """The etcd keys of one lock."""

    lock: LockName
    root: str = DEFAULT_ROOT

    @property
    def prefix(self) -> str:
        """The lock's election prefix: what `etcdctl elect` is given to wait in the same queue."""
        return f"{self.directory}/queue"

    @property
    def queue(self) -> str:
        """The common prefix of all candidates' keys, with its closing slash."""
        return self.prefix + "/"

    @property
    def directory(self) -> str:
        """The common part of all of the lock's keys, without a closing slash."""
        return f"{self.root}/locks/{self.lock.namespace}/{self.lock.name}"

    @property
    def spec(self) -> str:
        """The key of the declared lock."""
        return f"{self.directory}/spec"

    @property
    def ran(self) -> str:
        """The key that says, until its lease ends, that a command ran and succeeded."""
        return f"{self.directory}/ran"

    def entry(self, lease: int) -> str:
        """The key of the candidate that holds this lease id."""
        return f"{self.queue}{lease:x}"


def locks_prefix(root: str, only: LockName | None = None) -> str:
    """The common prefix of all locks' keys, or of this one's, with its closing slash."""
    return f"{root}/locks/" if only is None else f"{Keys(only, root).directory}/"


def prefix_end(prefix: str) -> bytes:
    """The end of the range that holds every key with this prefix. The prefix ends in a byte below 0xff."""
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])
