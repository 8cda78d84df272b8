"""Etcd's members, each asked by a connection of its own: how they are, and what only one of them can do.

A member that is defragmented answers nobody, and one that has lost the others answers no reading that has to be the
newest: such a reading is asked of each.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from leasehold.etcd.admin import AdminClient, MemberStatus
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import ListedMember
from leasehold.operator.enrolment.upkeep.model import Member, Seen
from leasehold.settings.connect import open_client
from leasehold.settings.etcd import EtcdConfig

_TIMEOUT_SECONDS: Final = 5.0
_DEFRAGMENT_TIMEOUT_SECONDS: Final = 300.0
_COMPACT_TIMEOUT_SECONDS: Final = 60.0
_MAX_BEHIND: Final = 1000
"""Entries of the log that a healthy member may not have applied yet."""


class Members:
    """The members at these endpoints. Calls raise EtcdError."""

    def __init__(self, etcd: EtcdConfig) -> None:
        """No connection is made yet; `close` ends those that are."""
        self._clients = {
            url: open_client(AdminClient, dataclasses.replace(etcd, endpoints=(url,))) for url in etcd.endpoints
        }
        self._url_of: dict[int, str] = {}

    async def close(self) -> None:
        """Close all connections."""
        async with AsyncExitStack() as stack:
            for client in self._clients.values():
                stack.push_async_callback(client.close)

    async def look(self) -> Seen:
        """Ask all of them. Raises EtcdError if none answers; one that does not is unhealthy."""
        answers = dict(zip(self._clients, await asyncio.gather(*map(self._ask, self._clients)), strict=True))
        failures = {url: answer for url, answer in answers.items() if isinstance(answer, EtcdError)}
        alive = {answer.id: answer for answer in answers.values() if isinstance(answer, MemberStatus)}
        if not alive:
            raise next(iter(failures.values()))
        self._url_of = {answer.id: url for url, answer in answers.items() if isinstance(answer, MemberStatus)}
        listed = await self._any().members(timeout=_TIMEOUT_SECONDS)
        members = tuple(_member(each, alive.get(each.id), failures) for each in listed)
        alarms = await self._any().alarms(timeout=_TIMEOUT_SECONDS)
        return Seen(members, alarms, max(status.revision for status in alive.values()))

    async def _ask(self, url: str) -> MemberStatus | EtcdError:
        client = self._clients[url]
        try:
            status = await client.member_status(timeout=_TIMEOUT_SECONDS)
            await client.range("/leasehold", limit=1, keys_only=True, timeout=_TIMEOUT_SECONDS)
        except EtcdError as error:
            return error
        return status

    async def compact(self, revision: int) -> None:
        """Forget what was before this revision, and wait until one member's disk has."""
        await self._any().compact(revision, timeout=_COMPACT_TIMEOUT_SECONDS)

    async def defragment(self, member: Member) -> None:
        """Defragment this member."""
        await self._clients[self._url_of[member.id]].defragment(timeout=_DEFRAGMENT_TIMEOUT_SECONDS)

    async def disarm(self, member: int) -> None:
        """End this member's NOSPACE alarm."""
        await self._any().disarm(member, timeout=_TIMEOUT_SECONDS)

    def _any(self) -> AdminClient:
        return self._clients[next(iter(self._url_of.values()))]


async def versions(etcd: EtcdConfig) -> frozenset[str]:
    """Those of the members at these endpoints that answer. Raises EtcdError if none does."""
    members = Members(etcd)
    try:
        return frozenset(member.version for member in (await members.look()).members if member.version)
    finally:
        await members.close()


def _member(listed: ListedMember, status: MemberStatus | None, failures: Mapping[str, EtcdError]) -> Member:
    name = listed.name or f"{listed.id:x}"
    if status is None:
        why = next((f": {failures[url]}" for url in listed.urls if url in failures), "")
        return Member(listed.id, name, problem=f"does not answer{why}")
    return Member(
        listed.id,
        name,
        status.version,
        status.size,
        status.in_use,
        status.quota,
        is_leader=status.leader == listed.id,
        problem=_problem(listed, status),
    )


def _problem(listed: ListedMember, status: MemberStatus) -> str:
    if listed.is_learner:
        return "is a learner"
    if not status.leader:
        return "knows no leader"
    if status.behind > _MAX_BEHIND:
        return f"is {status.behind} entries behind"
    return ""
