"""The plan decides on any input, and never plans a forbidden operation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, StoredSpec
from leasehold.operator.plan.model import (
    DeleteSpec,
    EndedCandidate,
    EtcdState,
    Evict,
    Memory,
    PutSpec,
    ReconcilePlan,
    Situation,
)
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import FINALIZER, Lock, parse
from tests.support.examples import examples
from tests.unit.operator.planned import CLUSTER, NAME, candidate, check_status, situation

TEXTS = st.sampled_from(["", "a", "b", "x y", "\u00e4", "z" * 253, "../..", "u1"])
TOKENS = st.sampled_from([0, 1, 5, 10, 11, 1000, 2**63 - 1])
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
FIELDS = {
    "leaseDurationSeconds": st.sampled_from([3, 15, 3600, 0, "x"]),
    "capacity": st.sampled_from([1, 2, 1000, -1, True]),
    "suspend": st.booleans(),
    "preferredHolder": TEXTS,
    "handoverUpToToken": TOKENS,
    "revokeUpToToken": TOKENS,
    "releaseWhenPodEnds": st.booleans(),
    "podLabel": st.booleans(),
    "deletionPolicy": st.sampled_from(["Release", "Orphan", "Both"]),
}
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "conditions": JUNK,
        "holders": JUNK | st.just([{"leaseID": "a", "identity": "a", "fencingToken": 10, "acquireTime": "yesterday"}]),
        "fencingToken": TOKENS | JUNK,
        "transitionCount": JUNK,
        "observedGeneration": st.just(1),
        "holderCount": JUNK,
    },
)


@st.composite
def resources(draw: st.DrawFn) -> Lock:
    metadata: dict[str, Any] = {
        "namespace": NAME.namespace,
        "name": NAME.name,
        "uid": draw(st.sampled_from(["u1", "u2"])),
    }
    metadata["finalizers"] = draw(st.sampled_from([[], [FINALIZER], ["other/one", FINALIZER], None]))
    if draw(st.booleans()):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if draw(st.integers(0, 9)) == 0:
        metadata["annotations"] = {"leasehold.dev/force-delete": "true"}
    spec = draw(st.fixed_dictionaries({}, optional=FIELDS) | JUNK)
    return parse({"metadata": metadata, "spec": spec, "status": draw(STATUSES | JUNK)})


RECORDS = st.builds(
    Record,
    identity=TEXTS,
    pod=TEXTS,
    pod_namespace=st.sampled_from(["team", "other", ""]),
    pod_uid=TEXTS,
    group=TEXTS,
    yield_to=TEXTS,
    foreign=st.booleans(),
)
ENTRIES = st.builds(
    lambda token, lease, record: replace(candidate(token, key=f"/q/{token}/{lease}", lease=lease), record=record),
    st.integers(1, 30),
    st.integers(0, 3),
    RECORDS,
)
SPECS = st.none() | st.builds(
    lambda spec, revision: StoredSpec(spec.encode() if spec else b"junk", revision, spec),
    st.none()
    | st.builds(
        Spec,
        ttl=st.sampled_from([None, 3, 15]),
        capacity=st.integers(1, 4),
        suspend=st.booleans(),
        deleting=st.booleans(),
        uid=st.sampled_from(["", "u1", "u2"]),
        cluster=st.sampled_from(["", CLUSTER, "else"]),
    ),
    st.integers(1, 30),
)
TOKEN_SETS = st.frozensets(st.integers(1, 30), max_size=3)
MEMORIES = st.builds(
    Memory,
    uid=st.sampled_from(["", "u1", "u2"]),
    capacity=st.none() | st.integers(1, 4),
    raise_from=st.floats(0, 200),
    longest_lease=st.integers(0, 60),
    tokens=st.none() | TOKEN_SETS.map(lambda tokens: tuple(sorted(tokens))),
    transitions=st.integers(0, 9),
    token_on_record=TOKENS,
    leaving=TOKEN_SETS,
    evicted=TOKEN_SETS,
    releasing=st.none() | TOKEN_SETS,
    rolled_back=st.booleans(),
    reported_outage=st.none() | st.just((90.0, "text")),
    reported=st.frozensets(TEXTS, max_size=2),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    queue = sorted(
        draw(st.lists(ENTRIES, max_size=6, unique_by=lambda one: one.key)), key=lambda one: one.create_revision
    )
    return situation(
        draw(st.none() | resources()),
        None,
        stored=StoredLock(draw(SPECS), tuple(queue)),
        ended=tuple(
            EndedCandidate(one, draw(st.sampled_from([True, False, None])))
            for one in draw(st.lists(ENTRIES, max_size=2))
        ),
        etcd=EtcdState(draw(st.integers(0, 3)) > 0, draw(st.integers(0, 40)), draw(st.sampled_from([0.0, 95.0])), ""),
        ended_pods=draw(st.frozensets(TEXTS, max_size=2)),
        labelled=draw(st.frozensets(st.tuples(st.just("team"), TEXTS, TEXTS), max_size=2)),
        active=draw(st.booleans()),
        memory=draw(MEMORIES),
    )


def is_served(one: Situation) -> bool:
    """Whether this replica may write to etcd."""
    return one.active and one.etcd.reachable


@settings(deadline=None, max_examples=examples(120))
@given(situations())
def test_no_forbidden_operation_is_planned(given_one: Situation) -> None:
    """No write by a standby, no eviction that was not asked for, no label elsewhere, no invalid status."""
    decided = plan(given_one)
    assert is_served(given_one) or decided.writes == ()
    assert sum(isinstance(write, PutSpec | DeleteSpec) for write in decided.writes) <= 1
    for write in decided.writes:
        if isinstance(write, Evict):
            must_be_asked_for(given_one, write)
        else:
            must_be_ours(given_one, write)
    assert all(label.namespace == NAME.namespace and label.name for label in decided.labels if label.on)
    assert decided.again_in is None or decided.again_in >= 0
    if decided.status is not None and given_one.etcd.reachable:  # while it is away, most of what stood is left standing
        check_status(decided.status)


def must_be_asked_for(given_one: Situation, evict: Evict) -> None:
    lock = given_one.lock
    assert lock is not None
    assert evict.entry in given_one.stored.queue
    revoked = evict.entry.create_revision <= (lock.spec.revoke_up_to_token or 0)
    record = evict.entry.record
    ended = lock.spec.release_when_pod_ends and not record.foreign and record.pod_uid in given_one.ended_pods
    assert revoked or ended


def must_be_ours(given_one: Situation, write: PutSpec | DeleteSpec) -> None:
    """The version that was seen, not another cluster's; what is written can be read by the sidecars."""
    stored = given_one.stored.spec
    assert write.mod_revision == (stored.mod_revision if stored else 0)
    assert stored is None or stored.spec is None or stored.spec.cluster in ("", CLUSTER)
    if isinstance(write, PutSpec):
        Spec.decode(write.value)


