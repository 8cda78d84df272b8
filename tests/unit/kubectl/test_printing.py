"""Tables, descriptions, JSON and YAML."""

import json
from datetime import UTC, datetime

import yaml

from leasehold.kubectl.describe import Description, as_text
from leasehold.kubectl.lock import LockView
from leasehold.kubectl.printing import many, one
from tests.unit.kubectl.locks import A, B, view

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FULL = view(
    A,
    B,
    status={
        "holderIdentity": "a",
        "fencingToken": 217,
        "acquireTime": "2026-01-02T03:00:00Z",
        "key": "/leasehold/locks/prod/db/queue",
        "transitionCount": 4,
    },
    suspend=True,
    leaseDurationSeconds=30,
)


def test_a_table() -> None:
    assert many([FULL], "", NOW, namespaces=True).splitlines() == [
        "NAMESPACE   NAME   HELD   HOLDER   HOLDERS   WAITERS   SINCE   AGE",
        "prod        db     True   a +1     2         2         4m5s    <unknown>",
    ]


def test_a_new_lock_has_no_status() -> None:
    new = LockView({"metadata": {"namespace": "prod", "name": "db", "creationTimestamp": "2026-01-02T03:04:00Z"}})
    assert many([new], "wide", NOW, namespaces=False).splitlines() == [
        "NAME   HELD      HOLDER   HOLDERS   WAITERS   SINCE   AGE   TOKEN   KEY   REASON",
        "db     Unknown   -        0         0         -       5s    -       -     -",
    ]


def test_the_reason_is_that_of_what_is_wrong() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Declared"}
    degraded = {"type": "Degraded", "status": "True", "reason": "StoreRolledBack"}
    for conditions, reason in (([ready], "Declared"), ([ready, degraded], "StoreRolledBack")):
        shown = many([view(status={"conditions": conditions})], "wide", NOW, namespaces=False)
        assert shown.split()[-1] == reason


def test_a_description() -> None:
    event = {"type": "Normal", "reason": "LockAcquired", "message": "a\nacquired\x1b it.", "count": 3}
    event |= {"firstTimestamp": "2026-01-02T02:04:05Z", "lastTimestamp": "2026-01-02T03:03:05Z"}
    newer = {"type": "Warning", "reason": "LockExpired", "message": "b.", "eventTime": "2026-01-02T03:03:04.000001Z"}
    assert as_text(Description(FULL, [event, newer]), NOW).splitlines() == [
        "Name:          db",
        "Namespace:     prod",
        "Age:           <unknown>",
        "Held:          True",
        "Holder:        a",
        "Token:         217",
        "Since:         4m5s ago (2026-01-02T03:00:00Z)",
        "Queue:         2 holders, 2 waiting",
        "Transitions:   4",
        "Key:           /leasehold/locks/prod/db/queue",
        "Wanted:        lease 30s, capacity 1, suspended",
        "Holders:",
        "  IDENTITY   TOKEN   SINCE   POD   NODE   GROUP   LEASE",
        "  a          217     -       -     -      -       d9",
        "  b          230     -       -     -      -       e6",
        "Waiters:   none",
        "Not in the queue:   nobody",
        "Conditions:",
        "  TYPE   STATUS   SINCE       REASON   MESSAGE",
        "  Held   True     <unknown>   Seen     etcd is away.",
        "History:",
        "  AGE                 TYPE      REASON         MESSAGE",
        "  60s                 Warning   LockExpired    b.",
        "  60s (x3 over 60m)   Normal    LockAcquired   a acquired� it.",
    ]


def test_what_could_not_be_read_stands_in_its_place() -> None:
    lines = as_text(Description(view(), events_error="You may not.", queue_error="No etcd."), NOW).splitlines()
    assert lines[-3:] == ["Queue in etcd:", "  No etcd.", "History:   You may not."]
    assert "Token:         -" in lines


def test_a_last_token_is_told_as_such() -> None:
    assert "217 (the last)" in as_text(Description(view(status={"fencingToken": 217})), NOW)


def test_for_programs() -> None:
    """Every odd character is escaped, and the record of field managers left out, as kubectl does it."""
    odd = LockView({"metadata": {"name": "db", "managedFields": [1]}, "status": {"holderIdentity": "a\x1b\u202e"}})
    wanted = {"metadata": {"name": "db"}, "status": {"holderIdentity": "a\x1b\u202e"}}
    for output, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        printed = one(odd, output, NOW)
        assert printed.isascii()
        assert "\x1b" not in printed
        assert read(printed) == wanted
    assert one(odd, "name", NOW) == "lock.leasehold.dev/db\n"
