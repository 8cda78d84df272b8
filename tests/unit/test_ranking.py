"""Who should hold, and how a handover passes others by."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from leasehold.election.ranking import MAX_COMPARED, HandoverPlan, best_first, plan, rank, should_yield
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

quick = settings(deadline=None)


def entry(token: int, *, identity: str = "", group: str = "", priority: int = 0, foreign: bool = False) -> Entry:
    """A candidate whose token, lease and place are one number."""
    who = Record(identity or f"c{token}", group=group, priority=priority, incarnation="i", foreign=foreign)
    return Entry(f"queue/{token:x}", token, token, token, who)


def queue(*priorities: int | str) -> list[Entry]:
    """Candidates with tokens 1, 2, 3…: of ours with that priority, or foreign where it is a text."""
    return [
        entry(token, identity=p, foreign=True) if isinstance(p, str) else entry(token, priority=p)
        for token, p in enumerate(priorities, 1)
    ]


# --- rank ------------------------------------------------------------------------------------------------------------


def test_the_order_of_preference() -> None:
    """The order is preferred holder then group then priority then first come."""
    spec = Spec(preferred_holder="named", preferred_group="new")
    plain, high = entry(1), entry(2, priority=9)
    late_plain, grouped = entry(3), entry(4, group="new", priority=-5)
    named = entry(5, identity="named", priority=-9)
    ordered = best_first([plain, high, late_plain, grouped, named], spec)
    assert ordered == [named, grouped, high, plain, late_plain]


def test_no_preference_is_no_match_for_an_empty_name() -> None:
    """A pod without a group is not of the preferred group where none is preferred."""
    assert rank(entry(1, group=""), Spec()) == rank(entry(2, group="g"), Spec()) == (False, False, 0)


def test_a_foreign_candidate_is_preferred_by_name_only() -> None:
    """A foreign candidate has neither group nor priority but may be named."""
    foreign = Entry("k", 1, 1, 1, Record("elect", group="new", priority=9, foreign=True))
    assert rank(foreign, Spec(preferred_group="new")) == (False, False, 0)
    assert rank(foreign, Spec(preferred_holder="elect")) == (True, False, 0)


# --- who yields ------------------------------------------------------------------------------------------------------


def test_a_holder_yields_to_a_better_waiter_only() -> None:
    assert should_yield(queue(0, 1), Spec(), 1)
    assert not should_yield(queue(1, 1), Spec(), 1)
    assert not should_yield(queue(1, 0), Spec(), 1)


def test_the_lowest_and_youngest_holders_yield() -> None:
    """One better waiter moves one holder: the youngest of the two with the lowest rank."""
    standing = queue(3, 1, 1, 2, 5)
    spec = Spec(capacity=4)
    assert [e.create_revision for e in standing[:4] if should_yield(standing, spec, e.create_revision)] == [3]


def test_nobody_yields_past_a_foreign_candidate() -> None:
    """Its key is not ours to delete, and it would hold in between."""
    assert not should_yield(queue(0, "elect", 5), Spec(), 1)
    assert should_yield(queue(0, 5, "elect"), Spec(), 1)


def test_a_foreign_waiter_preferred_by_name_is_yielded_to() -> None:
    assert should_yield(queue(0, "elect"), Spec(preferred_holder="elect"), 1)


@dataclass(frozen=True)
class Pool:
    """A queue, its spec, and who of it holds and who waits."""

    queue: list[Entry]
    spec: Spec

    @property
    def holders(self) -> list[Entry]:
        return self.queue[: self.spec.capacity]

    @property
    def waiters(self) -> list[Entry]:
        return self.queue[self.spec.capacity :]

    def yielding(self) -> list[Entry]:
        return [e for e in self.holders if should_yield(self.queue, self.spec, e.create_revision)]

    def plan(self, holder: Entry) -> HandoverPlan:
        return plan(self.queue, self.spec, holder.create_revision)

    def better(self, one: Entry, other: Entry) -> bool:
        return rank(one, self.spec) > rank(other, self.spec)


@st.composite
def pools(draw: st.DrawFn, foreign: bool = True, most: int = 9) -> Pool:
    kinds = st.tuples(st.sampled_from("abc"), st.sampled_from(["", "new"]), st.integers(-2, 2))
    drawn = draw(st.lists(st.tuples(kinds, st.booleans() if foreign else st.just(False)), min_size=1, max_size=most))
    entries = [
        entry(token, identity=who, group=group, priority=priority, foreign=other)
        for token, ((who, group, priority), other) in enumerate(drawn, 1)
    ]
    spec = Spec(
        capacity=draw(st.integers(1, 4)),
        preferred_holder=draw(st.sampled_from(["", "a"])),
        preferred_group=draw(st.sampled_from(["", "new"])),
    )
    return Pool(entries, spec)


@quick
@given(pools(foreign=False))
def test_as_many_holders_yield_as_better_waiters_exist(pool: Pool) -> None:
    """Found by exchanging: while the best waiter left is strictly better than the worst holder left, swap the two."""
    holders = sorted(pool.holders, key=lambda e: (rank(e, pool.spec), -e.create_revision))  # first to go, first
    waiters = best_first(pool.waiters, pool.spec)
    swapped = 0
    while swapped < min(len(holders), len(waiters)) and pool.better(waiters[swapped], holders[swapped]):
        swapped += 1
    assert pool.yielding() == sorted(holders[:swapped], key=lambda e: e.create_revision)


@quick
@given(pools())
def test_nobody_yields_to_an_equal_waiter(pool: Pool) -> None:
    """Whatever foreign candidates do: otherwise a holder would give way for ever."""
    for holder in pool.yielding():
        assert any(pool.better(waiter, holder) for waiter in pool.waiters)
        assert not pool.plan(holder).blocked


@quick
@given(pools())
def test_at_the_end_the_best_hold_and_nobody_yields(pool: Pool) -> None:
    """Preference comes to rest: each handover ends with fewer better waiters, never with a new reason to yield."""
    standing = list(pool.queue)
    for _ in range(len(pool.queue) + 1):
        now = Pool(standing, pool.spec)
        if not (yielding := now.yielding()):
            break
        holder = yielding[0]
        leaving = [holder, *now.plan(holder).skipped]
        standing = [e for e in standing if e not in leaving] + [
            entry(
                max(e.create_revision for e in standing) + 1 + i,
                identity=gone.record.identity,
                group=gone.record.group,
                priority=gone.record.priority,
            )
            for i, gone in enumerate(leaving)
        ]
    assert not Pool(standing, pool.spec).yielding()


# --- the plan --------------------------------------------------------------------------------------------------------


def test_next_in_line_needs_nobody_passed_by() -> None:
    standing = queue(0, 5, 1)
    assert plan(standing, Spec(), 1) == HandoverPlan(target=standing[1])


def test_a_plan_skips_those_between() -> None:
    """Those between are deleted with the holder and the target is guarded."""
    standing = queue(0, 1, 2, 5)
    assert plan(standing, Spec(), 1) == HandoverPlan(
        target=standing[3], skipped=tuple(standing[1:3]), guards=(standing[3],)
    )


def test_the_other_holders_are_guarded_too() -> None:
    """If one of them had gone, the first of those passed by would be a holder already."""
    standing = queue(9, 0, 9, 1, 5)
    found = plan(standing, Spec(capacity=3), 2)
    assert found.skipped == (standing[3],)
    assert set(found.guards) == {standing[0], standing[2], standing[4]}


def test_nothing_is_planned_without_waiters() -> None:
    """Without waiters or for a waiter there is nothing to plan."""
    assert plan(queue(0), Spec(), 1) == HandoverPlan()
    assert plan(queue(0, 1, 2), Spec(), 2) == HandoverPlan()


def test_a_foreign_candidate_blocks_the_skip() -> None:
    """A foreign candidate between blocks the skip and is next."""
    standing = queue(0, 1, "elect", 5)
    assert plan(standing, Spec(), 1) == HandoverPlan(target=standing[1], blocked=True)


def test_many_are_skipped_in_parts() -> None:
    """The nearest stay as long as the holder's own key: none of them holds before the last part."""
    standing = queue(0, *[1] * (MAX_COMPARED + 5), 9)
    found = plan(standing, Spec(), 1)
    assert found.in_parts
    assert found.skipped == tuple(standing[-1 - MAX_COMPARED : -1])
    assert found.target == standing[-1]
    rest = [e for e in standing if e not in found.skipped]
    last = plan(rest, Spec(), 1)
    assert not last.in_parts
    assert (last.skipped, last.target) == (tuple(standing[1:6]), standing[-1])


