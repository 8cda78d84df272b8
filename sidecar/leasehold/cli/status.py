"""`leasehold status`: print who holds a lock and who waits for it; or, if no lock is named, all locks.

Exit codes: 0 if the queue was printed, whether the lock is held or not; 1 if etcd cannot be read; 2 for settings.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from leasehold.candidate import listing_report, queue_report
from leasehold.candidate.any_member import QueueUnreadable
from leasehold.candidate.lock_reading import Reading
from leasehold.candidate.next_change import wait_for_change
from leasehold.candidate.queue_status import Queue, read_all, read_any, why
from leasehold.cli.live import PAUSE_SECONDS, Look, show
from leasehold.settings import commands, flags
from leasehold.settings.config import Target, open_settings, read_target
from leasehold.settings.connect import client_for

FAILED: Final = 1
LEASES_SECONDS: Final = 1.0
"""With --watch, one lock is shown again after so long even without a change: what is left of the leases is shown."""
QUIET_SECONDS: Final = 60.0
"""All locks are read again after so long without a change: a connection may have died in silence."""
_SUMMARY: Final = (
    "Print a lock's queue from etcd: who holds it, who waits, and how long their leases last. If no lock is named, "
    "print all locks."
)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold status`. Raises ConfigError."""
    settings = open_settings("status", _SUMMARY, commands.STATUS, arguments, environ)
    target = read_target(settings)
    output, watch = settings.get(flags.OUTPUT), settings.get(flags.WATCH)
    settings.finish()
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # a failure is printed below, once
    seconds = LEASES_SECONDS if target.lock else QUIET_SECONDS
    named = bool(target.etcd.user)

    def wait(seen: Look) -> None:
        asyncio.run(_next_change(target, seen.revision, seconds if seen.revision else PAUSE_SECONDS))

    looks = _Looks(lambda: _look(target, output), named=named)
    try:
        return show(looks.look, watch=watch, wait=wait)
    except QueueUnreadable as error:
        sys.stdout.flush()
        sys.stderr.write(f"leasehold: The queue cannot be read: {why(error, named=named)}\n")
        return FAILED


class _Looks:
    """One look after the other. Only a first one that fails is an error: later, etcd may come back."""

    def __init__(self, look: Callable[[], Look], *, named: bool) -> None:
        """`named`: whether the client names a user to etcd."""
        self._look = look
        self._named = named
        self._succeeded = False

    def look(self) -> Look:
        """The next one. Raises QueueUnreadable if it is the first."""
        try:
            seen = self._look()
        except QueueUnreadable as error:
            if not self._succeeded:
                raise
            return Look(f"The queue cannot be read now: {why(error, named=self._named)}\n", FAILED)
        self._succeeded = True
        return seen


def _look(target: Target, output: str) -> Look:
    if target.lock is None:
        reading = asyncio.run(_reading(target))
        listed = reading.listing
        text = listing_report.as_json(listed) if output == "json" else listing_report.as_table(listed)
        return Look(text, revision=reading.revision)
    queue = asyncio.run(_queue(target))
    text = queue_report.as_json(queue) if output == "json" else queue_report.as_table(queue)
    return Look(text, revision=queue.revision)


async def _reading(target: Target) -> Reading:
    async with client_for(target.etcd) as client:
        return await read_all(client, len(target.etcd.endpoints), target.root)


async def _queue(target: Target) -> Queue:
    assert target.lock is not None, "it is about one lock"
    async with client_for(target.etcd) as client:
        return await read_any(client, len(target.etcd.endpoints), target.root, target.lock)


async def _next_change(target: Target, revision: int, seconds: float) -> None:
    async with client_for(target.etcd) as client:
        await wait_for_change(client, target.root, target.lock, revision, seconds)
