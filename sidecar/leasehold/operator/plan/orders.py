"""What the plan wants written to etcd, as plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from leasehold.lock.record import Entry


@dataclass(frozen=True, slots=True)
class PutSpec:
    """Write the spec key, if its mod revision still is this one; 0: if there is none."""

    value: bytes
    mod_revision: int


@dataclass(frozen=True, slots=True)
class DeleteSpec:
    """Delete the spec key, if its mod revision still is this one."""

    mod_revision: int


@dataclass(frozen=True, slots=True)
class Evict:
    """Delete a candidate's key, if it still is that candidate's; `cause` is one sentence for a log."""

    entry: Entry
    cause: str
