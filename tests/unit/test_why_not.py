"""Why a sidecar does not lead: which reason applies, since when, and until when."""

from __future__ import annotations

import pytest

from leasehold.candidate.etcd_store import code_of
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.etcd.errors import Code as Status
from leasehold.etcd.errors import (
    EtcdError,
    LoginRefused,
    NoPassword,
    NotSent,
    Refused,
    RpcError,
    translate,
)
from leasehold.lock.reason import REASONS, Code, Reason
from leasehold.lock.spec import Spec
from tests.support.documentation import table
from tests.unit.election_queue import Queue
from tests.unit.election_script import Script, held, record


def reason(script: Script) -> Reason:
    found = script.election.snapshot.reason
    assert found is not None
    return found


def code(script: Script) -> Code:
    return reason(script).code


def waiting(spec: Spec | None = None) -> Script:
    """A sidecar that waits behind one other, in a lock that is declared so."""
    queue = Queue()
    queue.join(record("first"))
    if spec is not None:
        queue.declare(spec)
    return Script(queue).start()


# --- what the pod wants ----------------------------------------------------------------------------------------------


def test_before_its_start() -> None:
    """It is paused before it has begun: it has not begun."""
    script = Script()
    script.feed(ev.Pause())
    assert reason(script) == Reason(Code.STARTING, since=1000.0)


def test_a_holder_has_no_reason() -> None:
    """It leads."""
    assert held().election.snapshot.reason is None


def test_an_app_that_never_answered() -> None:
    """What its last answer was; the reason began at the start."""
    script = Script(starts_healthy=False).start()
    assert reason(script) == Reason(Code.APP_STARTING, since=1000.0)
    script.now += 3
    script.feed(ev.Health(False, "no connection"))
    assert reason(script) == Reason(Code.APP_STARTING, "no connection", since=1000.0)


def test_an_app_that_became_unhealthy() -> None:
    """It is excluded for a known time, and the sentence says so."""
    script = held()
    script.feed(ev.Health(False, "no connection", until=1150.0))
    assert reason(script) == Reason(Code.LEAVING, "the app is unhealthy", since=1000.0)
    script.settle()
    assert reason(script) == Reason(Code.APP_UNHEALTHY, "no connection", since=1000.0, until=1150.0)
    assert reason(script).sentence(1002.0) == (
        "the app is unhealthy: no connection; no answer counts for another 148 s"
    )
    assert reason(script).sentence(1150.0) == "the app is unhealthy: no connection"


def test_pausing_precedes_health() -> None:
    """What somebody asked for is said first; the other shows once that is over."""
    script = held()
    script.feed(ev.Pause())
    script.settle()
    script.feed(ev.Health(False, "no connection"))
    assert code(script) is Code.PAUSED
    script.feed(ev.Resume())
    assert code(script) is Code.APP_UNHEALTHY


def test_draining_has_an_end() -> None:
    """The protected work may take so long; without a limit there is no end to name."""
    script = held(drain=30.0)
    script.feed(ev.HandOver())
    assert reason(script) == Reason(Code.DRAINING, "a handover was requested", since=1000.0, until=1030.0)
    endless = held(drain=30.0)
    endless.feed(ev.Stop(awaits_work=True))
    assert reason(endless) == Reason(Code.DRAINING, "the sidecar is stopping", since=1000.0)


def test_after_its_end() -> None:
    """The last thing that is known of it."""
    script = held()
    script.feed(ev.Stop())
    script.settle()
    assert code(script) is Code.STOPPING


# --- etcd ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", [Code.ETCD_UNREACHABLE, Code.ETCD_LOGIN, Code.ETCD_FULL, Code.ETCD_REFUSES])
def test_etcd_is_in_the_way(why: Code) -> None:
    """As the failure says; it is over once the key stands."""
    script = Script()
    script.feed(ev.Start())
    assert code(script) is Code.JOINING
    script.fail(cmd.ReadSpec, code=why)
    assert reason(script) == Reason(why, "no answer", since=1000.0)
    script.settle()
    assert script.holding()


