"""A store that is not etcd, to hold the runner to the port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from leasehold.base import clock
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.commands import Question
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry

HEADER = ev.ResponseHeader(1, 1, 1, 5)


class OtherStore:
    """Lets the candidate in as the only one. Its revocations fail; its watches see nothing, or raise `bug`."""

    def __init__(self, lock: LockName, bug: Exception | None = None) -> None:
        self.keys = Keys(lock)
        self.bug = bug
        self.revocations = 0

    async def perform(self, question: Question, timeout: float) -> ev.Event:
        match question:
            case cmd.ReadSpec(op):
                return ev.SpecRead(op, HEADER, ev.Declared(None))
            case cmd.Grant(op, ttl):
                return ev.Granted(op, HEADER, 0x71, ttl, clock.now())
            case cmd.Join(op, lease, record):
                return ev.Joined(op, HEADER, True, (Entry(self.keys.entry(lease), lease, 5, 5, record),))
            case cmd.Resign(op):
                return ev.Written(op, HEADER, True)
            case _:
                return ev.Failed(question.op, "not asked of this store")

    def prepare(self, lease: int, token: int) -> None:
        pass

    async def revoke(self, lease: int, timeout: float) -> str | None:
        self.revocations += 1
        return "the network is down"

    async def follow(self, watch: cmd.Watch, on_event: Callable[[ev.Event], None]) -> ev.WatchLost:
        if self.bug is not None:
            raise self.bug
        await asyncio.Event().wait()
        return ev.WatchLost("never")

    async def time_to_live(self, lease: int, timeout: float) -> int | None:
        return None

    async def known_bug(self, timeout: float) -> str | None:
        return "this store is known to forget"
