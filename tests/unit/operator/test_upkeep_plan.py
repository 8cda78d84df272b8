"""What is done about etcd's space: nothing without need, one member at a time, and never what would not help."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.operator.enrolment.upkeep import plan
from leasehold.operator.enrolment.upkeep.model import (
    CORRUPT,
    NOSPACE,
    Action,
    Compact,
    Defragment,
    Disarm,
    Member,
    Past,
    Seen,
)

MIB = 2**20
QUOTA = 100 * MIB


def member(number: int, size: int = 10, in_use: int | None = None, **fields: object) -> Member:
    """One with sizes in MiB; the first leads."""
    made = Member(number, f"m{number}", "3.7.3", size * MIB, (size if in_use is None else in_use) * MIB, QUOTA)
    return replace(made, **{"is_leader": number == 1, **fields})  # type: ignore[arg-type]  # values of several types


def full(*members: Member, revision: int = 50) -> Seen:
    """These members, all with the alarm."""
    return Seen(members, frozenset((each.id, NOSPACE) for each in members), revision)


class World:
    """Members that do what they are told: what may be given back is, and the alarm ends."""

    def __init__(self, seen: Seen, live: int) -> None:
        self.seen, self.past, self.now, self.live = seen, Past(alarm_since=0.0), 0.0, live * MIB
        self.done: list[Action] = []

    def step(self) -> Action | None:
        action = plan.next_action(self.seen, self.past, self.now)
        match action:
            case Compact(revision):
                self.past.compacted, self.past.compacted_revision = self.now, revision
                self._change({each.id: replace(each, in_use=self.live) for each in self.seen.members})
            case Defragment(one):
                self.past.defragmented[one.id] = self.now
                self._change({one.id: replace(one, size=one.in_use)})
            case Disarm():
                self.seen = replace(self.seen, alarms=frozenset())
        self.done += [action] if action else []
        self.now += 1
        return action

    def _change(self, new: dict[int, Member]) -> None:
        self.seen = replace(self.seen, members=tuple(new.get(each.id, each) for each in self.seen.members))


def test_nothing_while_there_is_room() -> None:
    """However fragmented a file is: a member that is defragmented answers nobody."""
    seen = Seen((member(1, 79, 1), member(2, 79, 1)), revision=9)
    assert plan.next_action(seen, Past(), 0.0) is None
    assert plan.verdict(seen, Past(), 0.0, "") == ("True", "Enough", "no member's database is near its quota")


@pytest.mark.parametrize("quota", [QUOTA, 0])
def test_a_full_etcd_is_emptied_and_disarmed(quota: int) -> None:
    """One member after the other, the leader last, and writes only once all have room: also if none tells its quota."""
    world = World(full(*(member(number, 100, quota=quota) for number in (1, 2, 3))), live=5)
    while world.step():
        pass
    kinds = [each.member.name if isinstance(each, Defragment) else type(each) for each in world.done]
    assert kinds == [Compact, "m2", "m3", "m1", Disarm]
    assert world.done[-1] == Disarm((1, 2, 3))


def test_what_would_not_help_is_left() -> None:
    """Live keys fill it: nobody is held up for nothing, the alarm stays, and whose keys they are is told."""
    world = World(full(member(1, 100)), live=90)
    while world.step():
        pass
    assert world.done == [Compact(50)]
    world.now += plan.COMPACT_EVERY_SECONDS
    status, reason, message = plan.verdict(world.seen, world.past, world.now, "; of 9 keys, 8 are the namespace a's")
    assert (status, reason) == ("False", "Full")
    assert message.endswith(
        "nothing is left to compact: delete keys, or enlarge its volume; of 9 keys, 8 are the namespace a's"
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (full(member(1, 100, 1), member(2, problem="does not answer")), "the member m2 does not answer"),
        (full(member(1, 100, 1, problem="knows no leader")), "knows no leader"),
        (replace(full(member(1, 100, 1)), alarms=frozenset({(1, NOSPACE), (1, CORRUPT)})), "the alarm CORRUPT"),
    ],
)
def test_nobody_is_held_up_beside_a_sick_member(seen: Seen, words: str) -> None:
    assert plan.next_action(seen, Past(), 0.0) is None
    status, reason, message = plan.verdict(seen, Past(), 0.0, "")
    assert (status, reason) == ("False", "MemberUnhealthy")
    assert words in message


def test_who_fills_it_again_waits() -> None:
    """A tenant that fills it at once gets one defragmentation of each member in ten minutes, and is named."""
    past = Past(compacted=0.0, compacted_revision=50, defragmented={1: 0.0}, alarm_since=60.0)
    seen = full(member(1, 100, 1), revision=90)
    assert plan.next_action(seen, past, 30.0) is None
    past.compacted, past.compacted_revision = 60.0, 90
    assert plan.next_action(seen, past, 599.0) is None
    assert plan.verdict(seen, past, 599.0, "")[1] == "FilledAgain"
    assert plan.next_action(seen, past, 600.0) == Defragment(seen.members[0])


def test_near_the_quota_comes_before_the_alarm() -> None:
    world = World(Seen((member(1, 80),), revision=9), live=5)
    while world.step():
        pass
    assert [type(each) for each in world.done] == [Compact, Defragment]
    assert "above 80% of its quota" in plan.verdict(Seen((member(1, 80),)), Past(), 0.0, "")[2]


MEMBERS = st.lists(
    st.builds(
        lambda size, part, problem: member(2, size, int(size * part), problem=problem),
        st.integers(0, 200),
        st.floats(0, 1),
        st.sampled_from(["", "", "", "does not answer"]),
    ),
    min_size=1,
    max_size=5,
)


@given(MEMBERS, st.booleans(), st.floats(0, 2000))
def test_it_ends_and_never_repeats_itself_soon(members: list[Member], alarm: bool, now: float) -> None:
    """Whatever it finds: each member at most once, and nothing at all beside a sick one."""
    numbered = tuple(replace(each, id=number) for number, each in enumerate(members, 1))
    seen = full(*numbered) if alarm else Seen(numbered, revision=50)
    world = World(seen, live=1)
    world.now = now
    for _ in range(10):
        if world.step() is None:
            break
    else:
        raise AssertionError("it has no end")
    assert not world.done or not any(each.problem for each in members)
    defragmented = [each.member.id for each in world.done if isinstance(each, Defragment)]
    assert len(defragmented) == len(set(defragmented))
