"""What the page shows of locks, from what etcd stores: rows, terms and gaps, leases. Times are made up."""

import json
from typing import Any

import pytest

from leasehold.candidate.listing import Listing
from leasehold.etcd.model import KeyValue, WatchEvent
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from leasehold.ui import model
from leasehold.ui.history import EXPIRED, RELEASED
from leasehold.ui.leases import LeaseEnd
from leasehold.ui.model import LockTable

ROOT = "/r"
NAME = LockName("shop", "checkout")
PREFIX = f"{ROOT}/locks/{NAME}"


def kv(key: str, value: bytes, revision: int) -> KeyValue:
    return KeyValue(f"{PREFIX}/{key}".encode(), value, revision, revision, 1, 0x77)


def candidate(name: str, revision: int, **more: Any) -> KeyValue:
    return kv(f"queue/{revision:x}", Record(name, incarnation="i", **more).encode(), revision)


def loaded(*kvs: KeyValue) -> LockTable:
    """A table after its first reading, its changes taken."""
    table, listing = LockTable(ROOT), Listing(ROOT)
    for one in kvs:
        listing.put(one)
    table.load(listing, 100, now=0.0)
    table.take_changed()
    return table


def put(table: LockTable, one: KeyValue, now: float) -> None:
    table.apply(WatchEvent(False, one), now)


def gone(table: LockTable, revision: int, now: float) -> str:
    """Delete a candidate; the holder that this ended, by its name."""
    ended = table.apply(WatchEvent(True, KeyValue(f"{PREFIX}/queue/{revision:x}".encode(), b"", 0, 200, 0, 0)), now)
    return ended.record.identity if ended else ""


def row(table: LockTable) -> dict[str, Any]:
    """The one row that has changed."""
    (text,) = table.take_changed()
    fields = json.loads(text)
    assert isinstance(fields, dict)
    return fields


def terms(table: LockTable) -> list[dict[str, Any]]:
    found = table.lock(NAME)
    assert found is not None
    return list(found["terms"])


def test_row_says_who_leads_and_waits() -> None:
    table = loaded(candidate("anna", 5), candidate("bert", 6), candidate("carl", 7))
    (text,) = table.rows()
    fields = json.loads(text)
    assert (fields["name"], fields["state"], fields["waiting"], fields["next"]) == (str(NAME), "held", 2, "bert")
    assert fields["holders"] == [{"identity": "anna", "token": "5", "lease": "77"}]


@pytest.mark.parametrize(
    ("spec", "state"),
    [
        (Spec(), "held"),
        (Spec(suspend=True), "suspended"),
        (Spec(suspend=True, deleting=True), "deleting"),
        (None, "broken"),
    ],
)
def test_states(spec: Spec | None, state: str) -> None:
    table = loaded(kv("spec", spec.encode() if spec else b"nonsense", 4), candidate("anna", 5))
    assert json.loads(table.rows()[0])["state"] == state


def test_declared_and_empty_is_free() -> None:
    assert json.loads(loaded(kv("spec", Spec().encode(), 4)).rows()[0])["state"] == "free"


def test_waiter_that_leaves_ends_no_term() -> None:
    table = loaded(candidate("anna", 5), candidate("bert", 6))
    assert gone(table, 6, 1.0) == ""
    assert terms(table) == []


def test_failover_makes_two_terms() -> None:
    table = loaded(candidate("anna", 5), candidate("bert", 6))
    assert gone(table, 5, 10.0) == "anna"
    assert row(table)["holders"] == [{"identity": "bert", "token": "6", "lease": "77", "since": 10.0}]
    assert terms(table) == [
        {"identity": "anna", "token": "5", "until": 10.0},
        {"identity": "bert", "token": "6", "since": 10.0, "gap": 0.0},
    ]


def test_gap_between_two_terms() -> None:
    table = loaded(candidate("anna", 5))
    gone(table, 5, 10.0)
    assert row(table)["vacantSince"] == 10.0
    put(table, candidate("bert", 9), 12.5)
    assert terms(table)[1] == {"identity": "bert", "token": "9", "since": 12.5, "gap": 2.5}


def test_how_a_term_ended_comes_later() -> None:
    table = loaded(candidate("anna", 5), candidate("bert", 6))
    gone(table, 5, 10.0)
    table.take_changed()
    table.note_end(NAME, 5, EXPIRED)
    assert terms(table)[0]["ended"] == EXPIRED
    assert row(table)["version"]  # whoever has the lock's page open asks again


def test_handover_says_to_whom() -> None:
    """The record of a holder that yields names its successor; what is asked later does not hide that."""
    table = loaded(candidate("anna", 5, yield_to="carl"), candidate("carl", 6))
    gone(table, 5, 10.0)
    table.note_end(NAME, 5, RELEASED)
    assert terms(table)[0]["ended"] == "handed over to carl"


