"""The real `etcdctl elect` in the same queue as real sidecars: each waits for the other, and sees who leads."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.servers import Process, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
Elect = Callable[..., Process]
LONG = 600


@pytest.fixture
def elect(stored: StoredLock) -> Iterator[Elect]:
    """Starts `etcdctl elect PREFIX PROPOSAL`, or `etcdctl elect --listen PREFIX` without a proposal."""
    with ExitStack() as stack:

        def start(*proposal: str) -> Process:
            words = [stored.keys.prefix, *proposal] if proposal else ["--listen", stored.keys.prefix]
            process = stored.ctl.process("elect", *words)
            stack.callback(process.close)  # before the start, which may fail
            process.start()
            return process

        yield start


def wait_queue(stored: StoredLock, *identities: str) -> None:
    wait_for(lambda: stored.identities() == list(identities), f"{identities} in the queue", PATIENCE)


def test_the_layout_of_the_queue(sidecar_factory: Factory, elect: Elect, stored: StoredLock) -> None:
    """Prefix, slash, lease id in hex, attached to that lease, in order of create revision: for both alike."""
    sidecar_factory("ours", ttl=LONG).wait_leading()
    elect("theirs")
    wait_queue(stored, "ours", "theirs")
    for entry in stored.entries():
        assert entry.key == f"{stored.keys.prefix}/{entry.lease:x}"
        assert entry.create_revision == entry.mod_revision
        assert entry.lease in stored.ctl.leases()


def test_etcdctl_waits_for_ours(sidecar_factory: Factory, elect: Elect, stored: StoredLock) -> None:
    """It is elected when ours has stopped, and not before."""
    a = sidecar_factory("a", ttl=LONG)
    token = a.wait_leading().token
    candidate = elect("theirs")
    wait_queue(stored, "a", "theirs")
    assert a.is_leading()
    assert a.terminate() == 0
    key, value = candidate.read_line(), candidate.read_line()
    (entry,) = stored.entries()
    assert (key, value) == (entry.key, "theirs")
    assert entry.create_revision > token


def test_ours_waits_for_etcdctl(sidecar_factory: Factory, elect: Elect, stored: StoredLock) -> None:
    """Ours names it by its text, and leads when it has resigned."""
    candidate = elect("theirs")
    assert candidate.read_line() == stored.entries()[0].key
    revision = stored.entries()[0].create_revision
    a = sidecar_factory("a", ttl=LONG)
    answer = a.wait_queued(1)
    assert (answer.status, answer.fields["leader"]) == (503, "theirs")
    candidate.terminate()
    assert a.wait_leading().token > revision


def test_dead_etcdctl_is_waited_for(sidecar_factory: Factory, elect: Elect, stored: StoredLock) -> None:
    """Killed: its key stands until its lease has run out, or is revoked."""
    candidate = elect("theirs")
    candidate.read_line()
    a = sidecar_factory("a", ttl=LONG)
    a.wait_queued(1)
    candidate.kill()
    (lease,) = {entry.lease for entry in stored.entries() if entry.value == "theirs"}
    assert not a.is_leading()
    stored.ctl.revoke(lease)
    a.wait_leading()


def test_a_queue_of_both_kinds(sidecar_factory: Factory, elect: Elect, stored: StoredLock) -> None:
    """Ours, theirs, ours, theirs: each has its turn, in order, under a higher token than the one before."""
    a = sidecar_factory("a", ttl=LONG)
    tokens = [a.wait_leading().token]
    first = elect("first")
    wait_queue(stored, "a", "first")
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(2)
    second = elect("second")
    wait_queue(stored, "a", "first", "b", "second")
    a.terminate()
    assert [first.read_line(), first.read_line()][1] == "first"
    tokens.append(stored.entries()[0].create_revision)
    first.terminate()
    tokens.append(b.wait_leading().token)
    b.post("/handover")
    assert [second.read_line(), second.read_line()][1] == "second"
    tokens.append(stored.entries()[0].create_revision)
    second.terminate()
    tokens.append(b.wait_leading().token)
    assert tokens == sorted(set(tokens))


def test_a_listener_sees_our_leaders(sidecar_factory: Factory, elect: Elect, stored: StoredLock) -> None:
    """`--listen` prints the key and the record of each leader, ours or theirs."""
    a = sidecar_factory("a", ttl=LONG)
    a.wait_leading()
    listener = elect()
    assert listener.read_line() == stored.entries()[0].key
    assert json.loads(listener.read_line())["identity"] == "a"
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(1)
    elect("theirs")
    wait_queue(stored, "a", "b", "theirs")
    a.terminate()
    b.wait_leading()
    assert listener.read_line() == stored.entries()[0].key
    assert json.loads(listener.read_line())["identity"] == "b"
    b.terminate()
    assert listener.read_line() == stored.entries()[0].key
    assert listener.read_line() == "theirs"
