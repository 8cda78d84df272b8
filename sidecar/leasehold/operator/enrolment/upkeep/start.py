"""From the settings to the running part."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from leasehold.etcd.client import EtcdClient
from leasehold.operator.config import OperatorConfig
from leasehold.operator.enrolment.upkeep.census import most_keys
from leasehold.operator.enrolment.upkeep.controller import Around, Upkeep, UpkeepMetrics
from leasehold.operator.enrolment.upkeep.members import Members
from leasehold.operator.own_conditions import OwnConditions
from leasehold.operator.watch.mirror import Mirror
from leasehold.settings.etcd import EtcdConfig


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the operator gives to the part: its mirror, whether it is active, its clock, and where it tells."""

    mirror: Mirror
    active: Callable[[], bool]
    clock: Callable[[], float]
    conditions: OwnConditions
    registry: CollectorRegistry


@asynccontextmanager
async def started(
    config: OperatorConfig, administrator: EtcdConfig, client: EtcdClient, around: Surroundings
) -> AsyncIterator[Upkeep]:
    """The part, which has to be run; its connections end with the block. The client is the caller's."""
    members = Members(administrator)
    given = Around(
        active=around.active,
        queued=lambda: bool(around.mirror.get(config.lock).queue),
        clock=around.clock,
        most_keys=lambda: most_keys(client, config.root),
    )
    try:
        yield Upkeep(members, around.conditions, UpkeepMetrics(around.registry), given)
    finally:
        await members.close()
