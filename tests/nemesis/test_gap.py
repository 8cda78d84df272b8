"""What the lock waited for while nobody led: each part of a gap, by a history that has it.

`a` leads under token 5 until 1.0, `b` under 7 from 9.0 on. etcd is asked ten times a second.
"""

from __future__ import annotations

import pytest

from tests.nemesis.gap import gaps
from tests.nemesis.history import Changed, Fact, History, Recovery, Seen, Setup, Told

SETUP = Setup(ttl=3, queue="/queue/", spec="/spec", register="/register")
Agreed = dict[int, float]
"""When each revision was agreed on."""


def put(name: str, revision: int) -> Changed:
    return Changed(revision, f"/queue/{name}", False, f'{{"identity":"{name}"}}')


def gone(name: str, revision: int) -> Changed:
    return Changed(revision, f"/queue/{name}", True)


def parts(agreed: Agreed, changes: list[Changed], silence: tuple[float, float] = (0.0, 0.0)) -> dict[str, float]:
    """The parts of the only gap, in whole seconds; etcd answers nothing within `silence`."""
    looks = [number / 10 for number in range(100) if not silence[0] < number / 10 < silence[1]]
    seen = [Seen(at, at, max((one for one, when in agreed.items() if when <= at), default=1)) for at in looks]
    told = [Told("a", 1.0, 1.0, 200, 5), Told("b", 9.0, 9.0, 200, 7)]
    facts: list[Fact] = [*seen, *told, *changes, Recovery("the start", 0.0, 0.5), Recovery("the act", 8.5, 9.0)]
    (gap,) = gaps(History(SETUP, facts))
    assert (gap.act, gap.seconds) == ("the act", 8.0)
    return {name: round(seconds) for name, seconds in gap.parts.items()}


QUEUE = [put("a", 5), gone("a", 8)]
CASES: dict[str, tuple[Agreed, list[Changed], dict[str, float]]] = {
    "the old key stands": ({5: 0.0, 7: 0.5, 8: 6.0}, [*QUEUE, put("b", 7)], {"lease": 5, "next": 3}),
    "nobody is there": (
        {5: 0.0, 6: 3.0, 7: 7.0},
        [put("a", 5), gone("a", 6), put("b", 7)],
        {"lease": 2, "empty": 4, "next": 2},
    ),
    "a stranger leads": (
        {4: 0.0, 5: 0.1, 7: 0.5, 8: 3.0, 9: 8.0},
        [*QUEUE, put("x", 4), put("b", 7), gone("x", 9)],
        {"stranger": 7, "next": 1},
    ),
    "it is suspended": (
        {5: 0.0, 7: 0.5, 8: 1.0, 9: 2.0, 10: 6.0},
        [*QUEUE, put("b", 7), Changed(9, "/spec", False, '{"suspend":true}'), Changed(10, "/spec", False, "{}")],
        {"next": 4, "suspended": 4},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_it_waited_for(name: str) -> None:
    agreed, changes, expected = CASES[name]
    assert parts(agreed, changes) == expected


def test_a_silent_etcd() -> None:
    """What happens while it answers nobody is not known, and counts as its own."""
    assert parts({5: 0.0, 7: 0.5, 8: 4.0}, [*QUEUE, put("b", 7)], (2.0, 6.0)) == {"lease": 1, "etcd": 4, "next": 3}


def test_two_may_lead() -> None:
    """With a capacity of two, the second one's turn has come though an old key stands first."""
    two = Changed(4, "/spec", False, '{"capacity":2}')
    assert parts({4: 0.0, 5: 0.1, 7: 2.0, 8: 8.0}, [two, *QUEUE, put("b", 7)]) == {"lease": 1, "next": 7}
