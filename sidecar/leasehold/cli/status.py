"""`leasehold status`: print who holds a lock and who waits for it.

Exit codes: 0 if the queue was printed, whether the lock is held or not; 1 if etcd cannot be read; 2 for settings.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.candidate.queue_report import as_json, as_table
from leasehold.candidate.queue_status import QueueUnreadable, read_any, why
from leasehold.lock.keys import Keys
from leasehold.settings import flags
from leasehold.settings.config import open_settings, read_lock
from leasehold.settings.etcd import read_etcd

FAILED: Final = 1
_SUMMARY: Final = "Print a lock's queue from etcd: who holds it, who waits, and how long their leases last."


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold status`. Raises ConfigError."""
    settings = open_settings("status", _SUMMARY, flags.STATUS, arguments, environ)
    etcd, lock = read_etcd(settings), read_lock(settings)
    root, output = settings.get(flags.ROOT), settings.get(flags.OUTPUT)
    settings.finish()
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # a failure is printed below, once
    try:
        queue = asyncio.run(read_any(etcd, Keys(lock, root)))
    except QueueUnreadable as error:
        sys.stderr.write(f"leasehold: The queue cannot be read: {why(etcd, error)}\n")
        return FAILED
    sys.stdout.write(as_json(queue) if output == "json" else as_table(queue))
    return 0
