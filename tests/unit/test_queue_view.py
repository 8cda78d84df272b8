"""What a candidate knows of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from leasehold.election.queue_view import QueueView
from leasehold.lock.record import Entry, Record

quick = settings(deadline=None)


def entry(token: int, modified: int | None = None) -> Entry:
    """A candidate whose key is called like its token."""
    return Entry(f"k{token}", token, token, modified or token, Record(f"c{token}", incarnation="i"))


def test_a_read_is_ordered_and_complete() -> None:
    """A read is in order of create revision and whole."""
    view = QueueView.read([entry(9), entry(3), entry(5, 8)], 10)
    assert view.entries == (entry(3), entry(5, 8), entry(9))
    assert (view.revision, view.complete) == (10, True)


def test_who_is_ahead() -> None:
    view = QueueView.read([entry(3), entry(5), entry(9)], 10)
    assert view.ahead(9) == (entry(3), entry(5))
    assert view.just_ahead(9) == entry(5)
    assert view.just_ahead(3) is None
    assert view.own("k5") == entry(5)
    assert view.own("k6") is None


# --- whose deletion clears the way -----------------------------------------------------------------------------------


def test_the_only_one_ahead_clears_the_way() -> None:
    assert QueueView.read([entry(3), entry(5), entry(7)], 7).clears_the_way("k3", 5, 10)


def test_one_of_two_ahead_does_not() -> None:
    """Not even the nearest: the other one may still hold."""
    view = QueueView.read([entry(3), entry(4), entry(5)], 5)
    assert not view.clears_the_way("k4", 5, 10)
    assert not view.clears_the_way("k3", 5, 10)


def test_one_that_was_rewritten_does_not() -> None:
    """Its owner may be passing us by, and have deleted our key in the same transaction."""
    assert not QueueView.read([entry(3, 6), entry(5)], 6).clears_the_way("k3", 5, 10)


def test_one_deleted_with_another_does_not() -> None:
    """The owner of the other key may have deleted both, and ours, in one transaction; at another revision it cannot."""
    view = QueueView.read([entry(3, 6), entry(4), entry(5)], 6).gone("k3", 8)
    assert not view.clears_the_way("k4", 5, 8)
    assert view.clears_the_way("k4", 5, 9)


def test_one_behind_or_unknown_does_not() -> None:
    view = QueueView.read([entry(3), entry(5), entry(7)], 7)
    assert not view.clears_the_way("k7", 5, 10)
    assert not view.clears_the_way("k4", 5, 10)
    assert not QueueView.read([entry(5)], 7).clears_the_way("k3", 5, 10)


# --- watch events ----------------------------------------------------------------------------------------------------


def test_a_put_adds_or_replaces_in_place() -> None:
    view = QueueView.read([entry(3), entry(5)], 5)
    assert view.put(entry(7)).entries == (entry(3), entry(5), entry(7))
    assert view.put(entry(3, 6)).entries == (entry(3, 6), entry(5))


def test_an_older_event_than_what_is_known_changes_nothing() -> None:
    """Watches may tell twice, and one of two watches may lag."""
    view = QueueView.read([entry(3, 6), entry(5)], 8)
    assert view.put(entry(3)) == view
    assert view.put(entry(3, 6)) == view
    assert view.put(entry(7)) == view


def test_a_deleted_key_is_gone_for_ever() -> None:
    view = QueueView.read([entry(3), entry(5)], 5)
    assert view.gone("k3", 9).entries == (entry(5),)
    assert view.gone("k3", 9).gone("k3", 9) == view.gone("k3", 9)
    assert view.gone("k4", 9).entries == view.entries


def test_the_head_shows_that_all_before_it_are_gone() -> None:
    """The first of the queue shows that all before it are gone."""
    view = QueueView.read([entry(3), entry(5), entry(7)], 7)
    assert view.behind(entry(5, 9)).entries == (entry(5, 9), entry(7))
    assert view.behind(entry(3)) == view
    assert view.behind(None).entries == ()


# --- a view against the whole truth ----------------------------------------------------------------------------------


class Truth:
    """A queue as etcd has it, with every event it ever sent."""

    def __init__(self) -> None:
        self.revision = 1
        self.entries: dict[str, Entry] = {}
        self.events: list[tuple[str, Entry]] = []

    def run(self, steps: Sequence[tuple[str, int]]) -> None:
        for kind, number in steps:
            self.revision += 1
            standing = list(self.entries.values())
            if kind == "join" or not standing:
                self._say("put", entry(self.revision))
            elif kind == "rewrite":
                self._say("put", replace(standing[number % len(standing)], mod_revision=self.revision))
            else:
                self._say("gone", standing[number % len(standing)])

    def _say(self, kind: str, changed: Entry) -> None:
        self.events.append((kind, changed))
        if kind == "put":
            self.entries[changed.key] = changed
        else:
            del self.entries[changed.key]


steps = st.lists(st.tuples(st.sampled_from(["join", "rewrite", "leave"]), st.integers(0, 9)), max_size=15)


def follow(view: QueueView, events: Sequence[tuple[str, Entry]]) -> QueueView:
    """Take the events that a watch brings."""
    for kind, changed in events:
        view = view.put(changed) if kind == "put" else view.gone(changed.key, changed.mod_revision)
    return view


@quick
@given(steps, steps, st.integers(0, 20))
def test_a_view_that_hears_all_events_is_the_queue(
    before: list[tuple[str, int]], after: list[tuple[str, int]], twice: int
) -> None:
    """Also when some of them had been told already when it was read, as after a new watch."""
    truth = Truth()
    truth.run(before)
    view = QueueView.read(truth.entries.values(), truth.revision)
    known = len(truth.events)
    truth.run(after)
    view = follow(view, truth.events[max(0, known - twice) :])
    assert view.entries == tuple(sorted(truth.entries.values(), key=lambda e: e.create_revision))


@quick
@given(steps, steps, st.data())
def test_events_keep_an_upper_bound_of_those_ahead(
    before: list[tuple[str, int]], after: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Nobody who stands ahead is ever missing: a waiter holds on the strength of that."""
    truth = Truth()
    truth.run([*before, ("join", 0)])
    own = data.draw(st.sampled_from(list(truth.entries.values())))
    ahead = [e for e in truth.entries.values() if e.create_revision < own.create_revision]
    watched = data.draw(st.sampled_from(ahead)) if ahead else own
    view = replace(QueueView.read(truth.entries.values(), truth.revision), complete=False)
    known = len(truth.events)
    truth.run(after)
    view = follow(view, [(kind, e) for kind, e in truth.events[known:] if e.key == watched.key])
    head = min(truth.entries.values(), key=lambda e: e.create_revision, default=None)
    if data.draw(st.booleans(), "a confirming read") and own.key in truth.entries:
        view = view.behind(head)
    really = [e for e in truth.entries.values() if e.create_revision < own.create_revision]
    assert {e.key for e in really} <= {e.key for e in view.ahead(own.create_revision)}
    assert all(one.create_revision < other.create_revision for one, other in pairwise(view.entries))


@quick
@given(steps)
def test_a_way_said_to_be_clear_is_clear(before: list[tuple[str, int]]) -> None:
    truth = Truth()
    truth.run([*before, ("join", 0)])
    view = QueueView.read(truth.entries.values(), truth.revision)
    for own in truth.entries.values():
        for other in truth.entries.values():
            if view.clears_the_way(other.key, own.create_revision, view.gone_at + 1):
                assert view.gone(other.key, truth.revision + 1).ahead(own.create_revision) == ()
                assert not other.changed
