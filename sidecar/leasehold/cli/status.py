"""`leasehold status`: print who holds a lock and who waits for it; or, if no lock is named, all locks.

Exit codes: 0 if the queue was printed, whether the lock is held or not; 1 if etcd cannot be read; 2 for settings.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.candidate import listing_report, queue_report
from leasehold.candidate.queue_status import QueueUnreadable, read_all, read_any, why
from leasehold.cli.live import Look, show
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.settings import commands, flags
from leasehold.settings.config import open_settings, read_lock_if_named
from leasehold.settings.etcd import EtcdConfig, read_etcd

FAILED: Final = 1
_SUMMARY: Final = (
    "Print a lock's queue from etcd: who holds it, who waits, and how long their leases last. If no lock is named, "
    "print all locks."
)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold status`. Raises ConfigError."""
    settings = open_settings("status", _SUMMARY, commands.STATUS, arguments, environ)
    etcd, root, output = read_etcd(settings), settings.get(flags.ROOT), settings.get(flags.OUTPUT)
    lock = read_lock_if_named(settings)
    watch = settings.get(flags.WATCH)
    settings.finish()
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # a failure is printed below, once
    try:
        return show(lambda: _look(etcd, root, lock, output), watch=watch)
    except QueueUnreadable as error:
        sys.stdout.flush()
        sys.stderr.write(f"leasehold: The queue cannot be read: {why(etcd, error)}\n")
        return FAILED


def _look(etcd: EtcdConfig, root: str, lock: LockName | None, output: str) -> Look:
    if lock is None:
        listing = asyncio.run(read_all(etcd, root))
        return Look(listing_report.as_json(listing) if output == "json" else listing_report.as_table(listing))
    queue = asyncio.run(read_any(etcd, Keys(lock, root)))
    return Look(queue_report.as_json(queue) if output == "json" else queue_report.as_table(queue))
