"""What there is to see in etcd: asked, then judged. `leasehold check` shows it, and `kubectl leasehold check`."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from leasehold.check import etcd_rows, lock_rows
from leasehold.check.etcd_ask import ask
from leasehold.check.rows import Row
from leasehold.etcd.access import Access
from leasehold.lock.names import LockName


def look(etcd: Access, root: str, lock: LockName | None) -> list[Row]:
    """The rows of etcd and of the locks below `root`, or of one lock. Raises what `connect` raises."""
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # failures are rows
    facts = asyncio.run(ask(etcd, root, lock))
    return [*etcd_rows.rows_of(facts, datetime.now(UTC)), *lock_rows.rows_of(facts, lock)]
