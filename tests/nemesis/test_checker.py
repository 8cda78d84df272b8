"""The checker itself: it says nothing of a run that went well, and each way to go wrong is found by its rule.

In the good run `a` holds token 5 until it is stopped at 4.9 and its key goes at 5; then `b` holds token 6.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nemesis.checker import check
from tests.nemesis.history import (
    Asked,
    Broken,
    Changed,
    Ended,
    Fact,
    Final,
    Forwarded,
    History,
    Recovery,
    Released,
    Seen,
    Setup,
    Started,
    Told,
    Wrote,
)
from tests.nemesis.queue_record import Clock

SETUP = Setup(ttl=3, queue="/queue/", spec="/spec", register="/register")
AGREED = {1: 0.5, 5: 1.0, 6: 1.5, 7: 2.0, 8: 5.0, 9: 6.0}
"""When each revision was agreed on."""


def told(name: str, at: float, token: int, valid_for: float = 0.0) -> Told:
    """A 200, answered in 10 ms."""
    return Told(name, at, at + 0.01, 200, token, valid_for, 0)


def spec(value: str, revision: int = 1) -> Changed:
    return Changed(revision, "/spec", False, value)


def joined(name: str, revision: int) -> Changed:
    return Changed(revision, f"/queue/{name}", False, f'{{"identity":"{name}","incarnation":"1"}}')


def good() -> list[Fact]:
    """A run that went well."""
    looks = [number / 10 for number in range(100)]
    facts: list[Fact] = [Seen(at, at + 0.01, _revision(at)) for at in looks]
    facts += [joined("a", 5), joined("b", 6), Changed(8, "/queue/a", True)]
    facts += [Changed(7, "/register", False, "5"), Changed(9, "/register", False, "6")]
    facts += [Wrote("a", 5, 1.9, 2.1, True), Wrote("b", 6, 5.9, 6.1, True)]
    facts += [told("a", 1.2 + step / 5, 5, 4.9 - (1.2 + step / 5)) for step in range(18)]
    facts += [Asked("a", "stop", 4.9, 4.9, 0), Released("a", 5)]
    facts += [told("b", 5.2 + step / 5, 6, 2.0) for step in range(18)]
    return [*facts, Recovery("the stop", 5.0, 5.2), Final(["b"], ["b"], ["b"], {"b": 0})]


def _revision(at: float) -> int:
    return max((revision for revision, agreed in AGREED.items() if agreed <= at), default=1)


def rules(*more: Fact) -> set[str]:
    """The rules that the good run breaks once these facts are added."""
    return {one.rule for one in check(History(SETUP, [*good(), *more]))}


def unasked() -> list[Fact]:
    """The good run, but nobody asked `a` to stop, and its log says nothing."""
    return [fact for fact in good() if not isinstance(fact, (Asked, Released))]


def unasked_rules(*more: Fact) -> set[str]:
    return {one.rule for one in check(History(SETUP, [*unasked(), *more]))}


def test_a_run_that_went_well() -> None:
    assert check(History(SETUP, good())) == []


BAD: list[tuple[str, list[Fact]]] = [
    ("owner", [told("b", 4.0, 5)]),
    ("order", [told("a", 7.0, 5)]),
    ("crowd", [told("a", 7.0, 5)]),
    ("crowd", [spec('{"capacity":2}'), joined("c", 7), told("c", 4.0, 7), told("a", 7.0, 5), told("c", 7.0, 7)]),
    ("given-up", [Asked("a", "handover", 3.0, 3.05, 202)]),
    ("given-up", [Asked("a", "pause", 3.0, 3.05, 202), Started("a", 4.5)]),
    ("given-up", [Asked("a", "stop", 3.0, 3.05, 0), Told("a", 3.1, 3.2, 503, 0, 0.0, 0)]),
    ("stranger", [told("a", 4.0, 99)]),
    ("stranger", [told("c", 5.5, 6)]),
    ("early", [told("b", 3.0, 6)]),
    ("late", [told("a", 5.5, 5)]),
    ("promise", [told("b", 6.0, 6, 3.0), Changed(9, "/queue/b", True)]),
    ("disobeyed", [spec('{"suspend":true}')]),
    ("disobeyed", [spec('{"handoverUpToToken":5}')]),
    ("fence", [Changed(10, "/register", False, "5")]),
    ("fence", [Wrote("b", 6, 6.5, 6.6, False)]),
    ("stuck", [Recovery("the end", 9.0, None)]),
    ("unsettled", [Final(["b", "c"], ["b"], ["b"], {"b": 0, "c": None})]),
    ("unsettled", [Final(["b"], ["b", "b"], ["b"], {"b": 0})]),
    ("unsettled", [Final(["b", "c"], ["b", "c"], ["c"], {"b": 0, "c": 1})]),
    ("unsettled", [Final(["b", "c"], ["b", "c"], ["b"], {"b": 0, "c": 0})]),
    ("unsettled", [spec('{"preferredHolder":"c"}'), Final(["b", "c"], ["b", "c"], ["b"], {"b": 0, "c": 1})]),
    ("broken", [Broken("c ended by itself")]),
]


@pytest.mark.parametrize(("rule", "facts"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_went_wrong_is_found(rule: str, facts: list[Fact]) -> None:
    assert rule in rules(*facts)


def test_promise_of_a_fast_clock() -> None:
    """What a sidecar whose clock runs fast calls three seconds are fewer."""
    setup = Setup(3, "/queue/", "/spec", "/register", rates={"a": 1.5})
    assert check(History(setup, [*unasked(), told("a", 3.0, 5, 2.9)])) == []
    assert unasked_rules(told("a", 3.0, 5, 2.9)) == {"promise"}


def test_capacity_of_two() -> None:
    """With a capacity of two, two may lead, also for a TTL after it was lowered."""
    both = [told("b", 3.0, 6, 1.0), told("a", 3.1, 5, 1.0), told("b", 4.2, 6, 0.2)]
    assert rules(spec('{"capacity":2}'), *both) == set()
    assert rules(spec('{"capacity":2}'), spec("{}", 7), *both) == set()


def test_ended_by_another_is_excused() -> None:
    """Guarantee 7: for up to a TTL two may believe that they lead; then no more, and nobody else is excused."""
    ended = Ended("/queue/a", 4.9)
    assert unasked_rules(ended, told("a", 6.0, 5, 1.0)) == set()
    assert unasked_rules(ended, told("a", 8.6, 5)) == {"late"}
    assert "order" in unasked_rules(Ended("/queue/b", 4.9), told("a", 6.0, 5))


def test_woken_etcd_leader_is_excused() -> None:
    """Only what went in that window is."""
    assert unasked_rules(Forwarded(4.9, 8.0), told("a", 6.0, 5, 1.0)) == set()
    assert "order" in unasked_rules(Forwarded(5.5, 8.0), told("a", 6.0, 5))


def test_overlap_proves_nothing() -> None:
    """An answer that was under way while the key went, and the other took over, may have been decided before."""
    assert rules(Told("a", 4.7, 6.5, 200, 5, 0.1, 0)) == set()


def test_restart_may_keep_its_term() -> None:
    """The process that had agreed was killed before it could."""
    assert rules(Asked("a", "handover", 3.0, 3.05, 202), Started("a", 3.1)) == set()


def test_term_signal_may_arrive_late() -> None:
    """It was sent at 3.0, but nothing shows that it arrived: the process may not have run until then."""
    assert rules(Asked("a", "stop", 3.0, 3.05, 0)) == set()


def test_instants_of_revisions() -> None:
    clock = Clock([Seen(1.0, 1.2, 3), Seen(2.0, 2.2, 5)])
    assert (clock.certain(1.1), clock.certain(1.2), clock.certain(9.0)) == (0, 3, 5)
    assert (clock.possible(0.5), clock.possible(1.5), clock.possible(2.5)) == (3, 5, float("inf"))
    assert (clock.at_latest(3), clock.at_latest(4), clock.at_latest(6)) == (1.2, 2.2, float("inf"))
    assert (clock.at_earliest(3), clock.at_earliest(4), clock.at_earliest(6)) == (-float("inf"), 1.0, 2.0)


def test_a_saved_history_is_the_same(tmp_path: Path) -> None:
    history = History(SETUP, good())
    history.save(tmp_path / "history")
    loaded = History.load(tmp_path / "history")
    assert (loaded.setup, loaded.facts) == (history.setup, history.facts)