@settings(deadline=None, max_examples=examples(120))
@given(situations())
def test_a_completed_plan_is_not_repeated(given_one: Situation) -> None:
    """Once everything was carried out, a few reconciles later nothing is left to do or report."""
    now = given_one
    decided = plan(now)
    for _ in range(6):
        now = carried_out(now, decided)
        decided = plan(now)
    assert is_at_rest(decided)
    again = plan(replace(now, memory=decided.memory, ended=()))
    assert is_at_rest(again)
    assert again.events == ()


def is_at_rest(decided: ReconcilePlan) -> bool:
    return (decided.writes, decided.finalizers, decided.status, decided.labels) == ((), None, None, ())


def carried_out(before: Situation, decided: ReconcilePlan) -> Situation:
    """The situation after everything in the plan was done, as the shell does it."""
    stored, queue, lock = before.stored.spec, before.stored.queue, before.lock
    for write in decided.writes:
        match write:
            case PutSpec(value):
                stored = StoredSpec(value, before.etcd.revision + 1, Spec.decode(value))
            case DeleteSpec():
                stored = None
            case Evict(entry):
                queue = tuple(one for one in queue if one.key != entry.key)
    if lock is not None and decided.finalizers is not None:
        lock = replace(lock, finalizers=decided.finalizers)
    if lock is not None and decided.status is not None and not decided.writes:
        lock = replace(lock, status=decided.status)
    on = {(label.namespace, label.name, label.uid) for label in decided.labels if label.on}
    off = {(label.namespace, label.name, label.uid) for label in decided.labels if not label.on}
    store = replace(before.etcd, revision=before.etcd.revision + len(decided.writes))
    return replace(
        before,
        lock=lock,
        stored=StoredLock(stored, queue),
        labelled=(before.labelled - off) | on,
        ended=(),
        etcd=store,
        memory=decided.memory,
    )