@quick
@given(pools())
@example(Pool(queue(0, *[1] * MAX_COMPARED, 9), Spec()))
@example(Pool(queue(0, *[1] * (MAX_COMPARED + 1), 9), Spec()))
def test_a_plan_skips_only_lower_ranked_candidates(pool: Pool) -> None:
    """A plan passes only lower ranked ones of ours and ends at the best."""
    for holder in pool.holders:
        found = pool.plan(holder)
        assert (found.target is None) == (not pool.waiters)
        if found.target is None or found.blocked:
            assert (found.skipped, found.guards, found.in_parts) == ((), (), False)
            continue
        assert not any(pool.better(waiter, found.target) for waiter in pool.waiters)
        assert all(pool.better(found.target, e) and not e.record.foreign for e in found.skipped)
        assert all(one.create_revision < other.create_revision for one, other in pairwise(found.skipped))
        assert holder not in found.skipped


@quick
@given(pools())
def test_after_a_plan_ran_the_target_holds(pool: Pool) -> None:
    """And all other holders hold as before: nobody comes in between, and no token falls."""
    for holder in pool.holders:
        found = pool.plan(holder)
        assume(found.target is not None and not found.blocked and not found.in_parts)
        left = [e for e in pool.queue if e != holder and e not in found.skipped]
        others = [e for e in pool.holders if e != holder]
        assert left[: pool.spec.capacity] == [*others, found.target]


@quick
@given(pools())
def test_guards_are_those_that_the_plan_depends_on(pool: Pool) -> None:
    """One guard fewer in the queue, and someone that the plan passes by, or nobody, would be the next holder."""
    for holder in pool.holders:
        found = pool.plan(holder)
        if found.skipped:
            others = [e for e in pool.holders if e != holder]
            assert set(found.guards) == {found.target, *others}


def test_nobody_is_skipped_past_too_many_holders() -> None:
    """One that is not guarded may have died: the first of those passed by would be a holder, and lose its key."""
    waiting = [*[1] * 3, 9]
    for others, blocked in ((MAX_COMPARED, False), (MAX_COMPARED + 1, True)):
        standing, spec = queue(0, *[1] * others, *waiting), Spec(capacity=others + 1)
        assert plan(standing, spec, 1).blocked == blocked
        assert should_yield(standing, spec, 1) != blocked


def test_every_plan_fits_into_one_transaction() -> None:
    """etcd takes 128 comparisons unless told otherwise; our own key and the spec's are compared too."""
    for capacity in (1, 2, 60, 61, 62, 100, 1000):
        for between in (1, 59, 60, 61, 200):
            found = plan(queue(*[0] * capacity, *[1] * between, 9), Spec(capacity=capacity), 1)
            assert len(found.skipped) + len(found.guards) + 2 <= 128
