"""Pods that name a lock and are not in its queue: how they are found, what is said of them, and when it matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leasehold.lock.names import LockName
from leasehold.operator.plan.absent import NO_CANDIDATE_AFTER_SECONDS
from leasehold.operator.plan.model import AbsentPod
from leasehold.operator.plan.plan import plan
from leasehold.operator.reconcile.sidecar_answers import Answer, SidecarAnswers, read
from leasehold.operator.watch.pod_request import PodRequest, read_request
from leasehold.operator.watch.pods import Pods
from leasehold.operator.watch.transform import trim
from tests.unit.operator.bodies import Body, entry, pod
from tests.unit.operator.planned import candidate, check_status, declared, lock, names, reason, settled, situation

TEAM_DB = LockName("team", "db")
SIDECAR: Body = {"name": "leasehold", "image": "x", "args": ["run", "--lock=db", "--listen=:4041"]}
UNWELL = AbsentPod("db-0", "uid-0", "app-unhealthy", "the app is unhealthy: no connection")


def naming(uid: str = "a", *, sidecar: Body | None = SIDECAR, status: Body | None = None, **metadata: Any) -> Body:
    body = pod(uid)
    body["metadata"].update(metadata)
    body["spec"]["initContainers"] = [sidecar] if sidecar else []
    body["status"] = {"phase": "Running", "podIP": "10.1.2.3", **(status or {})}
    return body


def request(body: Body) -> PodRequest | None:
    """As it is read of what is kept of a body."""
    return read_request(trim("Pod", body))


# --- which pods name a lock ------------------------------------------------------------------------------------------


def test_a_sidecar_names_its_lock() -> None:
    """By flag or by variable, in any container; it is asked where it listens."""
    assert request(naming()) == PodRequest("db", "10.1.2.3:4041")
    by_variable = {
        "name": "s",
        "env": [{"name": "LEASEHOLD_LOCK", "value": "team/db"}, {"name": "OTHER", "value": "x"}],
    }
    assert request(naming(sidecar=by_variable)) == PodRequest("db", "10.1.2.3:4040")
    assert request(naming(status={"podIP": "fd00::7"})) == PodRequest("db", "[fd00::7]:4041")
    loopback = {**SIDECAR, "args": ["--lock=db", "--listen=127.0.0.1:4040"]}
    assert request(naming(sidecar=loopback)) == PodRequest("db", "")


@pytest.mark.parametrize(
    "body",
    [
        naming(sidecar=None),
        naming(sidecar={"name": "s", "args": ["--lock=other/db"]}),
        naming(sidecar={"name": "s", "args": ["--lock=NO LOCK"]}),
        naming(deletionTimestamp="2026-01-01T12:00:00Z"),
        naming(status={"phase": "Succeeded"}),
        pod("a"),
    ],
)
def test_others_name_none(body: Body) -> None:
    """Nor does a lock of another namespace count: its Lock must not tell of this pod."""
    assert request(body) is None


def test_what_the_api_server_shows() -> None:
    """A pod that runs no sidecar says why."""
    asked = naming(sidecar=None, labels={"leasehold.dev/inject": "true"}, annotations={"leasehold.dev/lock": "db"})
    waiting = [{"name": "leasehold", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "x\u202ey"}}}]
    full = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]
    cases = {
        "no-sidecar": asked,
        "container-waiting": naming(status={"initContainerStatuses": waiting}),
        "not-scheduled": naming(status={"phase": "Pending", "conditions": full, "podIP": None}),
        "pod-starting": naming(status={"phase": "Pending", "podIP": None}),
    }
    for code, body in cases.items():
        found = request(body)
        assert found is not None
        assert (found.lock, found.code, found.address) == ("db", code, "")
        assert found.message.isprintable()


def test_the_index_of_pods() -> None:
    """It names the pods that are not queued, and the locks that a change concerns."""
    pods = Pods()
    queued, missing = naming("a"), naming("b")
    for body in (queued, missing):
        assert pods.apply("Pod", trim("Pod", body), deleted=False).locks == {TEAM_DB}
    assert [one.uid for one in pods.absent(TEAM_DB, [entry(queued)])] == ["b"]
    assert pods.apply("Pod", trim("Pod", missing), deleted=True).locks == {TEAM_DB}
    assert pods.absent(TEAM_DB, [entry(queued)]) == ()
    pods.apply("Pod", trim("Pod", queued), deleted=True)
    assert pods.sizes["naming"] == 0


# --- what their sidecars say -----------------------------------------------------------------------------------------


def said(**fields: Any) -> Answer:
    return read({"lock": "team/db", "leading": False, **fields}, "10.1.2.3:4040", TEAM_DB)


def test_an_answer_is_read() -> None:
    """Without what counts down: a status must not change by itself."""
    text = "the app is unhealthy: no connection; no answer counts for another 148 s"
    answer = said(reasonCode="app-unhealthy", reason=text, reasonUntil="2026-01-01T12:02:28Z")
    assert answer == Answer("app-unhealthy", "the app is unhealthy: no connection")
    assert answer.until == "2026-01-01T12:02:28Z"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"leading": True}, "elsewhere"),
        ({"reasonCode": "behind", "reason": "others stand ahead"}, "elsewhere"),
        ({"reasonCode": "token-limit", "reason": "the lock asks for a handover"}, "elsewhere"),
        ({"reasonCode": "draining", "reason": "no longer leads, and keeps its key"}, "elsewhere"),
        ({"reasonCode": "unconfirmed", "reason": "the lease deadline has passed"}, "unconfirmed"),
        ({"reasonCode": "leaving", "reason": "giving up its place in the queue"}, "leaving"),
        ({"lock": "team/other"}, "other-lock"),
        ({"lock": 7}, "silent"),
        ({}, "unknown"),
        ({"reasonCode": "NO CODE", "reason": "x"}, "unknown"),
        ({"reasonCode": "x" * 50, "reason": "x"}, "unknown"),
        ({"reasonCode": ["behind"], "reason": "x"}, "unknown"),
    ],
)
def test_answers_that_anybody_may_have_written(fields: dict[str, Any], code: str) -> None:
    """A word and a short, printable sentence at most."""
    assert said(**fields).code == code
    hostile = said(reasonCode="paused", reason="\u202e" * 5000, reasonUntil="soon")
    assert (len(hostile.message) <= 253, hostile.message.isprintable(), hostile.until) == (True, True, "")


def test_those_that_came_are_forgotten() -> None:
    """Nothing is kept of a pod that is in the queue, or gone."""
    pods = Pods()
    pods.apply("Pod", trim("Pod", naming("a")), deleted=False)
    answers = SidecarAnswers(lambda: 0.0, lambda lock: None)
    (one,) = answers.absent(TEAM_DB, pods.absent(TEAM_DB, ()))
    assert (one.uid, one.code) == ("a", "unknown")
    assert answers.absent(TEAM_DB, ()) == ()
    assert (answers._wanted, answers._of, answers._answers) == ({}, {}, {})


# --- the status ------------------------------------------------------------------------------------------------------


def test_nobody_can_come() -> None:
    """After a while, in which pods may just be starting; the event comes once."""
    resource, memory = settled(lock(), declared(), absent=(UNWELL,))
    first = plan(situation(resource, declared(), absent=(UNWELL,), memory=memory))
    assert first.again_in == NO_CANDIDATE_AFTER_SECONDS
    later = situation(resource, declared(), absent=(UNWELL,), memory=memory, now=100.0 + NO_CANDIDATE_AFTER_SECONDS)
    decided = plan(later)
    assert reason(decided, "Degraded") == ("True", "NoCandidate")
    assert decided.status is not None
    check_status(decided.status)
    assert decided.status["absent"] == [
        {
            "podUID": "uid-0",
            "podName": "db-0",
            "reason": "app-unhealthy",
            "message": "the app is unhealthy: no connection",
            "since": "2026-01-01T12:00:00Z",
        }
    ]
    assert names(decided) == ["NoCandidate"]
    again = plan(replace(later, lock=replace(resource, status=decided.status), memory=decided.memory))
    assert (again.status, names(again), again.again_in) == (None, [], None)


def test_it_never_says_that_all_is_well_if_not() -> None:
    """Not ready, nobody there, or only some there: each says so."""
    decided = plan(situation(lock(), None))
    assert reason(decided, "Ready")[0] == "False"
    assert reason(decided, "Degraded") == ("False", "NotReady")
    assert reason(plan(situation(lock(), declared())), "Degraded") == ("False", "NobodyQueued")
    some = plan(situation(lock(), declared(), candidate(20), absent=(UNWELL,)))
    assert reason(some, "Degraded") == ("False", "SomeAbsent")
    assert reason(plan(situation(lock(), declared(), candidate(20))), "Degraded") == ("False", "AsExpected")


def test_a_clock_that_is_counted_back_changes_nothing() -> None:
    """The same end of a wait may be told a second apart."""
    first = replace(UNWELL, until="2026-01-01T12:02:28Z")
    resource, memory = settled(lock(), declared(), candidate(20), absent=(first,))
    for until, is_same in (("2026-01-01T12:02:29Z", True), ("2026-01-01T12:05:00Z", False)):
        again = plan(
            situation(resource, declared(), candidate(20), absent=(replace(first, until=until),), memory=memory)
        )
        assert (again.status is None) is is_same


def test_lists_are_bounded() -> None:
    """However many wait, or are missing."""
    many = tuple(replace(UNWELL, name=f"db-{n}", uid=f"uid-{n}") for n in range(100))
    decided = plan(situation(lock(), declared(), *(candidate(20 + n) for n in range(100)), absent=many))
    assert decided.status is not None
    check_status(decided.status)
    assert (len(decided.status["waiters"]), decided.status["waiterCount"]) == (32, 99)
    assert (len(decided.status["absent"]), decided.status["absentCount"]) == (32, 100)
