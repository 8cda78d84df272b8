"""`leasehold restore-check`: find the candidates' keys that a restored etcd brought back, and delete them.

Exit codes: 0 if no such key is there, or none is left; 1 if there are some, or etcd cannot be read; 2 for settings.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.base.terminal import aligned, printable
from leasehold.candidate.any_member import QueueUnreadable
from leasehold.candidate.queue_keys import QueueKey, QueueKeys, QueueKeyStore
from leasehold.candidate.queue_status import why
from leasehold.settings import commands, flags
from leasehold.settings.config import open_settings
from leasehold.settings.connect import client_for
from leasehold.settings.etcd import EtcdConfig, read_etcd

FOUND: Final = 1
_SUMMARY: Final = (
    "After etcd was restored from a snapshot, and before clients are let in: print, for every lock, the candidates' "
    "keys that came back. With --delete, delete them. If clients are let in already, --delete ends every term, and two "
    "may lead for up to one TTL."
)
_WARNING: Final = (
    "If this etcd was restored, each of these keys lets its sidecar lead under a token lower than later ones, whether "
    "or not the revision was bumped: before clients are let in, run this again with --delete."
)
_COLUMNS: Final = ("LOCK", "KEYS", "WITH LEASE", "HIGHEST TOKEN", "BELOW REVISION BY", "LONGEST LEASE LEFT")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold restore-check`. Raises ConfigError."""
    settings = open_settings("restore-check", _SUMMARY, commands.RESTORE_CHECK, arguments, environ)
    etcd, root, delete = read_etcd(settings), settings.get(flags.ROOT), settings.get(commands.DELETE)
    settings.finish()
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # a failure is printed below, once
    try:
        return asyncio.run(_run(etcd, root, delete=delete))
    except QueueUnreadable as error:
        sys.stderr.write(
            f"leasehold: The candidates' keys cannot be {_done(delete)}: {why(error, named=bool(etcd.user))}\n"
        )
        return FOUND


def _done(delete: bool) -> str:
    return "read or deleted" if delete else "read"


async def _run(etcd: EtcdConfig, root: str, *, delete: bool) -> int:
    async with client_for(etcd) as client:
        store = QueueKeyStore(client, len(etcd.endpoints), root)
        found = await store.read()
        if not found.keys:
            return _write(f"No candidate has a key under {store.prefix} at revision {found.revision}.", code=0)
        if delete:
            return await _delete(store, found)
        return _write(_listed(found, await store.leases(found.keys)), code=FOUND)


async def _delete(store: QueueKeyStore, found: QueueKeys) -> int:
    deleted = await store.delete(found.keys)
    locks = len({key.lock for key in found.keys})
    did = f"Deleted {deleted} of {len(found.keys)} candidates' keys, of {_counted(locks, 'lock')}"
    left = (await store.read()).keys
    if not left:
        return _write(f"{did}; none is left, so clients can be let in.", code=0)
    here = f"{_counted(len(left), 'key')} of {_some({key.lock for key in left})}"
    return _write(
        f"{did}; now there are {here}: clients are let in already. Stop that, and run this again.", code=FOUND
    )


def _some(locks: set[str]) -> str:
    first, *others = sorted(locks)
    return printable(first) + (f" and {_counted(len(others), 'other lock')}" if others else "")


def _listed(found: QueueKeys, leases: Mapping[int, int]) -> str:
    by_lock: dict[str, list[QueueKey]] = {}
    for key in found.keys:
        by_lock.setdefault(key.lock, []).append(key)
    rows = [_COLUMNS, *(_row(lock, keys, found.revision, leases) for lock, keys in by_lock.items())]
    head = f"Candidates of {_counted(len(by_lock), 'lock')} have keys at revision {found.revision}:"
    return f"{head}\n\n{aligned(rows, gap=2)}\n{_WARNING}"


def _row(lock: str, keys: Sequence[QueueKey], revision: int, leases: Mapping[int, int]) -> tuple[str, ...]:
    highest = max(key.create_revision for key in keys)
    left = [leases[key.lease] for key in keys if key.lease in leases]
    seconds = f"{max(left)} s" if left else "-"
    return printable(lock), str(len(keys)), str(len(left)), str(highest), str(revision - highest), seconds


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _write(text: str, *, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code
