"""Asking etcd: every endpoint for itself, each question with a deadline, all of it within `WHOLE_SECONDS`."""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from leasehold.base import clock
from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.candidate.listing import Listing
from leasehold.candidate.lock_reading import read_locks
from leasehold.check.certificates import end_of_pem
from leasehold.check.etcd_facts import EtcdFacts, Member, Probe
from leasehold.check.member_probe import probe
from leasehold.etcd.access import Access
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import ListedMember
from leasehold.lock.keys import Keys, locks_prefix, prefix_end
from leasehold.lock.names import LockName

WHOLE_SECONDS: Final = 7.0
_QUESTION_SECONDS: Final = 3.0
_READS: Final = 3
_LATE: Final = "it did not answer in time"


async def ask(etcd: Access, root: str, lock: LockName | None) -> EtcdFacts:
    """All facts; about one lock, or about all. Raises only what `connect` raises."""
    end = clock.now() + WHOLE_SECONDS
    members = await asyncio.gather(*(_member(url, etcd, _prefix(root, lock), end) for url in etcd.endpoints))
    sound = [member.url for member in members if not member.failure] or list(etcd.endpoints)
    client = etcd.connect(sound)
    try:
        listed, locks = await asyncio.gather(_listed(client, end), _locks(client, root, lock, end))
    finally:
        await client.close()
    certificate = _own_certificate(etcd.cert) if etcd.cert else None
    return EtcdFacts(tuple(members), listed, certificate, *locks)


def _prefix(root: str, lock: LockName | None) -> str:
    """Where every candidate may read: of one lock, if it is about one."""
    return Keys(lock, root).queue if lock else locks_prefix(root)


async def _member(url: str, etcd: Access, prefix: str, end: float) -> Member:
    client = etcd.connect([url])
    try:
        asked, seen = await asyncio.gather(_status(client, url, prefix, end), _probe(url, etcd))
        return dataclasses.replace(asked, probe=seen)
    finally:
        await client.close()


async def _status(client: EtcdClient, url: str, prefix: str, end: float) -> Member:
    try:
        async with asyncio.timeout_at(_at(end - _QUESTION_SECONDS)):
            status = await client.status(timeout=_QUESTION_SECONDS)
            seconds, failure = await _read_seconds(client, prefix)
    except (EtcdError, TimeoutError) as error:
        return Member(url, failure=str(error) or _LATE)
    header = status.origin
    return Member(
        url,
        version=status.version,
        id=header.member,
        cluster=header.cluster,
        leader=status.leader,
        is_learner=status.is_learner,
        alarms=status.errors,
        size=status.size,
        quota=status.quota,
        read_seconds=seconds,
        read_failure=failure,
    )


async def _read_seconds(client: EtcdClient, prefix: str) -> tuple[float | None, str]:
    """How long a linearizable read takes; why there is none."""
    took: list[float] = []
    for _ in range(_READS):
        began = clock.now()
        try:
            await client.range(prefix, end=prefix_end(prefix), limit=1, keys_only=True, timeout=_QUESTION_SECONDS / 2)
        except EtcdError as error:
            return None, str(error)
        took.append(clock.now() - began)
    return statistics.median(took), ""


async def _probe(url: str, etcd: Access) -> Probe:
    """In a thread that is abandoned if it hangs, as name servers do."""
    try:
        return await asyncio.wait_for(
            run_in_daemon_thread(lambda: probe(url, etcd.cert, etcd.key), "probe"), _QUESTION_SECONDS
        )
    except (TimeoutError, OSError):
        return Probe()


async def _listed(client: EtcdClient, end: float) -> Sequence[ListedMember] | None:
    try:
        async with asyncio.timeout_at(_at(end)):
            return await client.members(timeout=_QUESTION_SECONDS)
    except (EtcdError, TimeoutError):
        return None


async def _locks(client: EtcdClient, root: str, lock: LockName | None, end: float) -> tuple[Listing | None, str]:
    """The locks' keys; None, and why, if etcd cannot be read."""
    try:
        async with asyncio.timeout_at(_at(end)):
            return (await read_locks(client, root, timeout=_QUESTION_SECONDS, only=lock)).listing, ""
    except (EtcdError, TimeoutError) as error:
        return None, str(error) or _LATE


def _at(end: float) -> float:
    """An instant of our clock as one of the loop's."""
    return asyncio.get_running_loop().time() + max(0.0, end - clock.now())


def _own_certificate(path: Path) -> datetime | str:
    """The end of the certificate in this file, or why it cannot be told."""
    try:
        return end_of_pem(path.read_text(errors="replace"))
    except (OSError, ValueError) as error:
        return f"{path}: {error}"
