"""What was heard of etcd. Values only: `etcd_ask` makes them, `etcd_rows` judges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from leasehold.candidate.listing import Listing
from leasehold.etcd.model import ListedMember


@dataclass(frozen=True, slots=True)
class Probe:
    """What a member's client port shows before any request of ours: `clock` is the member's own time."""

    clock: datetime | None = None
    asked_at: datetime | None = None
    """This machine's time when `clock` came."""
    certificate_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """What one endpoint answered. `failure` says why it did not; sizes are bytes, 0 if etcd does not tell."""

    url: str
    failure: str = ""
    version: str = ""
    id: int = 0
    cluster: int = 0
    leader: int = 0
    is_learner: bool = False
    alarms: tuple[str, ...] = ()
    size: int = 0
    quota: int = 0
    read_seconds: float | None = None
    """How long a linearizable read took: the median of a few."""
    read_failure: str = ""
    probe: Probe = field(default_factory=Probe)


@dataclass(frozen=True, slots=True)
class EtcdFacts:
    """All of it. `client_certificate` is the end of our own, or why that cannot be told; None without one."""

    members: tuple[Member, ...]
    listed: Sequence[ListedMember] | None = None
    """None if etcd would not say."""
    client_certificate: datetime | str | None = None
    locks: Listing | None = None
    locks_failure: str = ""
