"""Snapshots of one candidate of a lock: it holds until 110.0, or it waits behind another."""

from __future__ import annotations

from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.names import LockName

LOCK = LockName("prod", "billing")
HOLDING = Snapshot(
    LOCK,
    "billing-0",
    State.HOLDING,
    token=17,
    key="/queue/1f",
    term_since=90.0,
    deadline=110.0,
    leader="billing-0",
    position=0,
)
WAITING = Snapshot(
    LOCK, "billing-0", State.WAITING, token=17, key="/queue/1f", deadline=110.0, leader="billing-1", position=1
)
