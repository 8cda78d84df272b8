"""In the queue: deciding what our place makes of us, following the watches, keeping the lease alive.

A place is decided in `_place`, from a view that nobody ahead of us is missing from: after a linearizable read, or, by
a waiter, when the one key ahead of it is deleted and that alone proves the way clear. Everything else that happens
here only leads to a read, to `_place`, or to the end of the candidate.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import ranking
from leasehold.election.machine import PendingRequest
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import Cause, State
from leasehold.election.yielding import Yielding
from leasehold.lock.spec import Spec

UNCONFIRMED_NOTED: Final = 5
"""So many keep-alives in a row without confirmation are worth a line in the log."""


class Queued(Yielding):
    """The phases WAITING, HOLDING and UNSURE."""

    # --- our place ----------------------------------------------------------------------------------------------

    def _read_queue(self, now: float) -> None:
        self._ask(cmd.ReadQueue(self._op()))

    def _reread(self, now: float) -> None:
        """Read the queue unless that is under way: an answer older than what the watches told is asked for again."""
        if self._step is None:
            self._read_queue(now)

    def _queue_read(self, event: ev.QueueRead, now: float) -> None:
        revision = event.origin.revision
        self._adopt(event.declared, revision, now)
        self._step = None
        if revision < self._heard:
            self._read_queue(now)
            return
        self._view = QueueView.read(event.queue, revision)
        own = self._view.own(self._own.key) if self._own else None
        if self._is_still_ours(own, now):
            self._own = own
            self._settle(now)

    def _settle(self, now: float) -> None:
        """A read of the whole queue has just shown our key: decide what we are, and watch from there on."""
        revision = self._view.revision
        self._place(now)
        if self._state in (State.WAITING, State.HOLDING, State.UNSURE) or self._draining:
            self._watch(revision)

    def _place(self, now: float) -> None:
        """Decide what we are. The view is known to be right for those ahead of us."""
        if not self._lease.is_valid(now):
            self._be_unsure(now)
        elif (cause := self._objection(now)) is None:
            self._hold(now)
        elif self._state is State.HOLDING or cause in (Cause.TOKEN, Cause.PREFERRED) or self._is_undeclared():
            self._yield(cause, now)
        else:
            self._move(State.WAITING)
            self._may_have_led = self._may_have_led and cause is not Cause.CAPACITY

    def _be_unsure(self, now: float) -> None:
        """Ask for the lease at once; whoever is unsure already asks at the pace of its failures."""
        if self._state is not State.UNSURE:
            self._beat_next(min(self._beat_at, now))
        self._move(State.UNSURE)

    def _objection(self, now: float) -> Cause | None:
        """Why we are not to hold, or None: the guarantees' `capacity` first, then what the lock asks for."""
        assert self._own is not None, "only a candidate has a place"
        token, spec = self._own.create_revision, self._spec
        if len(self._view.ahead(token)) >= spec.capacity:
            return Cause.CAPACITY
        if spec.suspend or self._is_undeclared():
            return Cause.SUSPENDED
        if token <= spec.handover_up_to_token:
            return Cause.TOKEN
        if self._may_pass(now) and ranking.should_yield(self._view.entries, spec, token):
            return Cause.PREFERRED
        return None

    def _hold(self, now: float) -> None:
        self._move(State.HOLDING)
        if self._term_since is None:
            self._term_since = now

    # --- what the watches tell ----------------------------------------------------------------------------------

    def _entry_put(self, event: ev.EntryPut, now: float) -> None:
        self._hear(event.entry.mod_revision)
        self._view = self._view.put(event.entry)
        self._may_be_passed = self._may_be_passed or bool(event.entry.record.yield_to)
        if self._own is None or event.entry.key != self._own.key:
            self._reconsider(now)
        elif event.entry.mod_revision > self._own.mod_revision and self._is_still_ours(event.entry, now):
            self._own = event.entry

    def _entry_gone(self, event: ev.EntryGone, now: float) -> None:
        if self._own is not None and event.key == self._own.key:
            self._own_gone(now)
            return
        self._hear(event.revision)
        clear = self._own is not None and self._view.clears_the_way(event.key, self._own.create_revision)
        self._view = self._view.gone(event.key)
        if self._state is State.WAITING:
            self._moved_up(clear, now)
        else:
            self._reconsider(now)

    def _own_gone(self, now: float) -> None:
        """A waiter whom a holder was about to pass by joins again, as a matter of course; anyone else has lost."""
        if self._state is State.WAITING and self._may_be_passed:
            self._note("passed-by", "a holder hands over to one who is preferred: joining again")
            self._given_up = True
        self._lose(now, "our key was deleted")

    def _moved_up(self, clear: bool, now: float) -> None:
        """A waiter whose way is certainly clear holds at once, and reads then; any other reads first.

        At once is sound: our own key stands until the deadline at least, and nobody can come in ahead of it.
        """
        if clear and self._spec.capacity == 1 and self._objection(now) is None:
            self._hold(now)
        if not self._view.whole or self._objection(now) is not Cause.CAPACITY:
            self._reread(now)

    def _calm_ends(self, now: float) -> None:
        """A TTL has passed since the capacity fell: those who are preferred count again."""
        self._nobody_passed_until = -math.inf
        self._reconsider(now)

    def _reconsider(self, now: float) -> None:
        """Someone came, changed or went behind a holder: is there one preferred to us?"""
        if self._state is State.HOLDING and self._view.whole:
            self._place(now)

    def _spec_changed(self, event: ev.SpecChanged, now: float) -> None:
        self._hear(event.revision)
        before = self._spec
        if self._adopt(event.declared, event.revision, now):
            self._respond(before, now)

    def _respond(self, before: Spec, now: float) -> None:
        """The spec has changed. A waiter far back need not read for that: its turn is not before others'."""
        if self._state is State.HOLDING and (
            self._view.whole or self._objection(now) in (Cause.SUSPENDED, Cause.CAPACITY)
        ):
            self._place(now)
        elif before.capacity != self._spec.capacity or self._is_undeclared() or not self._is_far_back(now):
            self._reread(now)

    def _is_far_back(self, now: float) -> bool:
        return self._state is State.WAITING and self._objection(now) is Cause.CAPACITY

    def _watch_lost(self, event: ev.WatchLost, now: float) -> None:
        self._watching = None
        self._view = replace(self._view, whole=False)
        self._error = event.reason
        if self._step is None:
            self._later(self._back_off(), now, self._read_queue)

    def _step_failed(self, event: ev.Failed, now: float) -> None:
        self._error = event.reason
        if self._is_beat(event.op):
            self._beat_failed(event, now)
        else:
            self._later(self._back_off(), now, self._read_queue)

    # --- the lease ----------------------------------------------------------------------------------------------

    def _send_beat(self, now: float) -> None:
        self._lease.begin(self._origin)
        self._ask_beat(cmd.KeepAlive(self._op(), self._lease_id or 0))

    def _ask_beat(self, command: cmd.KeepAlive | cmd.ReadOwn) -> None:
        self._beat = PendingRequest(command, self._seen)
        self._out.append(command)

    def _kept_alive(self, event: ev.KeptAlive, now: float) -> None:
        self._beat = None
        if event.ttl <= 0:
            self._lose(now, "our lease has expired")
            return
        self._beats += 1
        self._lease.answered(event.origin, event.sent, event.ttl)
        if self._lease.is_unconfirmed(event.sent):
            self._lose(now, "our lease was renewed for a whole TTL, but never confirmed")
            return
        self._beat_next(event.sent + self._lease.interval)
        if self._own is not None and self._confirms():
            ahead = self._view.just_ahead(self._own.create_revision)
            self._ask_beat(cmd.ReadOwn(self._op(), self._own.lease, ahead.key if ahead else None))

    def _confirms(self) -> bool:
        """Whether this keep-alive is to be confirmed: always by holders, drained or not, and the next in line.

        Those further back confirm every other one. They need to: a member that hangs passes their keep-alives on
        but falls silent as a watch, and only a linearizable read finds that out before it is their turn.
        """
        if self._state is State.WAITING and self._own is not None:
            next_in_line = len(self._view.ahead(self._own.create_revision)) <= self._spec.capacity
            return next_in_line or self._unconfirmed > 0 or self._beats % 2 == 0
        return self._state is not State.YIELDING or self._draining

    def _own_read(self, event: ev.OwnRead, now: float) -> None:
        self._beat = None
        if not self._is_still_ours(event.own, now):
            return
        before = self._spec
        changed = self._adopt(event.declared, event.origin.revision, now)
        if self._lease.confirm(event.origin):
            self._confirmed(now)
        else:
            self._not_confirmed(now)
        if event.origin.revision >= max(self._heard, self._view.revision):
            self._compare(event, now)
        if changed:
            self._respond(before, now)

    def _confirmed(self, now: float) -> None:
        self._failures = self._unconfirmed = 0
        self._error = None
        if self._state is State.UNSURE:
            self._reread(now)

    def _not_confirmed(self, now: float) -> None:
        """Another member or term answered than before: that is known now, so try at once, but not for ever."""
        self._unconfirmed += 1
        self._beat_next(now + (0.0 if self._unconfirmed == 1 else self._soon()))
        if self._unconfirmed == UNCONFIRMED_NOTED:
            self._note("unconfirmed", "etcd's answers come from changing members or terms: the lease is not believed")

    def _compare(self, event: ev.OwnRead, now: float) -> None:
        """The confirming read also tells whether the watches have kept us up to date; if not, they are renewed."""
        watching_queue = self._watching is not None and self._watching.queue
        if self._state is State.WAITING and not watching_queue:
            self._view = self._view.behind(event.head)
            missed = self._has_missed(event)
        else:
            missed = watching_queue and self._view.whole and event.count not in (0, len(self._view.entries))
        if missed:
            self._watching = None
            self._view = replace(self._view, whole=False)
            self._reread(now)

    def _has_missed(self, event: ev.OwnRead) -> bool:
        """Whether the key ahead, which we watch, was deleted or rewritten and no event said so."""
        watched = self._watching.keys if self._watching else frozenset()
        ahead = event.ahead
        if self._own is None or watched <= {self._own.key}:
            return False
        return ahead is None or self._view.own(ahead.key) != ahead
