"""Random walks through the election: whatever happens in whatever order, what must never be never is.

One sidecar, an etcd that does what it is told when it is told, and everything between the two going wrong: answers
lost, late and out of order, requests that land after their failure, watches that break or tell twice, members and terms
that change, strangers, clocks that jump ahead, a key deleted by hand, an etcd that forgets. At the end the faults stop,
and it must hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import IllegalEvent
from leasehold.election.snapshot import State
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from tests.support.examples import examples
from tests.unit.election_queue import UNDECLARED, Queue
from tests.unit.election_script import ME
from tests.unit.walked_sidecar import Sidecar

seconds = st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0, 6.0, 16.0])
specs = st.builds(
    Spec,
    ttl=st.sampled_from([None, 6, 15]),
    capacity=st.sampled_from([1, 1, 2, 3]),
    suspend=st.sampled_from([False, False, True]),
    preferred_holder=st.sampled_from(["", "me", "c1"]),
    preferred_group=st.sampled_from(["", "new"]),
    handover_up_to_token=st.sampled_from([0, 0, 110]),
)
others = st.builds(
    Record,
    identity=st.sampled_from(["c0", "c1", "c2"]),
    group=st.sampled_from(["", "new"]),
    priority=st.integers(-1, 1),
    incarnation=st.just("theirs"),
) | st.just(Record("elect", foreign=True))
BACK = [ev.Resume(), ev.Health(healthy=True), ev.WorkStopped()]
ENDS = [ev.Stop(), ev.Stop(awaits_work=True)]
wishes = st.sampled_from([ev.HandOver(), *BACK, ev.Health(healthy=False), *BACK, ev.Pause(), *BACK, *ENDS])
picks = st.integers(0, 7)


class Walk(RuleBasedStateMachine):
    """What may happen next."""

    sidecar: Sidecar

    @initialize(
        drain=st.sampled_from([0.0, 3.0]),
        ttl=st.sampled_from([None, 4]),
        require=st.sampled_from([False, False, False, True]),
        left=st.booleans(),
        ahead=st.lists(others, max_size=2),
        smooth=st.integers(0, 12),
        seed=st.integers(0, 9),
    )
    def begin(
        self, drain: float, ttl: int | None, require: bool, left: bool, ahead: list[Record], smooth: int, seed: int
    ) -> None:
        queue = Queue()
        self.sidecar = Sidecar(queue, seed, drain=drain, ttl=ttl, require_lock=require)
        self.transit: list[ev.Event] = []
        self.limbo: list[Any] = []
        self.strangers = [queue.join(who) for who in ahead]
        resume = None
        if left:
            entry = queue.join(replace(ME, incarnation="before"), ttl or 15)
            self.sidecar.expires[entry.lease] = self.sidecar.now + (ttl or 15)
            resume = ev.Resumable(entry.lease, entry.create_revision, queue.cluster)
        if require:
            queue.declare(Spec())
        self.sidecar.feed(ev.Start(resume))
        self.all_goes_well(smooth)

    @rule(times=st.integers(1, 8))
    def all_goes_well(self, times: int) -> None:
        """Without this no walk would come far."""
        for _ in range(times):
            if self.sidecar.asked:
                self.sidecar.feed(self.sidecar.reply(self.sidecar.asked.pop(0)))
            elif not self.sidecar.hear_next():
                self.it_is_called_when_it_asked_to_be()

    # --- answers ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.sidecar.asked)
    @rule(pick=picks)
    def an_answer_comes_at_once(self, pick: int) -> None:
        self.sidecar.feed(self.sidecar.reply(self._take(pick)))

    @precondition(lambda self: self.sidecar.asked)
    @rule(pick=picks)
    def an_answer_is_on_its_way(self, pick: int) -> None:
        self.transit.append(self.sidecar.reply(self._take(pick)))

    @precondition(lambda self: self.transit)
    @rule(pick=picks)
    def an_answer_comes_late(self, pick: int) -> None:
        self.sidecar.feed(self.transit.pop(pick % len(self.transit)))

    @precondition(lambda self: self.sidecar.asked)
    @rule(pick=picks, done=st.sampled_from(["done", "never", "later"]))
    def an_outcome_is_unknown(self, pick: int, done: str) -> None:
        command = self._take(pick)
        if done == "done":
            self.sidecar.reply(command)
        elif done == "later" and isinstance(command, (cmd.Join, cmd.Write, cmd.Resign, cmd.KeepAlive)):
            self.limbo.append(command)
        self.sidecar.feed(ev.Failed(command.op, "timed out"))

    @precondition(lambda self: self.limbo)
    @rule(pick=picks)
    def what_had_no_answer_lands_after_all(self, pick: int) -> None:
        self.sidecar.reply(self.limbo.pop(pick % len(self.limbo)))

    @precondition(lambda self: self.sidecar.asked)
    @rule(pick=picks)
    def a_question_is_refused(self, pick: int) -> None:
        command = self._take(pick)
        lease = getattr(command, "lease", None)
        unmarked = isinstance(command, cmd.Resign) and pick == 0
        gone = not unmarked and lease is not None and lease not in self.sidecar.etcd.leases
        self.sidecar.feed(ev.Failed(command.op, "no", refused=True, lease_gone=gone, unmarked=unmarked))

    def _take(self, pick: int) -> Any:
        return self.sidecar.asked.pop(pick % len(self.sidecar.asked))

    # --- time ---------------------------------------------------------------------------------------------------

    @rule(passed=seconds)
    def time_passes(self, passed: float) -> None:
        self.sidecar.now += passed
        self.sidecar.run_out()
        self.sidecar.check_truth()

    @rule()
    def it_is_called_when_it_asked_to_be(self) -> None:
        wanted = self.sidecar.election.deadline()
        if wanted is not None:
            self.sidecar.now = max(self.sidecar.now, wanted)
            self.sidecar.run_out()
        for _ in range(2):
            self.sidecar.feed(ev.Tick())
        wanted = self.sidecar.election.deadline()
        assert wanted is None or wanted > self.sidecar.now, "a busy loop"

    # --- watches ------------------------------------------------------------------------------------------------

    @rule(again=st.sampled_from([0, 0, 0, 1, 4]))
    def the_watch_tells(self, again: int) -> None:
        """Some of it twice."""
        self.sidecar.told = max(0, self.sidecar.told - again)
        self.sidecar.hear_next()

    @rule(told=st.sampled_from([True, True, False]))
    def the_watch_breaks(self, told: bool) -> None:
        """Or falls silent."""
        self.sidecar.watched = None
        if told:
            self.sidecar.feed(ev.WatchLost("cancelled"))

    # --- etcd, and the others in the queue ----------------------------------------------------------------------

    @rule(who=others)
    def a_stranger_joins(self, who: Record) -> None:
        self.strangers.append(self.sidecar.etcd.join(who))

    @precondition(lambda self: self.strangers)
    @rule(pick=picks)
    def a_stranger_leaves(self, pick: int) -> None:
        self.sidecar.etcd.delete(self.strangers.pop(pick % len(self.strangers)))

    @precondition(lambda self: self.strangers)
    @rule(pick=picks)
    def a_stranger_rewrites_its_record(self, pick: int) -> None:
        entry = self.strangers[pick % len(self.strangers)]
        if entry.key in self.sidecar.etcd.entries:
            self.sidecar.etcd.put(replace(entry.record, yield_to="c1"), entry.lease)

    @rule(spec=st.none() | specs | specs, broken=st.integers(0, 5))
    def the_spec_changes(self, spec: Spec | None, broken: int) -> None:
        if broken == 0:
            self.sidecar.etcd.declare(None, broken="the lock's spec key does not hold a JSON object")
            return
        self.sidecar.most = max(self.sidecar.most, spec.capacity if spec else 1)
        self.sidecar.etcd.declare(spec)

    @rule(kind=st.sampled_from(["term", "member", "deleted", "junk", "another", "term", "member", "wiped"]))
    def a_mishap(self, kind: str) -> None:
        own = next((e for e in self.sidecar.etcd.order if e.create_revision == self._token()), None)
        match kind:
            case "term":
                self.sidecar.etcd.term += 1
            case "member":
                self.sidecar.etcd.member = 11 + (self.sidecar.etcd.member - 10) % 3
            case "wiped":
                self._wipe()
            case "deleted" if own is not None:
                self.sidecar.harmed.add(own.create_revision)
                self.sidecar.etcd.delete(own)
            case "junk" if own is not None:
                self.sidecar.etcd.put(Record("junk", foreign=True), own.lease)
            case "another" if own is not None:
                self.sidecar.etcd.put(replace(ME, incarnation="another"), own.lease)

    def _token(self) -> int | None:
        return self.sidecar.election.snapshot.token

    def _wipe(self) -> None:
        """A wiped cluster has another id, and revisions that start anew. What etcd is told of it is nothing."""
        etcd = self.sidecar.etcd
        self.sidecar.harmed |= {entry.create_revision for entry in etcd.order}
        for forgotten in (etcd.entries, etcd.leases, etcd.history, self.limbo, self.strangers):
            forgotten.clear()
        etcd.cluster, etcd.revision, etcd.declared = etcd.cluster + 1, 2, UNDECLARED
        self.sidecar.watched = None
        self.sidecar.feed(ev.WatchLost("the connection broke"))

    # --- this pod -----------------------------------------------------------------------------------------------

    @rule(wish=wishes)
    def the_pod_wishes(self, wish: ev.Event) -> None:
        self.sidecar.feed(wish)

    @rule(wrong=st.sampled_from([ev.Start(), ev.Failed(-1, "x"), ev.Written(10**6, Queue().origin, done=True)]))
    def an_event_that_is_illegal_changes_nothing(self, wrong: ev.Event) -> None:
        if isinstance(wrong, ev.Start) and self.sidecar.state() is State.IDLE:
            return
        before = self.sidecar.dump()
        with pytest.raises(IllegalEvent):
            self.sidecar.election.handle(wrong, self.sidecar.now)
        assert self.sidecar.dump() == before

    # --- the faults stop ----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Then it holds within a few leases' time, or has stopped within its patience."""
        if not hasattr(self, "sidecar"):
            return
        sidecar = self.sidecar
        self._make_good()
        end = sidecar.now + 90.0
        while not (sidecar.holding() or sidecar.stopped()):
            assert sidecar.now < end, f"it neither holds nor stops: {sidecar.state()}"
            if sidecar.asked:
                sidecar.feed(sidecar.reply(sidecar.asked.pop(0)))
            elif not sidecar.hear_next():
                self.it_is_called_when_it_asked_to_be()

    def _make_good(self) -> None:
        sidecar = self.sidecar
        for event in (ev.Health(healthy=True), ev.Resume(), ev.WorkStopped()):
            sidecar.feed(event)
        sidecar.etcd.declare(Spec())
        for entry in self.strangers:
            sidecar.etcd.delete(entry)
        for command in self.limbo:
            sidecar.reply(command)
        for answer in self.transit:
            sidecar.feed(answer)


Walk.TestCase.settings = settings(
    max_examples=examples(100),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],  # a busy machine must not fail a test
)
TestWalk = Walk.TestCase
