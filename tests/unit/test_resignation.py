"""The transaction that gives up a place: what is made beforehand is used only for what it was made for."""

from __future__ import annotations

import pytest

from leasehold.base import clock
from leasehold.candidate.resignation import Resignation
from leasehold.election import commands as cmd
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record

KEYS = Keys(LockName("shop", "billing"))
OTHER = Entry(KEYS.entry(0x72), 0x72, 6, 6, Record("other", incarnation="o"))


@pytest.fixture
async def prepared() -> Resignation:
    """Of the candidate with lease 0x71 and token 5."""
    resignation = Resignation(EtcdClient(["http://127.0.0.1:1"], clock=clock.now), KEYS)
    resignation.prepare(0x71, 5)
    return resignation


def unprepared(command: cmd.Resign) -> bytes:
    client = EtcdClient(["http://127.0.0.1:1"], clock=clock.now)
    return Resignation(client, KEYS).of(command).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "command",
    [
        cmd.Resign(7, 0x71, 5),
        cmd.Resign(7, 0x73, 5),
        cmd.Resign(7, 0x71, 9),
        cmd.Resign(7, 0x71, 5, spec_revision=3),
        cmd.Resign(7, 0x71, 5, guards=(OTHER,)),
        cmd.Resign(7, 0x71, 5, (OTHER,), (OTHER,), 3),
        cmd.Resign(7, 0x71, 5, (OTHER,), (OTHER,), 3, keep_own=True),
        cmd.Resign(7, 0x71, 5, keep_own=True),
    ],
    ids=str,
)
async def test_the_same_is_sent_as_if_nothing_were_prepared(prepared: Resignation, command: cmd.Resign) -> None:
    assert prepared.of(command).SerializeToString(deterministic=True) == unprepared(command)


async def test_the_usual_one_is_not_made_again(prepared: Resignation) -> None:
    assert prepared.of(cmd.Resign(7, 0x71, 5)) is prepared.of(cmd.Resign(8, 0x71, 5))
    assert prepared.of(cmd.Resign(7, 0x71, 9)) is not prepared.of(cmd.Resign(7, 0x71, 9))
