"""What `leasehold exec --once-per` needs of the place that keeps the queue: when a command last ran with success.

The record lies beside the queue. It is written by a holder, in a transaction that requires the holder's own key, and
it ends with a lease of its own, so that the store's clock decides and no two hosts' clocks are compared.
`etcd_run_log.EtcdRunLog` is the one implementation.
"""

from __future__ import annotations

import json
from typing import Protocol

from leasehold.base.records import dataclass
from leasehold.lock.json_fields import json_object
from leasehold.lock.names import sanitise


class RunLogError(Exception):
    """The store could not be asked; one sentence says why."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """Who ran the command, and when it ended, RFC 3339, by that host's clock: only for people to read."""

    identity: str
    ended: str

    def encode(self) -> bytes:
        """The value of the key: JSON."""
        return json.dumps({"identity": self.identity, "ended": self.ended}, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, value: bytes) -> LastRun:
        """Read the key's value; never fails: that the key is there is what counts."""
        fields = json_object(value) or {}
        return cls(*(sanitise(str(fields.get(name, "unknown"))) for name in ("identity", "ended")))


class RunLog(Protocol):
    """The record of one lock's last successful run."""

    async def last_run(self, timeout: float) -> LastRun | None:
        """The run whose period has not passed; None if there is none. Linearizable. Raises RunLogError."""

    async def record(self, run: LastRun, key: str, token: int, period: int, timeout: float) -> bool:
        """Record a run for `period` seconds if the queue's `key` still has this fencing token.

        Returns False if it has not. Raises RunLogError; then the outcome is unknown, and recording again does no harm.
        """
