"""etcd's answers as the election's events: the conversions alone. What etcd really answers is tested on real ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leasehold.base import clock
from leasehold.base.etcd_bugs import known_bug_of
from leasehold.candidate.etcd_store import EtcdStore, declared_of, entry_of
from leasehold.candidate.store import timeout_for
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.codec import txn_request
from leasehold.etcd.model import Get, KeyValue, RangeAnswer, ResponseHeader, TxnAnswer, WatchEvent
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec

quick = settings(deadline=None)
KEYS = Keys(LockName("shop", "billing"))
ME = Record("me", incarnation="i")


def kv(key: str | bytes, value: bytes, *, created: int = 5, modified: int = 7, lease: int = 0x71) -> KeyValue:
    """A key as etcd gives it."""
    raw = key.encode() if isinstance(key, str) else key
    return KeyValue(raw, value, created, modified, 1, lease)


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of an etcd that is not there: the port is taken, so that nothing else can come to listen on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
async def store(nobody: str) -> EtcdStore:
    """For conversions: nothing is sent."""
    return EtcdStore(EtcdClient([nobody], clock=clock.now), KEYS)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_of_the_queue_is_an_entry_with_etcds_numbers() -> None:
    entry = entry_of(kv(KEYS.entry(0x71), ME.encode()))
    assert (entry.key, entry.lease, entry.create_revision, entry.mod_revision) == (KEYS.entry(0x71), 0x71, 5, 7)
    assert entry.record == ME
    assert entry.changed


@quick
@given(st.binary(max_size=40), st.binary(max_size=200), st.integers(0, 2**63 - 1))
def test_any_key_with_any_value_is_an_entry(key: bytes, value: bytes, lease: int) -> None:
    """Whoever can write to etcd can write this into the queue."""
    entry = entry_of(kv(key, value, lease=lease))
    assert isinstance(entry.key, str)
    assert entry.record == Record.decode(value)


def test_a_spec_key_declares_a_lock() -> None:
    """Without the key, the lock is undeclared."""
    assert declared_of(kv(KEYS.spec, Spec(capacity=2).encode())) == ev.Declared(Spec(capacity=2), 7)
    assert declared_of(None) == ev.Declared(None, 0)


def test_a_broken_spec_key_has_its_revision() -> None:
    """The revision counts: joining compares it."""
    declared = declared_of(kv(KEYS.spec, b"{"))
    assert (declared.spec, declared.revision) == (None, 7)
    assert declared.broken == "the lock's spec key does not hold a JSON object"


@quick
@given(st.binary(max_size=200))
def test_any_spec_key_is_either_declared_or_broken(value: bytes) -> None:
    declared = declared_of(kv(KEYS.spec, value))
    assert (declared.spec is None) == bool(declared.broken)


# --- what watches tell -----------------------------------------------------------------------------------------------


def test_watch_events_are_told_by_their_key(store: EtcdStore) -> None:
    own, gone = kv(KEYS.entry(0x71), ME.encode()), kv(KEYS.entry(0x71), b"", created=0, modified=9, lease=0)
    spec, undeclared = kv(KEYS.spec, Spec(capacity=3).encode()), kv(KEYS.spec, b"", created=0, modified=9)
    assert store.event_of(WatchEvent(False, own), 7) == ev.EntryPut(entry_of(own))
    assert store.event_of(WatchEvent(True, gone), 9) == ev.EntryGone(KEYS.entry(0x71), 9)
    assert store.event_of(WatchEvent(False, spec), 7) == ev.SpecChanged(ev.Declared(Spec(capacity=3), 7), 7)
    assert store.event_of(WatchEvent(True, undeclared), 9) == ev.SpecChanged(ev.Declared(None), 9)


def test_a_deletion_has_the_revision_of_its_batch(store: EtcdStore) -> None:
    """The event of the deletion has no revision of its own."""
    gone = kv(KEYS.entry(0x71), b"", created=0, modified=0, lease=0)
    assert store.event_of(WatchEvent(True, gone), 12) == ev.EntryGone(KEYS.entry(0x71), 12)


# --- the confirming read ---------------------------------------------------------------------------------------------


HEADER = ResponseHeader(1, 2, 3, 9)


class OneTransaction(EtcdClient):
    """Answers a transaction without an etcd, and keeps what was asked."""

    asked: tuple[Any, ...] = ()
    answers: tuple[RangeAnswer, ...] = ()
    header = HEADER

    async def txn(self, *asked: Any, timeout: float | None = None) -> TxnAnswer:
        self.asked = asked
        return TxnAnswer(self.header, True, self.answers)


async def test_a_confirming_read_asks_the_quorum() -> None:
    """Without a linearizable read in one of its branches, etcd would let a leader answer that was replaced."""
    client = OneTransaction(["http://127.0.0.1:1"], clock=clock.now)
    answer = await EtcdStore(client, KEYS).perform(cmd.ReadOwn(7, 0x71, "ahead", cmd.Expected(5, 6, 4, 3)), 5.0)
    assert answer == ev.Unchanged(7, ev.ResponseHeader(1, 2, 3, 9))
    compares, success, failure = client.asked
    assert len(compares) == 4
    assert success == []
    assert failure
    assert all(isinstance(read, Get) for read in failure)
    sent = txn_request(compares, success, failure)
    assert not any(operation.request_range.serializable for operation in sent.failure)


async def test_what_is_read_again_is_the_same_object() -> None:
    """An entry as it was at the last confirming read is not made again; one that differs in anything is."""
    client = OneTransaction(["http://127.0.0.1:1"], clock=clock.now)
    store, key = EtcdStore(client, KEYS), KEYS.entry(0x71)

    async def read(own: KeyValue, head: KeyValue) -> ev.OwnRead:
        client.answers = tuple(RangeAnswer(HEADER, kvs, len(kvs), False) for kvs in ((own,), (), (head,)))
        answer = await store.perform(cmd.ReadOwn(7, 0x71, None), 5.0)
        assert isinstance(answer, ev.OwnRead)
        return answer

    first = await read(kv(key, ME.encode()), kv(key, ME.encode()))
    again = await read(kv(key, ME.encode()), kv(KEYS.entry(0x70), ME.encode(), created=4))
    assert first.own is first.head is again.own
    assert again.head == entry_of(kv(KEYS.entry(0x70), ME.encode(), created=4))
    for other in (kv(key, ME.encode(), modified=8), kv(key, ME.encode(), lease=0), kv(key, b"{}")):
        assert (await read(other, other)).own == entry_of(other)


async def test_headers_share_what_they_have_in_common() -> None:
    """On a quiet etcd all answers have one header, on a busy one its parts; whatever differs is told."""
    client = OneTransaction(["http://127.0.0.1:1"], clock=clock.now)
    store, member = EtcdStore(client, KEYS), 10**18

    async def header(*fields: int) -> ev.ResponseHeader:
        client.header = ResponseHeader(*fields)
        answer = await store.perform(cmd.ReadOwn(7, 0x71, None, cmd.Expected(5, 6, 4)), 5.0)
        assert isinstance(answer, ev.Unchanged)
        assert answer.origin == ev.ResponseHeader(*fields)
        return answer.origin

    first = await header(1, member, 3, 9)
    assert await header(1, int(str(member)), 3, 9) is first
    assert (await header(1, int(str(member)), 3, 10)).member is member
    for fields in ((2, member, 3, 10), (2, 12, 3, 10), (2, 12, 4, 10), (2, 12, 4, 9)):
        await header(*fields)


# --- failures --------------------------------------------------------------------------------------------------------

ENTRY = entry_of(kv(KEYS.entry(0x71), ME.encode()))
QUESTIONS: list[Any] = [
    cmd.ReadSpec(7),
    cmd.Grant(7, 15),
    cmd.Join(7, 0x71, ME, 0),
    cmd.ReadQueue(7),
    cmd.ReadOwn(7, 0x71, None),
    cmd.KeepAlive(7, 0x71),
    cmd.Write(7, 0x71, ME, 5, 5),
    cmd.Resign(7, 0x71, 5, (ENTRY,), (ENTRY,), 3),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: type(q).__name__)
async def test_an_unsent_request_is_certainly_undone(nobody: str, question: Any) -> None:
    """The election counts on it: then nothing has to be read before the next try."""
    async with EtcdClient([nobody], clock=clock.now) as client:
        answer = await EtcdStore(client, KEYS).perform(question, 5.0)
    assert isinstance(answer, ev.Failed)
    assert (answer.op, answer.refused, answer.lease_gone, answer.unmarked) == (7, True, False, False)
    assert answer.reason


# --- what is known of etcd -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ttl", "seconds"), [(3, 0.6), (2, 0.5), (5, 1.0), (10, 2.0), (15, 2.0), (3600, 2.0)])
def test_a_timeout_is_bounded_by_the_ttl(ttl: int, seconds: float) -> None:
    """A request may take a fifth of the TTL, and two seconds in any case."""
    assert timeout_for(ttl) == pytest.approx(seconds)


@pytest.mark.parametrize("ttl", range(3, 61))
def test_a_member_that_hangs_costs_a_try_and_not_the_lease(ttl: int) -> None:
    """After a third of the TTL: a keep-alive that times out, a pause, and another that takes as long."""
    limit = timeout_for(ttl)
    assert ttl / 3 + limit + 0.4 + limit < ttl * 0.99 / 1.01


@pytest.mark.parametrize(
    "version", ["3.4.30", "3.5.0", "3.5.1", "3.5.12", "3.3.27", "3.5.12+git", "2.3.8", "3.4.9-rc.1"]
)
def test_versions_that_break_a_promise_are_named(version: str) -> None:
    assert version in (known_bug_of(version) or "")


@pytest.mark.parametrize(
    "version", ["3.4.31", "3.5.13", "3.5.21", "3.6.0", "3.7.3", "4.0.0", "3.10.1", "", "not a one"]
)
def test_versions_without_known_bugs_pass(version: str) -> None:
    """A version that cannot be parsed is not reported either."""
    assert known_bug_of(version) is None
