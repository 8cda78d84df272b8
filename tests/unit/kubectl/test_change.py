"""What a change means on the Lock as it is, and how it is made while others write too."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from leasehold.kubectl import change
from leasehold.kubectl.change import RefusedError
from leasehold.kubectl.errors import ClusterError, ConflictError, UnreachableError
from leasehold.kubectl.lock import LockView
from leasehold.lock.names import LockName
from tests.unit.kubectl.locks import A, B, view

ROLLED_BACK = {"conditions": [{"type": "Degraded", "status": "True", "reason": "StoreRolledBack"}]}


class Scripted:
    """What the API server answers to each change, one after the other: an error, or nothing when it is made."""

    def __init__(self, *answers: tuple[ClusterError | None, LockView | None]) -> None:
        self.answers = list(answers)
        self.writes: list[Mapping[str, Any]] = []
        self.now = view()
        self.away = False

    def get(self, lock: LockName) -> LockView:
        if self.away:
            raise UnreachableError("No answer.")
        return self.now

    def change(self, seen: LockView, spec: Mapping[str, Any]) -> LockView:
        self.writes.append(spec)
        error, then = self.answers.pop(0)
        self.now = then or seen
        if error is not None:
            raise error
        return self.now


def test_a_handover_is_about_those_who_hold() -> None:
    assert change.target(view(A, B), 0).token == 230
    assert [holder.identity for holder in change.target(view(A, B), 220).holders] == ["a"]
    made = change.handover(change.target(view(A), 0))(view(A))
    assert made == change.Change("a (token 217) asked to hand over", {"handoverUpToToken": 217})
    assert change.revoke(change.target(view(A), 0))(view(A)).spec == {"revokeUpToToken": 217}


@pytest.mark.parametrize(
    ("seen", "token", "said"),
    [
        (view(), 0, "is held by nobody"),
        (view(A, held="Unknown"), 217, "has an unknown holder"),
        (view(A), 218, "has a token as high as 218: it is held by a"),
        (view(A), 10**15, "has a token as high as"),
        (view(A), 216, "has a token of at most 216"),
        (view(A, status=ROLLED_BACK), 0, "etcd has lost data"),
        (
            view(A, status={"holderCount": 40}),
            0,
            "has 40 holders, of which its status lists 1; choose by --up-to-token",
        ),
    ],
)
def test_whom_it_cannot_be_about(seen: LockView, token: int, said: str) -> None:
    """A token that nobody has yet would hit holders to come, and can never be lowered again."""
    with pytest.raises(RefusedError, match=said):
        change.target(seen, token)


def test_it_is_never_about_the_next_holder() -> None:
    meant = change.target(view(A), 0)
    assert change.handover(meant)(view(B)).spec == {}
    assert "had already given it up" in change.handover(meant)(view()).summary
    assert change.handover(meant)(view(A, held="Unknown")).spec, "who holds is not known: it may be the one meant"


@pytest.mark.parametrize("present", [217, 230])
def test_it_only_grows(present: int) -> None:
    meant = change.target(view(A), 0)
    assert change.handover(meant)(view(A, handoverUpToToken=present)).spec == {}


def test_a_preference() -> None:
    first = view(A)
    assert change.prefer(first, "b")(first).spec == {"preferredHolder": "b"}
    assert change.prefer(first, "")(first).spec == {}
    assert change.prefer(first, "b")(view(A, preferredHolder="b")).spec == {}
    assert change.prefer(view(preferredHolder="b"), "")(view(preferredHolder="b")).spec == {"preferredHolder": ""}
    with pytest.raises(RefusedError, match="'c' meanwhile"):
        change.prefer(first, "b")(view(A, preferredHolder="c"))


def test_suspension() -> None:
    assert change.suspend(view()).spec == {"suspend": True}
    assert change.suspend(view(suspend=True)).spec == {}
    assert change.resume(view()).spec == {}
    assert change.resume(view(suspend=True)).spec == {"suspend": False}


def make(cluster: Scripted, decide: Callable[[LockView], change.Change]) -> tuple[change.Change, list[str]]:
    told: list[str] = []
    return change.apply(cluster, view(A), decide, told.append, lambda seconds: None)[1], told


def test_a_conflict_is_decided_anew() -> None:
    """Description when it was about the spec; a status that moved is no news."""
    cluster = Scripted((ConflictError(""), view(A, capacity=2)), (ConflictError(""), view(A, capacity=2)), (None, None))
    made, told = make(cluster, change.suspend)
    assert made.summary == "suspended"
    assert cluster.writes == [{"suspend": True}] * 3
    assert told == [
        "Another writer changed spec.capacity of the Lock prod/db meanwhile; the change is made on top of that."
    ]


def test_an_unknown_outcome_is_read() -> None:
    """The change may have been made: then it is not made again."""
    cluster = Scripted((UnreachableError("No answer."), view(A, suspend=True)))
    made, told = make(cluster, change.suspend)
    assert made.summary == "suspended already"
    assert told == ["No answer. The Lock was read again, to see the outcome of the change."]


def test_an_outcome_that_stays_unknown_is_told() -> None:
    cluster = Scripted((UnreachableError("No answer."), None))
    cluster.away = True
    with pytest.raises(ClusterError, match=r"^No answer\. Whether the Lock prod/db was changed is not known"):
        make(cluster, change.suspend)


def test_it_ends_when_others_never_stop() -> None:
    cluster = Scripted(*[(ConflictError("It was changed."), view(A))] * 20)
    with pytest.raises(ClusterError, match=r"It was changed, 8 times in a row; try again later\."):
        make(cluster, change.suspend)
    assert len(cluster.writes) == 8


def test_a_lock_of_the_same_name_is_another() -> None:
    with pytest.raises(RefusedError, match="created again"):
        make(Scripted((ConflictError(""), view(uid="other"))), change.suspend)
