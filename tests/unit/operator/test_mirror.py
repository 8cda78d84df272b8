"""The mirror without etcd: which keys count, what events change, which candidates ended, and its size."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.candidate.listing import Listing, owner_of
from leasehold.etcd.model import KeyValue, WatchEvent
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock
from leasehold.operator.plan.model import EndedCandidate
from leasehold.operator.watch import mirror as mirror_module
from leasehold.operator.watch.mirror import Mirror

ROOT = "/r"
LOCK = LockName("shop", "billing")
OTHER = LockName("shop", "other")
KEYS = Keys(LOCK, ROOT)


def kv(key: str | bytes, value: bytes, created: int, modified: int = 0, lease: int = 7) -> KeyValue:
    raw = key.encode() if isinstance(key, str) else key
    return KeyValue(raw, value, created, modified or created, 1, lease)


def put(key: str | bytes, value: bytes, created: int, modified: int = 0) -> WatchEvent:
    return WatchEvent(False, kv(key, value, created, modified))


def deleted(key: str | bytes, revision: int) -> WatchEvent:
    return WatchEvent(True, kv(key, b"", 0, revision, 0))


def record(identity: str) -> bytes:
    return Record(identity, incarnation="1").encode()


def listing(*kvs: KeyValue) -> Listing:
    found = Listing(ROOT)
    for each in kvs:
        found.put(each)
    return found


def identities(mirror: Mirror, lock: LockName = LOCK) -> list[str]:
    return [entry.record.identity for entry in mirror.get(lock).queue]


@pytest.mark.parametrize("key", [KEYS.entry(1), KEYS.queue + "by-hand", KEYS.queue + "a/b", KEYS.queue])
def test_every_key_under_a_queue_is_a_candidate(key: str) -> None:
    """Sidecars count each of them, too."""
    owner = owner_of(key.encode(), ROOT)
    assert owner is not None
    assert (owner.lock, owner.is_spec) == (LOCK, False)


@pytest.mark.parametrize(
    "key",
    [
        b"/r/locks/shop/billing",
        b"/r/locks/shop/billing/",
        b"/r/locks/shop/billing/queue",
        b"/r/locks/shop/billing/spec/more",
        b"/r/locks/shop/billing/else",
        b"/r/locks/shop//spec",
        b"/r/locks//billing/spec",
        b"/r/locks/Shop/billing/spec",
        b"/r/locks/shop/bil_ling/queue/1",
        b"/r/locks/shop/\xff\xfe/spec",
        b"/r/locks/",
        b"/r/operator/canary/a",
        b"/r2/locks/shop/billing/spec",
        b"",
    ],
)
def test_other_keys_are_ignored(key: bytes) -> None:
    mirror = Mirror(ROOT)
    assert owner_of(key, ROOT) is None
    assert mirror.apply(put(key, b"x", 5)) is None
    assert mirror.apply(deleted(key, 6)) is None
    assert mirror.names() == ()
    assert mirror.revision == 6


def test_undecodable_values_are_no_errors() -> None:
    """They make a foreign candidate or a spec of None."""
    mirror = Mirror(ROOT)
    for n, value in enumerate((b"", b"\xff\xfe", b"{", b"[" * 100_000, b'{"capacity":0}', b"9" * 5000), start=1):
        mirror.apply(put(KEYS.entry(n), value, n))
        mirror.apply(put(KEYS.spec, value, 100, 100 + n))
        stored = mirror.get(LOCK)
        assert stored.queue[-1].record.foreign
        assert stored.spec is not None
        assert (stored.spec.value, stored.spec.mod_revision, stored.spec.spec) == (value, 100 + n, None)
    assert mirror.declared() == (LOCK,)


def test_undecodable_keys_stay_distinct() -> None:
    """Keys that look alike as text are different candidates."""
    mirror = Mirror(ROOT)
    for n, end in enumerate((b"\xff", b"\xfe", "\ufffd".encode()), start=1):
        mirror.apply(put(KEYS.queue.encode() + end, b"x", n))
    assert len(mirror.get(LOCK).queue) == 3
    mirror.apply(deleted(KEYS.queue.encode() + b"\xfe", 9))
    assert [entry.create_revision for entry in mirror.get(LOCK).queue] == [1, 3]


def test_the_queue_is_sorted_by_create_revision() -> None:
    mirror = Mirror(ROOT)
    for lease, created in ((3, 11), (1, 12), (2, 10)):
        mirror.apply(put(KEYS.entry(lease), record(str(lease)), created))
    assert identities(mirror) == ["2", "3", "1"]
    mirror.apply(put(KEYS.entry(2), record("two"), 10, 13))
    assert identities(mirror) == ["two", "3", "1"]
    assert mirror.get(LOCK).queue[0].changed


def test_a_deleted_candidate_ends_once() -> None:
    mirror = Mirror(ROOT)
    mirror.apply(put(KEYS.entry(1), record("a"), 1))
    changed = mirror.apply(deleted(KEYS.entry(1), 2))
    assert changed is not None
    assert changed.ended is not None
    assert changed.ended.record.identity == "a"
    assert mirror.apply(deleted(KEYS.entry(1), 3)) is not None  # an unknown key: no candidate ends
    assert mirror.take_ended(LOCK) == (EndedCandidate(changed.ended, None),)
    assert mirror.take_ended(LOCK) == ()
    assert mirror.names() == ()


def test_an_end_is_noted_until_it_is_taken() -> None:
    """How a candidate ended is noted only if nobody has taken it before."""
    mirror = Mirror(ROOT)
    gone: list[Entry] = []
    for n in (1, 2):
        mirror.apply(put(KEYS.entry(n), record("a"), n))
        changed = mirror.apply(deleted(KEYS.entry(n), 10 + n))
        assert changed is not None
        assert changed.ended is not None
        gone.append(changed.ended)
    mirror.note_end(LOCK, gone[1], True)
    assert [departed.released for departed in mirror.take_ended(LOCK)] == [None, True]
    mirror.note_end(LOCK, gone[0], False)
    assert mirror.take_ended(LOCK) == ()


def test_a_reading_returns_the_changed_locks() -> None:
    mirror = Mirror(ROOT)
    third, fourth = LockName("shop", "third"), LockName("shop", "fourth")
    spec = Spec().encode()
    same = kv(Keys(OTHER, ROOT).spec, spec, 3, lease=0)
    first = mirror.load(
        listing(kv(KEYS.entry(1), record("a"), 1), kv(KEYS.entry(2), record("b"), 2), same, kv(KEYS.spec, spec, 4)),
        9,
        1,
    )
    assert first == {LOCK, OTHER}
    assert mirror.load(listing(*(kv(KEYS.entry(n), record(i), n) for n, i in ((1, "a"), (2, "b"))), same), 9, 1) == {
        LOCK
    }
    assert mirror.take_ended(LOCK) == ()
    new = listing(kv(KEYS.entry(1), record("a"), 8), same, kv(Keys(third, ROOT).spec, spec, 7))
    assert mirror.load(new, 5, 2) == {LOCK, third}
    assert (mirror.revision, mirror.cluster) == (5, 2)
    assert [(gone.entry.create_revision, gone.released) for gone in mirror.take_ended(LOCK)] == [
        (1, None),
        (2, None),
    ]
    assert mirror.load(listing(), 6, 2) == {LOCK, OTHER, third}
    assert mirror.get(LOCK) == StoredLock() == mirror.get(fourth)


def test_untaken_ends_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten first."""
    monkeypatch.setattr(mirror_module, "MAX_ENDED_KEPT", 10)
    mirror = Mirror(ROOT)
    names = [LockName("shop", f"lock-{n}") for n in range(30)]
    for n, name in enumerate(names):
        mirror.apply(put(Keys(name, ROOT).entry(1), record("a"), n + 1))
        mirror.apply(deleted(Keys(name, ROOT).entry(1), n + 2))
    assert [len(mirror.take_ended(name)) for name in names] == [0] * 20 + [1] * 10
    for n in range(30):
        mirror.apply(put(KEYS.entry(n), record("a"), n + 1))
        mirror.apply(deleted(KEYS.entry(n), n + 2))
    assert [gone.entry.create_revision for gone in mirror.take_ended(LOCK)] == list(range(21, 31))


