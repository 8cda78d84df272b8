"""The spec key under running sidecars: each field, written by etcdctl as an operator would, and what nobody should.

And the queue, with records in it that are not ours.
"""

import json
import time
from collections.abc import Callable

import pytest

from tests.servers import wait_for
from tests.support.exclusion_checker import Witness
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
LONG = 600
"""A TTL in seconds that no test outlasts: whatever happens was not the lease's doing."""


def queued(factory: Factory, *names: str, group: str = "") -> list[Sidecar]:
    """Sidecars in the queue in this order."""
    started = []
    for name in names:
        started.append(factory(name, ttl=LONG, flags=["--group", group] if group else []))
        started[-1].wait_queued()
    return started


def test_capacity_up_and_down(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Two hold at capacity 2, each under a token of its own; back at 1 the younger one stops, and the older goes on."""
    a, b, c = queued(sidecar_factory, "a", "b", "c")
    first = a.wait_leading()
    stored.declare(capacity=2)
    second = b.wait_leading()
    assert second.token > first.token == a.ask().token
    assert [one.get("/")[1] for one in (a, b)] == ['{"name": "a"}\n', '{"name": "b"}\n']
    assert not c.is_leading()
    stored.declare(capacity=1)
    b.wait_not_leading()
    assert a.ask().token == first.token
    wait_for(lambda: stored.identities() == ["a", "c", "b"], "b to queue again behind c", PATIENCE)


def test_suspend(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Nobody holds; all stand in the queue, ready to go on."""
    a, b = both = queued(sidecar_factory, "a", "b")
    old = a.wait_leading()
    stored.declare(suspend=True)
    a.wait_not_leading()
    wait_for(lambda: stored.identities() == ["b", "a"], "a to queue again", PATIENCE)
    a.wait_queued(1)
    assert [one.get("/readyz")[0] for one in both] == [200, 200]
    assert not any(one.is_leading() for one in both)
    stored.declare(suspend=False)
    assert b.wait_leading().token > old.token


def test_preferred_holder_is_next(sidecar_factory: Factory, stored: StoredLock) -> None:
    """The third in the queue is named: it is next, and the second, who is passed by, leads at no instant."""
    a, b, c = everyone = queued(sidecar_factory, "a", "b", "c")
    old = a.wait_leading()
    with Witness(everyone) as witness:
        stored.declare(preferredHolder="c")
        assert c.wait_leading().token > old.token
        wait_for(lambda: len(stored.entries()) == 3, "the others to queue again", PATIENCE)
    assert witness.contradictions() == []
    assert "b" not in {said.name for said in witness.said}
    assert stored.identities()[0] == "c"
    stored.declare(preferredHolder="b")
    b.wait_leading()
    stored.declare(preferredHolder="nobody")
    a.wait_queued()
    assert b.is_leading(), "a holder waits for the one who is named"


def test_preferred_group_is_next(sidecar_factory: Factory, stored: StoredLock) -> None:
    """A rollout: two of the new group stand behind two of the old one; the first of the new takes over at once."""
    old = queued(sidecar_factory, "a", "b", group="old")
    new = queued(sidecar_factory, "c", "d", group="new")
    token = old[0].wait_leading().token
    with Witness([*old, *new]) as witness:
        stored.declare(preferredGroup="new")
        assert new[0].wait_leading().token > token
        wait_for(lambda: len(stored.entries()) == 4, "the old ones to queue again", PATIENCE)
        assert new[0].terminate() == 0
        new[1].wait_leading()
    assert witness.contradictions() == []
    assert "b" not in {said.name for said in witness.said}


def test_stranger_is_not_skipped(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Its key is not ours to delete: the holder stays until the stranger has gone of its own accord."""
    (a,) = queued(sidecar_factory, "a", group="old")
    token = a.wait_leading().token
    lease = stored.stranger("etcdctl")
    (b,) = queued(sidecar_factory, "b", group="new")
    stored.declare(preferredGroup="new")
    a.wait_queued(0)
    assert (a.ask().leading, a.ask().token, b.ask().leading) == (True, token, False)
    stored.ctl.revoke(lease)
    b.wait_leading()


def test_handover_up_to_a_token(sidecar_factory: Factory, stored: StoredLock) -> None:
    """The holder with that token hands over once; tokens above it are left alone."""
    a, b = queued(sidecar_factory, "a", "b")
    token = a.wait_leading().token
    stored.declare(handoverUpToToken=token - 1)
    assert a.ask().token == token
    stored.declare(handoverUpToToken=token)
    new = b.wait_leading()
    a.wait_queued(1)
    assert b.ask().token == new.token > token


def test_a_token_that_nobody_reaches(sidecar_factory: Factory, stored: StoredLock) -> None:
    """A digit too many: nobody can hold, and they don't hammer etcd meanwhile; mended, somebody leads."""
    both = queued(sidecar_factory, "a", "b")
    both[0].wait_leading()
    stored.declare(handoverUpToToken=10**12)
    wait_for(lambda: not any(one.is_leading() for one in both), "nobody to lead", PATIENCE)
    start, before = time.monotonic(), stored.ctl.revision()
    wait_for(lambda: time.monotonic() > start + 3, "a while of vain attempts")
    writes = stored.ctl.revision() - before
    assert writes / (time.monotonic() - start) < 20
    assert all(one.running for one in both)
    stored.declare(handoverUpToToken=0)
    wait_for(lambda: any(one.is_leading() for one in both), "somebody to lead", PATIENCE)


def test_the_ttl_of_the_spec(sidecar_factory: Factory, stored: StoredLock) -> None:
    """A changed one applies from the next joining on; without any it is 15 seconds."""
    a = sidecar_factory("a", ttl=None)
    a.wait_leading()
    assert granted(stored) == 15
    for seconds in (77, 88):
        stored.declare(leaseDurationSeconds=seconds)
        token = a.ask().token
        assert granted(stored) != seconds
        a.post("/handover")
        wait_for(lambda token=token: a.ask().token > token, "the next term", PATIENCE)  # type: ignore[misc]  # a default
        assert granted(stored) == seconds


def granted(stored: StoredLock) -> int:
    (entry,) = stored.entries()
    return int(stored.ctl.json("lease", "timetolive", f"{entry.lease:x}")["granted-ttl"])


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{broken", "does not hold a JSON object"),
        ("[" * 100_000, "does not hold a JSON object"),
        ('{"capacity": 1e3}', "impossible capacity"),
        ('{"preferredHolder": ["a"]}', "impossible preferredHolder"),
    ],
    ids=["not JSON", "endless", "not whole", "not text"],
)
def test_spec_breaks_and_is_mended(broken: str, says: str, sidecar_factory: Factory, stored: StoredLock) -> None:
    """The last good one stays in force; it is said once; what is good later is obeyed again."""
    stored.declare(capacity=2)
    a, b = both = queued(sidecar_factory, "a", "b")
    tokens = [one.wait_leading().token for one in both]
    stored.write_spec(broken)
    for one in both:
        one.wait_for_log(says)
    assert [one.ask().token for one in both] == tokens
    stored.declare(capacity=1)
    b.wait_not_leading()
    assert a.ask().token == tokens[0]
    assert [count_said(one, says) for one in both] == [1, 1]


def count_said(sidecar: Sidecar, text: str) -> int:
    """How many records say so. A Traceback is never among them."""
    assert not any("exception" in record for record in sidecar.records())
    assert "Traceback" not in sidecar.log
    return sum(text in record["message"] for record in sidecar.records())


def test_fields_of_a_newer_operator(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Named once in the log; the others are obeyed."""
    a, b = both = queued(sidecar_factory, "a", "b")
    a.wait_leading()
    stored.declare(capacity=2, colour="blue", shape={"deep": [1]})
    b.wait_leading()
    stored.declare(capacity=2, colour="red", shape=None)
    stored.declare(capacity=1, colour="red", shape=None)
    b.wait_not_leading()
    for one in both:
        one.wait_for_log("colour, shape")
    assert [count_said(one, "colour, shape") for one in both] == [1, 1]


def test_the_spec_is_removed(sidecar_factory: Factory, stored: StoredLock) -> None:
    """An undeclared lock has its defaults."""
    stored.declare(capacity=2)
    a, b = both = queued(sidecar_factory, "a", "b")
    for one in both:
        one.wait_leading()
    stored.ctl.delete(stored.keys.spec)
    b.wait_not_leading()
    assert a.is_leading()


ODD = ["", "{", "[" * 50_000, '{"identity": "a"}', '{"identity": "b", "incarnation": "x", "priority": "9"}', "\x1b[2J"]


def test_odd_records_come_and_go(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Before, between and behind ours, with a preference in force: each is waited for, none takes the lock away."""
    stored.declare(preferredGroup="new")
    (a,) = queued(sidecar_factory, "a", group="old")
    token = a.wait_leading().token
    leases = [stored.stranger(value) for value in ODD]
    stored.ctl.put(f"{stored.keys.queue}not-hex", "no lease")
    (b,) = queued(sidecar_factory, "b", group="new")
    assert b.ask().fields["position"] == len(ODD) + 2
    assert a.ask().token == token
    assert a.terminate() == 0
    for lease in leases:
        assert not b.is_leading()
        stored.ctl.revoke(lease)
    assert not b.is_leading()
    stored.ctl.delete(f"{stored.keys.queue}not-hex")
    b.wait_leading()
    for one in (a, b):
        assert count_said(one, "\x1b") == 0


def test_overwritten_record(sidecar_factory: Factory, stored: StoredLock) -> None:
    """By a person, or another process: it is not the holder's any more, so it stops at once, and queues anew."""
    a, b = queued(sidecar_factory, "a", "b")
    a.wait_leading()
    entry = stored.entries()[0]
    stored.ctl.put(entry.key, json.dumps({"identity": "a", "incarnation": "another"}), lease=entry.lease)
    a.wait_not_leading()
    wait_for(lambda: len(stored.entries()) == 3, "a to queue anew", PATIENCE)
    assert count_said(a, "another process has taken over our key") >= 1
    stored.ctl.revoke(entry.lease)
    b.wait_leading()