def test_no_key_left_keeps_the_terms() -> None:
    table = loaded(candidate("anna", 5))
    gone(table, 5, 10.0)
    assert row(table)["state"] == "gone"
    assert len(table) == 1


def test_unchanged_lock_is_not_sent_again() -> None:
    """After an outage everything is read again; only what differs goes to the browsers."""
    table, again = loaded(candidate("anna", 5)), Listing(ROOT)
    again.put(candidate("anna", 5))
    table.load(again, 101, now=5.0)
    assert table.take_changed() == []


def test_reading_after_an_outage_keeps_once_what_is_the_same() -> None:
    """With ten thousand locks, the process would otherwise be larger by a second reading for good."""
    table = loaded(kv("spec", Spec().encode(), 4), candidate("anna", 5))
    again = Listing(ROOT, table.listing)
    for one in (kv("spec", Spec().encode(), 4), candidate("anna", 5), candidate("bert", 6)):
        again.put(one)
    before, after = table.listing.get(NAME), again.get(NAME)
    assert after.spec is before.spec
    assert after.queue[0] is before.queue[0]
    changed = Listing(ROOT, table.listing)
    changed.put(kv("spec", Spec(suspend=True).encode(), 9))
    assert changed.get(NAME).spec != before.spec


def test_what_an_outage_hid_is_found() -> None:
    table, again = loaded(candidate("anna", 5)), Listing(ROOT)
    again.put(candidate("bert", 9))
    table.load(again, 101, now=5.0)
    assert [one["identity"] for one in terms(table)] == ["anna", "bert"]


def test_removed_lock_says_so() -> None:
    table = loaded(kv("spec", Spec().encode(), 4))
    table.apply(WatchEvent(True, KeyValue(f"{PREFIX}/spec".encode(), b"", 0, 200, 0, 0)), 1.0)
    assert row(table) == {"name": str(NAME), "state": "removed"}
    assert table.lock(NAME) is None


def test_burst_is_one_row() -> None:
    table = loaded(candidate("anna", 5))
    for revision in range(6, 30):
        put(table, candidate("waiter", revision), 1.0)
    assert row(table)["waiting"] == 24


def test_all_of_a_capacity_hold() -> None:
    table = loaded(kv("spec", Spec(capacity=6).encode(), 4), *(candidate(f"c{n}", n) for n in range(10, 18)))
    fields = json.loads(table.rows()[0])
    assert (len(fields["holders"]), fields["holderCount"], fields["waiting"], fields["next"]) == (4, 6, 2, "c16")


def test_long_queue_is_cut_and_says_so() -> None:
    table = loaded(*(candidate(f"c{n}", n) for n in range(1, model.MAX_QUEUE_SHOWN + 6)))
    found = table.lock(NAME)
    assert found is not None
    assert (len(found["queue"]), found["more"]) == (model.MAX_QUEUE_SHOWN, 5)
    assert [one["position"] for one in found["queue"][:2]] == [0, 1]


def test_histories_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "MAX_HISTORIES", 3)
    table = loaded()
    for number in range(5):
        key = f"{ROOT}/locks/shop/l{number}/queue/1".encode()
        table.apply(WatchEvent(False, KeyValue(key, b"x", number + 1, number + 1, 1, 1)), 1.0)
    kept = [one["terms"] for n in range(5) if (one := table.lock(LockName("shop", f"l{n}")))]
    assert [len(one) for one in kept] == [0, 0, 1, 1, 1]


def test_large_token_is_text() -> None:
    """JavaScript's numbers are exact up to 2**53 only, and revisions go to 2**63."""
    assert json.loads(loaded(candidate("anna", 2**60 + 1)).rows()[0])["holders"][0]["token"] == str(2**60 + 1)


# --- leases ---


def test_lease_end_is_narrowed_down() -> None:
    """Whole seconds, asked at different parts of a second, tell the end ever more exactly."""
    end = LeaseEnd()
    for now in (0.0, 0.4, 1.1, 1.9, 2.8):
        end.answered(int(14.3 - now), 15, now)
    assert end.left(2.8) == pytest.approx(11.5, abs=0.3)


def test_renewed_lease_refills() -> None:
    end = LeaseEnd()
    end.answered(9, 15, 0.0)
    end.answered(14, 15, 1.0)
    assert 14 <= end.left(1.0) <= 15


def test_ended_lease_has_nothing_left() -> None:
    end = LeaseEnd()
    end.answered(9, 15, 0.0)
    end.answered(-1, 0, 1.0)
    assert end.left(1.0) == 0


def test_long_healthy_lease_is_asked_less() -> None:
    end = LeaseEnd()
    end.answered(14, 15, 0.0)
    assert [end.is_due(turn, 1.0) for turn in (1, 2)] == [False, True]
    assert end.is_due(1, 9.0)  # it was not renewed