_KEYS = [Keys(lock, ROOT).entry(n) for lock in (LOCK, OTHER) for n in (1, 2)] + [KEYS.spec, "/r/stray"]


@given(
    st.lists(
        st.tuples(st.sampled_from(_KEYS), st.sampled_from((None, b"x", record("a"), Spec().encode()))), max_size=40
    )
)
def test_events_and_a_reading_agree(steps: list[tuple[str, bytes | None]]) -> None:
    """A mirror that followed equals one that was read at the end, and all deleted candidates have ended."""
    followed = Mirror(ROOT)
    there: dict[str, KeyValue] = {}
    went: set[tuple[str, int]] = set()
    for revision, (key, value) in enumerate(steps, start=2):
        old = there.pop(key, None)
        if value is not None:
            there[key] = kv(key, value, old.create_revision if old else revision, revision)
            followed.apply(put(key, value, there[key].create_revision, revision))
        elif old is not None:
            followed.apply(deleted(key, revision))
            if "/queue/" in key:
                went.add((key, old.create_revision))
    read = Mirror(ROOT)
    read.load(listing(*there.values()), len(steps) + 1, 1)
    assert set(followed.names()) == set(read.names())
    assert set(followed.declared()) == set(read.declared())
    for name in (LOCK, OTHER):
        assert followed.get(name) == read.get(name)
    departed = [gone.entry for name in (LOCK, OTHER) for gone in followed.take_ended(name)]
    assert sorted((entry.key, entry.create_revision) for entry in departed) == sorted(went)


def test_ten_thousand_locks_are_small() -> None:
    """About twenty megabytes with two candidates each, mostly keys and records. Measured on fewer locks."""
    count = 2_000
    tracemalloc.start()
    try:
        found = Listing(ROOT)
        for n in range(count):
            keys = Keys(LockName(f"team-{n % 100}", f"lock-{n}"), ROOT)
            found.put(kv(keys.spec, Spec(ttl=15, uid=f"{n:036}", generation=1).encode(), n + 1, lease=0))
            for pod in (0, 1):
                lease = 0x6B5A_0000_0000_0000 + 2 * n + pod
                identity = f"billing-{n}-7f9c6d9b9b-{pod:05}"
                value = Record(
                    identity, identity, f"team-{n % 100}", f"{lease:036}", f"node-{n % 50}", "7f9c", 0, f"{n:032}"
                )
                found.put(kv(keys.entry(lease), value.encode(), n + 1, lease=lease))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size / count < 3 * 1024
