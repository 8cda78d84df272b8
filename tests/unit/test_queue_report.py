"""What `leasehold status` prints of a queue."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from leasehold.candidate.queue_report import as_json, as_table
from leasehold.candidate.queue_status import Candidate, Queue, _holds
from leasehold.election.events import Declared
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

KEYS = Keys(LockName("prod", "db"))
OURS = Record(
    "db-0", pod="db-0", pod_namespace="prod", pod_uid="u", node="n1", group="7f9", priority=3, incarnation="i"
)
FOREIGN = Record("someone\u202eelse", foreign=True)


def entry(lease: int, token: int, record: Record) -> Entry:
    return Entry(KEYS.entry(lease), lease, token, token, record)


def queue(*candidates: tuple[Entry, int | None], spec: Spec | None = None, broken: str = "") -> Queue:
    declared = Declared(spec, revision=9 if spec or broken else 0, broken=broken)
    made = tuple(
        Candidate(position, _holds(position, one, spec or Spec(), left), one, left)
        for position, (one, left) in enumerate(candidates)
    )
    return Queue(KEYS, declared, 40, made)


def test_a_table_for_people() -> None:
    printed = as_table(queue((entry(0xAB, 17, OURS), 14), (entry(0xCD, 21, FOREIGN), None)))
    assert printed.splitlines() == [
        "Lock prod/db: held by db-0; 1 waiting.",
        "Not declared: no Lock resource stands behind it. TTL: each sidecar's own, else 15 s.",
        "",
        "POSITION  HOLDS  IDENTITY      TOKEN  GROUP  PRIORITY   POD   NODE  LEASE LEFT  WHY NOT",
        "0         yes    db-0          17     7f9    3          db-0  n1    14 s        -",
        "1         no     someone�else  21     -      (foreign)  -     -     unknown     "
        "others stand ahead in the queue: 1 ahead; db-0 is the first",
    ]


def test_json_for_programs() -> None:
    printed = json.loads(as_json(queue((entry(0xAB, 17, OURS), 14), spec=Spec(ttl=5, preferred_group="8a0"))))
    assert printed == {
        "lock": "prod/db",
        "key": "/leasehold/locks/prod/db/queue",
        "revision": 40,
        "declared": True,
        "leaseDurationSeconds": 5,
        "capacity": 1,
        "suspend": False,
        "deleting": False,
        "preferredGroup": "8a0",
        "candidates": [
            {
                "position": 0,
                "holds": True,
                "identity": "db-0",
                "token": 17,
                "leaseID": "ab",
                "leaseSecondsLeft": 14,
                "priority": 3,
                "group": "7f9",
                "pod": "db-0",
                "podNamespace": "prod",
                "podUID": "u",
                "node": "n1",
                "foreign": False,
            }
        ],
    }


def test_a_vacant_lock_and_an_undeclared_one() -> None:
    assert as_table(queue()).startswith("Lock prod/db: vacant; nobody waiting.\nNot declared: ")
    assert as_table(queue(spec=Spec(ttl=5, capacity=2))).endswith("\nDeclared: TTL 5 s, capacity 2.\n")


def test_a_suspended_lock_has_waiters_only() -> None:
    printed = as_table(queue((entry(1, 17, OURS), 14), spec=Spec(suspend=True)))
    assert printed.startswith("Lock prod/db: suspended: nobody may hold it; 1 waiting.\n")
    assert "capacity 1, suspended." in printed
    assert "being deleted" in as_table(queue(spec=Spec(suspend=True, deleting=True)))


def test_foreign_candidates_ignore_the_spec() -> None:
    """Neither suspension nor capacity concerns a foreign candidate.

    It waits for every key ahead of it to go, and then believes that it leads.
    """
    assert "held by someone" in as_table(queue((entry(1, 17, FOREIGN), 14), spec=Spec(suspend=True)))
    two = queue((entry(1, 17, OURS), 14), (entry(2, 18, FOREIGN), 14), spec=Spec(capacity=2))
    assert [candidate.holds for candidate in two.candidates] == [True, False]


def test_a_spec_that_cannot_be_read_is_said() -> None:
    printed = as_table(queue(broken="the lock's spec key does not hold a JSON object"))
    assert "Declared, but the lock's spec key does not hold a JSON object." in printed


def test_leases_that_are_odd() -> None:
    printed = as_table(queue((entry(0, 17, FOREIGN), None), (entry(5, 18, OURS), -1)))
    assert "  no lease  " in printed.splitlines()[-2]
    assert "  expired  " in printed.splitlines()[-1]


def test_an_expired_lease_holds_nothing() -> None:
    """Its key may stand on, as under etcd's CORRUPT alarm."""
    expired = queue((entry(5, 18, OURS), -1))
    assert json.loads(as_json(expired))["candidates"][0]["holds"] is False
    assert "vacant; 1 waiting" in as_table(expired)


@given(st.binary(max_size=60))
def test_no_record_moves_the_cursor_or_breaks_the_table(value: bytes) -> None:
    printed = as_table(queue((entry(1, 17, Record.decode(value)), 1)))
    assert len(printed.splitlines()) == 5
    assert all(line.isprintable() for line in printed.split("\n"))