def test_a_lease_runs_out_unconfirmed() -> None:
    """A waiter that etcd does not answer keeps its place, and says what is wrong."""
    script = waiting()
    script.doze()
    script.fail(cmd.KeepAlive)
    assert code(script) is Code.BEHIND
    script.wait(60.0)
    assert code(script) is Code.ETCD_UNREACHABLE


def test_a_deleted_key_is_lost() -> None:
    """Somebody deleted it; it joins again, and says why it does not lead meanwhile."""
    script = held()
    script.feed(ev.EntryGone(script.own.key, script.etcd.delete(script.own)))
    assert reason(script) == Reason(Code.KEY_LOST, "our key was deleted", since=1000.0)


def test_restored_etcd() -> None:
    """Another cluster answers: the candidate of the old one is void."""
    script = held()
    script.doze()
    script.etcd.cluster = 2
    script.answer(cmd.KeepAlive)
    assert code(script) is Code.ETCD_LOST_DATA


def test_a_taken_over_key() -> None:
    """Two processes share one state directory."""
    script = held()
    script.rewrite(script.own, incarnation="another")
    assert code(script) is Code.TAKEN_OVER


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotSent("no connection"), Code.ETCD_UNREACHABLE),
        (NoPassword("no file"), Code.ETCD_LOGIN),
        (LoginRefused("no", Status.INVALID_ARGUMENT), Code.ETCD_LOGIN),
        (translate(RpcError(Status.PERMISSION_DENIED, "etcdserver: permission denied"), "e"), Code.ETCD_LOGIN),
        (translate(RpcError(Status.INVALID_ARGUMENT, "etcdserver: user name is empty"), "e"), Code.ETCD_LOGIN),
        (Refused("no", Status.FAILED_PRECONDITION), Code.ETCD_REFUSES),
        (translate(RpcError(Status.NOT_FOUND, "etcdserver: requested lease not found"), "e"), Code.KEY_LOST),
        (
            translate(RpcError(Status.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"), "e"),
            Code.ETCD_FULL,
        ),
        (translate(RpcError(Status.UNAVAILABLE, "etcdserver: no leader"), "e"), Code.ETCD_UNREACHABLE),
    ],
)
def test_kinds_of_failures(error: EtcdError, expected: Code) -> None:
    """What the client knows of a failure is kept."""
    assert code_of(error) is expected


# --- the lock --------------------------------------------------------------------------------------------------------


def test_an_undeclared_lock() -> None:
    """It is looked for again at a known time, and its declaration ends that."""
    script = Script(require_lock=True).start()
    assert code(script) is Code.UNDECLARED
    assert reason(script).until == script.election.deadline()
    script.declare(Spec())
    script.settle()
    assert script.holding()


def test_those_ahead() -> None:
    """How many, and who is the first; the reason lasts while the detail changes."""
    script = waiting()
    assert reason(script) == Reason(Code.BEHIND, "1 ahead; first is the first", since=1000.0)
    script.now += 1
    script.drop(script.etcd.order[0])
    script.settle()
    assert script.holding()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Spec(suspend=True), Code.SUSPENDED),
        (Spec(suspend=True, deleting=True), Code.DELETING),
        (Spec(), Code.BEHIND),
    ],
)
def test_the_lock_precedes_the_place(spec: Spec, expected: Code) -> None:
    """Nobody is ahead of anybody in a suspended lock."""
    assert code(waiting(spec)) is expected


def test_an_unreadable_spec() -> None:
    """What the last good one asked for stays in force, and only the operator's next write ends it."""
    script = waiting(Spec(suspend=True))
    script.declare(None, broken="the spec is no JSON")
    assert reason(script) == Reason(Code.SPEC_UNREADABLE, "the spec is no JSON", since=1000.0)


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_code_is_documented() -> None:
    """The page has the table, to the word."""
    rows = table("code | the sentence begins with", "sidecar/leasehold/run/README.md")
    assert rows == [[f"`{one.value}`", wording.sentence] for one, wording in REASONS.items()]
    assert list(REASONS) == list(Code)
